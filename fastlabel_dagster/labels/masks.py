"""A mask as FastLabel sends it: region -> ring -> flat whole numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.labels.outline_trace import trace


def mask_to_fastlabel_points(mask: NDArray[Any] | str | Path) -> list[list[list[int]]]:
    """The ``points`` of a segmentation that covers exactly the pixels of ``mask`` that are not 0.

    Rings run along the pixel edges: outlines clockwise on screen, holes counter-clockwise, closed. Pixels that touch at
    a corner only are regions of their own, so painting the points (``labels.raster.regions_to_mask``, or the official
    SDK's mask export) gives the mask again. An empty mask has no region.

    Args:
        mask: [h, w] of any numbers or bools; with a third axis (colours) a pixel counts when any of its first three
            channels does; or the path of a picture.

    Raises:
        FileNotFoundError: when there is no such picture.
        ValueError: when it is not a picture, or the array is not a mask.
    """
    pixels = _picture(Path(mask)) if isinstance(mask, str | Path) else np.asarray(mask)
    if pixels.ndim == 3:
        pixels = (pixels[:, :, :3] != 0).any(axis=2)
    if pixels.ndim != 2:
        raise ValueError(f"a mask has rows and columns, and perhaps colours, not {pixels.ndim} axes")
    return trace(pixels != 0).get(1, [])


def _picture(path: Path) -> NDArray[Any]:
    import cv2

    data = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error
    if pixels is None:
        raise ValueError(f"{path} cannot be read as a picture")
    return np.asarray(pixels)
