"""Every method of the official SDK that speaks HTTP, against the sandbox; its answers have the documented keys.

The SDK's methods are found by introspection: one that no test here calls, or that the table of answers does not know,
fails the suite.
"""

from __future__ import annotations

import inspect
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fastlabel_dagster.sandbox import Sandbox

#: These work on files only and send nothing.
WITHOUT_HTTP = {
    *("convert_coco_to_fastlabel", "convert_labelme_to_fastlabel", "convert_pascalvoc_to_fastlabel"),
    *("convert_yolo_to_fastlabel", "export_image_with_annotations", "export_instance_segmentation"),
    *("export_labelme", "export_semantic_segmentation", "mask_to_fastlabel_segmentation_points"),
}

DATES = {"createdAt", "updatedAt"}
PEOPLE = {"assignee", "reviewer", "externalAssignee", "externalReviewer"}
TASK = {"id", "name", "status", "externalStatus", "priority", "tags", *PEOPLE, *DATES}
LABELLED = {*TASK, "annotations"}
SIZE = {"width", "height"}
VIDEO = {*SIZE, "fps", "frameCount", "duration"}
DATASET = {"id", "name", "tags", "visibility", "license", *DATES}
OBJECT = {"name", "size", "height", "width", "tags", "annotations", "customMetadata", *DATES}
COMMENT = {
    *("id", "taskId", "contentId", "contentName", "type", "isResolved", "points", "scale", "frame", "status"),
    *("priority", "taskAnnotationId", "issueCategoryId", "color", *DATES),
}

#: The documented keys of every thing.
THINGS: dict[str, set[str]] = {
    "image": {*LABELLED, *SIZE, "url"},
    "image_classification": {*TASK, *SIZE, "url", "attributes"},
    "multi_image_classification": {*TASK, "contents", "attributes"},
    "sequential_image": {*LABELLED, "contents"},
    "video": {*LABELLED, *VIDEO, "url"},
    "video_classification": {*TASK, "url", "attributes"},
    "text": {*LABELLED, "url"},
    "text_classification": {*TASK, "url", "attributes"},
    "audio": {*LABELLED, "url"},
    "audio_classification": {*TASK, "url", "attributes"},
    "multi_modal_video_audio": {*LABELLED, "url"},
    "pcd": {*LABELLED, "url", "approver", "externalApprover"},
    "sequential_pcd": {*LABELLED, "approver", "externalApprover"},
    "dicom": {*(LABELLED - {"priority"}), *SIZE, "url"},
    "robotics": {*LABELLED, "contents", "relations", "roboticsOperator", "approver", "externalApprover"},
    "merged": {"name", "annotations"},
    "history": {"id", "storageType", "status", *DATES},
    "appendix": {"id", "url", "format", "imageFileName", "calibrationFileName", "calibration"},
    "task_appendix": {"id", "url", "name", "format", "calibration"},
    "annotation": {"id", "type", "value", "title", "color", "order", "vertex", "attributes", *DATES},
    "metadata": {"id", "key", "type", "options", "defaultValue", "order", "isAdmin", "isRequired", *DATES},
    "tag": {"id", "name", "order", *DATES},
    "project": {"id", "type", "slug", "name", "isPixel", "jobSize", "status", *DATES},
    "dataset": DATASET,
    "object": OBJECT,
    "training": {
        *("trainingJobId", "status", "baseModelName", "instanceType", "epoch", "projects", "statuses", "tags"),
        *("contentCount", "userName", "userEmail", "createdAt", "completedAt", "customModel"),
    },
    "evaluation": {
        *("id", "version", "status", "modelType", "modelName", "customModelId", "iouThreshold", "confidenceThreshold"),
        *("contentCount", "gtCount", "predCount", "mAP", "recall", "precision", "f1", "confusionMatrix", "duration"),
        *("evaluationSource", "projects", "statuses", "tags", "datasetId", "dataset", "datasetRevisionId"),
        *("useDatasetTest", "userName", "completedAt", *DATES),
    },
    "auto_annotation": {
        *("id", "version", "autoAnnotationType", "modelName", "status", "msgCode", "contentCount"),
        *("taskAnnotationCount", "audioSeconds", "duration", "userName", "completedAt", *DATES),
    },
    "comment": {*COMMENT, "threads"},
    "thread": {"id", "text", "comment", *DATES},
    "user": {
        *("id", "userId", "userSlug", "userName", "userEmail", "role", "isExternal", "functionResourcePermissions"),
    },
    "inference": {"json", "file"},
    "episode": {"episode_index", "episode", "success", "result"},
}

