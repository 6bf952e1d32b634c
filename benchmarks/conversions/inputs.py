"""The labels all sides start from: FastLabel's JSON on disk, the same bytes in every run.

A folder ``<kind>-<tasks>`` holds ``tasks.json`` (a list, as the API answers) and ``classes.json``. Kinds: ``boxes`` (8
a task), ``whole`` (the same, in whole pixels), ``polygons`` (8 of 40 points), ``segmentation`` (6 shapes with a hole
each, outlines along pixel edges, 1280 x 720), ``poses`` (3 of 17 keypoints).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

CLASSES = [f"class-{number}" for number in range(10)]
KEYPOINTS = [f"point-{number}" for number in range(17)]
SHAPES = 8
WIDTH, HEIGHT = 1920, 1080
TYPES = {
    "boxes": "bbox",
    "whole": "bbox",
    "polygons": "polygon",
    "segmentation": "segmentation",
    "poses": "pose_estimation",
}
_AT_ONCE = 5_000


def make_input(folder: Path, kind: str, tasks: int) -> Path:
    """The folder of an input, written unless it is there."""
    place = folder / f"{kind}-{tasks}"
    if (place / "classes.json").exists():
        return place
    place.mkdir(parents=True)
    with (place / "tasks.json").open("wb") as file:
        file.write(b"[")
        for start in range(0, tasks, _AT_ONCE):
            rows = list(_tasks(kind, start, min(start + _AT_ONCE, tasks)))
            file.write((b"," if start else b"") + orjson.dumps(rows)[1:-1])
        file.write(b"]")
    (place / "classes.json").write_bytes(orjson.dumps(make_classes(kind)))
    return place


def make_classes(kind: str) -> list[dict[str, Any]]:
    """The annotation classes as the API answers them."""
    points = [
        {"id": f"k{key}", "key": key, "name": key, "color": "#00ff00", "edges": [f"k{following}"]}
        for key, following in zip(KEYPOINTS, KEYPOINTS[1:] + KEYPOINTS[:1], strict=True)
    ]
    return [
        {
            "id": value,
            "type": TYPES[kind],
            "value": value,
            "title": value,
            "color": f"#ff{order:02x}00",
            "order": order,
            "attributes": [],
            "keypoints": points if kind == "poses" else [],
        }
        for order, value in enumerate(CLASSES, start=1)
    ]


def _tasks(kind: str, first: int, stop: int) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng([7, first])
    count = stop - first
    geometry = {
        "boxes": _boxes,
        "whole": _whole_boxes,
        "polygons": _polygons,
        "segmentation": _segmentations,
        "poses": _poses,
    }[kind]
    width, height = (1280, 720) if kind == "segmentation" else (WIDTH, HEIGHT)
    for number, shapes in enumerate(geometry(random, count), start=first):
        kinds = random.integers(0, len(CLASSES), len(shapes)).tolist()
        yield {
            "id": f"{number:08x}-0000-4000-8000-{number:012x}",
            "name": f"{number:06}.jpg",
            "width": width,
            "height": height,
            "url": f"https://example.invalid/{number:06}.jpg?signature={number:064x}",
            "status": "approved",
            "externalStatus": "registered",
            "tags": [],
            "metadatas": [],
            "assignee": None,
            "reviewer": None,
            "approver": None,
            "annotations": [
                {
                    "id": f"{number:08x}-0000-4000-8000-{place:012x}",
                    "type": TYPES[kind],
                    "title": CLASSES[of],
                    "value": CLASSES[of],
                    "color": f"#ff{of + 1:02x}00",
                    "attributes": [],
                    "rotation": 0,
                    "confidenceScore": -1,
                    **shape,
                }
                for place, (of, shape) in enumerate(zip(kinds, shapes, strict=True))
            ],
            "createdAt": "2024-01-01T00:00:00.000Z",
            "updatedAt": "2024-01-01T00:00:00.000Z",
        }


def _boxes(random: np.random.Generator, count: int) -> Iterator[list[dict[str, Any]]]:
    corner = np.round(random.random((count, SHAPES, 2)) * [1700, 900], 2)
    ends = np.round(corner + 10 + random.random((count, SHAPES, 2)) * 170, 2)
    for boxes in np.concatenate([corner, ends], axis=2).tolist():
        yield [{"points": box, "keypoints": []} for box in boxes]


def _whole_boxes(random: np.random.Generator, count: int) -> Iterator[list[dict[str, Any]]]:
    """The official SDK reads no others from Pascal VOC."""
    for shapes in _boxes(random, count):
        yield [{**shape, "points": [round(value) for value in shape["points"]]} for shape in shapes]


def _polygons(random: np.random.Generator, count: int) -> Iterator[list[dict[str, Any]]]:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    around = np.column_stack([np.cos(angle), np.sin(angle)])
    for _ in range(count):
        centre = 150 + random.random((SHAPES, 1, 2)) * [WIDTH - 300, HEIGHT - 300]
        radius = 30 + 80 * random.random((SHAPES, 40, 1))
        outlines = np.round(centre + radius * around, 2).reshape(SHAPES, -1)
        yield [{"points": points, "keypoints": []} for points in outlines.tolist()]


def _poses(random: np.random.Generator, count: int) -> Iterator[list[dict[str, Any]]]:
    for _ in range(count):
        places = np.round(random.random((3, len(KEYPOINTS), 2)) * [WIDTH, HEIGHT], 2).tolist()
        yield [
            {
                "points": [],
                "keypoints": [
                    {"key": key, "name": key, "value": [*place, 1], "edges": []}
                    for key, place in zip(KEYPOINTS, pose, strict=True)
                ],
            }
            for pose in places
        ]


def _segmentations(random: np.random.Generator, count: int) -> Iterator[list[dict[str, Any]]]:
    """Blobs with a hole, each in a cell of its own: the SDK adds indices where shapes overlap."""
    import cv2

    from fastlabel_dagster.labels import raster

    for _ in range(count):
        shapes = []
        for cell in range(6):
            left, top = 426 * (cell % 3), 360 * (cell // 3)
            mask = np.zeros((360, 420), np.uint8)
            centre = (int(random.integers(180, 240)), int(random.integers(160, 200)))
            axes = (int(random.integers(90, 170)), int(random.integers(80, 150)))
            cv2.ellipse(mask, centre, axes, float(random.random() * 180), 0, 360, 1, -1)
            cv2.circle(mask, centre, int(random.integers(15, 50)), 0, -1)
            regions = raster.mask_to_regions(mask.astype(bool))
            moved = [
                [[value + (left, top)[place % 2] for place, value in enumerate(ring)] for ring in region]
                for region in regions
            ]
            shapes.append({"points": moved, "keypoints": []})
        yield shapes
