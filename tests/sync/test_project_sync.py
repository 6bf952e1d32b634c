"""Syncing a project: what is committed, what is not, and what a version still says later."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import DeltaTable

from fastlabel_dagster.api import FastLabelClient, NotFound
from fastlabel_dagster.sync import LabelMirror, sync_project
from fastlabel_dagster.sync.buckets import bucket_of, buckets_for

PROJECT = "street"


def test_first_sync_holds_what_the_api_has(sandbox, client, box_tasks, at_the_api, in_the_mirror, tmp_path):
    sandbox.state.add_tasks(PROJECT, box_tasks(120))
    report = sync_project(client, PROJECT, tmp_path / "store", page_size=50)
    mirror = LabelMirror(tmp_path / "store" / "labels")
    assert (report.version, report.previous_version, report.changed, report.settled) == (0, None, True, True)
    assert (report.tasks, report.annotations, report.added, report.updated, report.removed) == (120, 240, 120, 0, 0)
    assert in_the_mirror(mirror) == at_the_api()
    assert mirror.digest == report.digest
    assert mirror.read().origin == {
        "mirror": str(tmp_path / "store" / "labels"),
        "project": PROJECT,
        "version": 0,
        "digest": report.digest,
    }
    assert mirror.read().classes["value"].to_pylist() == ["car"]


def test_unchanged_project_commits_nothing(sandbox, client, box_tasks, tmp_path):
    sandbox.state.add_tasks(PROJECT, box_tasks(30))
    first = sync_project(client, PROJECT, tmp_path)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "labels").rglob("*") if path.is_file()}
    second = sync_project(client, PROJECT, tmp_path)
    assert not second.changed
    assert (second.version, second.digest, second.buckets_rewritten) == (first.version, first.digest, 0)
    assert files == {path: path.stat().st_mtime_ns for path in (tmp_path / "labels").rglob("*") if path.is_file()}
    assert "nothing changed" in str(second)


def test_one_changed_task_rewrites_its_bucket_alone(sandbox, client, box_tasks, in_the_mirror, tmp_path):
    ids = sandbox.state.add_tasks(PROJECT, box_tasks(200))
    sync_project(client, PROJECT, tmp_path, buckets=16)
    mirror = LabelMirror(tmp_path / "labels")
    before = in_the_mirror(mirror)
    changed = ids[17]
    sandbox.state.update_task(
        changed, annotations=[{"type": "bbox", "value": "car", "points": [1, 2, 30, 40]}], status="reviewed"
    )
    report = sync_project(client, PROJECT, tmp_path)
    assert (report.version, report.buckets, report.buckets_rewritten, report.updated) == (1, 16, 1, 1)

    tables = [DeltaTable(tmp_path / "labels" / "tasks", version=version) for version in (0, 1)]
    new_files = set(tables[1].file_uris()) - set(tables[0].file_uris())
    assert [Path(file).parent.name for file in new_files] == [f"bucket={bucket_of(changed, 16)}"]

    assert in_the_mirror(mirror, 0) == before
    diff = mirror.diff(0, 1)
    assert set(diff.table["task_id"].to_pylist()) == {changed}
    assert {"removed", "moved", "status_changed"} <= set(diff.table["kind"].to_pylist())


def test_diff_counts_added_and_removed_tasks_between_any_versions(sandbox, client, box_tasks, tmp_path):
    ids = sandbox.state.add_tasks(PROJECT, box_tasks(40))
    sync_project(client, PROJECT, tmp_path, buckets=4)
    sandbox.state.delete_task(ids[3])
    sync_project(client, PROJECT, tmp_path)
    added = sandbox.state.add_tasks(PROJECT, box_tasks(2, start=900))
    sync_project(client, PROJECT, tmp_path)
    mirror = LabelMirror(tmp_path / "labels")
    rows = {(row["task_id"], row["kind"]) for row in mirror.diff(0).table.to_pylist()}
    assert rows == {(ids[3], "task_removed"), *((task_id, "task_added") for task_id in added)}
    backwards = {(row["task_id"], row["kind"]) for row in mirror.diff(2, 0).table.to_pylist()}
    assert backwards == {(ids[3], "task_added"), *((task_id, "task_removed") for task_id in added)}
    assert mirror.diff(1, 1).table.num_rows == 0


def test_class_change_alone_makes_a_version_that_rewrites_no_bucket(sandbox, client, box_tasks, tmp_path):
    sandbox.state.add_tasks(PROJECT, box_tasks(10))
    first = sync_project(client, PROJECT, tmp_path)
    truck = sandbox.state.create_class(PROJECT, "bbox", "truck", "Truck")
    second = sync_project(client, PROJECT, tmp_path)
    assert (second.version, second.changed, second.buckets_rewritten, second.updated) == (1, True, 0, 0)
    client.annotation_classes.delete(truck)
    third = sync_project(client, PROJECT, tmp_path)
    assert third.digest == first.digest != second.digest
    mirror = LabelMirror(tmp_path / "labels")
    assert [mirror.read(version).classes.num_rows for version in (0, 1, 2)] == [1, 2, 1]
    assert [version.classes for version in mirror.versions()] == [1, 2, 1]


def test_class_deleted_while_tasks_use_it(sandbox, client, box_tasks, at_the_api, in_the_mirror, tmp_path):
    sandbox.state.add_tasks(PROJECT, box_tasks(10))
    sync_project(client, PROJECT, tmp_path)
    car = client.annotation_classes.by_value(PROJECT, "car")
    client.annotation_classes.delete(car["id"])
    report = sync_project(client, PROJECT, tmp_path)
    mirror = LabelMirror(tmp_path / "labels")
    assert report.classes == 0
    assert mirror.read().classes.num_rows == 0
    assert in_the_mirror(mirror) == at_the_api()


def test_empty_project_and_a_project_that_becomes_empty(sandbox, client, box_tasks, tmp_path):
    empty = sync_project(client, PROJECT, tmp_path)
    assert (empty.version, empty.tasks, empty.buckets, empty.changed) == (0, 0, 1, True)
    mirror = LabelMirror(tmp_path / "labels")
    assert mirror.read().tasks.num_rows == 0
    assert not sync_project(client, PROJECT, tmp_path).changed
    for task_id in sandbox.state.add_tasks(PROJECT, box_tasks(5)):
        sync_project(client, PROJECT, tmp_path)
        sandbox.state.delete_task(task_id)
    again = sync_project(client, PROJECT, tmp_path)
    assert (again.tasks, again.removed, again.digest) == (0, 1, empty.digest)
    assert mirror.read().tasks.num_rows == 0


def test_mirror_is_laid_out_anew_when_the_project_outgrows_it(sandbox, client, in_the_mirror, tmp_path):
    sync_project(client, PROJECT, tmp_path)
    sandbox.state.add_tasks(PROJECT, [{"name": f"{number}.jpg"} for number in range(4100)])
    grown = sync_project(client, PROJECT, tmp_path)
    assert (grown.tasks, grown.added, grown.buckets) == (4100, 4100, buckets_for(4100)) == (4100, 4100, 8)
    task_id = next(iter(in_the_mirror(LabelMirror(tmp_path / "labels"))))
    sandbox.state.set_status(task_id, "approved")
    after = sync_project(client, PROJECT, tmp_path)
    assert (after.buckets, after.buckets_rewritten, after.updated) == (8, 1, 1)
    diff = LabelMirror(tmp_path / "labels").diff(0, 2)
    assert diff.summary["task_added"] == 4100


def test_signed_links_are_neither_stored_nor_a_change(sandbox, client, box_tasks, picture, tmp_path):
    sandbox.state.add_tasks(PROJECT, box_tasks(3), {"image-00000.jpg": picture()})
    sync_project(client, PROJECT, tmp_path)
    sandbox.state.clock.advance(120)
    assert not sync_project(client, PROJECT, tmp_path).changed
    assert LabelMirror(tmp_path / "labels").read().tasks["url"].null_count == 3


def test_one_pass_when_not_confirmed(sandbox, client, box_tasks, tmp_path):
    sandbox.state.add_tasks(PROJECT, box_tasks(10))
    assert sync_project(client, PROJECT, tmp_path / "one", confirm=False).passes == 1
    assert sync_project(client, PROJECT, tmp_path / "two").passes == 2


def test_unknown_project_names_similar_slugs(client, tmp_path):
    with pytest.raises(NotFound, match=r"no project 'streets'.*did you mean street\?"):
        sync_project(client, "streets", tmp_path)
    with pytest.raises(NotFound, match="this token sees one project, street"):
        sync_project(client, "zzz", tmp_path)
    assert list(tmp_path.glob("labels")) == []


def test_an_address_without_its_end_is_not_blamed_on_the_slug(sandbox, tmp_path):
    refused = pytest.raises(NotFound, match=r"404 Cannot GET /projects.*ends in /v1/")
    with FastLabelClient(sandbox.token, base_url=sandbox.url.removesuffix("v1/")) as lost, refused as caught:
        sync_project(lost, PROJECT, tmp_path)
    assert PROJECT not in str(caught.value)


def test_one_store_mirrors_one_project(sandbox, client, tmp_path):
    sandbox.state.create_project("other")
    sync_project(client, PROJECT, tmp_path)
    with pytest.raises(ValueError, match="mirrors the project 'street'"):
        sync_project(client, "other", tmp_path)


def test_report_is_plain_data(sandbox, client, box_tasks, tmp_path):
    import json

    sandbox.state.add_tasks(PROJECT, box_tasks(3))
    report = sync_project(client, PROJECT, tmp_path)
    assert json.loads(json.dumps(report.to_dict()))["tasks"] == 3
    assert report.requests > 0
