"""Between pixels and outlines, exactly: masks, COCO run lengths and polygon regions.

One rule throughout: *a pixel belongs to a shape when its centre does*. Pixel (column ``c``, row ``r``) is the unit
square with corners (c, r) and (c + 1, r + 1); its centre is (c + 0.5, r + 0.5). A centre that lies exactly on an
edge belongs to the shape on its right (on its lower side for a horizontal edge), so shapes that share an edge share
no pixel.

Regions are those of :mod:`fastlabel_dagster.labels.schema`: region -> ring -> flat ``[x, y, x, y, …]`` in pixels,
the first ring of a region its outline and the others its holes.

Run lengths are COCO's: the mask is read column by column (Fortran order) and the counts alternate between background
and foreground, beginning with background. The text form is the one ``pycocotools`` reads and writes: every count
from the fourth on is stored as the difference to the count two places before, in groups of five bits, lowest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Mask: TypeAlias = npt.NDArray[np.bool_]
#: A ring as flat numbers [x, y, x, y, …]; closed or not, both are read.
Ring: TypeAlias = Sequence[float] | npt.NDArray[np.float64]
#: Outline first, then the holes.
Region: TypeAlias = Sequence[Ring]


def rle_to_mask(counts: Sequence[int] | npt.NDArray[np.int64], height: int, width: int) -> Mask:
    """The mask (bool, ``height`` x ``width``) of uncompressed COCO ``counts``.

    Raises ValueError when the counts are negative or do not add up to the number of pixels.
    """
    runs = np.asarray(counts, np.int64)
    if runs.size and runs.min() < 0:
        raise ValueError("run lengths must not be negative")
    if int(runs.sum()) != height * width:
        raise ValueError(f"run lengths add up to {int(runs.sum())}, not to {height} x {width} pixels")
    values = (np.arange(runs.size) & 1).astype(np.bool_)
    return np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)


def mask_to_rle(mask: npt.NDArray[np.generic]) -> list[int]:
    """Uncompressed COCO counts of ``mask`` (2-d; every value other than 0 is foreground); the inverse of
    :func:`rle_to_mask`."""
    bits = _as_mask(mask).T.reshape(-1)
    if bits.size == 0:
        return []
    changes = np.flatnonzero(bits[1:] != bits[:-1]) + 1
    counts: list[int] = np.diff(np.concatenate([[0], changes, [bits.size]])).tolist()
    return [0, *counts] if bits[0] else counts


def rle_area(counts: Sequence[int] | npt.NDArray[np.int64]) -> int:
    """The number of foreground pixels of uncompressed ``counts``."""
    return int(np.asarray(counts, np.int64)[1::2].sum())


def decode_rle(text: str | bytes) -> list[int]:
    """Uncompressed counts of COCO's compressed run-length ``text``. Raises ValueError when the text is cut short or
    damaged."""
    raw = np.frombuffer(text.encode("ascii") if isinstance(text, str) else bytes(text), np.uint8).astype(np.int64) - 48
    if raw.size == 0:
        return []
    if raw.min() < 0 or raw.max() > 63:
        raise ValueError("compressed run lengths hold a character that cannot occur in them")
    last = (raw & 0x20) == 0
    if not last[-1]:
        raise ValueError("compressed run lengths end in the middle of a number")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    digits = np.arange(raw.size) - np.repeat(starts, ends - starts + 1)
    if digits.max() > 11:
        raise ValueError("compressed run lengths hold a number of more than 60 bits")
    numbers = np.add.reduceat((raw & 0x1F) << (5 * digits), starts)
    numbers -= np.where(raw[ends] & 0x10, np.int64(1) << (5 * (ends - starts + 1)), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    if numbers.min() < 0:
        raise ValueError("compressed run lengths decode to a negative count")
    return numbers.tolist()  # type: ignore[no-any-return]


def mask_to_regions(mask: npt.NDArray[np.generic]) -> list[list[list[float]]]:
    """Trace ``mask`` along its pixel edges: regions of closed rings whose vertices are pixel corners (whole numbers).

    A region is a set of pixels connected by their sides; pixels that only touch at a corner are two regions, so no ring
    crosses itself. Outlines run clockwise on screen, holes counter-clockwise; only turning points are kept. Regions are
    ordered by their topmost, then leftmost corner. :func:`regions_to_mask` gives back exactly ``mask``.
    """
    bits = _as_mask(mask)
    if not bits.any():
        return []
    corners, next_corner = _corners(bits)
    import cv2  # only counts connected pixels here: whole numbers, nothing is rounded

    components: npt.NDArray[np.int32] = np.asarray(
        cv2.connectedComponents(bits.astype(np.uint8), connectivity=4)[1], np.int32
    )
    successors, points = next_corner.tolist(), corners.tolist()
    inside_of = _component_beside(components, corners, next_corner).tolist()
    outlines: dict[int, list[float]] = {}
    holes: dict[int, list[list[float]]] = {}
    seen = bytearray(len(successors))
    # Corners are sorted by (y, x): a ring's first corner is its topmost-leftmost, and an outline comes before its
    # holes.
    for first in range(len(successors)):
        if seen[first]:
            continue
        ring: list[float] = []
        corner = first
        while not seen[corner]:
            seen[corner] = 1
            ring.extend(points[corner])
            corner = successors[corner]
        ring.extend(ring[:2])
        component = inside_of[first]
        if component in outlines:
            holes[component].append(ring)
        else:
            outlines[component], holes[component] = ring, []
    return [[outline, *holes[component]] for component, outline in outlines.items()]


class Painting(NamedTuple):
    """Regions as pixels, and what is odd about them."""

    mask: Mask
    overlaps: bool
    """Two regions share a pixel."""
    holes_leave: bool
    """A hole has a pixel outside its region's outline."""


