"""Videos as Hugging Face datasets: a row for every frame, with the picture cut out of the video."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastlabel_dagster import formats
from fastlabel_dagster.formats import frames
from fastlabel_dagster.formats.huggingface import parquet
from fastlabel_dagster.store import ImageFolder, open_store

FRAMES = 12
ABSENT = "there is no picture of it in the image folder"


def make_video(path: Path, count: int = FRAMES) -> None:
    """A video of 64 x 48 pixels whose frame ``n`` (from 1) is ``20 n`` grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("OpenCV has no codec for MP4 here")
    for number in range(1, count + 1):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()


def folder_of(place: Path, **files: str) -> ImageFolder:
    folder = ImageFolder(open_store(place))
    folder.save(pa.table({"task_id": list(files), "file": list(files.values())}))
    return folder


@pytest.fixture
def film(tmp_path: Path) -> ImageFolder:
    make_video(tmp_path / "videos" / "cat.mp4")
    return folder_of(tmp_path / "videos", v="cat.mp4")


def video(bench: Any, *numbers: int, name: str = "cat.mp4", count: int = FRAMES, **fields: Any) -> dict[str, Any]:
    """A task whose object is in x = frame, y = 2, of 10 x 20 pixels, on each of these frames."""
    points = {str(number): {"value": [number, 2, number + 10, 22]} for number in numbers}
    fields = {"id": "v", "width": 64, "height": 48, "frameCount": count, **fields}
    return bench.task(name, bench.shape("bbox", points, id="t"), **fields)


def lines(place: Path) -> list[dict[str, Any]]:
    return [
        {**json.loads(line), "split": path.parent.name}
        for path in sorted(place.glob("*/metadata.jsonl"))
        for line in path.read_text().splitlines()
    ]


def table(place: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((place / "data").iterdir()) for row in pq.read_table(path).to_pylist()]


def grey(content: bytes) -> float:
    return float(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).mean())


def noted(notes: Any) -> dict[tuple[str, str], int]:
    return {(note.reason, note.type): note.count for note in notes}


def test_every_frame_lies_beside_its_row(bench, film) -> None:
    report = bench.write(video(bench, 2, 12), format="hf_imagefolder", images=film, strict=True)
    place = bench.folder / "hf_imagefolder"
    rows = lines(place)
    assert [row["file_name"] for row in rows] == [f"cat_{number:02}.jpg" for number in range(FRAMES)]
    for number, row in enumerate(rows, 1):
        assert abs(grey((place / "train" / row["file_name"]).read_bytes()) - 20 * number) < 5
        assert row["objects"]["bbox"] == ([[number, 2, 10, 20]] if number in (2, 12) else [])
        assert (row["width"], row["height"]) == (64, 48)
    assert (report.images, report.written, report.dropped) == (FRAMES, 2, ())
    assert report.files == FRAMES + 2


def test_every_frame_is_in_its_row(bench, film) -> None:
    report = bench.write(video(bench, 2, 12), format="hf_parquet", images=film, strict=True)
    bench.write(video(bench, 2, 12), format="coco", images=film)
    rows = table(bench.folder / "hf_parquet")
    for number, row in enumerate(rows, 1):
        file = f"cat_{number - 1:02}.jpg"
        data = (bench.folder / "coco" / "images" / file).read_bytes()
        assert row["image"] == {"bytes": data, "path": file}, "the bytes every other format has"
        assert abs(grey(data) - 20 * number) < 5
        assert row["objects"]["bbox"] == ([[number, 2, 10, 20]] if number in (2, 12) else [])
    assert (report.images, report.written, report.dropped) == (FRAMES, 2, ())


def test_frames_are_found_for_labels_of_pictures_too(bench, film) -> None:
    task = {**video(bench), "attributes": [{"key": "kind", "value": "fold"}]}
    for format in ("hf_imagefolder", "hf_parquet"):
        report = bench.write(task, format=format, images=film, task="classify")
        assert report.images == FRAMES
    assert [row["label"] for row in lines(bench.folder / "hf_imagefolder")] == [0] * FRAMES
    rows = table(bench.folder / "hf_parquet")
    assert [row["label"] for row in rows] == [0] * FRAMES and all(row["image"] for row in rows)


