"""The resource-oriented face: what it sends where the SDK's names cannot, and what it finds."""

from __future__ import annotations

import base64
import inspect
from typing import Any

import pytest

from fastlabel_dagster.api import UNSET, FastLabelClient, Invalid, NotFound
from fastlabel_dagster.api.groups.group import Group


def test_an_empty_list_clears(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply({} if "dataset" in seen.path else "id")
    client.image_tasks.update("t", tags=[], annotations=[], metadatas=[], relations=[], priority=0, assignee=None)
    client.tasks.update("t", tags=[], reviewer="me")
    client.annotation_classes.update("c", attributes=[], order=0, max_area_count=None)
    client.annotation_classes.update("c", max_area_count=UNSET)
    client.datasets.update("d", tags=[])
    client.dataset_objects.update("d", "o", tags=[], annotations=[], custom_metadata={})
    assert [seen.json for seen in server.seen] == [
        {"tags": [], "annotations": [], "metadatas": [], "relations": [], "priority": 0, "assignee": None},
        {"tags": [], "reviewer": "me"},
        {"attributes": [], "order": 0, "maxAreaCount": None},
        {},
        {"tags": []},
        {"datasetId": "d", "objectName": "o", "tags": [], "annotations": [], "customMetadata": {}},
    ]


def test_images_from_a_path_or_from_memory(client: FastLabelClient, server: Any, reply: Any, picture: Any) -> None:
    server.answer = lambda seen: reply("task-1")
    annotations = [{"id": "x", "type": "bbox", "value": "cat", "points": [0, 0, 1, 1]}]
    assert client.image_tasks.create("p", "猫.jpg", picture, annotations=annotations, assignee=None) == "task-1"
    client.image_tasks.create("p", "猫.jpg", content=picture.read_bytes(), annotations=annotations, assignee=None)
    first, second = (seen.json for seen in server.seen)
    assert first == second
    assert base64.b64decode(first["file"]) == picture.read_bytes()
    assert first["annotations"] == [
        {"type": "bbox", "value": "cat", "points": [0, 0, 1, 1], "content": "猫.jpg", "attributes": []}
    ]
    assert annotations == [{"id": "x", "type": "bbox", "value": "cat", "points": [0, 0, 1, 1]}]
    for wrong in ({}, {"file_path": picture, "content": b"x"}, {"content": b"x" * (20 * 1024 * 1024 + 1)}):
        with pytest.raises(Invalid):
            client.image_tasks.create("p", "n", **wrong)


def test_looking_up_by_name_is_exact(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply(
        [{"name": "cat.jpg.bak", "id": 1}, {"name": "cat.jpg", "id": 2, "slug": "street"}]
    )
    assert client.image_tasks.by_name("p", "cat.jpg") == {"name": "cat.jpg", "id": 2, "slug": "street"}
    assert client.image_tasks.by_name("p", "cat") is None
    assert client.datasets.by_name("cat.jpg")["id"] == 2  # type: ignore[index]
    assert client.datasets.by_name("dog") is None
    assert client.projects.by_slug("street")["id"] == 2
    with pytest.raises(NotFound, match="'highway'"):
        client.projects.by_slug("highway")
    server.answer = lambda seen: reply([{"name": "が.jpg", "id": 3}])  # composed by the server
    assert client.image_tasks.by_name("p", "か\u3099.jpg") == {"name": "が.jpg", "id": 3}
    server.answer = lambda seen: reply([{"value": "cat"}])
    assert client.annotation_classes.by_value("p", "cat") == {"value": "cat"}
    assert client.annotation_classes.by_value("p", "ca") is None


@pytest.mark.parametrize("bad", ["", "  ", ".", "..", None])
def test_ids_that_would_reach_something_else(bad: Any, client: FastLabelClient, server: Any) -> None:
    for call in (
        client.tasks.delete,
        client.tasks.delete_annotations,
        client.projects.delete,
        client.datasets.delete,
        client.annotation_classes.delete,
        client.image_tasks.find,
        client.training_jobs.find,
        client.import_histories.find,
        client.aws_s3.import_status,
        lambda id: client.dataset_objects.delete("d", id),
        lambda id: client.dataset_objects.update(id, "o"),
        lambda id: (
            client.image_tasks.by_name("p", id) if not (id or "").strip(" .") and not id else client.tasks.delete(id)
        ),
    ):
        with pytest.raises(Invalid):
            call(bad)
    assert not server.seen


def test_unknown_user_keywords_are_named(client: FastLabelClient, server: Any) -> None:
    with pytest.raises(Invalid, match="'assignes'") as caught:
        client.tasks.update("t", assignes="me")
    assert "external_approver" in caught.value.hint
    assert not server.seen


def test_dataset_objects_travel_whole(client: FastLabelClient, server: Any, reply: Any, picture: Any) -> None:
    server.answer = lambda seen: reply({"name": "a/猫.jpg"})
    client.dataset_objects.create("d", "a/猫.jpg", picture, tags=["x"])
    client.dataset_objects.create("d", "a/猫.jpg", content=picture.read_bytes(), tags=["x"])
    client.dataset_objects.find("d1", "a/猫 #1.jpg")
    assert server.seen[0].json == server.seen[1].json
    assert server.seen[2].path == "/v1/dataset-revision-objects/datasets/d1/objects/a%2F%E7%8C%AB%20%231.jpg"


def test_storage_and_imports(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply("ok" if seen.method == "PUT" else {"id": "h", "status": "running"})
    client.aws_s3.set_storage("street", "bucket", "ap-northeast-1", prefix="a/b")
    assert client.aws_s3.import_tasks("street", tags=["x"])["status"] == "running"
    assert client.aws_s3.import_status("street")["id"] == "h"
    assert server.lines() == [
        "PUT /v1/storages/aws-s3/street",
        "POST /v1/tasks/aws-s3",
        "GET /v1/tasks/import/status/aws-s3/street",
    ]
    assert server.seen[1].json == {"project": "street", "status": "registered", "tags": ["x"], "priority": 0}


def test_counting(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply(17)
    assert client.tasks.count("p", status="approved", tags=["a", "b"]) == 17
    assert server.seen[0].params == [("project", "p"), ("status", "approved"), ("tags", "a"), ("tags", "b")]


def test_projects_can_be_made_changed_and_copied(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply("id")
    client.projects.create("image_bbox", "Street", "street")
    client.projects.update("p", job_size=0)
    client.projects.copy("p", slug="copy")
    client.projects.set_external_codes("p", "1", None, None)
    assert [seen.json for seen in server.seen] == [
        {
            "type": "image_bbox",
            "name": "Street",
            "slug": "street",
            "jobSize": 10,
            "workflow": "two_step",
            "externalWorkflow": "two_step",
        },
        {"jobSize": 0},
        {"id": "p", "slug": "copy"},
        {"externalCode1": "1", "externalCode2": None, "externalCode3": None},
    ]


def test_statistics_subtract(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply("id")
    client.tasks.update("t", tags=["a"])
    before = client.statistics
    client.tasks.update("t", tags=["a"])
    client.tasks.update("t", tags=["a"])
    used = client.statistics - before.snapshot()
    assert (used.requests, used.retries, used.bytes_sent) == (2, 0, 2 * len(b'{"tags":["a"]}'))
    assert before.requests == 1
    assert (before + used) == client.statistics
    assert used.to_dict()["requests"] == 2


def test_every_public_method_is_documented(client: FastLabelClient) -> None:
    groups = [group for group in vars(client).values() if isinstance(group, Group)]
    assert len(groups) == 32
    for group in groups:
        assert inspect.getdoc(type(group))
        for name, method in inspect.getmembers(group, inspect.ismethod):
            assert name.startswith("_") or inspect.getdoc(method), f"{type(group).__name__}.{name}"
