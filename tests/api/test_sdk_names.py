"""The official SDK and our methods of the same names, side by side before one server that notes what it is sent."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest

from fastlabel_dagster.api import FastLabelClient, Invalid

ANNOTATIONS = [
    {
        "id": "a1",
        "type": "bbox",
        "value": "cat",
        "title": "Cat",
        "color": "#fff",
        "points": [1, 2.5, 3, 4],
        "rotation": 30,
        "confidenceScore": 0.5,
        "unknownKey": {"x": 1},
        "attributes": [{"key": "kind", "name": "Kind", "type": "text", "title": "T", "value": "猫", "id": "x"}],
    },
    {
        "type": "pose_estimation",
        "value": "p",
        "content": "old",
        "keypoints": [{"id": 1, "key": "head", "name": "頭", "edges": ["a"], "value": [1, 2, 1], "color": "#000"}],
    },
]
USERS = {
    "assignee": "a",
    "reviewer": None,
    "approver": "",
    "external_assignee": "b",
    "external_reviewer": None,
    "external_approver": "c",
    "workflow_1_user": "d",
    "workflow_2_user": None,
    "workflow_6_user": "e",
}
JA = "ラベル 付き/α"
PAGE = {"offset": 20, "limit": 30}
EMPTY_PAGE = {"offset": 0, "limit": 0}
EMPTY_TASK = {"status": "", "external_status": "", "tags": [], "metadatas": [], "priority": 0}
FULL_TASK = {
    "status": "approved",
    "external_status": "registered",
    "tags": ["t 1", "猫"],
    "metadatas": [{"key": "k", "value": "v"}],
    "priority": 30,
}

Case = tuple[str, dict[str, Any]]
CASES: list[Case] = [
    ("find_image_task", {"task_id": "0f-1"}),
    ("find_image_task", {"task_id": "ラベル 1"}),
    ("find_image_task_by_name", {"project": "p", "task_name": JA}),
    ("get_image_tasks", {"project": "p"}),
    ("get_image_tasks", {"project": JA, "status": "approved", "external_status": "x", "tags": ["a b", "猫"], **PAGE}),
    (
        "get_image_tasks",
        {"project": "", "status": "", "external_status": "", "tags": [], "task_name": "", **EMPTY_PAGE},
    ),
    ("get_image_tasks", {"project": "p", "tags": "one", "task_name": "a&b=c?#.jpg", "limit": -1}),
    ("get_image_tasks", {"project": "p", "limit": 1000}),
    ("get_image_tasks", {"project": "p", "limit": 1001}),
    ("create_image_task", {"project": "p", "name": "猫 1.jpg", "file_path": "PICTURE"}),
    (
        "create_image_task",
        {
            "project": "p",
            "name": JA,
            "file_path": "PICTURE",
            "custom_task_status": "pending",
            "annotations": ANNOTATIONS,
            "is_delete_exif": True,
            **FULL_TASK,
            **USERS,
        },
    ),
    (
        "create_image_task",
        {"project": "", "name": "", "file_path": "PICTURE", "custom_task_status": "", "annotations": [], **EMPTY_TASK},
    ),
    ("create_image_task", {"project": "p", "name": "x.jpg", "file_path": "nowhere/readme.txt"}),
    ("create_image_task", {"project": "p", "name": "x.jpg", "file_path": "LARGE.png"}),
    ("create_image_task", {"project": "p", "name": "x.jpg", "file_path": "EXACT.png"}),
    ("create_image_task", {"project": "p", "name": "x.jpg", "file_path": "nowhere/missing.png"}),
    ("update_image_task", {"task_id": "t"}),
    (
        "update_image_task",
        {
            "task_id": "t",
            "custom_task_status": "x",
            "annotations": ANNOTATIONS,
            "relations": [{"a": 1}],
            **FULL_TASK,
            **USERS,
        },
    ),
    ("update_image_task", {"task_id": "t", "annotations": [], "relations": [], "custom_task_status": "", **EMPTY_TASK}),
    ("count_tasks", {"project": "p"}),
    ("count_tasks", {"project": JA, "status": "approved", "external_status": "y", "tags": ["a", "b"]}),
    ("count_tasks", {"project": "", "status": "", "external_status": "", "tags": []}),
    ("get_task_id_name_map", {"project": "p"}),
    ("get_task_id_name_map", {"project": "p", **PAGE}),
    ("get_task_id_name_map", {"project": "p", **EMPTY_PAGE}),
    ("get_task_id_name_map", {"project": "p", "limit": 1001}),
    ("update_task", {"task_id": "t"}),
    ("update_task", {"task_id": "t", **FULL_TASK, **USERS}),
    ("update_task", {"task_id": "t", **EMPTY_TASK, "assignee": None}),
    ("delete_task", {"task_id": "t"}),
    ("delete_task_annotations", {"task_id": "t"}),
    ("get_tags", {"project": "p"}),
    ("get_tags", {"project": "p", "keyword": JA, **PAGE}),
    ("get_tags", {"project": "p", "keyword": "", **EMPTY_PAGE}),
    ("delete_tags", {"tag_ids": ["a", "b"]}),
    ("delete_tags", {"tag_ids": []}),
    ("add_task_tags", {"project": "p", "task_ids": ["b", "a", "b"], "tags": ["猫"]}),
    ("add_task_tags", {"project": "p", "task_ids": [str(n) for n in range(5001)], "tags": ["x"]}),
    ("add_task_tags", {"project": "p", "task_ids": [], "tags": ["x"]}),
    ("remove_task_tags", {"project": "p", "task_ids": ["a"], "tags": ["x", "y"]}),
    ("remove_task_tags", {"project": "p", "task_ids": ["a"], "tags": []}),
    ("find_annotation", {"annotation_id": "c1"}),
    ("find_annotation_by_value", {"project": "p", "value": "cat"}),
    ("get_annotations", {"project": "p"}),
    ("get_annotations", {"project": "p", "value": JA, **PAGE}),
    ("get_annotations", {"project": "p", "value": "", **EMPTY_PAGE}),
    ("get_annotations", {"project": "p", "limit": 1001}),
    ("create_annotation", {"project": "p", "type": "bbox", "value": "cat", "title": "猫"}),
    (
        "create_annotation",
        {
            "project": "p",
            "type": "segmentation",
            "value": "v",
            "title": "t",
            "color": "#ff0000",
            "order": 3,
            "attributes": [{"type": "select", "name": "n", "key": "k", "options": [{"title": "A", "value": "a"}]}],
            "max_area_count": 5,
        },
    ),
    (
        "create_annotation",
        {
            "project": "",
            "type": "",
            "value": "",
            "title": "",
            "color": "",
            "order": 0,
            "attributes": [],
            "max_area_count": None,
        },
    ),
    ("create_classification_annotation", {"project": "p", "attributes": [{"type": "text", "name": "n", "key": "k"}]}),
    ("create_classification_annotation", {"project": "p", "attributes": []}),
    ("update_annotation", {"annotation_id": "c"}),
    (
        "update_annotation",
        {"annotation_id": "c", "value": "v", "title": "t", "color": "#1", "order": 2, "max_area_count": 0},
    ),
    ("update_annotation", {"annotation_id": "c", "value": "", "title": "", "color": "", "order": 0, "attributes": []}),
    ("update_classification_annotation", {"annotation_id": "c", "attributes": []}),
    ("delete_annotation", {"annotation_id": "c"}),
    ("find_project", {"project_id": "id"}),
    ("find_project_by_slug", {"slug": "street"}),
    ("get_projects", {}),
    ("get_projects", {"slug": JA, **PAGE}),
    ("get_projects", {"slug": "", **EMPTY_PAGE}),
    ("get_projects", {"limit": 2000}),
    ("get_project_id_slug_map", {}),
    ("get_project_id_slug_map", PAGE),
    ("create_project", {"type": "image_bbox", "name": JA, "slug": "s"}),
    (
        "create_project",
        {
            "type": "image_all",
            "name": "n",
            "slug": "s",
            "is_pixel": True,
            "job_size": 5,
            "workflow": "three_step",
            "external_workflow": None,
        },
    ),
    ("create_project", {"type": "", "name": "", "slug": "", "is_pixel": False, "job_size": 0, "workflow": ""}),
    ("update_project", {"project_id": "id"}),
    (
        "update_project",
        {"project_id": "id", "name": JA, "slug": "s", "job_size": 1, "workflow": "w", "external_workflow": "e"},
    ),
    (
        "update_project",
        {"project_id": "id", "name": "", "slug": "", "job_size": 0, "workflow": "", "external_workflow": ""},
    ),
    (
        "update_project_metadata",
        {"project_id": "id", "external_code_1": "1", "external_code_2": "", "external_code_3": None},
    ),
    ("delete_project", {"project_id": "id"}),
    ("copy_project", {"project_id": "id"}),
    ("copy_project", {"project_id": "id", "project_name": JA, "project_slug": ""}),
    ("find_history", {"history_id": "h"}),
    ("get_histories", {"project": "p"}),
    ("get_histories", {"project": "p", **PAGE}),
    ("get_aws_s3_import_status_by_project", {"project": "street-scenes"}),
    ("create_task_from_aws_s3", {"project": "p"}),
    ("create_task_from_aws_s3", {"project": "", "status": "", "tags": [], "priority": None}),
    ("create_task_from_aws_s3", {"project": "p", "status": "completed", "tags": ["a"], "priority": 10}),
    ("update_aws_s3_storage", {"project": "p", "bucket_name": "b", "bucket_region": "ap-northeast-1"}),
    ("update_aws_s3_storage", {"project": "p", "bucket_name": "", "bucket_region": "", "prefix": ""}),
    ("update_aws_s3_storage", {"project": "p", "bucket_name": "b", "bucket_region": "r", "prefix": "x/y"}),
    ("find_dataset", {"dataset_id": "d"}),
    ("get_datasets", {}),
    ("get_datasets", {"keyword": JA, "tags": ["a", "b"], "license": "MIT", "visibility": "public"}),
    ("get_datasets", {"keyword": "", "tags": [], "license": "", "visibility": ""}),
    ("create_dataset", {"name": "street"}),
    ("create_dataset", {"name": "", "tags": [], "visibility": ""}),
    ("create_dataset", {"name": "s", "tags": ["a"], "visibility": "workspace"}),
    ("update_dataset", {"dataset_id": "d"}),
    ("update_dataset", {"dataset_id": "d", "name": "", "tags": []}),
    ("update_dataset", {"dataset_id": "d", "name": "n", "tags": ["a"]}),
    ("delete_dataset", {"dataset_id": "d"}),
    ("find_dataset_object", {"dataset_id": "d", "object_name": "a/ü ?#%.jpg"}),
    ("find_dataset_object", {"dataset_id": "d", "object_name": "a.jpg", "version": "3"}),
    ("find_dataset_object", {"dataset_id": "d", "object_name": "a.jpg", "revision_id": "12345678", "version": ""}),
    ("find_dataset_object", {"dataset_id": "d", "object_name": "a.jpg", "revision_id": "1", "version": "2"}),
    ("get_dataset_objects", {"dataset": "d"}),
    ("get_dataset_objects", {"dataset": "", "version": "", "tags": [], "licenses": [], "types": [], **EMPTY_PAGE}),
    (
        "get_dataset_objects",
        {"dataset": "d", "version": "v", "tags": ["a"], "licenses": ["MIT"], "types": ["train", "valid"], **PAGE},
    ),
    ("get_dataset_objects", {"dataset": "d", "version": "1", "revision_id": "2"}),
    ("get_dataset_objects", {"dataset": "d", "limit": 1001}),
    ("create_dataset_object", {"dataset": "d", "name": "a/猫.jpg", "file_path": "PICTURE"}),
    (
        "create_dataset_object",
        {
            "dataset": "d",
            "name": "n",
            "file_path": "PICTURE",
            "tags": ["a"],
            "licenses": ["MIT"],
            "annotations": ANNOTATIONS,
            "custom_metadata": {"k": "v"},
        },
    ),
    (
        "create_dataset_object",
        {
            "dataset": "",
            "name": "",
            "file_path": "PICTURE",
            "tags": [],
            "licenses": [],
            "annotations": [],
            "custom_metadata": {},
        },
    ),
    ("update_dataset_object", {"dataset_id": "d", "object_name": "n"}),
    (
        "update_dataset_object",
        {"dataset_id": "d", "object_name": "n", "tags": [], "licenses": [], "annotations": [], "custom_metadata": {}},
    ),
    (
        "update_dataset_object",
        {
            "dataset_id": "d",
            "object_name": "a/b",
            "tags": ["a"],
            "annotations": ANNOTATIONS,
            "custom_metadata": {"k": "v"},
        },
    ),
    ("delete_dataset_object", {"dataset_id": "d", "object_name": "a/ü ?#%.jpg"}),
    ("download_dataset_objects", {"dataset": "d", "path": "FOLDER"}),
    ("download_dataset_objects", {"dataset": "d", "path": "FOLDER", "types": ["train", "test"], "tags": ["a"]}),
    ("find_training_job", {"id": "j"}),
    ("find_training_job", {"id": 7}),
    ("get_training_jobs", {}),
    ("get_training_jobs", PAGE),
    ("get_training_jobs", {"limit": 1001}),
    ("execute_training_job", {"dataset_name": "d", "base_model_name": "m", "epoch": 300}),
    (
        "execute_training_job",
        {
            "dataset_name": JA,
            "base_model_name": "m",
            "epoch": 1,
            "dataset_revision_id": "r",
            "use_dataset_train_val": True,
            "instance_type": "ml.g4dn",
            "batch_size": 8,
            "learning_rate": 0.001,
            "resize_option": "fixed",
            "resize_dimension": 1024,
            "annotation_value": "cat",
            "config_file_path": "PICTURE",
        },
    ),
    (
        "execute_training_job",
        {
            "dataset_name": "",
            "base_model_name": "",
            "epoch": 0,
            "dataset_revision_id": "",
            "instance_type": None,
            "batch_size": 0,
            "learning_rate": 0.0,
            "resize_option": "",
            "resize_dimension": 0,
            "annotation_value": "",
        },
    ),
    ("find_evaluation_job", {"id": "j"}),
    ("get_evaluation_jobs", {}),
    ("get_evaluation_jobs", EMPTY_PAGE),
    ("execute_evaluation_job", {"dataset_name": "d", "model_name": "m"}),
    (
        "execute_evaluation_job",
        {
            "dataset_name": "d",
            "model_name": "m",
            "iou_threshold": 0,
            "confidence_threshold": None,
            "dataset_revision_id": "",
            "use_dataset_test": True,
            "instance_type": "x",
            "batch_size": 3,
            "learning_rate": 0.1,
        },
    ),
    ("get_auto_annotation_jobs", {"project": "p"}),
    ("get_auto_annotation_jobs", {"project": "", **PAGE}),
    ("get_auto_annotation_jobs", {"project": None}),
    ("execute_auto_annotation_job", {"project": "p", "model_name": "m"}),
    (
        "execute_auto_annotation_job",
        {
            "project": "p",
            "model_name": "m",
            "algorithm_type": "x",
            "update_existing": True,
            "confidence_threshold": 0,
            "use_tta": True,
            "use_flip": True,
            "processing_speed": "high",
            "auto_creation": False,
        },
    ),
    ("execute_auto_annotation_job", {"project": "", "model_name": "", "algorithm_type": "", "processing_speed": None}),
]

DIFFERENT_ON_PURPOSE: list[tuple[str, dict[str, Any], str]] = [
    ("delete_task", {"task_id": ""}, "the SDK sends DELETE tasks/, the whole collection's address"),
    ("delete_project", {"project_id": ""}, "the same, for projects"),
    ("delete_dataset_object", {"dataset_id": "d", "object_name": ".."}, "a dot segment deletes something else"),
    ("find_image_task_by_name", {"project": "p", "task_name": ""}, "the SDK returns the first task of the project"),
    ("find_project_by_slug", {"slug": ""}, "the SDK returns the first project of the workspace"),
    ("find_annotation_by_value", {"project": "p", "value": ""}, "the SDK returns the first class of the project"),
    ("update_task", {"task_id": "t", "assignes": "me"}, "the SDK drops a misspelt keyword without a word"),
    ("create_image_task", {"project": "p", "name": "n", "file_path": "PICTURE", "asignee": "me"}, "the same"),
    (
        "get_dataset_objects",
        {"dataset": "d", "types": ["training"]},
        "a plain ValueError there; ours is Invalid as well",
    ),
]


def answer(seen: Any, reply: Any, base: str) -> Any:
    """The same answers for both sides."""
    if seen.path.startswith("/files/"):
        return reply(raw=b"object " + seen.path.encode())
    if seen.path.endswith("/signed-urls"):
        return reply(
            [
                {
                    "name": f"{kind}/{n}.jpg",
                    "type": kind,
                    "signedUrl": f"{base}/files/{kind}{n}",
                    "annotations": [],
                    "customMetadata": {},
                    "tags": [],
                }
                for kind in ("train", "test")
                for n in range(2)
            ]
        )
    if "/tags/add" in seen.path or "/tags/remove" in seen.path:
        return reply({"updatedTaskCount": len(seen.json["taskIds"])})
    return reply([{"id": seen.path, "name": "first"}, {"id": "second"}])


@pytest.fixture(scope="module")
def official() -> Any:
    """The SDK's module. Importing it takes the root logger over, so that is put back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    module = pytest.importorskip("fastlabel")
    root.handlers[:], root.level = handlers, level
    return module


