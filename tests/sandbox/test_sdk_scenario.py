"""The official SDK, unchanged, does a team's work against the sandbox from the first project to the trained model."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests

from fastlabel_dagster.sandbox import Sandbox

POSE_KEYS = ("head", "hip")
ANNOTATIONS: list[dict[str, Any]] = [
    {
        "type": "bbox",
        "value": "cat",
        "points": [1, 2, 30.5, 40],
        "rotation": 15,
        "attributes": [{"key": "kind", "value": "tabby"}, {"key": "size", "value": "large"}],
    },
    {"type": "polygon", "value": "roof", "points": [1, 1, 20, 1, 20, 30.25]},
    {
        "type": "segmentation",
        "value": "pond",
        "points": [[[5, 5, 40, 5, 40, 40, 5, 40, 5, 5], [10, 10, 10, 20, 20, 20, 20, 10, 10, 10]]],
    },
    {"type": "keypoint", "value": "nose", "points": [12.5, 30]},
    {"type": "line", "value": "kerb", "points": [1, 1, 9, 9, 20, 9]},
    {"type": "circle", "value": "wheel", "points": [25, 25, 12]},
    {
        "type": "pose_estimation",
        "value": "person",
        "keypoints": [{"key": "head", "value": [10.5, 5, 1]}, {"key": "hip", "value": [10, 30, 0]}],
    },
]


@pytest.fixture
def zoo(client: Any, sandbox: Sandbox) -> Any:
    """A project with a class of every type."""
    client.create_project(type="image_all", name="動物園", slug="zoo")
    attributes = [
        {"key": "kind", "name": "Kind", "type": "text"},
        {
            "key": "size",
            "name": "大きさ",
            "type": "select",
            "options": [{"title": "Large", "value": "large"}, {"title": "Small", "value": "small"}],
        },
    ]
    client.create_annotation("zoo", "bbox", "cat", "猫", color="#b36d18", order=5, attributes=attributes)
    for kind, value in (("polygon", "roof"), ("segmentation", "pond"), ("keypoint", "nose"), ("line", "kerb")):
        client.create_annotation("zoo", kind, value, value.title())
    client.create_annotation("zoo", "circle", "wheel", "Wheel")
    # the SDK cannot say which keypoints a pose has; the sandbox's own call can
    sandbox.state.create_class(
        "zoo",
        "pose_estimation",
        "person",
        "人",
        keypoints=[{"key": "head", "name": "頭", "edges": ["hip"]}, {"key": "hip", "name": "腰", "edges": ["head"]}],
    )
    return client


def copies(annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The SDK changes the annotations it is given; these are to be kept."""
    return [{**one, "attributes": [dict(a) for a in one.get("attributes", [])]} for one in annotations]


def test_annotations_of_every_type_come_back_with_what_their_class_says(zoo: Any, picture: Callable[..., str]) -> None:
    task_id = zoo.create_image_task(
        "zoo",
        "子猫/cat.jpg",
        picture("cat.jpg"),
        status="completed",
        priority=20,
        tags=["indoor", "室内"],
        annotations=copies(ANNOTATIONS),
        assignee="sato",
        external_reviewer="somebody",
    )
    task = zoo.find_image_task(task_id)
    assert (task["name"], task["width"], task["height"]) == ("子猫/cat.jpg", 70, 50)
    assert (task["status"], task["externalStatus"], task["priority"]) == ("completed", "registered", 20)
    assert (task["tags"], task["assignee"], task["externalReviewer"]) == (["indoor", "室内"], "佐藤 葵", "somebody")
    assert set(task) == {
        *("id", "name", "width", "height", "url", "status", "externalStatus", "priority", "tags"),
        *("assignee", "reviewer", "approver", "externalAssignee", "externalReviewer", "externalApprover"),
        *("annotations", "createdAt", "updatedAt"),
    }
    cat, roof, pond, nose, kerb, wheel, person = task["annotations"]
    assert cat == {
        "type": "bbox",
        "title": "猫",
        "value": "cat",
        "color": "#b36d18",
        "points": [1, 2, 30.5, 40],
        "rotation": 15,
        "attributes": [
            {"key": "kind", "name": "Kind", "type": "text", "value": "tabby"},
            {"key": "size", "name": "大きさ", "type": "select", "value": "large"},
        ],
    }
    for answered, sent in zip((roof, pond, nose, kerb, wheel), ANNOTATIONS[1:6], strict=True):
        assert answered["points"] == sent["points"]
        assert set(answered) == {"type", "title", "value", "color", "points", "rotation", "attributes"}
    assert person["keypoints"] == [
        {"name": "頭", "key": "head", "value": [10.5, 5, 1], "edges": ["hip"]},
        {"name": "腰", "key": "hip", "value": [10, 30, 0], "edges": ["head"]},
    ]
    assert set(person) == {"type", "title", "value", "color", "attributes", "keypoints"}

    by_name = zoo.find_image_task_by_name("zoo", "子猫/cat.jpg")
    assert {**by_name, "url": ""} == {**task, "url": ""}, "the links alone may differ, they name the second they end"
    assert requests.get(task["url"], timeout=10).content == Path(picture("cat.jpg")).read_bytes()