#: What a method answers: a thing, a list of them, an ``id``, a ``map`` of texts, a ``count``, nothing. The first match
#: counts.
ANSWERS: list[tuple[str, str]] = [
    ("find_integrated_(image|audio)_task_by_prefix", "merged"),
    ("find_integrated_video_task_by_prefix", "video"),
    ("find_training_job|execute_training_job", "training"),
    ("find_evaluation_job|execute_evaluation_job", "evaluation"),
    ("get_training_jobs", "[training]"),
    ("get_evaluation_jobs", "[evaluation]"),
    ("get_auto_annotation_jobs", "[auto_annotation]"),
    ("execute_auto_annotation_job", "id"),
    ("execute_endpoint", "inference"),
    ("create_model_monitoring_request_results", "id"),
    ("get_aws_s3_import_status_by_project|create_task_from_aws_s3|create_dicom_task|find_history", "history"),
    ("import_appendix_file|import_robotics_contents_file", "history"),
    ("import_lerobot", "[episode]"),
    ("get_histories", "[history]"),
    ("get_appendix_data", "[appendix]"),
    ("get_task_appendix_data", "[task_appendix]"),
    ("get_task_id_name_map|get_project_id_slug_map", "map"),
    ("count_tasks|add_task_tags|remove_task_tags", "count"),
    ("get_tags", "[tag]"),
    ("get_metadatas", "[metadata]"),
    ("get_task_comments", "[comment]"),
    ("get_project_comments", "[thread]"),
    ("create_task_comment|update_task_comment", "comment"),
    ("find_dataset_object|create_dataset_object|update_dataset_object", "object"),
    ("get_dataset_objects", "[object]"),
    ("find_dataset|create_dataset|update_dataset", "dataset"),
    ("get_datasets", "[dataset]"),
    ("download_dataset_objects", "[downloaded]"),
    ("find_project|find_project_by_slug", "project"),
    ("get_projects", "[project]"),
    ("find_annotation|find_annotation_by_value", "annotation"),
    ("get_annotations", "[annotation]"),
    ("get_workspace_users", "[user]"),
    ("create_workspace_user|update_workspace_user", "user"),
    ("create_workspace_user_module_permissions", "[id]"),
    ("update_project_user_permission", "bool"),
    (r"find_(\w+)_task(_by_name)?", r"\1"),
    (r"get_(\w+)_tasks", r"[\1]"),
    (r"delete_\w+|export_\w+", "none"),
    (r"(create|update|copy)_\w+", "id"),
]


def answer_of(method: str) -> str:
    for pattern, answer in ANSWERS:
        match = re.fullmatch(pattern, method)
        if match:
            return match.expand(answer) if "\\" in answer else answer
    raise AssertionError(f"the table of answers does not know {method}")


def check(method: str, answer: Any, kind: str) -> None:
    if kind.startswith("["):
        assert isinstance(answer, list), method
        for one in answer:
            check(method, one, kind[1:-1])
    elif kind == "none":
        assert answer is None, method
    elif kind == "id":
        assert isinstance(answer, str) and answer, method
    elif kind == "map":
        assert answer and all(isinstance(one, str) for pair in answer.items() for one in pair), method
    elif kind in {"count", "bool"}:
        assert type(answer) is {"count": int, "bool": bool}[kind], method
    elif kind == "downloaded":
        assert {"name", "annotations", "customMetadata", "tags"} <= set(answer), method
    else:
        assert THINGS[kind] <= set(answer), f"{method}: {THINGS[kind] - set(answer)}"


def http_methods() -> set[str]:
    import fastlabel

    found = {name for name, _ in inspect.getmembers(fastlabel.Client, inspect.isfunction) if not name.startswith("_")}
    assert found >= WITHOUT_HTTP
    return found - WITHOUT_HTTP


COVERED: dict[str, str] = {}


def covers(*methods: str) -> Callable[[Any], Any]:
    """Says which methods a test calls; the ``sdk`` fixture sees to it that the test does."""

    def mark(test: Any) -> Any:
        COVERED.update(dict.fromkeys(methods, test.__name__))
        test.methods = methods
        return test

    return mark