@pytest.fixture
def both(server: Any, reply: Any, official: Any, client: FastLabelClient, token: str, monkeypatch: Any) -> Any:
    monkeypatch.setenv("FASTLABEL_API_URL", server.url)
    server.answer = lambda seen: answer(seen, reply, server.base)
    return official.Client(access_token=token), client


def run(target: Any, server: Any, name: str, arguments: dict[str, Any], places: dict[str, str]) -> tuple[Any, Any]:
    """What came back, or was raised, and what the server was sent."""
    server.seen.clear()
    arguments = {key: places.get(value, value) if isinstance(value, str) else value for key, value in arguments.items()}
    try:
        result: Any = getattr(target, name)(**copy.deepcopy(arguments))
    except ValueError as error:
        code = getattr(error, "code", getattr(error, "status", None))
        result = ("refused", getattr(error, "message", str(error)), code)
    except OSError as error:
        result = ("os error", type(error))
    sent = [
        (s.method, s.path, sorted(s.params), s.json, s.headers.get("Authorization"), s.headers.get("Content-Type"))
        for s in server.seen
    ]
    return result, sorted(sent, key=repr) if name.startswith("download") else sent


@pytest.fixture
def places(picture: Any, tmp_path: Any) -> dict[str, str]:
    large, exact = tmp_path / "large.png", tmp_path / "exact.png"
    for path, size in ((large, 20 * 1024 * 1024 + 1), (exact, 20 * 1024 * 1024)):
        with path.open("wb") as file:
            file.truncate(size)
    return {"PICTURE": str(picture), "LARGE.png": str(large), "EXACT.png": str(exact)}


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CASES)])
def test_same_request_and_same_result(
    name: str, arguments: dict[str, Any], both: Any, server: Any, places: Any, tmp_path: Any
) -> None:
    results = []
    for side, target in zip(("sdk", "ours"), both, strict=True):
        results.append(run(target, server, name, arguments, places | {"FOLDER": str(tmp_path / side)}))
    (theirs, sent), (our_result, our_sent) = results
    assert our_sent == sent
    assert our_result == theirs
    folders = [
        sorted((p.relative_to(tmp_path / side), p.read_bytes()) for p in (tmp_path / side).rglob("*") if p.is_file())
        for side in ("sdk", "ours")
    ]
    assert folders[0] == folders[1]


