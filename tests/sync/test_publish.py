"""Publishing approved tasks to a FastLabel dataset: each once, brought up to date, nobody else's objects touched."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest
import requests

from fastlabel_dagster.api import FastLabelClient, RetryPolicy
from fastlabel_dagster.labels import from_fastlabel
from fastlabel_dagster.store import ImageFolder, open_store
from fastlabel_dagster.sync import LabelMirror, dataset_digest, download_images, publish_dataset, sync_project

PROJECT = "street"
DATASET = "street-scenes"


@pytest.fixture
def project(sandbox, box_tasks, picture):
    """Twelve tasks with pictures, every fourth approved; answers the ids."""
    tasks = box_tasks(12)
    return sandbox.state.add_tasks(PROJECT, tasks, {task["name"]: picture(n) for n, task in enumerate(tasks)})


@pytest.fixture
def publish(client, tmp_path):
    """Syncs labels and images, then publishes; answers the report."""

    def run(with_client=client, **options):
        sync_project(client, PROJECT, tmp_path)
        download_images(client, PROJECT, tmp_path)
        labels = LabelMirror(tmp_path / "labels").read()
        folder = ImageFolder(open_store(tmp_path).at("images"))
        return publish_dataset(with_client, labels, folder, DATASET, **options)

    return run


@pytest.fixture
def objects(client):
    def read():
        return {found["name"]: found for found in client.dataset_objects.iter(DATASET)}

    return read


def test_approved_tasks_are_published_once(project, publish, objects, client, picture):
    report = publish()
    assert (report.created, report.total, report.added, report.updated, report.unchanged) == (True, 3, 3, 0, 0)
    assert report.labels_version == 0
    found = objects()
    assert sorted(found) == ["image-00000.jpg", "image-00004.jpg", "image-00008.jpg"]
    assert [annotation["points"] for annotation in found["image-00004.jpg"]["annotations"]] == [
        [1, 2, 15, 22],
        [3.5, 4, 40, 40.25],
    ]
    signed = {each["name"]: each["signedUrl"] for each in client.dataset_objects.signed_urls(DATASET)}
    received = bytearray()
    client.download(signed["image-00004.jpg"], received.extend)
    assert bytes(received) == picture(4)

    again = publish()
    assert (again.created, again.added, again.updated, again.unchanged, again.changed) == (False, 0, 0, 3, False)
    assert again.digest == report.digest
    assert objects() == found


def test_new_and_relabeled_tasks_alone_are_sent(project, sandbox, publish, objects):
    first = publish()
    sandbox.state.set_status(project[1], "approved")
    sandbox.state.update_task(project[4], annotations=[{"type": "bbox", "value": "car", "points": [5, 6, 7, 8]}])
    report = publish()
    assert (report.added, report.updated, report.unchanged) == (1, 1, 2)
    assert report.digest != first.digest
    assert [annotation["points"] for annotation in objects()["image-00004.jpg"]["annotations"]] == [[5, 6, 7, 8]]
    assert objects()["image-00004.jpg"]["customMetadata"]["labelsVersion"] == "1"


def test_objects_that_are_not_wanted_any_more_stay_unless_pruned(project, sandbox, client, publish, objects, picture):
    publish()
    client.dataset_objects.create(DATASET, "somebody-elses.jpg", content=picture(50))
    sandbox.state.set_status(project[0], "sent_back")
    sandbox.state.delete_task(project[4])
    kept = publish()
    assert (kept.removed, kept.left_over, kept.total) == (0, 2, 1)
    assert len(objects()) == 4
    pruned = publish(prune=True)
    assert (pruned.removed, pruned.left_over) == (2, 0)
    assert sorted(objects()) == ["image-00008.jpg", "somebody-elses.jpg"]


def test_name_of_somebody_elses_object_is_not_taken(project, client, publish, objects, picture):
    client.datasets.create(DATASET)
    theirs = client.dataset_objects.create(DATASET, "image-00004.jpg", content=picture(50))
    report = publish()
    assert (report.added, report.quarantined) == (3, [])
    assert objects()["image-00004.jpg"] == theirs
    assert len(objects()) == 4
    assert publish().unchanged == 3


def test_renamed_task_keeps_its_object(project, sandbox, publish, objects):
    publish()
    sandbox.state.update_task(project[4], name="renamed.jpg")
    report = publish()
    assert (report.added, report.unchanged) == (0, 3)
    assert "image-00004.jpg" in objects()


def test_one_bad_object_does_not_stop_the_others(project, sandbox, publish, tmp_path, client):
    sandbox.state.update_task(project[4], width=999)  # its image is quarantined, so there is nothing to publish
    report = publish()
    assert report.added == 2
    assert [(entry.name, entry.reason) for entry in report.quarantined] == [
        ("image-00004.jpg", "no image in the image folder")
    ]
    assert report.total == 3


def test_statuses_can_be_chosen(project, publish):
    assert publish(status=["approved", "registered"]).total == 12
    assert publish(status=None).unchanged == 12


def test_lost_answer_of_an_upload_does_not_publish_twice(project, sandbox, publish, objects):
    """The server made the object, but its answer never arrived: the object is looked for before anything is said."""
    lost = []

    def lose(response, **_):
        if response.request.method == "POST" and "objects" in response.url and not lost:
            lost.append(response.url)
            raise requests.ConnectionError("the line went dead")

    session = requests.Session()
    session.hooks["response"].append(lose)
    retry = RetryPolicy(attempts=1)
    with FastLabelClient(sandbox.token, sandbox.url, session=session, retry=retry, budget=None) as unlucky:
        report = publish(unlucky)
    assert lost
    assert (report.added, report.quarantined) == (3, [])
    assert len(objects()) == 3


def test_classification_attributes_become_an_annotation(project, publish, client, tmp_path):
    publish()
    attributes = [{"key": "kind", "name": "Kind", "type": "text", "value": "cat"}]
    task = {"id": project[0], "name": "a.jpg", "status": "approved", "attributes": attributes}
    folder = ImageFolder(open_store(tmp_path).at("images"))
    report = publish_dataset(client, from_fastlabel([task]), folder, "kinds")
    assert (report.added, report.quarantined, report.labels_version) == (1, [], None)
    (found,) = client.dataset_objects.iter("kinds")
    (annotation,) = found["annotations"]
    assert (annotation["type"], annotation["value"]) == ("classification", "classification")
    assert annotation["attributes"][0]["value"] == "cat"


def test_the_digest_is_of_what_the_dataset_holds(project, sandbox, publish, client, picture):
    """A training learns from every object there is: while those stay the same, so does the digest, and only then."""
    first = publish()
    sandbox.state.set_status(project[0], "sent_back")
    kept = publish()
    assert (kept.objects, kept.left_over, kept.digest) == (3, 1, first.digest)
    pruned = publish(prune=True)
    assert (pruned.objects, pruned.left_over) == (2, 0) and pruned.digest != first.digest
    sandbox.state.set_status(project[0], "approved")
    assert publish(prune=True).digest == first.digest
    client.dataset_objects.create(DATASET, "theirs.jpg", content=picture(50))
    with_theirs = publish(prune=True)
    assert (with_theirs.others, with_theirs.objects, with_theirs.removed) == (1, 4, 0)
    assert with_theirs.digest != first.digest and publish().digest == with_theirs.digest


def test_swapping_a_task_for_one_with_equal_labels_changes_the_digest(sandbox, publish, picture):
    state = sandbox.state
    rows = [{"name": f"empty-{n}.jpg", "status": s} for n, s in enumerate(["approved", "registered"])]
    one, other = state.add_tasks(PROJECT, rows, {row["name"]: picture(n) for n, row in enumerate(rows)})
    first = publish(prune=True)
    state.set_status(one, "sent_back")
    state.set_status(other, "approved")
    second = publish(prune=True)
    assert (first.objects, second.objects) == (1, 1)
    assert first.digest != second.digest


def test_an_image_that_was_replaced_is_published_anew(project, publish, client, objects, picture, tmp_path):
    first = publish()
    folder = ImageFolder(open_store(tmp_path).at("images"))
    rows = folder.table.to_pylist()
    (row,) = [row for row in rows if row["task_id"] == project[4]]
    new = picture(77)
    folder.store.write_bytes("again.jpg", new)
    row.update(file="again.jpg", sha256=hashlib.sha256(new).hexdigest(), bytes=len(new))
    folder.save(pa.Table.from_pylist(rows))
    report = publish_dataset(client, LabelMirror(tmp_path / "labels").read(), folder, DATASET)
    assert (report.added, report.updated, report.unchanged, report.pictures_replaced) == (0, 1, 2, 1)
    assert "1 with another picture than before" in str(report) and first.pictures_replaced == 0
    assert report.digest != first.digest
    signed = {each["name"]: each["signedUrl"] for each in client.dataset_objects.signed_urls(DATASET)}
    received = bytearray()
    client.download(signed["image-00004.jpg"], received.extend)
    assert bytes(received) == new and len(objects()) == 3


def test_a_renamed_project_goes_on_with_its_mirror_and_its_objects(
    project, sandbox, publish, client, objects, tmp_path
):
    first = publish()
    sandbox.state.projects.update(sandbox.state.find_project(PROJECT)["id"], {"slug": "road"})

    def again():
        told = sync_project(client, "road", tmp_path)
        images = ImageFolder(open_store(tmp_path).at("images"))
        return told, publish_dataset(client, LabelMirror(tmp_path / "labels").read(), images, DATASET)

    synced, report = again()
    assert (synced.added, synced.removed, LabelMirror(tmp_path / "labels").newest().project) == (0, 0, "road")
    assert (report.objects, report.others, report.added, report.updated) == (3, 0, 0, 3)
    assert report.digest == first.digest == dataset_digest(client, DATASET, "road"), "nothing new to train on"
    assert {each["customMetadata"]["fastlabelProject"] for each in objects().values()} == {"road"}
    synced, report = again()
    assert (synced.changed, report.updated, report.unchanged) == (False, 0, 3)


def test_objects_of_another_project_are_others(project, sandbox, publish, client, objects, picture, tmp_path):
    publish()
    sandbox.state.create_project("second")
    sandbox.state.add_tasks("second", [{"name": "z.jpg", "status": "approved"}], {"z.jpg": picture(9)})
    sync_project(client, "second", tmp_path / "second")
    download_images(client, "second", tmp_path / "second")
    labels = LabelMirror(tmp_path / "second" / "labels").read()
    report = publish_dataset(
        client, labels, ImageFolder(open_store(tmp_path / "second").at("images")), DATASET, prune=True
    )
    assert (report.added, report.removed, report.others, report.objects) == (1, 0, 3, 4)
    assert len(objects()) == 4


def test_what_somebody_else_publishes_meanwhile_counts(project, sandbox, publish, client, picture):
    """Two publications at once: each tells what the dataset holds at its end, and not what it was about to hold."""
    publish()
    sandbox.state.set_status(project[1], "approved")

    class Overtaken(requests.Session):
        def send(self, request, **options):
            if request.method == "POST" and "theirs" not in self.__dict__:
                self.theirs = client.dataset_objects.create(DATASET, "theirs.jpg", content=picture(50))
            return super().send(request, **options)

    with FastLabelClient(sandbox.token, sandbox.url, budget=None, session=Overtaken()) as overtaken:
        report = publish(overtaken)
    assert (report.added, report.others, report.objects) == (1, 1, 5)
    assert report.digest == dataset_digest(client, DATASET, PROJECT) == publish().digest