class Checked:
    """The SDK's client; every answer is checked against the table."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            self.called.add(name)
            if answer is not None or not name.startswith("find_"):
                check(name, answer, answer_of(name))
            return answer

        return call


@pytest.fixture
def sdk(client: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    checked = Checked(client)
    yield checked
    missed = set(request.function.methods) - checked.called
    assert not missed, f"declared and not called: {missed}"


@pytest.fixture
def video(tmp_path: Path) -> Callable[..., str]:
    """Writes a short video whose container says H.264, as far as anybody asks before decoding it."""

    def write(name: str = "clip.mp4", codec: str = "avc1", frames: int = 12) -> str:
        import cv2
        import numpy as np

        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
        for number in range(frames):
            writer.write(np.full((48, 64, 3), number * 10, np.uint8))
        writer.release()
        if codec == "avc1":
            path.write_bytes(path.read_bytes().replace(b"mp4v", b"avc1").replace(b"esds", b"free"))
        return str(path)

    return write


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, bytes], str]:
    def write(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return str(path)

    return write


def test_no_method_is_forgotten() -> None:
    assert http_methods() == set(COVERED)
    for method in http_methods():
        kind = answer_of(method).strip("[]")
        assert kind in THINGS or kind in {"id", "map", "count", "bool", "none", "downloaded"}, method


def project(sdk: Any, slug: str, type: str, *classes: tuple[str, str]) -> str:
    sdk.create_project(type=type, name=slug, slug=slug)
    for kind, value in classes:
        sdk.create_annotation(slug, kind, value, value.title())
    return slug


def lifecycle(sdk: Any, slug: str, modality: str, task_id: str, name: str, **changes: Any) -> dict[str, Any]:
    """Find, find by name, list and update a task; answers it as it is afterwards."""
    found = getattr(sdk, f"find_{modality}_task")(task_id)
    if hasattr(sdk._client, f"find_{modality}_task_by_name"):
        by_name = getattr(sdk, f"find_{modality}_task_by_name")
        assert by_name(slug, name)["id"] == task_id
        assert by_name(slug, "nothing of this name") is None
    (listed,) = getattr(sdk, f"get_{modality}_tasks")(slug)
    assert listed["id"] == found["id"] == task_id and found["name"] == name
    if hasattr(sdk._client, f"update_{modality}_task"):
        updated = getattr(sdk, f"update_{modality}_task")(task_id, status="approved", tags=["done"], **changes)
        assert updated == task_id
        found = getattr(sdk, f"find_{modality}_task")(task_id)
        assert (found["status"], found["tags"]) == ("approved", ["done"])
    return found  # type: ignore[no-any-return]


def four(modality: str) -> tuple[str, ...]:
    verbs = ("find_{}_task", "find_{}_task_by_name", "get_{}_tasks", "create_{}_task", "update_{}_task")
    return tuple(verb.format(modality) for verb in verbs)


@covers(*four("image"), "create_project", "create_annotation", "update_task", "delete_task_annotations", "delete_task")
def test_images(sdk: Any, picture: Callable[..., str]) -> None:
    slug = project(sdk, "zoo", "image_bbox", ("bbox", "cat"))
    box = {"type": "bbox", "value": "cat", "points": [1, 2, 3, 4]}
    task_id = sdk.create_image_task(slug, "猫 1.jpg", picture(), annotations=[dict(box)])
    found = lifecycle(sdk, slug, "image", task_id, "猫 1.jpg", annotations=[{**box, "points": [5, 6, 7, 8]}])
    assert found["annotations"][0]["points"] == [5, 6, 7, 8]
    assert set(found["annotations"][0]) >= {"type", "title", "value", "color", "attributes", "points", "rotation"}
    sdk.update_task(task_id, priority=30, assignee="sato")
    sdk.delete_task_annotations(task_id)
    found = sdk.find_image_task(task_id)
    assert (found["annotations"], found["priority"], found["assignee"]) == ([], 30, "佐藤 葵")
    sdk.delete_task(task_id)
    assert sdk.get_image_tasks(slug) == []


CLASSIFIED = [
    ("image", "picture.jpg"),
    ("multi_image", "many"),
    ("video", "clip.mp4"),
    ("text", "words.txt"),
    ("audio", "sound.wav"),
]


@pytest.mark.parametrize(("kind", "file"), CLASSIFIED)
@covers(
    *(method for kind, _ in CLASSIFIED for method in four(f"{kind}_classification")),
    "create_classification_annotation",
    "update_classification_annotation",
)
def test_classification(
    client: Any,
    kind: str,
    file: str,
    picture: Callable[..., str],
    video: Callable[..., str],
    written: Callable[[str, bytes], str],
) -> None:
    sdk = Checked(client)
    slug = "classes"
    sdk.create_project(type=f"{kind}_classification", name="Classes", slug=slug)
    class_id = sdk.create_classification_annotation(slug, [{"key": "kind", "name": "Kind", "type": "text"}])
    attributes = [{"key": "kind", "name": "Which", "type": "text"}, {"key": "size", "name": "Size", "type": "number"}]
    sdk.update_classification_annotation(class_id, attributes)
    if kind == "multi_image":
        paths = [picture(f"many/{name}") for name in ("b.jpg", "a.png")]
        paths.append(written("many/c.gif", b"GIF89a\x05\x00\x04\x00" + bytes(20)))
        given: dict[str, Any] = {"folder_path": str(Path(paths[0]).parent)}
    else:
        make = {"image": lambda: picture(file), "video": lambda: video(file)}
        given = {"file_path": make.get(kind, lambda: written(file, b"RIFF"))()}
    modality = f"{kind}_classification"
    sent = [{"key": "kind", "value": "tabby"}]
    task_id = getattr(sdk, f"create_{modality}_task")(slug, name=file, attributes=list(sent), **given)
    found = lifecycle(sdk, slug, modality, task_id, file, attributes=[{"key": "size", "value": 3}])
    assert sdk.called >= {*four(modality), "create_classification_annotation", "update_classification_annotation"}
    assert found["attributes"] == [{"key": "size", "name": "Size", "type": "number", "value": 3}]
    assert "annotations" not in found
    if kind == "multi_image":
        assert "url" not in found
        sizes = [(one["name"], one["width"], one["height"]) for one in found["contents"]]
        assert sizes == [("a.png", 70, 50), ("b.jpg", 70, 50), ("c.gif", 5, 4)]
        found["url"] = found["contents"][2]["url"]
        given["file_path"] = paths[2]
    assert requests.get(found["url"], timeout=10).content == Path(given["file_path"]).read_bytes()


@covers(*four("sequential_image"))
def test_sequential_images(sdk: Any, picture: Callable[..., str]) -> None:
    slug = project(sdk, "frames", "sequential_image_bbox", ("bbox", "cat"))
    pictures = [picture(f"seq/{name}.jpg") for name in ("01", "02", "03")]
    folder = str(Path(pictures[0]).parent)
    box = {"type": "bbox", "value": "cat", "points": [1, 2, 3, 4], "content": "02.jpg"}
    task_id = sdk.create_sequential_image_task(slug, "walk", folder, annotations=[dict(box)])
    found = lifecycle(sdk, slug, "sequential_image", task_id, "walk", annotations=[{**box, "content": "03.jpg"}])
    assert sorted(one["name"] for one in found["contents"]) == ["01.jpg", "02.jpg", "03.jpg"]
    assert all(set(one) == {"name", "url", "width", "height"} for one in found["contents"])
    assert found["annotations"][0]["content"] == "03.jpg"
    assert requests.get(found["contents"][0]["url"], timeout=10).content.startswith(b"\xff\xd8")
    with pytest.raises(Exception, match="Content is not found"):
        sdk.create_sequential_image_task(slug, "lost", folder, annotations=[{**box, "content": "99.jpg"}])
    with pytest.raises(Exception, match="Content is not found"):
        sdk.update_sequential_image_task(task_id, annotations=[{**box, "content": "99.jpg"}])


@covers(*four("video"))
def test_videos(sdk: Any, video: Callable[..., str]) -> None:
    slug = project(sdk, "clips", "video_bbox", ("bbox", "cat"))
    track = {"1": {"value": [1, 2, 3, 4], "autogenerated": False}, "2": {"value": [2, 2, 4, 4], "autogenerated": True}}
    annotation = {"type": "bbox", "value": "cat", "points": track}
    task_id = sdk.create_video_task(slug, "clip.mp4", video(), annotations=[dict(annotation)])
    found = lifecycle(sdk, slug, "video", task_id, "clip.mp4")
    assert [found[key] for key in ("width", "height", "fps", "frameCount", "duration")] == [64, 48, 10.0, 12, 1.2]
    assert found["annotations"][0]["points"] == track
    wrong = {**annotation, "points": {"0": {"value": [1, 2, 3, 4]}}}
    with pytest.raises(Exception, match="a frame is a number of 1 or more"):
        sdk.update_video_task(task_id, annotations=[wrong])


@covers(*four("text"), *four("audio"))
def test_texts_and_sounds(sdk: Any, written: Callable[[str, bytes], str]) -> None:
    slug = project(sdk, "words", "text_ner", ("ner", "cat"))
    ner = {"type": "ner", "value": "cat", "text": "0123456789", "start": 0, "end": 10}
    task_id = sdk.create_text_task(slug, "a.txt", written("a.txt", "猫は寝る".encode()), annotations=[dict(ner)])
    (one,) = lifecycle(sdk, slug, "text", task_id, "a.txt")["annotations"]
    assert {key: one[key] for key in ("text", "start", "end")} == {"text": "0123456789", "start": 0, "end": 10}
    assert "points" not in one

    slug = project(sdk, "sounds", "audio_segmentation", ("segmentation", "bird"))
    heard = {"type": "segmentation", "value": "bird", "start": 0.4, "end": 0.5}
    task_id = sdk.create_audio_task(slug, "a.mp3", written("a.mp3", b"ID3"), annotations=[dict(heard)])
    (one,) = lifecycle(sdk, slug, "audio", task_id, "a.mp3")["annotations"]
    assert (one["start"], one["end"]) == (0.4, 0.5) and "points" not in one
    with pytest.raises(Exception, match="start first"):
        sdk.update_audio_task(task_id, annotations=[{**heard, "start": 2}])


@covers("find_multi_modal_video_audio_task", "get_multi_modal_video_audio_tasks")
def test_multi_modal_tasks_are_read_only(sdk: Any, sandbox: Sandbox, video: Callable[..., str]) -> None:
    slug = project(sdk, "films", "multi_modal_video_audio", ("segmentation", "speech"))
    speech = {"type": "segmentation", "value": "speech", "start": 1, "end": 2.5}
    file = {"film.mp4": Path(video())}
    (task_id,) = sandbox.state.add_tasks(slug, [{"name": "film.mp4", "annotations": [speech]}], file)
    found = lifecycle(sdk, slug, "multi_modal_video_audio", task_id, "film.mp4")
    assert found["annotations"][0]["end"] == 2.5


@covers(*four("pcd"), *four("sequential_pcd"), "import_appendix_file", "get_appendix_data", "get_task_appendix_data")
def test_point_clouds_and_their_calibrations(
    sdk: Any, sandbox: Sandbox, picture: Callable[..., str], written: Callable[[str, bytes], str], tmp_path: Path
) -> None:
    slug = project(sdk, "clouds", "pcd_cuboid", ("cuboid", "car"))
    nine = [1, 2, 3, 0, 0, 0.5, 2, 2, 4]
    cuboid = {"type": "cuboid", "value": "car", "points": nine}
    task_id = sdk.create_pcd_task(slug, "1.pcd", written("1.pcd", b"# .PCD"), annotations=[dict(cuboid)])
    assert lifecycle(sdk, slug, "pcd", task_id, "1.pcd")["annotations"][0]["points"] == nine
    with pytest.raises(Exception, match="not valid for the annotation type cuboid"):
        sdk.update_pcd_task(task_id, annotations=[{**cuboid, "points": nine[:8]}])

    slug = project(sdk, "drives", "sequential_pcd_cuboid", ("cuboid", "car"))
    clouds = [written(f"seq/{name}.pcd", b"# .PCD") for name in "12"]
    folder = str(Path(clouds[0]).parent)
    track = {"1": {"value": nine, "autogenerated": False}}
    sent = [{**cuboid, "points": track}]
    task_id = sdk.create_sequential_pcd_task(slug, "drive", folder, annotations=sent)
    found = lifecycle(sdk, slug, "sequential_pcd", task_id, "drive")
    assert found["annotations"][0]["points"] == track and found["annotations"][0]["id"]
    assert "url" not in found

    archive = tmp_path / "calibration.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.write(picture("1.png"), "drive/1.pcd/000001.png")
        zipped.writestr("drive/1.pcd/000001.yaml", "fx: 1.5\n")
        zipped.write(picture("2.png"), "drive/2.pcd/000002.png")
        zipped.write(picture("3.png"), "unknown/2.pcd/000002.png")
    history = sdk.import_appendix_file(slug, str(archive))
    assert (history["storageType"], history["status"], sdk.get_appendix_data(slug)) == ("zip", "running", [])
    sandbox.state.clock.advance(31)
    first, second = sdk.get_appendix_data(slug)
    assert first["imageFileName"] == "drive/1.pcd/000001.png"
    assert (first["calibrationFileName"], first["format"]) == ("drive/1.pcd/000001.yaml", "yml")
    assert first["calibration"] == "fx: 1.5\n"
    assert (second["calibrationFileName"], second["calibration"], second["format"]) == (None, None, "none")
    assert requests.get(first["url"], timeout=10).content == (tmp_path / "1.png").read_bytes()
    assert [one["name"] for one in sdk.get_task_appendix_data(slug, task_name="drive", limit=1)] == [
        "drive/1.pcd/000001.png"
    ]
    assert sdk.get_appendix_data(slug, status="declined") == sdk.get_task_appendix_data(slug, task_name="x") == []


@covers(*four("dicom"), "find_history", "get_histories")
def test_dicom(sdk: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    slug = project(sdk, "scans", "dicom_bbox", ("bbox", "heart"))
    header = bytes(128) + b"DICM" + b"\x28\x00\x10\x00US\x02\x00\x00\x02" + b"\x28\x00\x11\x00US\x02\x00\x80\x01"
    archive = tmp_path / "心臓 scan.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("series/1.dcm", header)
    history = sdk.create_dicom_task(slug, str(archive), tags=["heart"])
    assert (history["status"], sdk.get_dicom_tasks(slug)) == ("running", [])
    sandbox.state.clock.advance(31)
    assert sdk.find_history(history["id"])["status"] == "completed"
    assert [one["id"] for one in sdk.get_histories(slug)] == [history["id"]]
    (task,) = sdk.get_dicom_tasks(slug)
    found = lifecycle(sdk, slug, "dicom", task["id"], "心臓 scan.zip")
    assert (found["width"], found["height"]) == (384, 512)
    assert requests.get(found["url"], timeout=10).content == archive.read_bytes()
    box = {"type": "bbox", "value": "heart", "points": [1, 2, 3, 4], "contentId": "one"}
    sandbox.state.update_task(task["id"], annotations=[box])
    assert sdk.find_dicom_task(task["id"])["annotations"][0]["contentId"] == "one"
    archive.write_bytes(b"no zip at all")
    history = sdk.create_dicom_task(slug, str(archive))
    sandbox.state.clock.advance(31)
    assert sdk.find_history(history["id"])["status"] == "failed"


@covers(*four("robotics"), "import_robotics_contents_file", "import_lerobot")
def test_robotics(sdk: Any, sandbox: Sandbox, video: Callable[..., str], tmp_path: Path) -> None:
    slug = project(sdk, "robots", "robotics_task_classification", ("sub_task", "grab"))
    task_id = sdk.create_robotics_task(slug, "episode", operator="R2", priority=10)
    grab = {"type": "sub_task", "value": "grab", "start": 13, "end": 18}
    found = lifecycle(sdk, slug, "robotics", task_id, "episode", annotations=[grab], operator="C3")
    assert found["roboticsOperator"] == "C3" and "url" not in found
    (one,) = found["annotations"]
    assert {**one, "id": "", "color": ""} == {
        **{"id": "", "type": "sub_task", "title": "Grab", "value": "grab", "color": "", "attributes": []},
        **{"points": [13, 18], "rotation": 0, "keypoints": [], "confidenceScore": -1},
    }
    archive = tmp_path / "episode.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.write(video("top.mp4", codec="mp4v"), "images_top.mp4")
        zipped.writestr("episode.json", "[]")
    sdk.import_robotics_contents_file(slug, str(archive))
    sandbox.state.clock.advance(31)
    (content,) = sdk.find_robotics_task(task_id)["contents"]
    assert (content["name"], content["width"], content["height"]) == ("images_top.mp4", 64, 48)
    assert requests.get(content["url"], timeout=10).content == (tmp_path / "top.mp4").read_bytes()

    results = sdk.import_lerobot(slug, str(_lerobot(tmp_path / "data", video)))
    assert [one["success"] for one in results] == [True], results
    sandbox.state.clock.advance(31)
    imported = sdk.find_robotics_task_by_name(slug, results[0]["episode"])
    assert [one["name"] for one in imported["contents"]] == ["images_top.mp4"]


def _lerobot(folder: Path, video: Callable[..., str]) -> Path:
    """A LeRobot data set, version 3, of one episode."""
    import pandas as pd

    features = {key: {"names": ["x", "y"]} for key in ("observation.state", "action")}
    for name in ("meta/episodes/chunk-000", "data/chunk-000", "videos/observation.images.top/chunk-000"):
        (folder / name).mkdir(parents=True)
    (folder / "meta/info.json").write_text(json.dumps({"fps": 10, "features": features}))
    row = {"episode_index": 0, "length": 4, "data/chunk_index": 0, "data/file_index": 0}
    where = {"chunk_index": 0, "file_index": 0, "from_timestamp": 0.0, "to_timestamp": 0.4}
    row |= {f"videos/observation.images.top/{key}": value for key, value in where.items()}
    pd.DataFrame([row]).to_parquet(folder / "meta/episodes/chunk-000/file-000.parquet")
    frames = [
        {
            "episode_index": 0,
            "frame_index": n,
            "timestamp": n / 10,
            "observation.state": [0.0, 1.0],
            "action": [0.0, 1.0],
        }
        for n in range(4)
    ]
    pd.DataFrame(frames).to_parquet(folder / "data/chunk-000/file-000.parquet")
    Path(video("all.mp4", codec="mp4v")).replace(folder / "videos/observation.images.top/chunk-000/file-000.mp4")
    return folder


@covers(
    "create_integrated_image_task",
    "create_integrated_image_classification_task",
    "update_aws_s3_storage",
    "create_task_from_aws_s3",
    "get_aws_s3_import_status_by_project",
    *(f"find_integrated_{kind}_task_by_prefix" for kind in ("image", "video", "audio")),
)
def test_storages_and_split_tasks(
    sdk: Any,
    sandbox: Sandbox,
    picture: Callable[..., str],
    video: Callable[..., str],
    written: Callable[[str, bytes], str],
) -> None:
    slug = project(sdk, "zoo", "image_bbox", ("bbox", "cat"))
    box = {"type": "bbox", "value": "cat", "points": [1, 2, 3, 4]}
    with pytest.raises(Exception, match="not configured"):
        sdk.create_integrated_image_task(slug, "aws-s3", "in/a.jpg")
    sdk.update_aws_s3_storage(slug, "bucket", "ap-northeast-1")
    folder = sandbox.state.data / "buckets" / "bucket" / "in"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(Path(picture()).read_bytes())
    task_id = sdk.create_integrated_image_task(slug, "aws-s3", "in/a.jpg", annotations=[dict(box)])
    found = sdk.find_image_task(task_id)
    assert (found["name"], found["width"], len(found["annotations"])) == ("in/a.jpg", 70, 1)
    with pytest.raises(Exception, match="no such file"):
        sdk.create_integrated_image_task(slug, "aws-s3", "../../../a.jpg")
    sdk.create_task_from_aws_s3(slug)
    assert sdk.get_aws_s3_import_status_by_project(slug)["storageType"] == "awsS3"

    for number in range(1, 5):
        sdk.create_image_task(slug, f"image/cat/{number}.jpg", picture(), annotations=[dict(box)])
    merged = sdk.find_integrated_image_task_by_prefix(slug, "image/cat")
    assert merged["name"] == "image/cat.jpg"
    assert [one["points"] for one in merged["annotations"]] == [
        [1, 2, 3, 4],
        [71, 2, 73, 4],
        [1, 52, 3, 54],
        [71, 52, 73, 54],
    ]
    keys = {"attributes", "color", "confidenceScore", "keypoints", "points", "rotation", "title", "type", "value"}
    assert all(set(one) == keys for one in merged["annotations"])
    with pytest.raises(Exception, match="not found"):
        sdk.find_integrated_image_task_by_prefix(slug, "image/dog")

    slug = project(sdk, "clips", "video_bbox", ("bbox", "cat"))
    track = {"1": {"value": [1, 2, 3, 4], "autogenerated": False}}
    for number in (1, 2):
        sdk.create_video_task(slug, f"video/cat/{number}.mp4", video(), annotations=[{**box, "points": track}])
    merged = sdk.find_integrated_video_task_by_prefix(slug, "video/cat")
    assert (merged["name"], merged["frameCount"], merged["duration"]) == ("video/cat.mp4", 24, 2.4)
    assert [list(one["points"]) for one in merged["annotations"]] == [["1"], ["13"]]

    slug = project(sdk, "sounds", "audio_segmentation", ("segmentation", "bird"))
    heard = {"type": "segmentation", "value": "bird", "start": 0.4, "end": 0.5}
    sdk.create_audio_task(slug, "audio/voice/1.mp3", written("a.mp3", b"ID3"), annotations=[heard])
    merged = sdk.find_integrated_audio_task_by_prefix(slug, "audio/voice")
    assert merged["name"] == "audio/voice.mp3" and merged["annotations"][0]["end"] == 0.5

    sdk.create_project(type="image_classification", name="Kinds", slug="kinds")
    sdk.create_classification_annotation("kinds", [{"key": "kind", "name": "Kind", "type": "text"}])
    sdk.update_aws_s3_storage("kinds", "bucket", "ap-northeast-1")
    attributes = [{"key": "kind", "value": "tabby"}]
    task_id = sdk.create_integrated_image_classification_task("kinds", "in/a.jpg", "aws-s3", attributes=attributes)
    assert sdk.find_image_classification_task(task_id)["attributes"][0]["value"] == "tabby"


@covers("get_task_id_name_map", "count_tasks", "get_tags", "add_task_tags", "remove_task_tags", "delete_tags")
def test_counts_maps_and_tags(sdk: Any, picture: Callable[..., str]) -> None:
    slug = project(sdk, "zoo", "image_bbox")
    task_id = sdk.create_image_task(slug, "a.jpg", picture())
    assert sdk.get_task_id_name_map(slug) == {task_id: "a.jpg"}
    assert (sdk.add_task_tags(slug, [task_id], ["x", "y"]), sdk.add_task_tags(slug, [task_id], ["x"])) == (1, 0)
    assert (sdk.remove_task_tags(slug, [task_id], ["y", "unknown"]), sdk.count_tasks(slug, tags=["x"])) == (1, 1)
    sdk.delete_tags([one["id"] for one in sdk.get_tags(slug)])
    assert sdk.get_tags(slug) == [] and sdk.find_image_task(task_id)["tags"] == []


@covers("find_annotation", "find_annotation_by_value", "get_annotations", "update_annotation", "delete_annotation")
def test_annotation_classes(sdk: Any) -> None:
    slug = project(sdk, "zoo", "image_all", ("bbox", "cat"), ("polygon", "roof"))
    cat = sdk.find_annotation_by_value(slug, "cat")
    sdk.update_annotation(cat["id"], title="猫", color="#00ff00", max_area_count=None)
    assert sdk.find_annotation(cat["id"])["title"] == "猫"
    sdk.delete_annotation(cat["id"])
    assert [one["value"] for one in sdk.get_annotations(slug)] == ["roof"]


@covers(
    *("find_project", "find_project_by_slug", "get_projects", "get_project_id_slug_map", "update_project"),
    *("update_project_metadata", "copy_project", "delete_project", "get_metadatas", "update_project_user_permission"),
    *("export_coco", "export_yolo", "export_pascalvoc"),
)
def test_projects(sdk: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    slug = project(sdk, "zoo", "image_bbox", ("bbox", "cat"))
    first = sdk.find_project_by_slug(slug)
    sdk.update_project(first["id"], name="動物園", job_size=20)
    sdk.update_project_metadata(first["id"], "a", "b", "c")
    copied = sdk.copy_project(first["id"], project_slug="zoo-2")
    assert sdk.get_project_id_slug_map() == {first["id"]: "zoo", copied: "zoo-2"}
    assert [one["name"] for one in sdk.get_projects(slug="zoo")] == ["動物園"]
    sdk.delete_project(copied)
    assert sdk.find_project(first["id"])["jobSize"] == 20

    sandbox.state.metadatas.create("place", project=slug, type="select", options=["in", "out"])
    sandbox.state.metadatas.create("customer", is_admin=True)
    assert [one["key"] for one in sdk.get_metadatas(slug)] == ["place"]
    assert [one["isAdmin"] for one in sdk.get_metadatas()] == [True]
    changes = [sdk.update_project_user_permission(slug, "sato@example.com", "reviewer") for _ in range(2)]
    assert changes == [True, False]

    (sandbox.state.add_tasks(slug, [{"name": "a.jpg", "width": 9, "height": 9, "annotations": []}]))
    tasks = sdk.get_image_tasks(slug)
    sdk.export_coco(slug, tasks, output_dir=str(tmp_path / "coco"))
    sdk.export_yolo(slug, tasks, output_dir=str(tmp_path / "yolo"))
    sdk.export_pascalvoc(slug, tasks, output_dir=str(tmp_path / "voc"))


@covers(
    *("find_dataset", "get_datasets", "create_dataset", "update_dataset", "delete_dataset", "find_dataset_object"),
    *("get_dataset_objects", "create_dataset_object", "update_dataset_object", "delete_dataset_object"),
    *("download_dataset_objects", "execute_training_job", "find_training_job", "get_training_jobs"),
    *("execute_evaluation_job", "find_evaluation_job", "get_evaluation_jobs"),
)
def test_datasets_and_models(sdk: Any, sandbox: Sandbox, picture: Callable[..., str], tmp_path: Path) -> None:
    dataset = sdk.create_dataset("street", tags=["a"], visibility="organization")
    sdk.update_dataset(dataset["id"], name="streets", tags=["b"])
    assert sdk.find_dataset(dataset["id"])["tags"] == ["b"]
    assert len(sdk.get_datasets(keyword="street", tags=["b"], visibility="organization")) == 1
    box = {"type": "bbox", "value": "car", "points": [1, 2, 3, 4]}
    sdk.create_dataset_object("streets", "a/b c.jpg", picture(), annotations=[box], licenses=["MIT"])
    sdk.update_dataset_object(dataset["id"], "a/b c.jpg", tags=["x"], custom_metadata={"k": "v"})
    sandbox.state.datasets.set_object_type(dataset["id"], "a/b c.jpg", "train")
    found = sdk.find_dataset_object(dataset["id"], "a/b c.jpg")
    assert (found["customMetadata"], found["tags"], found["annotations"][0]["points"]) == (
        {"k": "v"},
        ["x"],
        box["points"],
    )
    assert [len(sdk.get_dataset_objects("streets", types=[kind])) for kind in ("train", "test")] == [1, 0]
    sdk.create_dataset_object("streets", "plain.jpg", picture())
    downloaded = sdk.download_dataset_objects("streets", str(tmp_path / "out"), types=["none"])
    assert [one["name"] for one in downloaded] == ["plain.jpg"]

    job = sdk.execute_training_job("streets", "fastlabel_object_detection_light", 10)
    sandbox.state.clock.advance(601)
    model = sdk.find_training_job(job["trainingJobId"])["customModel"]["modelName"]
    assert len(sdk.get_training_jobs()) == 1
    evaluation = sdk.execute_evaluation_job("streets", model)
    assert sdk.find_evaluation_job(evaluation["id"])["id"] == sdk.get_evaluation_jobs()[0]["id"]
    sdk.delete_dataset_object(dataset["id"], "plain.jpg")
    sdk.delete_dataset(dataset["id"])
    assert sdk.get_datasets() == []


@covers(
    *("execute_auto_annotation_job", "get_auto_annotation_jobs", "execute_endpoint"),
    "create_model_monitoring_request_results",
)
def test_models_at_work(sdk: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    import base64

    sandbox.seed(tasks=1)
    sdk.execute_auto_annotation_job("street-scenes", "Computer Vision - 汎用")
    assert len(sdk.get_auto_annotation_jobs("street-scenes")) == 1
    (task,) = sdk.get_image_tasks("street-scenes")
    (tmp_path / "scene.jpg").write_bytes(requests.get(task["url"], timeout=10).content)
    answer = sdk.execute_endpoint("any", str(tmp_path / "scene.jpg"))
    assert answer["json"]["result"] and all(0 < one["confidenceScore"] <= 1 for one in answer["json"]["result"])
    assert base64.b64decode(answer["file"].split("base64,")[1]).startswith(b"\x89PNG")
    result = {"status": "success", "result": [{"value": "cat", "confidenceScore": 0.9}]}
    sdk.create_model_monitoring_request_results("m", [{**result, "requestAt": "2023-05-08T12:10:53+09:00"}])
    with pytest.raises(Exception, match="ISO 8601"):
        sdk.create_model_monitoring_request_results("m", [{**result, "requestAt": "yesterday"}])


@covers(
    *("get_project_comments", "get_task_comments", "create_task_comment", "update_task_comment", "delete_task_comment")
)
def test_comments(sdk: Any, picture: Callable[..., str]) -> None:
    slug = project(sdk, "frames", "sequential_image_bbox", ("bbox", "cat"))
    folder = str(Path(picture("seq/01.jpg")).parent)
    task_id = sdk.create_sequential_image_task(slug, "walk", folder)
    comment = sdk.create_task_comment(task_id, [1.5, 2], "ここ", content_name="01.jpg", frame=1)
    assert (comment["contentName"], comment["status"], comment["threads"][0]["text"]) == ("01.jpg", "todo", "ここ")
    replied = sdk.create_task_comment(comment_id=comment["id"], text="done")
    first, second = replied["threads"]
    assert sdk.update_task_comment(second["id"], "really done")["threads"][1]["text"] == "really done"
    assert [one["id"] for one in sdk.get_task_comments(slug, task_id)] == [comment["id"]]
    texts = [(one["text"], one["comment"]["id"]) for one in sdk.get_project_comments(slug, status="registered")]
    assert texts == [("ここ", comment["id"]), ("really done", comment["id"])]
    assert "threads" not in sdk.get_project_comments(slug)[0]["comment"]
    assert sdk.get_project_comments(slug, status="approved") == []
    for thread in (first, second):
        sdk.delete_task_comment(thread["id"])
    assert sdk.get_task_comments(slug, task_id) == [], "a comment goes with its last thread"
    with pytest.raises(Exception, match="Content is not found"):
        sdk.create_task_comment(task_id, [1, 2], "x", content_name="99.jpg")


@covers(
    *("get_workspace_users", "create_workspace_user", "update_workspace_user", "delete_workspace_user"),
    *("create_workspace_user_module_permissions", "delete_workspace_user_module_permissions"),
)
def test_people(sdk: Any) -> None:
    made = sdk.create_workspace_user("Mori", "mori@example.com", "ja", "member")
    assert made["functionResourcePermissions"] == {"annotation": False, "modelDev": False, "dataset": False}
    sdk.create_workspace_user_module_permissions("mori@example.com", ["annotation", "modelDev", "dataset"])
    sdk.delete_workspace_user_module_permissions("mori@example.com", "dataset")
    (found,) = sdk.get_workspace_users(keyword="MORI")
    assert found["functionResourcePermissions"] == {"annotation": True, "modelDev": True, "dataset": False}
    assert sdk.update_workspace_user("mori@example.com", "owner")["role"] == "owner"
    sdk.delete_workspace_user("mori@example.com")
    assert sdk.get_workspace_users(keyword="mori") == []
    assert len(sdk.get_workspace_users()) == 6
    with pytest.raises(Exception, match="needs an owner"):
        sdk.update_workspace_user("admin@example.com", "none")
    with pytest.raises(Exception, match="not found"):
        sdk.update_workspace_user("mori@example.com", "owner")