def test_lists_counts_and_maps_agree_under_every_filter(zoo: Any, picture: Callable[..., str]) -> None:
    ids = {}
    for number in range(7):
        ids[number] = zoo.create_image_task(
            "zoo",
            f"{number}.jpg",
            picture(),
            status=["registered", "approved"][number % 2],
            external_status=["registered", "customer_declined"][number % 3 == 0],
            tags=[["a"], ["b"], ["a", "b"], []][number % 4],
        )

    def names(**filters: Any) -> list[str]:
        return [task["name"] for task in zoo.get_image_tasks("zoo", **filters)]

    assert names() == [f"{number}.jpg" for number in range(7)]
    assert names(offset=2, limit=3) == ["2.jpg", "3.jpg", "4.jpg"]
    assert names(status="approved") == ["1.jpg", "3.jpg", "5.jpg"]
    assert names(status="approved", offset=1, limit=1) == ["3.jpg"]
    assert names(external_status="customer_declined") == ["0.jpg", "3.jpg", "6.jpg"]
    assert names(tags=["a"]) == ["0.jpg", "2.jpg", "4.jpg", "6.jpg"]
    assert names(tags=["a", "b"]) == ["0.jpg", "1.jpg", "2.jpg", "4.jpg", "5.jpg", "6.jpg"]
    assert names(tags=["nobody's"]) == []
    assert names(task_name="4.jpg", status="registered") == ["4.jpg"]
    for filters in ({}, {"status": "approved"}, {"external_status": "customer_declined"}, {"tags": ["b"]}):
        assert zoo.count_tasks("zoo", **filters) == len(names(**filters))
    assert zoo.get_task_id_name_map("zoo") == {ids[number]: f"{number}.jpg" for number in range(7)}
    assert list(zoo.get_task_id_name_map("zoo", offset=5, limit=1).values()) == ["5.jpg"]
    assert zoo.find_image_task_by_name("zoo", "none.jpg") is None


def test_updates_change_what_they_name_and_nothing_else(zoo: Any, picture: Callable[..., str]) -> None:
    task_id = zoo.create_image_task(
        "zoo", "a.jpg", picture(), annotations=copies(ANNOTATIONS), tags=["old"], reviewer="garcia"
    )
    before = zoo.find_image_task(task_id)
    assert zoo.update_image_task(task_id, annotations=copies(ANNOTATIONS[:1]), assignee="suzuki") == task_id
    task = zoo.find_image_task(task_id)
    assert [one["type"] for one in task["annotations"]] == ["bbox"]
    assert (task["assignee"], task["reviewer"], task["tags"]) == ("鈴木 蓮", "María García", ["old"])
    assert zoo.update_task(task_id, status="approved", tags=["new"], priority=30, reviewer=None) == task_id
    task = zoo.find_image_task(task_id)
    assert (task["status"], task["tags"], task["priority"], task["reviewer"]) == ("approved", ["new"], 30, None)
    assert (task["createdAt"], task["name"]) == (before["createdAt"], before["name"])
    assert task["updatedAt"] >= before["updatedAt"]
    assert zoo.count_tasks("zoo", tags=["old"]) == 0
    assert zoo.count_tasks("zoo", status="approved", tags=["new"]) == 1

    zoo.delete_task_annotations(task_id)
    assert zoo.find_image_task(task_id)["annotations"] == []
    zoo.delete_task(task_id)
    assert zoo.count_tasks("zoo") == 0
    assert zoo.get_tags("zoo")[0]["name"] == "old"
    assert zoo.create_image_task("zoo", "a.jpg", picture()) != task_id