def test_videos_are_opened_once_whatever_the_splits_and_row_groups(bench, tmp_path, monkeypatch) -> None:
    """Pictures and videos side by side, row groups of three frames, frames spread over the parts of the dataset."""
    place = tmp_path / "videos"
    for name in ("a", "b"):
        make_video(place / f"{name}.mp4")
    still = cv2.imencode(".png", np.full((48, 64, 3), 7, np.uint8))[1].tobytes()
    (place / "still.png").write_bytes(still)
    images = folder_of(place, a="a.mp4", b="b.mp4", s="still.png")
    tasks = [video(bench, 1, 7, id=one, name=f"{one}.mp4") for one in "ba"]
    tasks.insert(1, bench.task("still.png", id="s", width=64, height=48))
    opened = []
    real = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda path, *more: opened.append(Path(path).name) or real(path, *more))
    monkeypatch.setattr(parquet, "_GROUP_BYTES", 3 * 64 * 48 // 2)
    split = {"train": 0.5, "val": 0.5}
    report = bench.write(*tasks, format="hf_parquet", images=images, split=split, strict=True)
    assert opened == ["b.mp4", "a.mp4"]
    assert min(report.splits.values()) > 0 and sum(report.splits.values()) == 2 * FRAMES + 1
    rows = table(bench.folder / "hf_parquet")
    assert len({row["file_name"] for row in rows}) == 2 * FRAMES + 1
    for row in rows:
        if row["task_id"] == "s":
            assert row["image"]["bytes"] == still
        else:
            assert abs(grey(row["image"]["bytes"]) - 20 * int(row["task_id"].partition("#")[2])) < 5
    for path in (bench.folder / "hf_parquet" / "data").iterdir():
        data = pq.ParquetFile(path).metadata
        assert max(data.row_group(one).num_rows for one in range(data.num_row_groups)) <= 3


def test_frames_in_any_order_are_the_right_ones(bench, film) -> None:
    """Labels that were read from a dataset of frames have these in the order of their file; what only looks like the
    task of a frame is none."""
    names = ["v#7", "v#2", "v#0", "v#02", "v#9"]
    tasks = [bench.task(f"{name}.jpg", id=name, width=64, height=48) for name in names]
    report = bench.write(*tasks, format="hf_parquet", images=film)
    found = {row["task_id"]: row["image"] and grey(row["image"]["bytes"]) for row in table(bench.folder / "hf_parquet")}
    assert (found.pop("v#0"), found.pop("v#02")) == (None, None)
    assert found == {name: pytest.approx(20 * int(name[2:]), abs=5) for name in ("v#7", "v#2", "v#9")}
    assert noted(report.dropped) == {(ABSENT, "image"): 2}
    report = bench.write(*tasks, format="hf_imagefolder", images=film)
    place = bench.folder / "hf_imagefolder"
    found = {row["task_id"]: grey((place / "train" / row["file_name"]).read_bytes()) for row in lines(place)}
    assert found == {name: pytest.approx(20 * int(name[2:]), abs=5) for name in ("v#7", "v#2", "v#9")}
    assert noted(report.dropped) == {(ABSENT, "image"): 2}


@pytest.fixture
def broken(bench, tmp_path):
    """Tasks of four frames with an object on the first and the last, most of whose videos are not as they should be;
    and their image folder."""
    place = tmp_path / "videos"
    make_video(place / "short.mp4", 2)
    make_video(place / "whole.mp4", 4)
    (place / "cut.mp4").write_bytes((place / "whole.mp4").read_bytes()[:600])
    (place / "empty.mp4").write_bytes(b"")
    files = {name: f"{name}.mp4" for name in ("short", "whole", "cut", "empty", "gone")}
    names = [*files, "unknown"]
    return [video(bench, 1, 4, id=name, name=f"{name}.mp4", count=4) for name in names], folder_of(place, **files)


LOST = {
    (frames.UNREADABLE, "file"): 3,
    (frames.NO_FRAME, "image"): 2 + 3 * 4,
    (ABSENT, "image"): 4,
}


def test_a_video_that_cannot_be_read_leaves_its_rows_without_pictures(bench, broken) -> None:
    tasks, images = broken
    report = bench.write(*tasks, format="hf_parquet", images=images)
    rows = table(bench.folder / "hf_parquet")
    assert [row["file_name"] for row in rows if row["image"]] == [
        "short_0.jpg",
        "short_1.jpg",
        *(f"whole_{number}.jpg" for number in range(4)),
    ]
    assert (len(rows), report.images, report.written, report.dropped_count) == (24, 24, 12, 0)
    assert noted(report.dropped) == LOST
    with pytest.raises(formats.LossError, match="the video cannot be read"):
        bench.write(*tasks, format="hf_parquet", images=images, strict=True)


def test_a_frame_that_is_not_there_has_no_row_beside_pictures(bench, broken) -> None:
    """``datasets`` refuses a folder whose metadata names a picture that is not there."""
    tasks, images = broken
    report = bench.write(*tasks, format="hf_imagefolder", images=images)
    place = bench.folder / "hf_imagefolder"
    listed = [row["file_name"] for row in lines(place)]
    assert sorted(listed) == sorted(path.name for path in place.rglob("*.jpg"))
    assert len(listed) == report.images == sum(report.splits.values()) == 6
    assert (report.annotations, report.written, report.dropped_count) == (12, 3, 9)
    assert noted(report.dropped) == {**LOST, ("there is no picture of its task, which was left out", "bbox"): 9}
    with pytest.raises(formats.LossError, match="the video cannot be read"):
        bench.write(*tasks, format="hf_imagefolder", images=images, strict=True)


def test_frames_of_another_size_are_noticed(bench, film) -> None:
    for format in ("hf_parquet", "hf_imagefolder"):
        report = bench.write(video(bench, width=640, height=480), format=format, images=film)
        assert noted(report.noticed)[frames.OTHER_SIZE, "image"] == FRAMES


def test_the_same_videos_give_the_same_bytes(bench, film, tree) -> None:
    for format in ("hf_parquet", "hf_imagefolder"):
        content = bench.labels(video(bench, 2))
        for place in ("one", "two"):
            formats.write(content, format=format, target=bench.folder / format / place, images=film)
        assert tree(bench.folder / format / "one") == tree(bench.folder / format / "two")