@pytest.mark.parametrize(("name", "arguments", "why"), DIFFERENT_ON_PURPOSE)
def test_refused_where_the_sdk_does_harm(
    name: str, arguments: dict[str, Any], why: str, client: Any, server: Any, places: Any
) -> None:
    result, sent = run(client, server, name, arguments, places)
    assert result[0] == "refused", why
    assert not sent


def test_ids_stay_one_part_of_the_path(client: FastLabelClient, server: Any) -> None:
    client.find_image_task("a/../b?c#d%2F")
    assert server.lines() == ["GET /v1/tasks/image/a%2F..%2Fb%3Fc%23d%252F"]


def test_the_callers_lists_are_not_changed(client: FastLabelClient, server: Any, picture: Any) -> None:
    annotations, tags = copy.deepcopy(ANNOTATIONS), ["a"]
    client.create_image_task("p", "one.jpg", str(picture), annotations=annotations, tags=tags)
    client.create_image_task("p", "two.jpg", str(picture), annotations=annotations, tags=tags)
    client.update_image_task("t", annotations=annotations)
    assert annotations == ANNOTATIONS
    contents = [{a["content"] for a in seen.json["annotations"]} for seen in server.seen]
    assert contents == [{"one.jpg"}, {"two.jpg"}, {""}]


def test_null_keypoints_and_attributes_are_no_reason_to_fail(client: FastLabelClient, server: Any) -> None:
    client.update_image_task("t", annotations=[{"type": "bbox", "keypoints": None, "attributes": None}])
    assert server.seen[0].json["annotations"][0]["attributes"] == []


def test_the_sdks_priority_enum_can_be_sent(client: FastLabelClient, server: Any, official: Any) -> None:
    from fastlabel.const import Priority

    client.update_task("t", priority=Priority.high)
    assert server.seen[0].json == {"priority": 30}


def test_download_refuses_names_that_leave_the_folder(
    client: FastLabelClient, server: Any, reply: Any, tmp_path: Any
) -> None:
    for name in ("../escaped.txt", "/etc/x", "a/../../b", "", "c:\\x", "annotations.json"):
        server.seen.clear()
        server.answer = lambda seen, name=name: reply([{"name": name, "signedUrl": server.base + "/f", "type": "none"}])
        with pytest.raises(Invalid):
            client.download_dataset_objects("d", tmp_path / "out")
        assert len(server.seen) == 1
    assert not (tmp_path / "out").exists()
