"""Videos and sequences in formats of single pictures: frames cut from the video's file, and the SDK beside them."""

from __future__ import annotations

import functools
import http.server
import threading

import cv2
import numpy as np
import pyarrow as pa
import pytest

from fastlabel_dagster import formats, labels
from fastlabel_dagster.formats import frames
from fastlabel_dagster.formats.sources import Picture
from fastlabel_dagster.store import ImageFolder, open_store

SIZE = (64, 48)
FRAMES = 12


def make_video(path, count=FRAMES, size=SIZE):
    """A video whose frame ``n`` (from 1) is ``20 n`` grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, size)
    if not writer.isOpened():
        pytest.skip("OpenCV has no codec for MP4 here")
    for number in range(1, count + 1):
        writer.write(np.full((size[1], size[0], 3), 20 * number, np.uint8))
    writer.release()


def folder_of(place, **files):
    """An image folder that says which task has which file."""
    folder = ImageFolder(open_store(place))
    folder.save(pa.table({"task_id": list(files), "file": list(files.values())}))
    return folder


@pytest.fixture
def film(tmp_path):
    make_video(tmp_path / "videos" / "cat.mp4")
    return folder_of(tmp_path / "videos", v="cat.mp4")


def video(bench, *tracks, name="cat.mp4", count=FRAMES, **fields):
    shapes = [bench.shape("bbox", {str(n): {"value": box} for n, box in track.items()}, id="t") for track in tracks]
    return bench.task(name, *shapes, **{"id": "v", "width": 64, "height": 48, "frameCount": count, **fields})


def grey(path):
    return float(cv2.imread(str(path)).mean())


TRACKS = ({1: [4, 6, 24, 26], 2: [5, 6, 25, 26], 12: [30, 10, 60, 40]}, {12: [0, 0, 64, 48]})


def test_coco_is_that_of_the_sdk(bench, film, tmp_path):
    converters = pytest.importorskip("fastlabel.converters")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "videos"))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        task = video(bench, *TRACKS, url=f"http://127.0.0.1:{server.server_port}/cat.mp4")
        theirs = converters.to_coco("video_bbox", [task], str(tmp_path / "sdk"))
    finally:
        server.shutdown()
        server.server_close()
    report, coco = bench.coco(task, images=film)
    ours = coco.dataset

    def seen(document):
        files = {one["id"]: one["file_name"] for one in document["images"]}
        return sorted((files[one["image_id"]], [*map(float, one["bbox"])]) for one in document["annotations"])

    def listed(document):
        return [(one["file_name"], one["width"], one["height"]) for one in document["images"]]

    assert listed(ours) == listed(theirs)
    assert seen(ours) == seen(theirs)
    assert (report.tasks, report.images, report.annotations, report.written) == (1, 12, 4, 4)
    for name, _, _ in listed(ours):
        mine = (bench.folder / "coco" / "images" / name).read_bytes()
        assert mine == (tmp_path / "sdk" / "images" / name).read_bytes(), "the same pixels, coded alike"


def test_the_sdk_loses_the_frames_of_videos_with_one_name_in_two_folders(bench, tmp_path):
    converters = pytest.importorskip("fastlabel.converters")
    for part in ("a", "b"):
        make_video(tmp_path / "videos" / part / "cat.mp4", 3)
    output = tmp_path / "sdk"
    theirs = [
        name
        for part in ("a", "b")
        for name in converters._export_image_files_for_video_file(
            str(tmp_path / "videos" / part / "cat.mp4"), str(output), "cat"
        )
    ]
    assert len(theirs) == 6 and len(set(theirs)) == 3
    images = folder_of(tmp_path / "videos", a="a/cat.mp4", b="b/cat.mp4")
    tasks = [video(bench, name=f"{part}/cat.mp4", count=3, id=part) for part in ("a", "b")]
    bench.write(*tasks, images=images)
    found = sorted(path.relative_to(bench.folder).as_posix() for path in bench.folder.glob("coco/images/*/*.jpg"))
    assert found == [f"coco/images/{part}/cat_{number}.jpg" for part in ("a", "b") for number in range(3)]


def test_yolo_has_a_label_file_for_every_frame(bench, film):
    report, files = bench.yolo(video(bench, *TRACKS), images=film)
    assert sorted(files) == [f"cat_{number:02}.txt" for number in range(FRAMES)]
    assert files["cat_00.txt"] == "0 0.21875 0.333333333 0.3125 0.416666667\n"
    assert files["cat_11.txt"].count("\n") == 2 and files["cat_05.txt"] == ""
    assert report.files == 2 * FRAMES + 1
    place = bench.folder / "yolo" / "images" / "train"
    for number in range(FRAMES):
        assert abs(grey(place / f"cat_{number:02}.jpg") - 20 * (number + 1)) < 5, "frame n is picture n - 1"


def test_the_report_says_what_was_taken_apart(bench, film):
    report, _ = bench.coco(video(bench, {1: [0, 0, 5, 5], 13: [0, 0, 5, 5]}), images=film)
    assert (report.annotations, report.written, report.dropped_count) == (2, 1, 1)
    assert [(note.type, note.count, note.examples) for note in report.noticed] == [("task", 1, ("cat.mp4",))]
    assert report.dropped[0].examples == ("cat.mp4 · t",)
    with pytest.raises(formats.LossError, match="not in the video"):
        bench.coco(video(bench, {13: [0, 0, 5, 5]}), images=film, strict=True)


def test_the_digest_is_that_of_the_labels(bench, film):
    content = bench.labels(video(bench, *TRACKS))
    content.origin["digest"] = "d1"
    target = bench.folder / "out"
    first = formats.write(content, format="coco", target=target, images=film)
    assert first.origin["digest"] == "d1"
    assert formats.is_current(target, content, format="coco", images=film)
    assert formats.write(content, format="coco", target=target, images=film, skip_unchanged=True).unchanged


def test_sequences_bring_their_pictures(bench, tmp_path):
    place = tmp_path / "source"
    place.mkdir()
    for name in ("1.png", "2.png"):
        cv2.imwrite(str(place / name), np.full((48, 64, 3), 50, np.uint8))
    contents = [
        {"name": name, "url": (place / name).as_uri(), "width": 64, "height": 48} for name in ("1.png", "2.png")
    ]
    shape = bench.shape("bbox", [0, 0, 32, 24], content="2.png")
    task = bench.task("drive", shape, contents=contents, width=None, height=None)
    for format, files in (("coco", "images/drive/2.png"), ("yolo", "images/train/drive/2.png")):
        content = bench.labels(task)
        content.origin["source"] = str(place)
        report = formats.write(content, format=format, target=bench.folder / format)
        assert (bench.folder / format / files).is_file() or format == "yolo"
        assert len(list((bench.folder / format).rglob("*.png"))) == 2
        assert (report.tasks, report.images, report.written) == (1, 2, 1)
    trusted = formats.write(bench.labels(task), format="coco", target=bench.folder / "other")
    assert not list((bench.folder / "other").rglob("*.png")), "a link that came from a server is never opened as a file"
    assert trusted.written == 1


def test_a_video_that_cannot_be_read_costs_its_pictures_and_nothing_else(bench, tmp_path):
    place = tmp_path / "videos"
    make_video(place / "short.mp4", 2)
    make_video(place / "whole.mp4", 4)
    whole = (place / "whole.mp4").read_bytes()
    (place / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (place / "playlist.mp4").write_text("#EXTM3U\nfile:///etc/hostname\n")
    (place / "empty.mp4").write_bytes(b"")
    files = {name: f"{name}.mp4" for name in ("short", "whole", "cut", "playlist", "empty", "gone")}
    images = folder_of(place, **files)
    tasks = [
        video(bench, {1: [0, 0, 9, 9]}, id=name, name=f"{name}.mp4", count=4) for name in [*files, "not_in_the_folder"]
    ]
    report, _ = bench.coco(*tasks, images=images)
    assert (report.written, report.images) == (7, 28)
    written = sorted(path.name for path in (bench.folder / "coco" / "images").iterdir())
    assert written == ["short_0.jpg", "short_1.jpg", *(f"whole_{number}.jpg" for number in range(4))]
    notes = {(note.reason, note.type): note.count for note in report.dropped}
    assert notes == {
        (frames.UNREADABLE, "file"): 4,
        (frames.NO_FRAME, "image"): 2 + 4 * 4,
        ("there is no picture of it in the image folder", "image"): 4,
    }


def test_frames_of_another_size_are_noticed(bench, film):
    report, _ = bench.coco(video(bench, width=640, height=480), images=film)
    assert (frames.OTHER_SIZE, 12) in {(note.reason, note.count) for note in report.noticed}


def test_a_size_the_task_does_not_state_is_that_of_the_video(bench, film):
    _, files = bench.yolo(video(bench, {1: [0, 0, 32, 24]}, width=None, height=None), images=film)
    assert files["cat_00.txt"] == "0 0.25 0.25 0.5 0.5\n"


def test_only_wanted_frames_in_rising_order(film):
    with frames.open_video(Picture(film.store, "cat.mp4", 0)) as opened:
        assert (opened.width, opened.height) == SIZE and opened.rate == pytest.approx(10)
        assert abs(float(opened.frame(3).mean()) - 60) < 5
        assert abs(float(opened.frame(12).mean()) - 240) < 5
        with pytest.raises(ValueError, match="gone by"):
            opened.frame(5)
        assert opened.frame(13) is None


def test_a_video_in_s3_is_brought_here(moto_s3, bench, tmp_path):
    make_video(tmp_path / "cat.mp4", 2)
    store = open_store(f"s3://{moto_s3.bucket}/videos")
    store.write_file("cat.mp4", tmp_path / "cat.mp4")
    folder = ImageFolder(store)
    folder.save(pa.table({"task_id": ["v", "w"], "file": ["cat.mp4", "gone.mp4"]}))
    tasks = [video(bench, count=2), video(bench, count=1, id="w", name="gone.mp4")]
    report, _ = bench.coco(*tasks, images=folder)
    assert len(list((bench.folder / "coco" / "images").iterdir())) == 2
    assert (frames.UNREADABLE, "file", 1) in {(note.reason, note.type, note.count) for note in report.dropped}


def test_other_formats_get_whole_tasks(bench, film):
    content = bench.labels(video(bench, *TRACKS))
    formats.write(content, format="fastlabel", target=bench.folder / "whole", images=film)
    again = formats.read(bench.folder / "whole", format="fastlabel")
    (task,) = labels.to_fastlabel(again)
    assert task["annotations"][0]["points"].keys() == {"1", "2", "12"}
