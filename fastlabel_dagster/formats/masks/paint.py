"""One index image: runs of pixels become a PNG, and it is seen what of each annotation is left."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.formats.masks.palette import MOST
from fastlabel_dagster.formats.masks.png import encode_grey16, encode_rows
from fastlabel_dagster.labels.painting import Spans, runs_to_pixels
from fastlabel_dagster.labels.ragged import Ints


class Painted(NamedTuple):
    """An index image."""

    png: bytes
    area: Ints
    """int64[k]: pixels of each annotation within the picture."""
    visible: Ints
    """int64[k]: those of them that have its index in the end."""


def paint_indices(
    spans: Spans, index: Ints, width: int, height: int, *, palette: bytes, start: int, wide: bool
) -> Painted:
    """Paint the annotations of one picture, later ones over earlier ones.

    Args:
        spans: of each annotation.
        index: int64[k], the pixel value of each, counted from 1.
        width: of the picture.
        height: of the picture.
        palette: red, green and blue of each pixel value, as many as there are.
        start: 1, or 0: then all values are one less, and what is not annotated has that of the first.
        wide: 16 bits whatever the indices are.
    """
    wide = wide or int(index.max(initial=0)) - 1 + start >= MOST
    kind = np.uint16 if wide else np.uint8
    stride = width + 1  # a row of a PNG begins with a byte that says how it is stored
    line = spans.row * stride + 1
    first, last = line + spans.start, line + spans.stop
    values = np.repeat(index, np.diff(spans.offsets)).astype(kind)
    order = np.argsort(first, kind="stable")
    sorted_first, sorted_last = first[order], last[order]
    area = spans.areas
    if (sorted_last[:-1] > sorted_first[1:]).any():
        pixels = np.zeros(height * stride, kind)
        for begin, end, value in zip(first.tolist(), last.tolist(), values, strict=True):
            pixels[begin:end] = value
        visible = _left(pixels, spans, first, last, index)
    else:
        pixels = runs_to_pixels(sorted_first, sorted_last, values[order], height * stride)
        visible = area
    if start == 0:
        pixels = np.maximum(pixels, kind(1)) - kind(1)
    if wide:
        png = encode_grey16(pixels.reshape(height, stride)[:, 1:].astype(np.uint16, copy=False))
    else:
        png = encode_rows(pixels.astype(np.uint8, copy=False), width, height, palette)
    return Painted(png, area, visible)


def _left(pixels: NDArray[Any], spans: Spans, first: Ints, last: Ints, index: Ints) -> Ints:
    """How many pixels of each annotation still have its index."""
    left = np.zeros(len(index), np.int64)
    for number, wanted in enumerate(index.tolist()):
        which = slice(int(spans.offsets[number]), int(spans.offsets[number + 1]))
        left[number] = sum(
            int(np.count_nonzero(pixels[begin:end] == wanted))
            for begin, end in zip(first[which].tolist(), last[which].tolist(), strict=True)
        )
    return left
