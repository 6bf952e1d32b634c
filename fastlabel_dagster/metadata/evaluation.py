"""How good the models are, drawn: the confusion matrix, and mAP from model to model.

As all pictures here they stand on a white card of their own, so they read the same in a light and a dark theme.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import dagster as dg

from fastlabel_dagster.metadata.pictures import FONT, picture_markdown, shortened
from fastlabel_dagster.metadata.tables import records_table

_INK = "#1c2128"
_PALE = "#444b55"
_LINE = "#3b82f6"
_MOST_CLASSES = 20
_MOST_MODELS = 30
_CELL = 40


def evaluation_pictures(
    job: Mapping[str, Any], newest: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """``confusion_matrix`` (when the job shows one) and ``history`` as metadata.

    Args:
        job: the evaluation as the API shows it.
        newest: measures and names of the evaluated model.
        earlier: those of the models before it, newest first.
    """
    metadata: dict[str, Any] = {}
    matrix = read_matrix(job.get("confusionMatrix"))
    if matrix is not None:
        names, counts = matrix
        metadata["confusion_matrix"] = dg.MetadataValue.md(
            picture_markdown(confusion_svg(names, counts), "confusion matrix")
        )
    models = [newest, *earlier][:_MOST_MODELS]
    metadata["history"] = dg.MetadataValue.md(picture_markdown(history_svg(models[::-1]), "mAP from model to model"))
    return metadata


def models_table(newest: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """The measures of the last thirty models and what each was measured on, the newest first."""
    columns = [("model", "string"), *((name, "float") for name in ("mAP", "recall", "precision", "f1"))]
    columns += [("dataset_version", "string"), ("labels_version", "int")]
    rows = [
        {
            **{name: _rounded(one.get(name)) for name, _ in columns},
            "model": one.get("model_name") or one.get("model_id"),
        }
        for one in [newest, *earlier][:_MOST_MODELS]
    ]
    return records_table(rows, columns)


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


def read_matrix(given: object) -> tuple[list[str], list[list[float]]] | None:
    """A confusion matrix as class names and counts, rows true and columns found; None for what is none.

    Nobody documents its form (the only example is ``null``), so the usual ones are understood: rows of numbers; a
    mapping with ``matrix`` (or ``data``, ``values``) and ``labels`` (or ``classes``, ``names``); a mapping of true
    class to found class to count.
    """
    names: object = None
    rows = given
    if isinstance(given, Mapping):
        rows = next((given[name] for name in ("matrix", "data", "values") if name in given), None)
        names = next((given[name] for name in ("labels", "classes", "names") if name in given), None)
        if rows is None and given and all(isinstance(one, Mapping) for one in given.values()):
            found: list[str] = list(dict.fromkeys([*given, *(name for one in given.values() for name in one)]))
            names = found
            rows = [[given.get(true, {}).get(one, 0) for one in found] for true in found]
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        return None
    counts: list[list[float]] = []
    for row in rows:
        if not isinstance(row, Sequence) or isinstance(row, str) or len(row) != len(rows):
            return None
        if not all(isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one < 1e15 for one in row):
            return None
        counts.append([float(one) for one in row])
    labels = [str(name) for name in names] if isinstance(names, Sequence) and not isinstance(names, str) else []
    labels += [f"class {number + 1}" for number in range(len(labels), len(counts))]
    return labels[: len(counts)], counts


def confusion_svg(names: Sequence[str], counts: Sequence[Sequence[float]]) -> str:
    """A confusion matrix as an SVG document, each row shaded by its share; at most 20 classes."""
    names, shown = list(names)[:_MOST_CLASSES], [list(row)[:_MOST_CLASSES] for row in counts[:_MOST_CLASSES]]
    left, top, size = 170, 92, len(names) * _CELL
    cells = []
    for row, (name, numbers) in enumerate(zip(names, shown, strict=True)):
        total = sum(counts[row]) or 1
        y = top + row * _CELL
        cells.append(f'<text x="{left - 10}" y="{y + 25}" text-anchor="end">{shortened(name, 20)}</text>')
        for column, number in enumerate(numbers):
            share = number / total
            fill = "#2da44e" if row == column else "#e5534b"
            x = left + column * _CELL
            said = f"{shortened(name, 40)} found as {shortened(names[column], 40)}: {number:g} ({share:.0%})"
            cells.append(
                f'<rect x="{x + 1}" y="{y + 1}" width="{_CELL - 2}" height="{_CELL - 2}" rx="3" fill="{fill}" '
                f'fill-opacity="{0.06 + 0.62 * share:.2f}">{f"<title>{said}</title>" if number else ""}</rect>'
                f'<text x="{x + _CELL / 2}" y="{y + 25}" text-anchor="middle" font-size="12">{_count(number)}</text>'
            )
    for column, name in enumerate(names):
        x = left + column * _CELL + _CELL // 2 + 4
        cells.append(
            f'<text transform="translate({x} {top - 8}) rotate(-40)" text-anchor="start">{shortened(name, 14)}</text>'
        )
    more = len(counts) - len(names)
    note = f" · {more} more classes are not drawn" if more > 0 else ""
    width, height = max(left + size + 70, 420), top + size + 22
    return (
        f"{_head(width, height)}"
        f'<text x="12" y="22" font-size="14" font-weight="600">rows: what it is · columns: what was found{note}</text>'
        f"{''.join(cells)}</svg>"
    )


def history_svg(models: Sequence[Mapping[str, Any]]) -> str:
    """mAP of the models, oldest first, as a line with points; an SVG document. A model without mAP leaves a gap."""
    width, height, left, right, top, bottom = 640, 240, 46, 24, 40, 44
    values = [one.get("mAP") for one in models]
    values = [float(one) if _is_measure(one) else None for one in values]
    numbers = [one for one in values if one is not None]
    low, high = (min(numbers, default=0.0), max(numbers, default=1.0))
    low, high = max(0.0, low - 0.05), min(1.0, high + 0.05)
    spread = (high - low) or 1.0
    step = (width - left - right) / max(len(models) - 1, 1)
    points: list[tuple[float, float, float, str]] = []
    for number, (one, value) in enumerate(zip(models, values, strict=True)):
        if value is not None:
            x = left + number * step if len(models) > 1 else (left + width - right) / 2
            y = top + (height - top - bottom) * (1 - (float(value) - low) / spread)
            points.append((x, y, value, str(one.get("model_name") or one.get("model_id") or "")))
    grid = []
    for part in range(5):
        value = low + spread * part / 4
        y = top + (height - top - bottom) * (1 - part / 4)
        grid.append(
            f'<line x1="{left}" y1="{y:.1f}" x2="{width - right}" y2="{y:.1f}" stroke="{_INK}" stroke-opacity="0.25"/>'
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end" font-size="11" fill="{_PALE}">{value:.2f}</text>'
        )
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in points)
    named = {0, len(points) - 1} if len(points) > 4 else set(range(len(points)))
    valued = {0, len(points) - 1} if len(points) > 12 else set(range(len(points)))
    marks = []
    for number, (x, y, value, name) in enumerate(points):
        last = number == len(points) - 1
        marks.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{5 if last else 3.5}" fill="{_LINE}">'
            f"<title>{shortened(name, 60)}: {value:.4f}</title></circle>"
        )
        anchor = "start" if number == 0 and len(points) > 1 else "end" if last and len(points) > 1 else "middle"
        if number in named:
            marks.append(
                f'<text x="{x:.1f}" y="{height - 14}" text-anchor="{anchor}" font-size="11">'
                f"{shortened(name, 18)}</text>"
            )
        if number in valued:
            marks.append(f'<text x="{x:.1f}" y="{y - 9:.1f}" text-anchor="{anchor}" font-size="11">{value:.4f}</text>')
    return (
        f"{_head(width, height)}"
        f'<text x="12" y="22" font-size="14" font-weight="600">mAP of the last {len(models)} models</text>'
        f"{''.join(grid)}"
        f'<polyline points="{line}" fill="none" stroke="{_LINE}" stroke-width="2"/>{"".join(marks)}</svg>'
    )


def _is_measure(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _head(width: int, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="{html.escape(FONT)}" font-size="12" fill="{_INK}">'
        f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>'
    )


def _count(number: float) -> str:
    return f"{number / 1000:.0f}k" if number >= 10_000 else f"{number:g}" if number == int(number) else f"{number:.2f}"
