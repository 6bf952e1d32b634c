"""Annotations painted over each other: whose pixels lie on top, as runs, and what of each annotation is left."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastlabel_dagster.formats.masks.deflate import Runs
from fastlabel_dagster.labels.painting import Spans
from fastlabel_dagster.labels.ragged import Bools, Ints, offsets_of


class Painted(NamedTuple):
    """The masks of ``p`` pictures."""

    runs: Runs
    """Their indices; each row of a picture begins with a pixel more, which is 0 (so a PNG stores it)."""
    sizes: Ints
    """int64[p]: pixels of each picture, that one of each row included."""
    area: Ints
    """int64[k]: pixels of each annotation within its picture."""
    visible: Ints
    """int64[k]: those of them that have its index in the end."""


def paint_indices(spans: Spans, index: Ints, shapes: Ints, width: Ints, height: Ints) -> Painted:
    """Paint the annotations of pictures, later ones over earlier ones.

    Args:
        spans: of each annotation, within its picture.
        index: int64[k], the pixel value of each, from 1 on.
        shapes: int64[p + 1], the annotations of each picture.
        width: int64[p], of each picture in pixels.
        height: int64[p], likewise.
    """
    sizes = (width + 1) * height
    base = offsets_of(sizes)
    shape_picture = np.repeat(np.arange(len(width)), np.diff(shapes))
    shape = spans.owner
    picture = shape_picture[shape]
    line = base[picture] + spans.row * (width[picture] + 1) + 1
    first, last, value = line + spans.start, line + spans.stop, index[shape]
    order = np.argsort(first, kind="stable")
    begin, end, value_there = first[order], last[order], value[order]
    area = spans.areas
    visible = area
    share = np.flatnonzero(end[:-1] > begin[1:])
    if len(share):
        crowded = np.zeros(len(width), np.bool_)
        crowded[picture[order[share]]] = True
        some = crowded[picture]
        on_top, left = _on_top(first[some], last[some], value[some])
        own = np.bincount(shape[some], weights=left, minlength=len(index)).astype(np.int64)
        visible = np.where(crowded[shape_picture], own, area)
        plain = ~some[order]
        sparse = begin[plain], end[plain], value_there[plain]
        begin, end, value_there = (np.concatenate(pair) for pair in zip(sparse, on_top, strict=True))
        order = np.argsort(begin, kind="stable")
        begin, end, value_there = begin[order], end[order], value_there[order]
    offsets = np.searchsorted(begin, base)
    moved = np.repeat(base[:-1], np.diff(offsets))
    return Painted(Runs(offsets, begin - moved, end - moved, value_there), sizes, area, visible)


def _on_top(first: Ints, last: Ints, value: Ints) -> tuple[tuple[Ints, Ints, Ints], Ints]:
    """Runs painted over each other in their order: what is seen in the end as runs (first, last, value), and of how
    many pixels of each of the runs that came this is its own value."""
    border = np.unique(np.concatenate([first, last]))
    begin, end = np.searchsorted(border, first), np.searchsorted(border, last)
    seen = np.zeros(len(border), np.int64)  # between each border and the next one; nothing behind the last one
    for start, stop, number in zip(begin.tolist(), end.tolist(), value.tolist(), strict=True):
        seen[start:stop] = number
    changes = np.flatnonzero(np.diff(seen, prepend=0))
    where, what = border[changes], seen[changes]
    filled = np.flatnonzero(what)
    # How many pixels of some value lie before some border: all pieces by value and place, their lengths added up.
    order = np.argsort(seen, kind="stable")
    reach = int(border[-1]) + 1
    key = seen[order] * reach + border[order]
    before = offsets_of(np.diff(border, append=border[-1])[order])
    own = before[np.searchsorted(key, value * reach + last)] - before[np.searchsorted(key, value * reach + first)]
    return (where[filled], where[filled + 1], what[filled]), own


def counted_from(runs: Runs, start: int) -> Runs:
    """The same with the first index ``start``, which is 1, or 0: then that index is the background's too."""
    if start:
        return runs
    kept: Bools = runs.value > 1
    places = offsets_of(kept)
    return Runs(places[runs.offsets], runs.start[kept], runs.stop[kept], runs.value[kept] - 1)
