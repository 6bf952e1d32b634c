"""labelme's ``mask`` shapes: a PNG of pixels that are 0 or 1, in base64, and the first and last pixel it covers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastlabel_dagster.formats.image_size import head_size
from fastlabel_dagster.formats.outlines import LONGEST_SIDE
from fastlabel_dagster.labels import raster
from fastlabel_dagster.labels.ragged import Floats

#: Pixels of a mask, at most: a small file can claim to be a huge picture, and so can an outline where nobody knows the
#: size of the picture it lies on.
MOST_PIXELS = 2**27


class DrawnMask(NamedTuple):
    """A mask as labelme holds it."""

    points: list[list[int]]
    """Column and row of its first pixel, and of its last one."""
    png: str
    overlaps: bool
    """Two of its regions share a pixel."""
    holes_leave: bool
    """A hole reaches outside its outline."""


def draw_mask(regions: Sequence[Sequence[Floats]], limits: Floats) -> DrawnMask | None:
    """The pixels whose centres lie in ``regions`` (region -> ring -> flat [x, y, …]), cut at ``limits`` (x1, y1, x2,
    y2 in pixels; infinite where there are none). None when there is none.

    Raises:
        ValueError: when the mask would have more than :data:`MOST_PIXELS`, which the reader takes for no mask, or a
            side longer than PNGs have.
    """
    import cv2

    ends = np.concatenate([ring.reshape(-1, 2) for region in regions for ring in region])
    x1, y1 = np.floor(np.maximum(ends.min(axis=0), limits[:2])).astype(np.int64).tolist()
    x2, y2 = np.ceil(np.minimum(ends.max(axis=0), limits[2:])).astype(np.int64).tolist()
    if x2 <= x1 or y2 <= y1:
        return None
    if (x2 - x1) * (y2 - y1) > MOST_PIXELS or max(x2 - x1, y2 - y1) > LONGEST_SIDE:
        raise ValueError("a mask larger than pictures are")
    # Painted on a canvas of its own size; whole pixels are subtracted, which moves no centre across an edge.
    corner = np.array([x1, y1], np.float64)
    local = [[(ring.reshape(-1, 2) - corner).reshape(-1) for ring in region] for region in regions]
    painting = raster.paint(local, x2 - x1, y2 - y1)
    rows, columns = np.flatnonzero(painting.mask.any(axis=1)), np.flatnonzero(painting.mask.any(axis=0))
    if not len(rows):
        return None
    top, bottom, left, right = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
    pixels = np.ascontiguousarray(painting.mask[top : bottom + 1, left : right + 1], np.uint8)
    png = base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode("ascii")
    points = [[x1 + left, y1 + top], [x1 + right, y1 + bottom]]
    return DrawnMask(points, png, painting.overlaps, painting.holes_leave)


def read_mask(text: object, x: float, y: float) -> list[list[list[float]]]:
    """The regions of a mask whose first pixel is column ``x``, row ``y``; none when no pixel is set.

    Raises:
        ValueError: when it is no mask, or one of more than :data:`MOST_PIXELS`; the message says what is wrong.
    """
    import cv2

    if not isinstance(text, str):
        raise ValueError("a mask without pixels")
    try:
        data = base64.b64decode(text)
    except (binascii.Error, ValueError) as error:
        raise ValueError("a mask that is not base64") from error
    size = head_size(data)
    if size is None:
        raise ValueError("a mask that is no PNG")
    if size[0] * size[1] > MOST_PIXELS:
        raise ValueError("a mask that claims to be larger than pictures are")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError("a mask that cannot be decoded") from error
    if pixels is None:
        raise ValueError("a mask that cannot be decoded")
    mask = pixels if pixels.ndim == 2 else np.logical_or.reduce(pixels[..., :3] != 0, axis=2)
    corner = np.round([x, y])  # as labelme itself places it
    return [
        [(np.array(ring).reshape(-1, 2) + corner).reshape(-1).tolist() for ring in region]
        for region in raster.mask_to_regions(mask)
    ]


def embedded_size(text: object) -> tuple[int, int] | None:
    """Width and height of the picture a label file carries within itself (``imageData``); None when it carries none, or
    one that is neither PNG nor JPEG. Nothing is decoded."""
    if not isinstance(text, str):
        return None
    try:
        size = head_size(base64.b64decode(text))
    except (binascii.Error, ValueError):
        return None
    return size if size is not None and min(size) > 0 else None