def paint(regions: Sequence[Region], width: int, height: int) -> Painting:
    """The pixels (``height`` x ``width``) whose centres lie in any of ``regions``.

    A region is its outline less its holes, wherever those lie; regions are united. A ring that crosses itself follows
    the even-odd rule. Vertices may be fractions and may lie outside the picture. Exact inverse of
    :func:`mask_to_regions`. Raises ValueError on vertices that are not finite.
    """
    mask, part, cut = (np.zeros((height, width), np.bool_) for _ in range(3))
    overlaps = holes_leave = False
    for region in regions:
        outline, *holes = [_edges([ring]) for ring in region] or [np.empty((0, 4))]
        window = _paint(part, outline)
        hole_windows = [_paint(cut, hole) for hole in holes]
        for place in hole_windows:
            holes_leave = holes_leave or bool((cut[place] & ~part[place]).any())
        part[window] &= ~cut[window]
        overlaps = overlaps or bool((mask[window] & part[window]).any())
        mask[window] |= part[window]
        part[window] = False
        for place in hole_windows:
            cut[place] = False
    return Painting(mask, overlaps, holes_leave)


def regions_to_mask(regions: Sequence[Region], width: int, height: int) -> Mask:
    """The mask of :func:`paint`."""
    return paint(regions, width, height).mask


def _as_mask(mask: npt.NDArray[np.generic]) -> Mask:
    array = np.asarray(mask)
    if array.ndim != 2:
        raise ValueError(f"a mask has two dimensions (rows, columns), not {array.ndim}")
    return array.astype(np.bool_, copy=False)


