"""Seeds: the same every time, nothing of a dataset lost, and clear words when there is nothing to seed from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import requests

from fastlabel_dagster.sandbox import Sandbox, SandboxError
from fastlabel_dagster.sandbox.detect import find_shapes
from fastlabel_dagster.sandbox.drawing import HEIGHT, WIDTH, draw_scene
from fastlabel_dagster.sandbox.scene_classes import CLASSES
from fastlabel_dagster.sandbox.seed import seed, seed_bulk, seed_dataset, seed_drawn
from fastlabel_dagster.sandbox.state import SandboxState

Http = Callable[..., requests.Response]


def all_tasks(state: SandboxState, project: str) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = json.loads(state.tasks.page(project, "image", lambda key: key, limit=-1))
    return tasks


def test_drawn_scenes_are_the_same_every_time_and_hold_every_type(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        with SandboxState(tmp_path / name) as state:
            report = seed_drawn(state)
            assert (report.tasks, report.approved, report.created) == (240, 61, True)
            tasks = all_tasks(state, "street-scenes")
            classes = [{**one, "createdAt": 0, "updatedAt": 0} for one in state.classes.listed("street-scenes")]
            found.append((tasks, classes))
            again = seed_drawn(state)
            assert not again.created and "already there" in str(again)
            assert all_tasks(state, "street-scenes") == tasks
    assert found[0] == found[1]
    tasks, classes = found[0]
    kinds = Counter(one["type"] for task in tasks for one in task["annotations"])
    assert set(kinds) == {"bbox", "polygon", "segmentation", "line", "keypoint", "circle", "pose_estimation"}
    assert 6 < kinds.total() / len(tasks) < 11
    assert any(not task["annotations"] for task in tasks)
    assert any("/" in task["name"] for task in tasks) and any(not task["name"].isascii() for task in tasks)
    assert any(
        len(region) > 1
        for task in tasks
        for one in task["annotations"]
        if one["type"] == "segmentation"
        for region in one["points"]
    ), "a hole somewhere"
    assert len({one["color"] for one in classes}) == len(classes) == len(CLASSES)
    declared = {attribute["type"] for one in classes for attribute in one["attributes"]}
    assert declared == {"text", "number", "select", "radio", "checkbox", "switch"}
    assert {"registered", "completed", "approved", "sent_back"} <= {task["status"] for task in tasks}


def test_another_seed_gives_other_pictures(tmp_path: Path) -> None:
    with SandboxState(tmp_path) as state:
        seed_drawn(state, "a", tasks=3, seed=1)
        seed_drawn(state, "b", tasks=3, seed=2)
        a, b = (all_tasks(state, project) for project in ("a", "b"))
        assert [task["name"] for task in a] == [task["name"] for task in b]
        assert [task["url"] for task in a] != [task["url"] for task in b]
        assert seed_drawn(state, "none", tasks=0).tasks == 0


def test_annotations_lie_on_what_was_drawn() -> None:
    """The eye of another method: coloured patches found in the pixels overlap the boxes of cars and trucks."""
    classes = [one for one in CLASSES if one["value"] in {"car", "truck"}]
    alone = 0
    for number in range(40):
        scene = draw_scene(number)
        boxes = [one for one in scene.annotations if one["value"] in {"car", "truck"}]
        if len(boxes) != 1:
            continue
        alone += 1
        (found,) = find_shapes(scene.pixels, classes)
        assert found["value"] == boxes[0]["value"]
        drawn, seen = np.array(boxes[0]["points"]), np.array(found["points"])
        overlap = np.prod(np.minimum(drawn[2:], seen[2:]) - np.maximum(drawn[:2], seen[:2]))
        union = sum(np.prod(box[2:] - box[:2]) for box in (drawn, seen)) - overlap
        assert overlap / union > 0.6
    assert alone >= 4


def test_scenes_stay_inside_their_picture() -> None:
    for number in range(60):
        scene = draw_scene(number)
        assert scene.pixels.shape == (HEIGHT, WIDTH, 3)
        for one in scene.annotations:
            if one["type"] == "bbox":
                x1, y1, x2, y2 = one["points"]
                assert 0 <= x1 < x2 <= WIDTH and 0 <= y1 < y2 <= HEIGHT
            elif one["type"] == "segmentation":
                for region in one["points"]:
                    for ring in region:
                        assert ring[:2] == ring[-2:]
                    areas = [cv2.contourArea(np.array(ring, np.float32).reshape(-1, 2), True) for ring in region]
                    assert areas[0] > 0 > areas[1], "the outline clockwise on screen, the hole against it"


def test_a_real_coco_folder_is_there_whole(sandbox: Sandbox, http: Http, coco_mini: Path) -> None:
    originals = [json.loads(path.read_text()) for path in sorted(coco_mini.glob("annotations/*.json"))]
    report = seed_dataset(sandbox.state, coco_mini)
    assert (report.project, report.created) == ("coco-mini", True)
    assert report.tasks == sum(len(one["images"]) for one in originals)
    assert report.annotations == sum(len(one["annotations"]) for one in originals)
    assert not seed_dataset(sandbox.state, coco_mini).created
    tasks = http("GET", "tasks/image", params={"project": "coco-mini", "limit": 1000}).json()
    by_name = {task["name"]: task for task in tasks}
    splits = Counter(tag for task in tasks for tag in task["tags"])
    assert splits == {"train": len(originals[0]["images"]), "val": len(originals[1]["images"])}
    classes = http("GET", "annotations", params={"project": "coco-mini", "limit": 1000}).json()
    ids: dict[str, int] = {}
    for one in classes:
        ids[one["value"]] = min(ids.get(one["value"], 10_000), one["order"])
    assert ids == {one["name"]: one["id"] for original in originals for one in original["categories"]}
    for original in originals:
        names = {one["id"]: one["name"] for one in original["categories"]}
        for image in original["images"]:
            task = by_name[image["file_name"]]
            assert (task["width"], task["height"]) == (image["width"], image["height"])
            wanted = Counter(
                names[one["category_id"]] for one in original["annotations"] if one["image_id"] == image["id"]
            )
            assert Counter(one["value"] for one in task["annotations"]) == wanted
    picture = next(coco_mini.rglob(tasks[0]["name"]))
    assert requests.get(tasks[0]["url"], timeout=10).content == picture.read_bytes()


def write_coco(folder: Path, names: list[str], **sizes: Any) -> None:
    folder.mkdir(parents=True)
    images = [{"id": number, "file_name": name, **sizes} for number, name in enumerate(names, 1)]
    annotations = [
        {"id": number, "image_id": number, "category_id": 7, "bbox": [1, 2, 3, 4], "iscrowd": 0}
        for number in range(1, len(names) + 1)
    ]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "bolt"}]}
    (folder / "labels.json").write_text(json.dumps(content))


def test_a_coco_folder_of_an_odd_shape(tmp_path: Path, picture: Callable[..., str]) -> None:
    """Annotations three folders down, pictures elsewhere, no sizes, one picture lost, one broken."""
    folder = tmp_path / "My Bolts (v2)"
    write_coco(folder / "export" / "coco" / "annotations", ["a.jpg", "b.jpg", "lost.jpg", "broken.jpg"])
    picture("My Bolts (v2)/pictures/day 1/a.jpg", width=21)
    picture("My Bolts (v2)/pictures/day 2/b.jpg", width=22)
    (folder / "pictures" / "broken.jpg").write_bytes(b"no picture")
    with SandboxState(tmp_path / "data") as state:
        report = seed(state, folder)
        assert (report.project, report.tasks, report.annotations) == ("my-bolts-v2", 2, 2)
        assert "2 tasks left out" in str(report)
        tasks = all_tasks(state, "my-bolts-v2")
        assert [(task["name"], task["width"], task["height"]) for task in tasks] == [
            ("a.jpg", 21, 50),
            ("b.jpg", 22, 50),
        ]
        assert [one["order"] for one in state.classes.listed("my-bolts-v2")] == [7]
        assert seed(state, folder, "first", tasks=1).tasks == 1


def test_a_yolo_folder(tmp_path: Path, picture: Callable[..., str]) -> None:
    folder = tmp_path / "yolo"
    for split, name in (("train", "a"), ("val", "b")):
        picture(f"yolo/images/{split}/{name}.jpg", width=100, height=50)
        (folder / "labels" / split).mkdir(parents=True)
        (folder / "labels" / split / f"{name}.txt").write_text("1 0.5 0.5 0.2 0.4\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [nut, bolt]\n")
    with SandboxState(tmp_path / "data") as state:
        report = seed_dataset(state, folder)
        assert (report.tasks, report.annotations) == (2, 2)
        for task in all_tasks(state, "yolo"):
            (box,) = task["annotations"]
            assert (box["type"], box["value"]) == ("bbox", "bolt")
            assert box["points"] == pytest.approx([40, 15, 60, 35])
            assert (task["width"], task["height"]) == (100, 50)
        assert sorted(tag for task in all_tasks(state, "yolo") for tag in task["tags"]) == ["train", "val"]


def test_nothing_to_seed_from_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_coco(tmp_path / "pictureless", ["a.jpg"], width=10, height=10)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "labels.json").write_text('{"images": [')
    with SandboxState(tmp_path / "data") as state:
        for name, message in (
            ("absent", "there is no folder"),
            ("empty", "no dataset found.*COCO.*YOLO"),
            ("pictureless", "no images found"),
            ("damaged", "cannot read the dataset"),
        ):
            with pytest.raises(SandboxError, match=message):
                seed_dataset(state, tmp_path / name)
            assert state.find_project(name) is None


def test_bulk_tasks_page_in_order(sandbox: Sandbox, http: Http) -> None:
    report = seed_bulk(sandbox.state, "bulk", tasks=2500, boxes=8)
    assert (report.tasks, report.annotations) == (2500, 20_000)
    names: list[str] = []
    for offset in (0, 1000, 2000, 3000):
        page = http("GET", "tasks/image", params={"project": "bulk", "limit": 1000, "offset": offset}).json()
        names += [task["name"] for task in page]
        for task in page:
            for one in task["annotations"]:
                x1, y1, x2, y2 = one["points"]
                assert 0 <= x1 < x2 <= 640 and 0 <= y1 < y2 <= 360
    assert names == [f"image_{number:06}.jpg" for number in range(2500)]


def test_seeded_annotations_pass_the_same_check_as_uploaded_ones(sandbox: Sandbox, http: Http) -> None:
    seed_drawn(sandbox.state, tasks=5)
    for task in http("GET", "tasks/image", params={"project": "street-scenes"}).json():
        sent = [
            {key: value for key, value in one.items() if key not in {"title", "color"}} for one in task["annotations"]
        ]
        assert http("PUT", f"tasks/image/{task['id']}", json={"annotations": sent}).status_code == 200
        assert http("GET", f"tasks/image/{task['id']}").json()["annotations"] == task["annotations"]
