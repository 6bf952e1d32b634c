"""Downloading images: complete, checked, named safely, taken up where they were left."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
import time

import pyarrow.compute as pc
import pytest
import requests

from fastlabel_dagster.api import FastLabelClient, RetryPolicy, TransportError
from fastlabel_dagster.store import ImageFolder, StoreError, open_store
from fastlabel_dagster.store.paths import temporary_name
from fastlabel_dagster.sync import LabelMirror, download_images, refuse_foreign_images, sync_project

PROJECT = "street"


@pytest.fixture
def seeded(sandbox, picture):
    """Adds a task per name, each with a picture of its own; answers the task ids."""

    def add(*names, **more):
        tasks = [{"name": name, **more} for name in names]
        images = {name: picture(number) for number, name in enumerate(names)}
        return sandbox.state.add_tasks(PROJECT, tasks, images)

    return add


@pytest.fixture
def synced(client, tmp_path):
    """Syncs labels, then images, into the test's folder; answers the report of the images."""

    def run(folder=tmp_path, **options):
        sync_project(client, PROJECT, folder)
        return download_images(client, PROJECT, folder, **options)

    return run


def folder_of(path):
    return ImageFolder(open_store(path).at("images"))


def quarantine(path):
    file = path / "quarantine" / "street-images.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_every_image_once_and_nothing_the_second_time(seeded, synced, picture, client, tmp_path):
    names = [f"image-{number}.jpg" for number in range(12)]
    ids = seeded(*names)
    report = synced()
    assert (report.total, report.downloaded, report.kept, report.quarantined) == (12, 12, 0, [])
    folder = folder_of(tmp_path)
    assert folder.files() == dict(zip(ids, names, strict=True))
    for number, row in enumerate(sorted(folder.table.to_pylist(), key=lambda row: int(row["name"][6:-4]))):
        data = folder.store.read_bytes(row["file"])
        assert data == picture(number)
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        assert (row["bytes"], row["width"], row["height"]) == (len(data), 64, 48)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "images").iterdir()}
    again = synced()
    assert (again.downloaded, again.kept, again.changed, again.digest) == (0, 12, False, report.digest)
    assert again.requests == 0
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "images").iterdir()}


def test_only_what_is_missing_is_fetched(seeded, synced, tmp_path):
    seeded(*[f"{number}.jpg" for number in range(10)])
    digest = synced().digest
    (tmp_path / "images" / "3.jpg").unlink()
    (tmp_path / "images" / "4.jpg").write_bytes(b"half")
    report = synced()
    assert (report.downloaded, report.kept, report.digest) == (2, 8, digest)


def test_a_few_links_are_asked_for_one_by_one_and_many_by_pages(seeded, synced, tmp_path):
    seeded(*[f"{number}.jpg" for number in range(40)])
    assert synced(page_size=10).requests <= math.ceil(40 / 10) + 4  # pages ahead of the last
    (tmp_path / "images" / "3.jpg").unlink()
    assert synced(page_size=10).requests == 1


def test_hostile_and_colliding_names(seeded, synced, tmp_path):
    ids = seeded("../../x.jpg", "a.jpg", "A.jpg", "/etc/passwd.jpg", "sub/folder/b.jpg", "con.jpg", "..\\..\\w.jpg")
    report = synced(tmp_path / "inner" / "store")
    assert report.downloaded == 7
    files = folder_of(tmp_path / "inner" / "store").files()
    assert len({file.lower() for file in files.values()}) == 7
    assert files[ids[4]] == "sub/folder/b.jpg"
    assert {path.name for path in tmp_path.iterdir()} == {"inner", "sandbox"}
    on_disk = set((tmp_path / "inner" / "store" / "images").rglob("*.jpg"))
    assert on_disk == {tmp_path / "inner" / "store" / "images" / file for file in files.values()}


def test_later_task_of_the_same_name_leaves_the_earlier_file_alone(sandbox, picture, synced, tmp_path):
    (first,) = sandbox.state.add_tasks(PROJECT, [{"name": "a.jpg"}], {"a.jpg": picture(1)})
    synced()
    sandbox.state.clock.advance(60)
    (second,) = sandbox.state.add_tasks(PROJECT, [{"name": "A.jpg"}], {"A.jpg": picture(2)})
    report = synced()
    files = folder_of(tmp_path).files()
    assert (report.downloaded, report.kept, report.removed) == (1, 1, 0)
    assert files[first] == "a.jpg"
    assert files[second].startswith("A-")


