"""COCO's run-length masks as regions, and what is wrong with those that are damaged."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.labels import raster

#: A mask of more pixels than any picture has is damaged, and would not fit into memory.
_MOST_PIXELS = 2**28


class Traced(NamedTuple):
    """One run-length mask, traced along its pixel edges."""

    regions: list[list[list[float]]]
    area: int
    """Its number of pixels."""
    box: tuple[float, float, float, float]
    """Around its pixels: x1, y1, x2, y2."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the picture, where the mask says."""


def trace(segmentation: dict[str, Any]) -> Traced | None:
    """A segmentation by run lengths of either kind; None when it has no pixel. Raises ValueError when it is
    damaged."""
    try:
        counts = segmentation["counts"]
        height, width = (int(side) for side in segmentation["size"])
        if height <= 0 or width <= 0 or height * width > _MOST_PIXELS:
            raise ValueError(f"a mask cannot have {height} x {width} pixels")
        runs = raster.decode_rle(counts) if isinstance(counts, str | bytes) else counts
        mask = raster.rle_to_mask(runs, height, width)
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    top, left = int(rows[0]), int(columns[0])
    return traced(mask[top : rows[-1] + 1, left : columns[-1] + 1], top, left, size=(width, height))


def traced(window: raster.Mask, top: int, left: int, size: tuple[int, int] = (0, 0)) -> Traced:
    """The regions of a mask that lies at (``top``, ``left``) of its picture. Its first and last rows and columns have
    pixels: most masks fill a small part of their picture, and only that is traced."""
    height, width = window.shape
    regions = [[_moved(ring, left, top) for ring in region] for region in raster.mask_to_regions(window)]
    return Traced(regions, int(window.sum()), (left, top, left + width, top + height), size)


def _moved(ring: list[float], x: int, y: int) -> list[float]:
    numbers: NDArray[np.float64] = np.array(ring, np.float64).reshape(-1, 2) + np.array([x, y])
    moved: list[float] = numbers.reshape(-1).tolist()
    return moved
