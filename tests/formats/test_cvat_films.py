"""Videos as CVAT exports them: tracks of tasks, jobs and projects, and frames as pictures."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import pytest

from fastlabel_dagster import formats


class Task(NamedTuple):
    """A task of a project on a CVAT server; frames count from 0 in what it has of its video."""

    id: int
    subset: str
    source: str
    size: int
    start: int = 0
    step: int = 1
    mode: str = "interpolation"

    def meta(self):
        return (
            f"<task><id>{self.id}</id><name>task {self.id}</name><size>{self.size}</size><mode>{self.mode}</mode>"
            f"<overlap>5</overlap><bugtracker></bugtracker><subset>{self.subset}</subset>"
            f"<start_frame>{self.start}</start_frame><stop_frame>{self.start + self.step * self.size - 1}</stop_frame>"
            f"<frame_filter>{f'step={self.step}' if self.step > 1 else ''}</frame_filter><segments></segments>"
            f"<owner></owner><assignee></assignee><original_size><width>{100 * self.id}</width><height>48</height>"
            f"</original_size><source>{self.source}</source></task>"
        )


def project(tasks, boxes):
    """The file of a project. ``boxes``: task and frame of boxes that are there for one frame."""
    tasks = sorted(tasks, key=lambda task: (task.subset, task.id))
    offsets, reached, subset = {}, 0, None  # as CVAT's ProjectData counts frames
    for task in tasks:
        if task.subset != subset:
            reached, subset = 0, task.subset
        offsets[task] = reached
        reached += task.start + task.step * task.size
    tracks = ""
    for number, (task, frame) in enumerate(boxes):
        shown = frame * task.step + task.start + offsets[task]
        tracks += f'<track id="{number}" label="car" source="manual" task_id="{task.id}" subset="{task.subset}">'
        for keyframe, outside in ((shown, 0), (shown + task.step, 1)):
            tracks += (
                f'<box frame="{keyframe}" keyframe="1" outside="{outside}" occluded="0" xtl="{task.id}.00" '
                f'ytl="{frame}.00" xbr="90.00" ybr="40.00" z_order="0"></box>'
            )
        tracks += "</track>"
    return (
        "<annotations><version>1.1</version><meta><project><id>1</id><name>streets</name><bugtracker></bugtracker>"
        f"<tasks>{''.join(task.meta() for task in tasks)}</tasks><labels><label><name>car</name><color>#ff0000</color>"
        "<type>any</type><attributes></attributes></label></labels></project><dumped>today</dumped></meta>"
        f"{tracks}</annotations>"
    )


@pytest.fixture
def read(tmp_path):
    """A document, read."""

    def of(document):
        (tmp_path / "annotations.xml").write_text(document)
        return formats.read(tmp_path, format="cvat")

    return of


def seen(content):
    """Name and tags of each task, and what stands in its frames."""
    return {
        (task["name"], *task["tags"]): [
            (frame["frame"], frame["value"][:2]) for row in task["annotations"] for frame in row["frames"]
        ]
        for task in content.tasks.to_pylist()
    }


def test_each_task_of_a_project_is_its_own_video(read):
    one, two, three = Task(1, "train", "one.mp4", 20), Task(2, "train", "two.mp4", 10), Task(3, "val", "three.mp4", 5)
    content = read(project([three, one, two], [(one, 4), (two, 0), (three, 4), (two, 9), (one, 19)]))
    assert seen(content) == {
        ("one.mp4", "train"): [(5, [1, 4]), (20, [1, 19])],
        ("two.mp4", "train"): [(1, [2, 0]), (10, [2, 9])],
        ("three.mp4", "val"): [(5, [3, 4])],
    }
    sizes = {task["name"]: (task["width"], task["frame_count"]) for task in content.tasks.to_pylist()}
    assert sizes == {"one.mp4": (100, 20), "two.mp4": (200, 10), "three.mp4": (300, 5)}
    assert not content.report.noticed
    assert not content.report.dropped


def test_frames_are_those_of_the_video_also_where_a_task_takes_every_fifth(read):
    one, two = Task(1, "train", "one.mp4", 4, start=10, step=5), Task(2, "train", "two.mp4", 3, start=2)
    content = read(project([one, two], [(one, 1), (two, 0), (two, 2)]))
    assert seen(content) == {("one.mp4", "train"): [(16, [1, 1])], ("two.mp4", "train"): [(3, [2, 0]), (5, [2, 2])]}
    assert content.tasks["frame_count"].to_pylist() == [30, 5]


def test_a_video_without_a_track_is_a_task_too(read):
    one, two = Task(1, "train", "same.mp4", 4), Task(2, "train", "same.mp4", 4)
    pictures = Task(3, "train", "", 4, mode="annotation")
    content = read(project([one, two, pictures], [(one, 1)]))
    assert [len(task["annotations"]) for task in content.tasks.to_pylist()] == [1, 0]
    assert len(set(content.tasks["task_id"].to_pylist())) == 2
    job = "<meta><job><id>4</id><size>9</size><mode>interpolation</mode><start_frame>9</start_frame>"
    job += "<stop_frame>17</stop_frame></job><original_size><width>64</width><height>48</height></original_size></meta>"
    (task,) = read(f"<annotations>{job}</annotations>").tasks.to_pylist()
    assert [task[name] for name in ("name", "width", "height", "frame_count")] == ["annotations", 64, 48, 18]


def test_tasks_the_file_does_not_list_are_videos_of_their_own_too(read):
    one, two = Task(1, "train", "one.mp4", 4), Task(2, "train", "two.mp4", 4)
    document = project([one, two], [(one, 1), (two, 1)])
    head, _, tracks = document.partition("<meta>")
    content = read(head + tracks.partition("</meta>")[2])
    assert [[row["frames"][0]["value"][0] for row in task["annotations"]] for task in content.tasks.to_pylist()] == [
        [1],
        [2],
    ]
    assert len(set(content.tasks["task_id"].to_pylist())) == 2


def test_frames_as_pictures_find_theirs_though_they_are_named_without_an_ending(read, tmp_path):
    for place in ("images/train/frame_000000.PNG", "images/val/frame_000000.PNG", "images/train/frame_1.v.jpg"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / place), np.zeros((48, 64, 3), np.uint8))
    names = [("train", "frame_000000"), ("val", "frame_000000"), ("train", "frame_1.v"), ("val", "frame_1.v")]
    images = "".join(f'<image id="0" name="{name}" subset="{subset}" task_id="1"/>' for subset, name in names)
    tasks = read(f"<annotations>{images}</annotations>").tasks.to_pylist()
    assert [task["name"] for task in tasks] == [
        "train/frame_000000.PNG",
        "val/frame_000000.PNG",
        "frame_1.v.jpg",
        "frame_1.v",
    ]
    assert [task["url"] and task["url"].partition("/images/")[2] for task in tasks] == [
        "train/frame_000000.PNG",
        "val/frame_000000.PNG",
        "train/frame_1.v.jpg",
        None,
    ]