def test_name_that_becomes_free_gets_the_right_picture(sandbox, picture, synced, tmp_path):
    """When the task that had the plain name goes, the other's file is called so, and holds the other's picture."""
    (first,) = sandbox.state.add_tasks(PROJECT, [{"name": "a.jpg"}], {"a.jpg": picture(1)})
    sandbox.state.clock.advance(60)
    (second,) = sandbox.state.add_tasks(PROJECT, [{"name": "A.jpg"}], {"A.jpg": picture(2)})
    synced()
    sandbox.state.delete_task(first)
    report = synced()
    folder = folder_of(tmp_path)
    assert folder.files() == {second: "A.jpg"}
    assert folder.store.read_bytes("A.jpg") == picture(2)
    assert report.total == 1
    assert len(list((tmp_path / "images").glob("*.jpg"))) == 1


def test_removed_tasks_take_their_images_along(sandbox, seeded, synced, tmp_path):
    ids = seeded("a.jpg", "b.jpg", "c.jpg")
    synced()
    sandbox.state.delete_task(ids[1])
    report = synced()
    assert (report.removed, report.kept, report.downloaded) == (1, 2, 0)
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["a.jpg", "c.jpg", "index.parquet"]


def test_corrupt_images_are_quarantined_and_the_others_are_there(sandbox, picture, synced, tmp_path):
    good = picture(0)
    images = {
        "cut.jpg": good[: len(good) // 2],
        "empty.jpg": b"",
        "good.jpg": good,
        "other-size.jpg": picture(1, width=32, height=32),
        "page.jpg": b"<html>gone</html>",
        "turned.jpg": picture(2, width=48, height=64),
    }
    tasks = [{"name": name, "width": 64, "height": 48} for name in images]
    sandbox.state.add_tasks(PROJECT, [*tasks, {"name": "no-picture.jpg"}], images)
    report = synced()
    assert report.downloaded == 2
    reasons = {entry.name: entry.reason for entry in report.quarantined}
    assert reasons == {
        "cut.jpg": "the picture is cut off",
        "empty.jpg": "the file is empty",
        "no-picture.jpg": reasons["no-picture.jpg"],
        "other-size.jpg": "the picture is 32x32 pixels, its task says 64x48",
        "page.jpg": "the file is text, not a picture",
    }
    assert {entry["name"]: entry["reason"] for entry in quarantine(tmp_path)} == reasons
    assert sorted(folder_of(tmp_path).files().values()) == ["good.jpg", "turned.jpg"]
    sandbox.state.update_task(report.quarantined[3].task_id, width=32, height=32)
    assert synced().downloaded == 1


def test_task_without_a_size_gets_its_image(sandbox, picture, synced, tmp_path):
    sandbox.state.add_tasks(PROJECT, [{"name": "a.jpg", "width": None, "height": None}], {"a.jpg": picture()})
    assert synced().downloaded == 1
    assert folder_of(tmp_path).table.select(["width", "height"]).to_pylist() == [{"width": 64, "height": 48}]


def test_task_deleted_after_the_sync(sandbox, client, seeded, tmp_path):
    ids = seeded("a.jpg", "b.jpg")
    sync_project(client, PROJECT, tmp_path)
    sandbox.state.delete_task(ids[0])
    report = download_images(client, PROJECT, tmp_path)
    assert [(entry.name, entry.reason) for entry in report.quarantined] == [("a.jpg", "its task is gone")]
    assert report.downloaded == 1


def everything_below(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("theirs", ["a.jpg", "other.jpg", "deep/er/a.jpg", "notes.txt"])
def test_folder_of_somebody_elses_pictures_is_refused_untouched(seeded, synced, client, picture, tmp_path, theirs):
    file = tmp_path / "images" / theirs
    file.parent.mkdir(parents=True)
    file.write_bytes(picture(99))
    seeded("a.jpg")
    before = everything_below(tmp_path / "images")
    for _ in range(2):  # the first refusal leaves nothing behind that would make the second attempt pass
        with pytest.raises(StoreError, match=r"no sync put there.*another store") as refused:
            synced()
        assert str(tmp_path / "images") in str(refused.value)
        assert theirs in str(refused.value)
        assert everything_below(tmp_path / "images") == before
    with pytest.raises(StoreError):
        refuse_foreign_images(tmp_path)


def test_project_without_tasks_does_not_claim_somebody_elses_folder(synced, picture, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(picture(99))
    with pytest.raises(StoreError):
        synced()
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["a.jpg"]


def test_empty_folder_and_hidden_files_are_no_hindrance(seeded, synced, tmp_path):
    (tmp_path / "images" / ".cache").mkdir(parents=True)
    (tmp_path / "images" / ".gitkeep").write_bytes(b"")
    (tmp_path / "images" / ".cache" / "x").write_bytes(b"mine")
    seeded("a.jpg")
    assert synced().downloaded == 1
    assert (tmp_path / "images" / ".cache" / "x").read_bytes() == b"mine"


def test_download_that_was_killed_before_its_index_goes_on(seeded, synced, picture, client, tmp_path):
    """Its journal tells that the folder is its own."""
    ids = seeded("a.jpg", "b.jpg")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(picture(0))
    journal = json.dumps({"a.jpg": ids[0], "b.jpg": ids[1]})
    (tmp_path / "images" / ".pending.json").write_text(journal)
    report = synced()
    assert (report.adopted, report.downloaded, report.quarantined) == (1, 1, [])


def test_folder_with_a_damaged_index_is_still_its_own(seeded, synced, picture, tmp_path):
    seeded("a.jpg")
    synced()
    (tmp_path / "images" / "index.parquet").write_bytes(b"oh no")
    (tmp_path / "images" / "notes.txt").write_text("mine")
    assert synced().downloaded == 1
    assert (tmp_path / "images" / "a.jpg").read_bytes() == picture(0)
    assert (tmp_path / "images" / "notes.txt").read_text() == "mine"


def test_unfinished_files_of_killed_runs_go_even_when_there_is_nothing_to_do(seeded, synced, tmp_path):
    seeded("a.jpg", "sub/b.jpg")
    synced()
    store = open_store(tmp_path / "images")
    old = time.time() - 3600
    leftovers = [store.local_path / temporary_name("a.jpg"), store.local_path / "sub" / temporary_name("b.jpg")]
    for leftover in leftovers:
        leftover.write_bytes(b"half a pict")
        os.utime(leftover, (old, old))
    (tmp_path / "images" / ".mine").write_text("kept")
    assert not synced().changed
    assert not any(leftover.exists() for leftover in leftovers)
    assert (tmp_path / "images" / ".mine").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads of the process in /proc")
def test_index_is_read_without_arrows_threads(seeded, synced, tmp_path):
    """A thread of Arrow's that still has to call Python when the interpreter goes down aborts the process: one in
    fifteen that ended right after reading an index through a Python file. Without such threads none can."""
    seeded("a.jpg", "b.jpg")
    synced()
    code = """
import os, sys
import pyarrow.parquet
from fastlabel_dagster.store import ImageFolder, open_store
folder = ImageFolder(open_store(sys.argv[1]).at("images"))
before = set(os.listdir("/proc/self/task"))
assert len(folder.files()) == 2 and folder.digest()
print(len(set(os.listdir("/proc/self/task")) - before))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_name_that_is_only_a_suffix_gets_a_stem(seeded, synced, tmp_path):
    plain, below = seeded(".png", "sub/.JPG")
    assert synced().downloaded == 2
    assert folder_of(tmp_path).files() == {plain: f"{plain}.png", below: f"sub/{below}.JPG"}


def test_labels_may_be_given(seeded, client, synced, tmp_path):
    ids = seeded("a.jpg", "b.jpg", "c.jpg")
    synced()
    labels = LabelMirror(tmp_path / "labels").read()
    few = labels.where(lambda table: pc.equal(table["name"], "b.jpg"), needs=["name"])
    report = download_images(client, PROJECT, tmp_path, few)
    assert (report.total, report.kept, report.removed) == (1, 1, 2)
    assert folder_of(tmp_path).files() == {ids[1]: "b.jpg"}


def test_server_that_goes_down_stops_the_download_instead_of_quarantining_all(sandbox, seeded, client, tmp_path):
    seeded(*[f"{number}.jpg" for number in range(60)])
    sync_project(client, PROJECT, tmp_path)
    url, token = sandbox.url, sandbox.token
    labels = LabelMirror(tmp_path / "labels").read()
    sandbox.stop()
    retry = RetryPolicy(attempts=1)
    with FastLabelClient(token, url, retry=retry, budget=None) as down, pytest.raises(TransportError):
        download_images(down, PROJECT, tmp_path, labels)
    assert quarantine(tmp_path) == []


def test_no_labels_yet(client, tmp_path):
    with pytest.raises(LookupError, match="sync the project first"):
        download_images(client, PROJECT, tmp_path)


def test_links_that_expired_meanwhile_are_asked_for_again(sandbox, seeded, tmp_path):
    seeded(*[f"{number}.jpg" for number in range(5)])
    aged = []

    def age(response, **_):
        if response.url.partition("?")[0].endswith("/tasks/image") and not aged:
            aged.append(sandbox.state.clock.advance(30 * 86_400))

    session = requests.Session()
    with FastLabelClient(sandbox.token, sandbox.url, session=session, budget=None) as client:
        sync_project(client, PROJECT, tmp_path)
        session.hooks["response"].append(age)
        report = download_images(client, PROJECT, tmp_path)
    assert aged
    assert (report.downloaded, report.quarantined) == (5, [])
    assert report.requests >= 6  # one page, and each task once more
