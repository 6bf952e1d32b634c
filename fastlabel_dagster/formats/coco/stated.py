"""What a COCO file says of an object beside its keypoints (box, area, outline), kept as an attribute of the pose.

FastLabel's pose has keypoints only. So that nothing is lost on the way through it, the reader puts the rest into the
attribute ``coco_shape``, and the writer takes it out again, as long as the box holds the keypoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import orjson
import pyarrow as pa

from fastlabel_dagster.formats.outlines import FARTHEST
from fastlabel_dagster.labels import raster
from fastlabel_dagster.labels.ragged import Floats, Ints

_NEAR = 1 + 1e-6
_FEWEST_NUMBERS = 6


class StatedShapes(NamedTuple):
    """Those that count, of a batch of annotations."""

    rows: Ints
    """int64[k]: whose."""
    box: Floats
    """float64[k, 4]: x1, y1, x2, y2."""
    area: Floats
    columns: tuple[pa.Array, pa.Array, pa.Array]
    """``segmentation``, ``counts`` and ``size`` as in ``COCO_ROWS``."""


def shape_text(box: list[float], area: Any, segmentation: Any) -> str | None:
    """The attribute's text; None when the shape is not sound. Run lengths are written out as numbers."""
    if isinstance(segmentation, dict):
        counts, size = segmentation.get("counts"), segmentation.get("size")
        if isinstance(counts, str | bytes):
            try:
                counts = raster.decode_rle(counts)
            except ValueError:
                return None
        if isinstance(counts, np.ndarray):
            counts = counts.tolist()
        segmentation = {"counts": counts, "size": size}
    else:
        rings = segmentation if isinstance(segmentation, list) else []
        segmentation = [ring for ring in ([rings] if _is_ring(rings) else rings) if _is_ring(ring)]
    text = orjson.dumps({"bbox": box, "area": area, "segmentation": segmentation}).decode()
    return text if _parsed(text) else None


def stated_shapes(texts: Mapping[int, str], around: Floats) -> StatedShapes:
    """The shapes of ``texts`` (row -> JSON) that are sound, and whose box holds ``around[row]`` (x1, y1, x2, y2), the
    box around the keypoints, but for a pixel."""
    found: dict[int, tuple[list[float], float, Any]] = {}
    for row, text in texts.items():
        shape = _parsed(text)
        if shape is not None and holds(shape[0], around[row]):
            found[row] = shape
    shapes = [segmentation for _, _, segmentation in found.values()]
    masks = [shape if isinstance(shape, dict) else {} for shape in shapes]
    boxes = np.array([box for box, _, _ in found.values()], np.float64).reshape(-1, 4)
    return StatedShapes(
        np.array(list(found), np.int64),
        np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]),
        np.array([area for _, area, _ in found.values()], np.float64),
        (
            pa.array([[] if isinstance(shape, dict) else shape for shape in shapes], pa.list_(pa.list_(pa.float64()))),
            pa.array([mask.get("counts") for mask in masks], pa.list_(pa.int64())),
            pa.array([mask.get("size") for mask in masks], pa.list_(pa.int64())),
        ),
    )


def holds(box: list[float], around: Floats) -> bool:
    """Whether ``box`` (x, y, width, height) holds ``around`` (x1, y1, x2, y2), but for a pixel."""
    x, y, width, height = box
    left, top, right, bottom = around.tolist()
    return bool(x <= left + _NEAR and y <= top + _NEAR and x + width >= right - _NEAR and y + height >= bottom - _NEAR)


def _parsed(text: str) -> tuple[list[float], float, Any] | None:
    """Box, area and segmentation; None unless all three are what COCO says they are."""
    try:
        shape = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(shape, dict):
        return None
    box, area, segmentation = shape.get("bbox"), shape.get("area"), shape.get("segmentation")
    if not (_are_numbers(box) and len(box) == len(("x", "y", "width", "height"))):
        return None
    if not isinstance(area, int | float) or not 0 <= area < np.inf:
        return None
    if isinstance(segmentation, dict):
        counts, size = segmentation.get("counts"), segmentation.get("size")
        if not (_are_whole(counts) and _are_whole(size) and len(size) == 2 and sum(counts) == size[0] * size[1]):
            return None
        return box, area, {"counts": counts, "size": size}
    if not (isinstance(segmentation, list) and all(_is_ring(ring) for ring in segmentation)):
        return None
    return box, area, segmentation


def _is_ring(ring: Any) -> TypeGuard[list[float]]:
    return _are_numbers(ring) and len(ring) >= _FEWEST_NUMBERS and len(ring) % 2 == 0


def _are_numbers(numbers: Any) -> TypeGuard[list[float]]:
    return isinstance(numbers, list) and all(
        type(number) in (int, float) and -FARTHEST <= number <= FARTHEST for number in numbers
    )


def _are_whole(numbers: Any) -> TypeGuard[list[int]]:
    return isinstance(numbers, list) and all(type(number) is int and 0 <= number < 2**53 for number in numbers)
