"""The same on S3: a mirror and images whose content equals the local ones."""

from __future__ import annotations

import pyarrow as pa
from deltalake import DeltaTable

from fastlabel_dagster.store import ImageFolder, open_store
from fastlabel_dagster.sync import LabelMirror, download_images, sync_project

PROJECT = "street"


def test_mirror_and_images_on_s3_equal_the_local_ones(
    sandbox, client, box_tasks, picture, in_the_mirror, moto_s3, tmp_path
):
    tasks = box_tasks(40)
    ids = sandbox.state.add_tasks(PROJECT, tasks, {task["name"]: picture(n) for n, task in enumerate(tasks)})
    remote_uri = f"s3://{moto_s3.bucket}/team/street"
    places = (str(tmp_path / "local"), remote_uri)
    reports = [sync_project(client, PROJECT, place, buckets=4) for place in places]
    assert reports[0].digest == reports[1].digest
    sandbox.state.set_status(ids[7], "sent_back")
    sandbox.state.create_class(PROJECT, "bbox", "truck", "Truck")
    reports = [sync_project(client, PROJECT, place) for place in places]
    assert [(report.version, report.buckets_rewritten) for report in reports] == [(1, 1), (1, 1)]
    assert not sync_project(client, PROJECT, remote_uri).changed

    local, remote = (LabelMirror(open_store(place).at("labels")) for place in places)
    for version in (0, 1):
        assert in_the_mirror(local, version) == in_the_mirror(remote, version)
        assert local.classes(version) == remote.classes(version)
    assert local.diff(0).table == remote.diff(0).table
    assert local.diff(0).table["task_id"].to_pylist() == [ids[7]]
    assert [version.digest for version in remote.versions()] == [version.digest for version in local.versions()]

    images = [download_images(client, PROJECT, place) for place in places]
    assert images[0].digest == images[1].digest
    assert download_images(client, PROJECT, remote_uri).kept == 40
    folders = [ImageFolder(open_store(place).at("images")) for place in places]
    contents = [
        {found.path: folder.store.read_bytes(found.path) for found in folder.store.list()} for folder in folders
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 41

    table = DeltaTable(f"{remote_uri}/labels/tasks", storage_options=open_store(remote_uri).storage_options())
    assert sum(pa.table(table.get_add_actions(flatten=True))["num_records"].to_pylist()) == 40