def test_tags_of_many_tasks(zoo: Any, picture: Callable[..., str]) -> None:
    ids = [zoo.create_image_task("zoo", f"{number}.jpg", picture()) for number in range(4)]
    assert zoo.add_task_tags("zoo", ids[:3], ["x", "y"]) == 3
    assert zoo.add_task_tags("zoo", ids, ["x"]) == 1, "only one of them did not have it yet"
    assert zoo.add_task_tags("zoo", ids, ["x"]) == 0
    assert zoo.remove_task_tags("zoo", ids[:2], ["y", "unheard of"]) == 2
    assert [task["tags"] for task in zoo.get_image_tasks("zoo")] == [["x"], ["x"], ["x", "y"], ["x"]]
    tags = zoo.get_tags("zoo")
    assert [(tag["name"], tag["order"]) for tag in tags] == [("x", 1), ("y", 2)]
    assert set(tags[0]) == {"id", "name", "order", "createdAt", "updatedAt"}
    assert [tag["name"] for tag in zoo.get_tags("zoo", keyword="y")] == ["y"]
    zoo.delete_tags([tags[0]["id"]])
    assert [task["tags"] for task in zoo.get_image_tasks("zoo")] == [[], [], ["y"], []]
    assert zoo.count_tasks("zoo", tags=["x"]) == 0


def test_projects(client: Any) -> None:
    first = client.create_project("image_bbox", "One", "one", is_pixel=True, job_size=25)
    second = client.create_project("image_all", "Two", "two")
    project = client.find_project(first)
    assert project == client.find_project_by_slug("one") == client.get_projects(slug="one")[0]
    assert set(project) == {
        *("id", "type", "slug", "name", "isPixel", "jobSize", "status", "createdAt", "updatedAt"),
    }
    assert (project["type"], project["isPixel"], project["jobSize"], project["status"]) == (
        "image_bbox",
        True,
        25,
        "active",
    )
    assert client.get_project_id_slug_map() == {first: "one", second: "two"}
    assert client.get_project_id_slug_map(offset=1, limit=1) == {second: "two"}
    assert client.update_project(first, name="Uno", slug="uno", job_size=3) == first
    assert client.find_project_by_slug("one") is None
    assert client.find_project_by_slug("uno")["name"] == "Uno"
    metadata = client.update_project_metadata(first, "A", None, "C")
    assert isinstance(metadata, str) and client.update_project_metadata(first, "B", "B", "B") == metadata
    client.create_annotation("uno", "bbox", "cat", "Cat")
    copied = client.copy_project(first, project_slug="tres")
    assert [one["value"] for one in client.get_annotations("tres")] == ["cat"]
    client.delete_project(first)
    assert client.get_project_id_slug_map() == {second: "two", copied: "tres"}
    assert client.get_metadatas() == []


def test_classes_and_what_their_changes_do_to_annotations(zoo: Any, picture: Callable[..., str]) -> None:
    zoo.create_image_task("zoo", "a.jpg", picture(), annotations=copies(ANNOTATIONS))
    assert len(zoo.get_annotations("zoo", limit=1000)) == 7
    assert [one["value"] for one in zoo.get_annotations("zoo", offset=1, limit=2)] == ["roof", "pond"]
    cat = zoo.find_annotation_by_value("zoo", "cat")
    assert cat == zoo.find_annotation(cat["id"])
    assert (cat["type"], cat["title"], cat["color"], cat["order"], cat["vertex"]) == ("bbox", "猫", "#b36d18", 5, 0)
    assert cat["attributes"][1]["options"] == [
        {"title": "Large", "value": "large"},
        {"title": "Small", "value": "small"},
    ]
    assert zoo.update_annotation(cat["id"], title="ねこ", color="#00ff00", value="kitty") == cat["id"]
    annotation = zoo.get_image_tasks("zoo")[0]["annotations"][0]
    assert (annotation["title"], annotation["color"], annotation["value"]) == ("ねこ", "#00ff00", "kitty")
    assert zoo.find_annotation_by_value("zoo", "cat") is None
    zoo.delete_annotation(cat["id"])
    assert zoo.find_annotation_by_value("zoo", "kitty") is None
    assert zoo.get_image_tasks("zoo")[0]["annotations"][0]["value"] == "kitty", "annotations outlive their class"


def test_classification_tasks_are_a_row_of_the_same_table(client: Any, picture: Callable[..., str]) -> None:
    client.create_project("image_classification", "Kinds", "kinds")
    client.create_classification_annotation("kinds", [{"key": "kind", "name": "Kind", "type": "text"}])
    task_id = client.create_image_classification_task(
        "kinds", "a.jpg", picture(), attributes=[{"key": "kind", "value": "cat"}]
    )
    task = client.find_image_classification_task(task_id)
    assert task["attributes"] == [{"key": "kind", "name": "Kind", "type": "text", "value": "cat"}]
    assert "annotations" not in task
    client.update_image_classification_task(task_id, attributes=[{"key": "kind", "value": "dog"}])
    assert client.get_image_classification_tasks("kinds")[0]["attributes"][0]["value"] == "dog"
    assert client.count_tasks("kinds") == 1


