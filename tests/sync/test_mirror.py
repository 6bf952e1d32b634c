"""The mirror as a Delta table: what other readers see, what other writers may do, what a vacuum gives up."""

from __future__ import annotations

import uuid
from hashlib import blake2b

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from fastlabel_dagster.labels.digest import task_digest
from fastlabel_dagster.sync import LabelMirror, snapshot, sync_project
from fastlabel_dagster.sync.buckets import bucket_of, buckets_for, checked_buckets, outgrown

PROJECT = "street"


@pytest.fixture
def mirrored(sandbox, client, box_tasks, tmp_path):
    """A project of sixty tasks in a mirror of eight buckets; answers the mirror and the task ids."""
    ids = sandbox.state.add_tasks(PROJECT, box_tasks(60))
    sync_project(client, PROJECT, tmp_path, buckets=8)
    return LabelMirror(tmp_path / "labels"), ids


def queried(path, query, version=None):
    """What Delta's own (Rust) reader says, which shares no code with the mirror's."""
    return pa.table(QueryBuilder().register("tasks", DeltaTable(path, version=version)).execute(query)).to_pylist()


def test_other_readers_see_the_same_rows(mirrored, tmp_path, in_the_mirror):
    mirror, ids = mirrored
    rows = queried(
        tmp_path / "labels" / "tasks",
        "SELECT task_id, bucket, digest, url, created_at, cardinality(annotations) AS boxes FROM tasks",
    )
    assert {row["task_id"] for row in rows} == set(ids)
    tasks = in_the_mirror(mirror)
    for row in rows:
        assert row["bucket"] == bucket_of(row["task_id"], 8)
        assert row["digest"] == task_digest(tasks[row["task_id"]])
        assert (row["boxes"], row["url"]) == (2, None)
        assert row["created_at"].isoformat(timespec="milliseconds")[:23] == tasks[row["task_id"]]["createdAt"][:23]


def test_annotations_as_a_data_frame(mirrored):
    mirror, ids = mirrored
    frame = mirror.read().annotations.to_pandas()
    assert frame.groupby("task_id").size().to_dict() == dict.fromkeys(ids, 2)
    assert frame["value"].unique().tolist() == ["car"]
    widths = frame["points"].map(lambda points: points[2] - points[0])
    # As the tasks are drawn: 10 to 16 pixels by turns, and 36.5 in the second box of each.
    assert widths.value_counts().to_dict() == {36.5: 60, 10: 9, 11: 9, 12: 9, 13: 9, 14: 8, 15: 8, 16: 8}


def test_every_version_is_there_for_other_readers(mirrored, sandbox, client, tmp_path):
    _, ids = mirrored
    sandbox.state.set_status(ids[0], "sent_back")
    sync_project(client, PROJECT, tmp_path)
    query = f"SELECT status FROM tasks WHERE task_id = '{ids[0]}'"
    statuses = [queried(tmp_path / "labels" / "tasks", query, version)[0]["status"] for version in (0, 1)]
    assert statuses == ["approved", "sent_back"]


def test_compaction_and_checkpoint_by_somebody_else_change_nothing(mirrored, sandbox, client, tmp_path, in_the_mirror):
    mirror, ids = mirrored
    before = in_the_mirror(mirror)
    path = tmp_path / "labels" / "tasks"
    write_deltalake(
        path,
        pa.table(QueryBuilder().register("t", DeltaTable(path)).execute("SELECT * FROM t")),
        mode="overwrite",
        partition_by=["bucket"],
    )
    DeltaTable(path).create_checkpoint()
    assert DeltaTable(path).version() == 1
    assert (mirror.version, len(mirror.versions())) == (0, 1)
    assert in_the_mirror(mirror) == before
    assert not sync_project(client, PROJECT, tmp_path).changed
    sandbox.state.delete_task(ids[0])
    report = sync_project(client, PROJECT, tmp_path)
    assert (report.version, report.previous_version, report.removed, report.buckets_rewritten) == (2, 0, 1, 1)
    assert mirror.diff(0).summary["task_removed"] == 1
    assert [version.version for version in mirror.versions()] == [0, 2]


