"""The charts of the labels count what a plain loop counts, and every picture is well-formed with harmless names."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from fastlabel_dagster.labels.fastlabel import from_fastlabel
from fastlabel_dagster.metadata.bars import Bar, bars, heat_map, reached, status_funnel
from fastlabel_dagster.metadata.spread import GRID, LabelSpread

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


def tasks_of(seed, tasks=120):
    rng = np.random.default_rng(seed)
    made = []
    for number in range(tasks):
        width, height = (int(size) for size in rng.integers(20, 3000, 2))
        annotations = []
        for _ in range(int(rng.integers(0, 12)) ** 2 // 8):
            x, y = rng.uniform(-0.2, 1.1, 2) * (width, height)
            side = rng.uniform(1, 900, 2)
            points = [round(float(value), 2) for value in (x, y, x + side[0], y + side[1])]
            annotations.append({"type": "bbox", "value": "car", "points": points})
        made.append({"id": str(number), "name": f"{number}.jpg", "width": width, "height": height})
        made[-1]["annotations"] = annotations
    return made


def test_counts_are_those_of_a_plain_loop_whatever_the_batches():
    made = tasks_of(7)
    labels = from_fastlabel(made, [])
    whole, parts = LabelSpread(), LabelSpread()
    whole.add(labels.tasks)
    for start in range(0, len(made), 13):
        parts.add(labels.tasks.slice(start, 13))
    ends = [0, 1, 2, 4, 8, 16, 32, 64, 128, math.inf]
    per_image = [0] * len(ends)
    lows = [0, 8, 16, 32, 64, 96, 128, 256, 512, 1024]
    sides = [0] * len(lows)
    centres = np.zeros((GRID[1], GRID[0]), int)
    for task in made:
        per_image[next(n for n, end in enumerate(ends) if len(task["annotations"]) <= end)] += 1
        for one in task["annotations"]:
            x1, y1, x2, y2 = one["points"]
            sides[max(n for n, low in enumerate(lows) if math.sqrt((x2 - x1) * (y2 - y1)) >= low)] += 1
            across, down = (x1 + x2) / 2 / task["width"], (y1 + y2) / 2 / task["height"]
            if 0 <= across <= 1 and 0 <= down <= 1:
                centres[min(int(down * GRID[1]), GRID[1] - 1), min(int(across * GRID[0]), GRID[0] - 1)] += 1
    for spread in (whole, parts):
        assert spread.per_image.tolist() == per_image
        assert spread.sides.tolist() == sides
        assert spread.centres.tolist() == centres.tolist()
        assert spread.sized == sum(len(task["annotations"]) for task in made)


@pytest.mark.parametrize("points", [[1, 1, 1, 9], [math.nan, 0, 5, 5], [0, 0, 1e200, 1e200], []])
def test_boxes_without_a_size_and_pictures_without_one_are_not_counted_as_any(points):
    task = {"id": "1", "name": "a", "annotations": [{"type": "bbox", "value": "x", "points": points}]}
    spread = LabelSpread()
    spread.add(from_fastlabel([task], []).tasks)
    assert spread.sized == 0 and spread.centres.sum() == 0 and spread.per_image[1] == 1
    assert "No box to show." in texts(spread.centres_chart())


def test_charts_name_groups_and_leave_out_the_empty_ones_at_both_ends():
    tasks = [
        {
            "id": str(n),
            "name": str(n),
            "width": 100,
            "height": 100,
            "annotations": [{"type": "bbox", "value": "x", "points": [0, 0, 20, 20]}] * count,
        }
        for n, count in enumerate([1, 1, 3, 6])
    ]
    spread = LabelSpread()
    spread.add(from_fastlabel(tasks, []).tasks)
    said = texts(spread.per_image_chart())
    assert said == ["Annotations in each of 4 tasks", "1", "2", "2", "0", "3–4", "1", "5–8", "1"]
    assert texts(spread.sides_chart())[1:] == ["16–32 px", "11"]
    cells = list(ET.fromstring(spread.centres_chart()).iter(f"{SVG}title"))
    assert [cell.text for cell in cells] == ["11"]


def test_the_funnel_counts_who_has_come_as_far_and_what_changed():
    now = {"registered": 10, "completed": 4, "approved": 6, "sent_back": 2}
    before = {"registered": 15, "completed": 4, "approved": 2}
    assert reached(now) == {"registered": 22, "completed": 10, "reviewed": 6, "approved": 6}
    said = texts(status_funnel(now, before))
    assert said[1:] == [
        "registered", "22  +1", "completed", "10  +4", "reviewed", "6  +4", "approved", "6  +4", "sent_back", "2  +2",
    ]  # fmt: skip
    assert "since the last version" in said[0]
    assert "since" not in texts(status_funnel(now))[0]


def test_names_from_outside_are_text_and_nothing_else():
    svg = bars("a <b> & c", [Bar('"/><script>alert(1)</script>', 3)])
    root = ET.fromstring(svg)
    assert not list(root.iter(f"{SVG}script")) and texts(svg)[0] == "a <b> & c"
    assert ET.fromstring(heat_map("x", np.zeros((0, 0), np.int64))) is not None