def test_datasets_and_their_objects(client: Any, picture: Callable[..., str], tmp_path: Path, sandbox: Sandbox) -> None:
    dataset = client.create_dataset("animals-2", tags=["cat", "dog"])
    assert set(dataset) == {"id", "name", "tags", "visibility", "license", "createdAt", "updatedAt"}
    assert client.find_dataset(dataset["id"]) == dataset
    assert client.get_datasets(keyword="anim") == client.get_datasets(tags=["dog"]) == [dataset]
    assert client.get_datasets(keyword="plants") == client.get_datasets(visibility="public") == []
    made = client.create_dataset_object(
        "animals-2",
        "室内/cat 1.jpg",
        picture(width=33, height=22),
        tags=["indoor"],
        licenses=["MIT"],
        annotations=[{"type": "bbox", "value": "cat", "points": [1, 2, 3, 4]}],
        custom_metadata={"camera": "left"},
    )
    assert (made["width"], made["height"], made["tags"]) == (33, 22, ["indoor"])
    assert (made["size"], made["customMetadata"]) == (
        Path(picture(width=33, height=22)).stat().st_size,
        {"camera": "left"},
    )
    assert made["annotations"][0]["title"] == "cat" and made["annotations"][0]["confidenceScore"] == -1
    assert client.find_dataset_object(dataset["id"], "室内/cat 1.jpg") == made
    client.create_dataset_object("animals-2", "b%2Fc.jpg", picture())
    client.create_dataset_object("animals-2", "notes.txt", __file__)
    names = ["室内/cat 1.jpg", "b%2Fc.jpg", "notes.txt"]
    assert [one["name"] for one in client.get_dataset_objects("animals-2")] == names
    assert [one["name"] for one in client.get_dataset_objects("animals-2", offset=1, limit=1)] == names[1:2]
    assert [one["name"] for one in client.get_dataset_objects("animals-2", tags=["indoor"])] == names[:1]
    assert [one["name"] for one in client.get_dataset_objects("animals-2", licenses=["MIT", "GPL"])] == names[:1]
    updated = client.update_dataset_object(dataset["id"], "b%2Fc.jpg", tags=["x"], custom_metadata={})
    assert client.find_dataset_object(dataset["id"], "b%2Fc.jpg") == updated
    assert client.update_dataset_object(dataset["id"], "b%2Fc.jpg", tags=[])["tags"] == []

    sandbox.state.datasets.set_object_type(dataset["id"], "notes.txt", "test")
    assert [one["name"] for one in client.get_dataset_objects("animals-2", types=["test"])] == ["notes.txt"]
    folder = tmp_path / "download"
    downloaded = client.download_dataset_objects("animals-2", str(folder), types=["test"])
    assert [one["type"] for one in downloaded] == ["test"]
    assert (folder / "test" / "notes.txt").read_bytes() == Path(__file__).read_bytes()

    client.delete_dataset_object(dataset["id"], "b%2Fc.jpg")
    assert [one["name"] for one in client.get_dataset_objects("animals-2")] == [names[0], names[2]]
    assert client.update_dataset(dataset["id"], name="animals-3")["name"] == "animals-3"
    client.delete_dataset(dataset["id"])
    assert client.get_datasets() == []