def test_vacuum_keeps_what_it_is_asked_to(mirrored, sandbox, client, tmp_path, in_the_mirror):
    mirror, ids = mirrored
    contents = [in_the_mirror(mirror)]
    for status in ("sent_back", "reviewed", "skipped"):
        sandbox.state.set_status(ids[0], status)
        sync_project(client, PROJECT, tmp_path)
        contents.append(in_the_mirror(mirror))
    assert mirror.vacuum([1]) == 0  # everything is younger than a week
    assert mirror.vacuum([1], older_than_hours=0) == 2
    for version in (1, 3):
        assert in_the_mirror(mirror, version) == contents[version]
    for version in (0, 2):
        with pytest.raises(LookupError, match=f"version {version} were given up by a vacuum"):
            in_the_mirror(mirror, version)
    assert mirror.version == 3
    assert not sync_project(client, PROJECT, tmp_path).changed


def test_reader_of_a_version_is_not_disturbed_by_commits(mirrored, sandbox, client, tmp_path):
    mirror, ids = mirrored
    batches = mirror.read().batches(["task_id", "status"])
    first = next(batches)
    for task_id in ids:
        sandbox.state.set_status(task_id, "skipped")
    sync_project(client, PROJECT, tmp_path)
    table = pa.concat_tables([first, *batches])
    assert table.num_rows == 60
    assert set(table["status"].to_pylist()) == {"approved", "registered"}


def test_batches_can_be_read_again_and_keep_their_order(mirrored, monkeypatch):
    labels = mirrored[0].read()
    (once,), (again,) = (list(labels.batches(["task_id"])) for _ in range(2))  # eight small buckets are one batch
    assert once == again
    monkeypatch.setattr(snapshot, "_ROWS_TOGETHER", 20)
    batches = list(labels.batches(["task_id"]))
    assert 3 <= len(batches) <= 8 and max(batch.num_rows for batch in batches) <= 20
    assert pa.concat_tables(batches) == once
    monkeypatch.setattr(snapshot, "_BYTES_TOGETHER", 1)
    assert len(list(labels.batches(["name"]))) == 8


def test_no_mirror_and_no_such_version(mirrored, tmp_path):
    mirror, _ = mirrored
    nothing = LabelMirror(tmp_path / "nothing")
    assert (nothing.exists, nothing.newest(), nothing.versions()) == (False, None, [])
    for ask in (lambda: nothing.version, lambda: nothing.digest, nothing.read, lambda: nothing.diff(0)):
        with pytest.raises(LookupError, match="sync the project first"):
            ask()
    assert mirror.exists
    with pytest.raises(LookupError, match="no version 7"):
        mirror.read(7)
    assert not (tmp_path / "nothing").exists()


def test_delta_table_of_somebody_else_is_left_alone(client, tmp_path):
    write_deltalake(tmp_path / "labels" / "tasks", pa.table({"mine": [1, 2]}))
    with pytest.raises(ValueError, match="no sync made"):
        sync_project(client, PROJECT, tmp_path)
    assert queried(tmp_path / "labels" / "tasks", "SELECT count(*) AS n FROM tasks") == [{"n": 2}]


def test_bucket_is_the_hash_of_the_id_modulo_the_number_of_buckets():
    for _ in range(200):
        task_id = str(uuid.uuid4())
        number = int.from_bytes(blake2b(task_id.encode()).digest()[:8], "big")
        for buckets in (1, 2, 64, 1024):
            assert bucket_of(task_id, buckets) == number % buckets


def test_buckets_by_size():
    assert [buckets_for(size) for size in (0, 240, 1000, 1001, 20_000, 1_000_000, 10**9)] == [
        1,
        1,
        1,
        2,
        32,
        1024,
        1024,
    ]
    for size in (1001, 5_000, 77_777, 900_000):
        assert 500 <= size / buckets_for(size) <= 1000
    assert not outgrown(4000, 1)
    assert outgrown(4001, 1)
    for wrong in (0, -1, 3, 2048):
        with pytest.raises(ValueError, match="power of two"):
            checked_buckets(wrong)
