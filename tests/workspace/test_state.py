"""The state of a project or dataset: it changes with what people do, and with nothing else."""

from __future__ import annotations

import pytest

from fastlabel_dagster.api import NotFound
from fastlabel_dagster.workspace import dataset_state, project_state


def test_the_state_of_a_project_says_how_far_its_tasks_are(sandbox, client):
    ids = sandbox.state.task_ids("yard")
    sandbox.state.set_status(ids[:1], "completed")
    state = project_state(client, "yard")
    assert (state.tasks, state.classes, state.type) == (3, 1, "image_all")
    assert state.statuses == {"completed": 1, "approved": 2} and state.every_task


def test_the_state_stays_while_nobody_does_anything(sandbox, client):
    first = project_state(client, "yard")
    assert project_state(client, "yard") == first
    sandbox.state.approve("street-day", 1, status="completed")  # another project
    assert project_state(client, "yard") == first


def test_every_kind_of_change_gives_another_state(sandbox, client):
    state, ids = sandbox.state, sandbox.state.task_ids("yard")
    seen = [project_state(client, "yard").version]

    def changed():
        seen.append(project_state(client, "yard").version)
        return seen[-1] not in seen[:-1]

    state.clock.advance(1)
    state.set_status(ids[:1], "sent_back")
    assert changed(), "a status"
    state.clock.advance(1)
    state.set_status(ids[1:], "completed")
    state.set_status(ids[:1], "approved")
    assert changed(), "statuses that changed places"
    state.clock.advance(1)
    state.set_status(ids[0], assignee="someone")
    assert changed(), "a task that keeps its status"
    state.create_class("yard", "bbox", "bus", "Bus")
    assert changed(), "a class"
    state.add_tasks("yard", [{"name": "new.jpg"}])
    assert changed(), "a task"
    state.delete_task(ids[2])
    assert changed(), "a task less"


def test_a_small_project_costs_four_requests_and_a_large_one_eleven(sandbox, client):
    before = client.statistics.requests
    assert project_state(client, "yard").every_task
    assert client.statistics.requests - before == 4
    sandbox.state.add_tasks("street-night", [{"name": f"more-{number}.mp4"} for number in range(10)])
    before = client.statistics.requests
    state = project_state(client, "street-night")  # more than the ten videos of a page
    assert client.statistics.requests - before == 11
    assert not state.every_task
    assert state.statuses == {"registered": 10, "approved": 2} and state.tasks == 12


def test_a_large_project_changes_state_with_its_counts(sandbox, client):
    ids = sandbox.state.add_tasks("street-night", [{"name": f"more-{number}.mp4"} for number in range(10)])
    first = project_state(client, "street-night")
    assert project_state(client, "street-night") == first
    sandbox.state.set_status(ids[0], "completed")
    assert project_state(client, "street-night").version != first.version


def test_a_project_of_an_unknown_kind_is_counted(sandbox, client):
    sandbox.state.create_project("odd", type="image_all")
    sandbox.state.add_tasks("odd", [{"name": "a.jpg"}])
    with sandbox.state.database.write() as connection:
        body = "json_set(body, '$.type', 'hologram_mesh')"
        connection.execute(f"UPDATE projects SET body = {body} WHERE slug = 'odd'")
    state = project_state(client, "odd")
    assert state.type == "hologram_mesh" and state.statuses == {"registered": 1} and not state.every_task


def test_a_project_that_is_not_there_is_told_with_what_it_may_be(sandbox, client):
    with pytest.raises(NotFound) as error:
        project_state(client, "harbor")
    assert "harbour" in str(error.value)


def test_the_state_of_a_dataset_changes_with_its_objects(sandbox, client):
    assert dataset_state(client, "boxes") is None
    datasets = sandbox.state.datasets
    made = datasets.create("boxes")
    empty = dataset_state(client, "boxes")
    assert empty.objects == 0 and empty.whole
    datasets.add_object("boxes", "a.txt", b"one", {})
    one = dataset_state(client, "boxes")
    assert one.objects == 1 and one.version != empty.version
    assert dataset_state(client, "boxes") == one
    client.dataset_objects.update(made["id"], "a.txt", annotations=[{"type": "bbox", "value": "car", "points": [1, 2]}])
    assert dataset_state(client, "boxes").version != one.version
