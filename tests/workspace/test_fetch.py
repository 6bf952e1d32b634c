"""Fetching a workspace: what is in it, what it costs, and what a broken part of it does to the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastlabel_dagster.api import ServerError
from fastlabel_dagster.workspace import DEFAULT_PARTS, FastLabelWorkspace, fetch_workspace

OF_PROJECTS = [part for part in DEFAULT_PARTS if part in {"classes", "tasks", "imports", "auto_annotations"}]


def test_everything_of_a_workspace_is_a_record(sandbox, client):
    state = sandbox.state
    state.start_import("harbour", outcome="failed", seconds=0)
    dataset = state.datasets.create("boxes")
    state.datasets.add_object("boxes", "a.txt", b"one", {})
    training = state.jobs.start_training({"datasetName": "boxes", "baseModelName": "fastlabel_x", "epoch": 2})
    state.clock.advance(1000)
    state.settle()
    model = client.training_jobs.find(training["trainingJobId"])["customModel"]["modelName"]
    evaluation = client.evaluation_jobs.submit("boxes", model)
    state.jobs.start_auto_annotation({"project": "harbour", "modelName": model})
    state.clock.advance(1000)

    workspace = fetch_workspace(client, include=[*DEFAULT_PARTS, "statuses"])
    assert workspace.slugs == ("harbour", "street-day", "street-night", "yard")
    harbour, last = workspace.project("harbour"), workspace.project("yard")
    assert (last.tasks, dict(last.statuses), last.type, last.status) == (3, {"approved": 3}, "image_all", "active")
    assert [one.value for one in last.classes] == ["car"]
    assert [one.state for one in harbour.imports] == ["failed"]
    assert [(one.model, one.status) for one in harbour.auto_annotations] == [(model, "completed")]
    assert [(one.name, one.objects) for one in workspace.datasets] == [("boxes", 1)]
    assert workspace.datasets[0].revisions == (evaluation["datasetRevisionId"],)
    assert workspace.datasets[0].id == dataset["id"]
    assert [one.name for one in workspace.models] == [model]
    assert workspace.trainings[0].id == training["trainingJobId"] and workspace.trainings[0].epoch == 2
    assert workspace.evaluations[0].model == model and 0 <= workspace.evaluations[0].mAP <= 1
    assert not workspace.problems and not any(project.errors for project in workspace.projects)
    assert FastLabelWorkspace.from_json(workspace.to_json()) == workspace


def test_neither_token_nor_a_link_that_gives_access_is_in_a_record(sandbox, client):
    sandbox.state.datasets.create("boxes")
    sandbox.state.datasets.add_object("boxes", "a.txt", b"one", {})
    sandbox.state.jobs.start_training({"datasetName": "boxes", "baseModelName": "fastlabel_x", "epoch": 2})
    sandbox.state.clock.advance(1000)
    signed = client.training_jobs.list()[0]["customModel"]["modelURL"]
    assert "?" in signed, "the sandbox signs the links of models"
    told = fetch_workspace(client).to_json()
    assert sandbox.token not in told
    assert signed.split("?")[0] in told and signed.split("?")[1] not in told


def test_nothing_is_asked_about_a_project_that_is_not_selected(sandbox, client):
    workspace = fetch_workspace(client, {"globs": ["street-*"]}, include=OF_PROJECTS)
    assert workspace.slugs == ("street-day", "street-night")
    assert workspace.requests == 1 + 2 * len(OF_PROJECTS)
    assert fetch_workspace(client, "nothing-*").requests == 1 + 3  # the list of projects, datasets and two of jobs


def test_a_slug_that_is_named_and_not_there_is_told(sandbox, client):
    workspace = fetch_workspace(client, ["harbour", "atlantis"], include=())
    assert workspace.slugs == ("harbour",)
    assert list(workspace.problems) == ["project atlantis"]


def test_a_broken_project_is_a_record_with_its_error(sandbox, client):
    said: list[str] = []
    sandbox.fail("GET annotations", times=1, status=500)
    workspace = fetch_workspace(client, include=OF_PROJECTS, workers=1, log=said.append)
    first, *others = workspace.projects
    assert first.classes is None and first.errors["classes"].startswith("ServerError: ")
    assert first.tasks == 0 and first.imports == ()
    assert all(project.classes and not project.errors for project in others)
    assert len(said) == 1 and said[0].startswith("harbour: classes: ServerError")


def test_a_list_that_cannot_be_had_leaves_the_rest(sandbox, client):
    sandbox.fail("GET trainings", times=1, status=403)
    sandbox.fail("GET datasets-v2", times=1, status=500)
    workspace = fetch_workspace(client)
    assert set(workspace.problems) == {"trainings", "datasets"}
    assert workspace.trainings is None and workspace.datasets is None
    assert workspace.evaluations == () and len(workspace.projects) == 4


def test_what_cannot_be_had_is_kept_of_the_look_before_and_said(sandbox, client):
    state = sandbox.state
    state.start_import("harbour", seconds=0)
    state.datasets.create("boxes")
    state.datasets.add_object("boxes", "a.txt", b"one", {})
    state.jobs.start_training({"datasetName": "boxes", "baseModelName": "fastlabel_x", "epoch": 2})
    state.clock.advance(1000)
    client.evaluation_jobs.submit("boxes", client.training_jobs.list()[0]["customModel"]["modelName"])
    state.clock.advance(1000)
    whole = replace(fetch_workspace(client), fetched_at="2025-01-31T10:00:00+00:00")

    said: list[str] = []
    for path in ("annotations", "tasks/import/histories", "trainings", "evaluations", "dataset-revision-objects"):
        sandbox.fail(f"GET {path}", times=1, status=500)
    part = fetch_workspace(client, workers=1, former=whole, log=said.append)
    harbour = part.project("harbour")
    assert replace(harbour, errors={}, kept={}) == whole.project("harbour")
    assert set(harbour.errors) == set(harbour.kept) == {"classes", "imports"}
    assert part.models == whole.models and part.evaluations == whole.evaluations and part.models
    assert set(part.problems) == set(part.kept) == {"trainings", "evaluations"}
    (dataset,) = part.datasets
    assert (dataset.objects, set(dataset.kept)) == (1, {"objects", "revisions"}) and dataset.revisions
    assert sum("what was known at 2025-01-31T10:00:00+00:00 is kept" in sentence for sentence in said) == 6
    assert FastLabelWorkspace.from_json(part.to_json()) == part

    sandbox.fail("GET trainings", times=1, status=500)
    again = fetch_workspace(client, former=replace(part, fetched_at="2025-02-01T10:00:00+00:00"))
    assert again.kept == {"trainings": "2025-01-31T10:00:00+00:00"}, "since when it is known, not when it was kept"
    well = fetch_workspace(client, former=again)
    assert not well.kept and not any(one.kept for one in (*well.projects, *well.datasets))


def test_a_list_of_projects_that_is_cut_short_takes_none_away(sandbox, client):
    whole = fetch_workspace(client, include=OF_PROJECTS)
    none = fetch_workspace(client, "street-*", include=OF_PROJECTS, max_requests=0, former=whole)
    assert none.slugs == ("street-day", "street-night"), "the selected ones"
    assert all(set(project.kept) == {"project"} for project in none.projects)
    few = fetch_workspace(client, include=OF_PROJECTS, max_requests=3, workers=1, former=whole)
    assert [project.classes for project in few.projects] == [project.classes for project in whole.projects]
    assert few.project("yard").left_out == tuple(few.project("yard").kept) == tuple(OF_PROJECTS)


def test_nothing_is_kept_of_what_is_gone_or_was_made_anew(sandbox, client):
    whole = fetch_workspace(client, include=OF_PROJECTS)
    sandbox.fail("GET annotations", times=len(whole.projects), status=500)
    renewed = [replace(project, id="another") for project in whole.projects]
    anew = fetch_workspace(client, include=OF_PROJECTS, former=replace(whole, projects=tuple(renewed)))
    assert all(project.classes is None and not project.kept for project in anew.projects)
    gone = replace(whole, projects=(*whole.projects, replace(whole.projects[0], slug="gone", id="gone")))
    assert "gone" not in fetch_workspace(client, include=OF_PROJECTS, former=gone).slugs
    sandbox.fail("GET annotations", times=1, status=500)
    elsewhere = fetch_workspace(client, include=OF_PROJECTS, former=replace(whole, base_url="https://other.example/"))
    assert [project.classes is None for project in elsewhere.projects].count(True) == 1


def test_without_the_list_of_projects_there_is_nothing_to_show(sandbox, client):
    sandbox.fail("GET projects", times=1, status=500)
    with pytest.raises(ServerError):
        fetch_workspace(client)


def test_the_requests_allowed_are_never_exceeded_and_what_is_left_out_is_said(sandbox, client):
    whole = fetch_workspace(client, include=OF_PROJECTS)
    for allowed in range(1, whole.requests + 1):
        workspace = fetch_workspace(client, include=OF_PROJECTS, max_requests=allowed)
        assert workspace.requests == allowed
        left_out = sum(len(project.left_out) for project in workspace.projects)
        assert left_out == whole.requests - allowed
    assert "projects" in fetch_workspace(client, max_requests=0).problems


@pytest.mark.parametrize("workers", [1, 4])
def test_how_many_ask_at_once_makes_no_difference_to_the_answer(sandbox, client, workers):
    workspace = fetch_workspace(client, include=OF_PROJECTS, workers=workers)
    assert workspace.projects == fetch_workspace(client, include=OF_PROJECTS, workers=2).projects


def test_a_part_that_does_not_exist_is_refused_before_anything_is_asked(sandbox, client):
    with pytest.raises(ValueError, match="no part pictures"):
        fetch_workspace(client, include=["pictures"])
    assert client.statistics.requests == 0