def test_a_training_runs_by_the_clock_and_leaves_a_model_to_download(
    client: Any, picture: Callable[..., str], sandbox: Sandbox
) -> None:
    client.create_dataset("street")
    client.create_dataset_object(
        "street", "a.jpg", picture(), annotations=[{"type": "bbox", "value": "car", "points": [1, 2, 3, 4]}]
    )
    job = client.execute_training_job("street", "fastlabel_object_detection_light", 300)
    assert (job["status"], job["completedAt"], job["contentCount"], job["epoch"]) == ("in_progress", None, 1, 300)
    assert job["customModel"] == {"modelId": "", "modelName": "", "modelURL": "", "classes": []}
    sandbox.state.clock.advance(300)
    assert client.find_training_job(job["trainingJobId"])["status"] == "in_progress"
    sandbox.state.clock.advance(301)
    done = client.find_training_job(job["trainingJobId"])
    assert (done["status"], done["customModel"]["modelName"]) == ("completed", "street-1")
    assert done["completedAt"] > done["createdAt"]
    assert done["customModel"]["classes"] == ["car"]
    archive = zipfile.ZipFile(BytesIO(requests.get(done["customModel"]["modelURL"], timeout=10).content))
    assert archive.read("classes.txt") == b"car\n"

    evaluation = client.execute_evaluation_job("street", "street-1", iou_threshold=0.7)
    assert (evaluation["status"], evaluation["modelType"], evaluation["iouThreshold"]) == ("in_progress", "custom", 0.7)
    sandbox.state.clock.advance(121)
    evaluation = client.find_evaluation_job(evaluation["id"])
    assert (evaluation["status"], evaluation["gtCount"], evaluation["contentCount"]) == ("completed", 1, 1)
    assert 0 < evaluation["mAP"] < 1 and evaluation["duration"] == 120

    sandbox.state.fail_next("training")
    failing = client.execute_training_job("street", "fastlabel_object_detection_light", 1)
    fine = client.execute_training_job("street", "fastlabel_object_detection_light", 1)
    sandbox.state.clock.advance(601)
    jobs = {one["trainingJobId"]: one for one in client.get_training_jobs()}
    assert jobs[failing["trainingJobId"]]["status"] == "failed"
    assert jobs[failing["trainingJobId"]]["customModel"]["modelURL"] == ""
    assert jobs[fine["trainingJobId"]]["customModel"]["modelName"] == "street-2"
    assert [one["trainingJobId"] for one in client.get_training_jobs(limit=1)] == [fine["trainingJobId"]]
    assert len(client.get_evaluation_jobs()) == 1


def test_auto_annotation_annotates_what_nobody_has(client: Any, sandbox: Sandbox) -> None:
    from fastlabel_dagster.sandbox.seed import seed_drawn

    seed_drawn(sandbox.state, tasks=60)
    before = {task["id"]: task for task in client.get_image_tasks("street-scenes", limit=1000)}
    empty = {task_id for task_id, task in before.items() if not task["annotations"]}
    assert empty
    job_id = client.execute_auto_annotation_job("street-scenes", "Computer Vision - 汎用(General)")
    assert client.get_auto_annotation_jobs("street-scenes")[0]["status"] == "in_progress"
    sandbox.state.clock.advance(61)
    (job,) = client.get_auto_annotation_jobs("street-scenes")
    assert (job["id"], job["status"], job["msgCode"], job["contentCount"]) == (job_id, "completed", "none", len(empty))
    made = 0
    for task in client.get_image_tasks("street-scenes", limit=1000):
        if task["id"] in empty:
            assert task["annotations"] and all(0.4 <= one["confidenceScore"] <= 1 for one in task["annotations"])
            made += len(task["annotations"])
        else:
            assert task["annotations"] == before[task["id"]]["annotations"]
    assert job["taskAnnotationCount"] == made


def test_an_import_from_s3_brings_the_pictures_of_the_bucket(
    zoo: Any, picture: Callable[..., str], sandbox: Sandbox
) -> None:
    assert isinstance(zoo.update_aws_s3_storage("zoo", "bucket", "ap-northeast-1", prefix="in"), str)
    folder = sandbox.state.data / "buckets" / "bucket" / "in" / "deep"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(Path(picture()).read_bytes())
    started = zoo.create_task_from_aws_s3("zoo", tags=["s3"], priority=10)
    assert set(started) == {"id", "storageType", "status", "createdAt", "updatedAt"}
    assert (started["status"], zoo.count_tasks("zoo")) == ("running", 0)
    sandbox.state.clock.advance(31)
    done = zoo.get_aws_s3_import_status_by_project("zoo")
    assert (done["id"], done["status"]) == (started["id"], "completed")
    assert zoo.find_history(started["id"]) == done == zoo.get_histories("zoo")[0]
    (task,) = zoo.get_image_tasks("zoo")
    assert (task["name"], task["tags"], task["priority"], task["width"]) == ("deep/a.jpg", ["s3"], 10, 70)

    zoo.create_task_from_aws_s3("zoo")
    sandbox.state.clock.advance(31)
    assert zoo.count_tasks("zoo") == 1, "what is there already is not brought again"
    zoo.update_aws_s3_storage("zoo", "another", "ap-northeast-1")
    zoo.create_task_from_aws_s3("zoo")
    sandbox.state.clock.advance(31)
    assert zoo.get_aws_s3_import_status_by_project("zoo")["status"] == "failed"


def test_a_zip_goes_up_through_a_signed_link(zoo: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "calibration.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.yml", "x: 1\r\n\r\n--")
    granted = zoo.api.get_request(
        "files", params={"project": "zoo", "fileName": "calibration.zip", "fileType": "application/zip"}
    )
    assert zoo.api.upload_zipfile(granted["url"], str(path)).status_code == 200
    assert sandbox.state.files.path(granted["name"]).read_bytes() == path.read_bytes()
