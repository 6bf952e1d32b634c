"""Projects of videos, texts and classified pictures in Dagster: mirrored, downloaded, exported, checked."""

from __future__ import annotations

import json

import cv2
import numpy as np

VIDEO = {"width": 64, "height": 48, "fps": 10.0, "frameCount": 4, "duration": 0.4}


def clip(path) -> bytes:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for number in range(4):
        writer.write(np.full((48, 64, 3), 40 * number, np.uint8))
    writer.release()
    return path.read_bytes()


def test_project_of_videos_becomes_frames(make_project, sandbox, tmp_path):
    sandbox.state.create_project("clips", type="video_bbox")
    sandbox.state.create_class("clips", "bbox", "cat")
    track = {"type": "bbox", "value": "cat", "points": {"2": {"value": [1, 2, 30, 40]}, "3": {"value": [2, 2, 30, 40]}}}
    task = {"name": "walk.mp4", **VIDEO, "status": "approved", "annotations": [track]}
    sandbox.state.add_tasks("clips", [task], {"walk.mp4": clip(tmp_path / "walk.mp4")})
    project = make_project(slug="clips", options={"dataset": None, "training": None})
    result = project.run()
    assert result.success
    assert all(project.checks(result).values())
    assert project.metadata("images")["downloaded"] == 1
    assert project.metadata("annotations")["contact_sheet"].startswith(
        "![pictures of tasks with their annotations](data:"
    )
    document = json.loads((project.store / "coco" / "annotations.json").read_bytes())
    assert [image["file_name"] for image in document["images"]] == [f"walk_{number}.jpg" for number in range(4)]
    assert all((project.store / "coco" / "images" / image["file_name"]).is_file() for image in document["images"])
    assert len(document["annotations"]) == 2
    assert project.run().success
    assert project.metadata("images")["kept"] == 1
    assert project.metadata("coco")["unchanged"] is True


def test_project_of_texts_becomes_documents(make_project, sandbox):
    sandbox.state.create_project("words", type="text_ner")
    sandbox.state.create_class("words", "ner", "ORG")
    span = {"type": "ner", "value": "ORG", "text": "FastLabel", "start": 3, "end": 12}
    sandbox.state.add_tasks("words", [{"name": "a.txt", "annotations": [span]}], {"a.txt": b"At FastLabel."})
    project = make_project(slug="words", options={"dataset": None, "training": None, "exports": ["spacy"]})
    result = project.run()
    assert result.success
    assert all(project.checks(result).values())
    (file,) = (project.store / "spacy").glob("*.jsonl")
    assert json.loads(file.read_text())["text"] == "At FastLabel."
    assert "**FastLabel** `ORG`" in project.metadata("annotations")["text_preview"]


def test_classified_tasks_are_not_empty(make_project, sandbox):
    """All they have is attributes."""
    sandbox.state.create_project("sorted", type="image_classification")
    picture = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    kind = {"key": "kind", "type": "radio", "value": "cat"}
    task = {"name": "a.png", "status": "approved", "attributes": [kind]}
    sandbox.state.add_tasks("sorted", [task], {"a.png": picture}, validate=False)
    project = make_project(slug="sorted", options={"dataset": None, "training": None})
    result = project.run()
    assert result.success
    assert all(project.checks(result).values())
    sandbox.state.update_task(sandbox.state.task_ids("sorted")[0], attributes=[])
    result = project.run()
    assert [name for name, passed in project.checks(result).items() if not passed]
