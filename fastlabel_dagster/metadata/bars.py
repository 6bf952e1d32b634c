"""Bar charts, heat map and funnel as SVG: numbers people would rather look at than read.

Each picture has a white ground of its own, so it reads the same in Dagster's light and dark theme. Text is drawn by the
reader's browser.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.metadata.pictures import document, shortened

_WIDTH = 720
_ROW = 24
_QUIET, _BAR = "#444b55", "#3b6fb6"

#: The way of a task, in order: who is at one stage has passed those before it. The other statuses are listed below.
STAGES = ("registered", "completed", "reviewed", "approved")


@dataclass(frozen=True)
class Bar:
    """One row of a chart: ``name`` (escaped and shortened when drawn), ``count``, ``color`` as ``#RRGGBB``, and
    ``note`` behind the number."""

    name: str
    count: int
    color: str = _BAR
    note: str = ""


def frame(width: int, height: int, title: str, body: str) -> str:
    """An SVG document of so many pixels: a white ground, ``title`` (escaped here) and ``body`` (SVG elements)."""
    words = f'<text x="16" y="26" font-size="15" font-weight="600">{html.escape(title)}</text>'
    return document(width, height, words + body, font_size=13)


def bars(title: str, rows: Sequence[Bar], *, empty: str = "Nothing to show yet.") -> str:
    """``rows`` as horizontal bars from top to bottom, the longest over the whole width; an SVG document."""
    most = max((row.count for row in rows), default=0) or 1
    left, right = 190, 124
    parts = []
    for number, row in enumerate(rows):
        top = 44 + number * _ROW
        length = max((_WIDTH - left - right) * row.count / most, 1.5 if row.count else 0)
        words = f"{row.count:,}" + (f"  {html.escape(row.note)}" if row.note else "")
        parts.append(
            f'<text x="{left - 8}" y="{top + 15}" text-anchor="end">{shortened(row.name, 24)}</text>'
            f'<rect x="{left}" y="{top + 3}" width="{length:.1f}" height="{_ROW - 8}" rx="2" fill="{row.color}"/>'
            f'<text x="{left + length + 6:.1f}" y="{top + 15}" fill="{_QUIET}">{words}</text>'
        )
    nothing = "" if rows else f'<text x="{left}" y="59">{html.escape(empty)}</text>'
    return frame(_WIDTH, 56 + max(len(rows), 1) * _ROW, title, "".join(parts) + nothing)


def status_funnel(counts: Mapping[str, int], before: Mapping[str, int] | None = None) -> str:
    """How far the tasks have come, with the change since ``before``; an SVG document.

    A stage counts the tasks that are at it or beyond it: an approved task has been registered, completed and reviewed
    too, also where a workflow has no review. ``sent_back``, ``declined``, ``skipped`` and the rest follow as they are:
    those tasks are registered, and nothing is said of how far they had come.
    """
    rows = [Bar(name, number, color) for (name, number), color in zip(reached(counts).items(), _GREENS, strict=True)]
    rows += [Bar(name, number, "#b58a2b") for name, number in counts.items() if name not in STAGES]
    if before is not None:
        earlier = {**reached(before), **{name: n for name, n in before.items() if name not in STAGES}}
        rows = [replace(row, note=_signed(row.count - earlier.get(row.name, 0))) for row in rows]
    since = "" if before is None else ", and the change since the last version"
    return bars(f"{sum(counts.values()):,} tasks by how far they have come{since}", rows)


_GREENS = ("#9aa6b2", "#6aa5c9", "#4c9f8b", "#2e8b57")


def reached(counts: Mapping[str, int]) -> dict[str, int]:
    """How many tasks are at each of :data:`STAGES` or beyond it; ``registered`` counts every task."""
    numbers = [sum(counts.get(later, 0) for later in STAGES[at:]) for at in range(len(STAGES))]
    numbers[0] = sum(counts.values())
    return dict(zip(STAGES, numbers, strict=True))


def _signed(change: int) -> str:
    return f"{change:+,}" if change else ""


def heat_map(title: str, grid: NDArray[np.int64]) -> str:
    """``grid`` (rows × columns of counts; row 0 is the top of the pictures) as coloured cells; an SVG document."""
    cell = 16
    most = int(grid.max()) if grid.size else 0
    if not most:
        return bars(title, [], empty="No box to show.")
    shares = np.sqrt(grid / most)  # single boxes stay visible beside a place where thousands are
    parts = []
    for row, column in np.argwhere(grid > 0).tolist():
        red, green, blue = (round(255 + (end - 255) * float(shares[row, column])) for end in (0x14, 0x4E, 0x8C))
        parts.append(
            f'<rect x="{16 + column * cell}" y="{44 + row * cell}" width="{cell}" height="{cell}" '
            f'fill="#{red:02x}{green:02x}{blue:02x}"><title>{int(grid[row, column]):,}</title></rect>'
        )
    rows, columns = grid.shape
    border = (
        f'<rect x="16" y="44" width="{columns * cell}" height="{rows * cell}" fill="none" stroke="#c5cad1"/>'
        f'<text x="{24 + columns * cell}" y="56" fill="{_QUIET}">darkest: {most:,}</text>'
    )
    return frame(max(_WIDTH // 2, 150 + columns * cell), 60 + rows * cell, title, "".join(parts) + border)