def _corners(bits: Mask) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All turning points (x, y) of the pixel edges, sorted by (y, x), and for each the index of the one that follows it
    when the foreground is kept on the right hand.

    Each turning point has one horizontal and one vertical edge. Along a row of the corner grid the turning points
    pair up into horizontal edges, along a column into vertical ones; where two pixels touch at a corner there are
    two turning points, one for each pixel, and sorting them by the side their edge leads to keeps the pixels apart.
    """
    padded = np.pad(bits, 1).astype(np.int8)
    top_left, top_right = padded[:-1, :-1], padded[:-1, 1:]
    bottom_left, bottom_right = padded[1:, :-1], padded[1:, 1:]
    total = top_left + top_right + bottom_left + bottom_right
    single = (total == 1) | (total == 3)
    diagonal = (total == 2) & (top_left == bottom_right)
    falling = diagonal & (top_left == 1)  # the two pixels lie on the \ diagonal
    rising = diagonal & (top_left == 0)  # on the / diagonal
    # The odd one out of the four pixels tells where the edges of a single turning point lead to.
    odd = (total == 3).astype(np.int8)
    leads_right = ((top_right ^ odd) | (bottom_right ^ odd)).astype(np.bool_)
    leads_down = ((bottom_left ^ odd) | (bottom_right ^ odd)).astype(np.bool_)

    ys, xs = np.nonzero(single)
    parts = [(xs, ys, leads_right[ys, xs], leads_down[ys, xs])]
    for where, down_when_right in ((falling, True), (rising, False)):
        dy, dx = np.nonzero(where)
        for right in (False, True):
            side = np.full(dx.size, right)
            parts.append((dx, dy, side, side if down_when_right else ~side))
    x, y, right_side, down_side = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((right_side, x, y))
    x, y, right_side, down_side = x[order], y[order], right_side[order], down_side[order]

    n = x.size
    index = np.arange(n)
    horizontal = index ^ 1  # sorted by (y, x, side): neighbours pair up
    by_column = np.lexsort((down_side, y, x))
    vertical = np.empty(n, np.int64)
    vertical[by_column] = by_column[index ^ 1]
    # Foreground on the right hand: an edge to the right has it below, an edge downwards has it on its left.
    below = padded[y + 1, np.where(right_side, x + 1, x)].astype(np.bool_)
    leaves_horizontally = right_side == below
    follows = np.where(leaves_horizontally, horizontal, vertical)
    return np.column_stack([x, y]), follows


def _component_beside(
    components: npt.NDArray[np.int32], corners: npt.NDArray[np.int64], follows: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """For each turning point the component (from 1) of the pixel on the right hand of the edge that leaves it."""
    x, y = corners[:, 0], corners[:, 1]
    dx, dy = np.sign(x[follows] - x), np.sign(y[follows] - y)
    column = np.where(dx != 0, np.minimum(x, x + dx), x - (dy > 0))
    row = np.where(dy != 0, np.minimum(y, y + dy), y - (dx < 0))
    beside: npt.NDArray[np.int32] = components[row, column]
    return beside


def _edges(region: Region) -> npt.NDArray[np.float64]:
    """All edges (x1, y1, x2, y2) of a region's rings, each ring closed."""
    parts = []
    for ring in region:
        points = np.asarray(ring, np.float64).reshape(-1, 2)
        if not np.isfinite(points).all():
            raise ValueError("a region has a vertex that is not a finite number")
        if len(points) >= 3:
            parts.append(np.hstack([points, np.roll(points, -1, axis=0)]))
    return np.concatenate(parts) if parts else np.empty((0, 4))


def _paint(mask: Mask, edges: npt.NDArray[np.float64]) -> tuple[slice, slice]:
    """Set the pixels of ``mask`` whose centres lie inside ``edges`` by the even-odd rule: every edge flips all
    pixels to its right in the rows whose centre line it crosses. Returns the part of the mask all of them lie in."""
    height, width = mask.shape
    nothing = slice(0, 0), slice(0, 0)
    if not edges.size:
        return nothing
    x1, y1, x2, y2 = edges.T
    # Row r is crossed when min <= r + 0.5 < max.
    first = np.clip(np.ceil(np.minimum(y1, y2) - 0.5), 0, height).astype(np.int64)
    stop = np.clip(np.ceil(np.maximum(y1, y2) - 0.5), 0, height).astype(np.int64)
    spans = stop - first
    if not spans.any():
        return nothing
    edge = np.repeat(np.arange(len(edges)), spans)
    starts = np.cumsum(spans) - spans
    row = np.arange(edge.size) - np.repeat(starts, spans) + first[edge]
    # Always from the upper to the lower end, so that two shapes sharing an edge compute the very same crossing.
    down = y1 <= y2
    xa, ya = np.where(down, x1, x2)[edge], np.where(down, y1, y2)[edge]
    xb, yb = np.where(down, x2, x1)[edge], np.where(down, y2, y1)[edge]
    crossing = xa + (row + 0.5 - ya) * ((xb - xa) / (yb - ya))
    column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
    top, bottom, left, right = int(row.min()), int(row.max()) + 1, int(column.min()), int(column.max())
    if left >= right:
        return nothing
    span = right - left + 1
    flips = np.bincount((row - top) * span + (column - left), minlength=(bottom - top) * span) & 1
    inside = np.bitwise_xor.accumulate(flips.reshape(bottom - top, span), axis=1)[:, :-1]
    window = slice(top, bottom), slice(left, right)
    mask[window] |= inside.astype(np.bool_)
    return window
