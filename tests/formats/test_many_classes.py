"""Datasets of thousands of classes (speakers, products): the work grows with their number, not with its square."""

import json
import sys
import threading
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastlabel_dagster import formats

FEW, MANY = 200, 600


def _calls(work: Callable[[], object]) -> int:
    """How many Python functions (and generator steps) are entered in ``work``: a measure no busy machine changes."""
    count = 0

    def watch(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return count


def _rttm(folder: Path, count: int) -> None:
    lines = (f"SPEAKER a 1 {start} 0.5 <NA> <NA> s{start} <NA> <NA>\n" for start in range(count))
    (folder / "a.rttm").write_text("".join(lines))


def _conll(folder: Path, count: int) -> None:
    (folder / "a.conll").write_text("".join(f"word B-C{number}\n" for number in range(count)))


def _kitti(folder: Path, count: int) -> None:
    (folder / "label_2").mkdir()
    (folder / "label_2" / "a.txt").write_text(
        "".join(f"c{number} 0 0 0 1 2 3 4 1 1 1 1 1 1 1\n" for number in range(count))
    )


def _cvat(folder: Path, count: int) -> None:
    boxes = "".join(f'<box label="c{number}" xtl="1" ytl="1" xbr="2" ybr="2"/>' for number in range(count))
    (folder / "annotations.xml").write_text(
        f'<annotations><image id="0" name="a.jpg" width="9" height="9">{boxes}</image></annotations>'
    )


def _semantic_masks(folder: Path, count: int) -> None:
    (folder / "masks").mkdir()
    cv2.imwrite(str(folder / "masks" / "a.png"), np.arange(1, count + 1, dtype=np.uint16).reshape(1, -1))


@pytest.mark.parametrize("make", [_rttm, _conll, _kitti, _cvat, _semantic_masks])
def test_reading_is_linear_in_the_classes(tmp_path: Path, make: Callable[[Path, int], None]) -> None:
    format = make.__name__.removeprefix("_")
    calls = []
    for number, count in enumerate((1, FEW, MANY)):  # the first one imports what the others need
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder, count)
        calls.append(_calls(partial(formats.read, folder, format=format)))

    labels = formats.read(folder, format=format)
    assert sorted(labels.classes["order"].to_pylist()) == list(range(1, MANY + 1))
    assert calls[2] < 4 * calls[1]


@pytest.mark.parametrize("format", ["semantic_masks", "kitti"])
def test_writing_is_linear_in_the_classes(bench, format: str) -> None:
    calls = []
    for number, count in enumerate((1, FEW, MANY)):
        shapes = ((f"{place}.jpg", bench.shape("bbox", [1, 1, 5, 5], f"c{place}")) for place in range(count))
        labels = bench.labels(*(bench.task(name, shape) for name, shape in shapes), classes=[])
        target = bench.folder / str(number)
        calls.append(_calls(partial(formats.write, labels, format=format, target=target)))

    assert formats.read(target, format=format).annotations.num_rows == MANY
    assert calls[2] < 4 * calls[1]


def test_poses_whose_classes_have_keys_of_their_own_need_no_table_of_all_by_all(bench) -> None:
    def pose(place: int) -> dict[str, object]:
        points = [{"key": f"{point} of {place}", "name": "p", "value": [point, 1, 1]} for point in range(9)]
        return bench.task(f"{place}.jpg", bench.shape("pose_estimation", None, f"c{place}", keypoints=points))

    labels = bench.labels(*map(pose, range(MANY)), classes=[])
    tracemalloc.start()
    try:
        formats.write(labels, format="coco", target=bench.folder / "poses")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 8 * MANY * 9 * MANY / 2, "half of what that table would need"
    written = json.loads((bench.folder / "poses/annotations.json").read_bytes())
    assert all(one["keypoints"][0::3] == list(range(9)) for one in written["annotations"])
    assert len(written["annotations"]) == MANY
