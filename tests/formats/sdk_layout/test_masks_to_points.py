"""Masks as points and back, what export methods do to the tasks they are given, and the types of what comes back:
where the SDK is right ours are as right, and to the last pixel where it is not quite."""

from __future__ import annotations

import copy
import json
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from .generated import annotation, task

WIDTH, HEIGHT = 160, 120


def grown(seed: int) -> np.ndarray:
    """bool[height, width]: some blobs with holes, here and there at the edge of the picture."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for _ in range(4):
        centre = (int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT)))
        size = (int(rng.integers(12, 40)), int(rng.integers(12, 30)))
        cv2.ellipse(mask, centre, size, float(rng.integers(0, 180)), 0, 360, 1, -1)
        hole = (max(1, size[0] // 3), max(1, size[1] // 3))
        cv2.ellipse(mask, centre, hole, float(rng.integers(0, 180)), 0, 360, 0, -1)
    return mask.astype(bool)


def again(client: Any, points: Any, folder: Any) -> np.ndarray:
    shape = annotation("segmentation", points)
    client.export_instance_segmentation([task("a.jpg", shape, width=WIDTH, height=HEIGHT)], str(folder))
    with Image.open(folder / "a.png") as image:
        return np.array(image) > 0


def test_masks_with_holes_come_back_to_the_pixel(pair) -> None:
    """M9: filling the rings as they are, borders included, is off by their length; the SDK is nearly exact, ours is."""
    wrong: dict[str, list[int]] = {"sdk": [], "ours": [], "plainly filled": []}
    for seed in range(12):
        mask = grown(seed)
        place = pair.folder()
        for side, client in (("sdk", pair.theirs), ("ours", pair.ours)):
            points = client.mask_to_fastlabel_segmentation_points(mask.astype(np.uint8) * 255)
            wrong[side].append(int((again(client, points, place / side) != mask).sum()))
        filled = np.zeros((HEIGHT, WIDTH), np.uint8)
        rings = [np.array(ring, np.int32).reshape(-1, 2) for region in points for ring in region]
        cv2.fillPoly(filled, rings, 1)
        wrong["plainly filled"].append(int((filled.astype(bool) != mask).sum()))
        assert any(len(region) > 1 for region in points), "there is no hole in it"
    assert wrong["ours"] == [0] * 12
    assert float(np.median(wrong["sdk"])) <= 2 and max(wrong["sdk"]) < 20
    assert min(wrong["plainly filled"]) > 100


def copies_of(things: Any, act: Callable[[], Any]) -> int:
    """How often ``act`` makes a deep copy of ``things`` as a whole."""
    count = 0

    def watch(frame: Any, event: str, _: Any) -> None:
        nonlocal count
        if event == "call" and frame.f_code is copy.deepcopy.__code__:
            count += frame.f_locals["x"] is things

    sys.setprofile(watch)
    threading.setprofile(watch)
    try:
        act()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return count


@pytest.mark.parametrize("kind", ["instance", "semantic"])
def test_tasks_are_not_copied_for_masks(pair, kind) -> None:
    """M12: the SDK makes a second copy of all tasks before it paints the first; ours reads them as they are. Neither
    changes what it was given."""
    options = {"classes": ["cat"]} if kind == "semantic" else {}
    copies = {}
    place = pair.folder()
    for side, client in (("sdk", pair.theirs), ("ours", pair.ours)):
        shapes = [annotation("polygon", [5, 5 + n, 40, 5 + n, 40, 30 + n]) for n in range(7)]
        tasks = [task(f"{n}.jpg", shape, width=WIDTH, height=HEIGHT) for n, shape in enumerate(shapes)]
        before = json.dumps(tasks)
        export = getattr(client, f"export_{kind}_segmentation")
        copies[side] = copies_of(tasks, partial(export, tasks, str(place / side), **options))
        assert json.dumps(tasks) == before, side
        assert len(list((place / side).glob("*.png"))) == 7
    assert copies == {"sdk": 1, "ours": 0}


@pytest.mark.parametrize("foreground", [1, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_])
def test_points_of_masks_are_plain_numbers(pair, foreground, dtype) -> None:
    """M13: points are Python's own integers, so that they can be sent as JSON, whatever numbers the mask is made of.
    The SDK finds them in 8 bit only."""
    mask = np.zeros((12, 12), dtype)
    mask[2:6, 3:9] = foreground
    expected = [[[3, 2, 9, 2, 9, 6, 3, 6, 3, 2]]]

    def corners(points: Any) -> set[tuple[int, int]]:
        return {pair for region in points for ring in region for pair in zip(ring[::2], ring[1::2], strict=True)}

    ours = pair.ours.mask_to_fastlabel_segmentation_points(mask)
    assert ours == expected
    assert {type(number) for region in ours for ring in region for number in ring} == {int}
    assert json.loads(json.dumps(ours)) == expected
    if dtype is np.uint8:
        theirs = pair.theirs.mask_to_fastlabel_segmentation_points(mask)
        assert {type(number) for region in theirs for ring in region for number in ring} == {int}
        assert corners(theirs) == corners(ours)
    else:
        with pytest.raises((cv2.error, TypeError)):
            pair.theirs.mask_to_fastlabel_segmentation_points(mask)
