"""Numbers about labels, counted batch by batch: what people look at first, and what checks compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.geometry import FlatAnnotations, inside_image, is_finite
from fastlabel_dagster.labels.ragged import Bools, one_array
from fastlabel_dagster.labels.tables import Labels

CLASS_COUNTS = pa.schema(
    [
        ("value", pa.string()),
        ("title", pa.string()),
        ("type", pa.string()),
        ("color", pa.string()),
        ("count", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Totals:
    """``tasks``, ``annotations``, and ``empty_tasks``: tasks without any annotation."""

    tasks: int
    annotations: int
    empty_tasks: int


def totals(labels: Labels) -> Totals:
    """How many tasks and annotations there are, and how many tasks have none."""
    tasks = annotations = empty = 0
    for table in labels.batches(["annotations"]):
        counts = pc.fill_null(pc.list_value_length(table["annotations"]), 0)
        tasks += table.num_rows
        annotations += pc.sum(counts, min_count=0).as_py()
        empty += pc.sum(pc.equal(counts, 0), min_count=0).as_py()
    return Totals(tasks, annotations, empty)


def status_counts(labels: Labels) -> dict[str, int]:
    """Tasks by status, most frequent first; a task without a status counts as ``"unknown"``."""
    counts: Counter[str] = Counter()
    for table in labels.batches(["status"]):
        for status, count in _value_counts(pc.fill_null(table["status"], "unknown")):
            counts[status] += count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def class_counts(labels: Labels) -> pa.Table:
    """Annotations by class and type (schema ``CLASS_COUNTS``), most frequent first, then by value and type.

    Title and colour are those the class declares, or, where ``labels`` do not hold the class, the ones its annotations
    show. A declared class that nobody has used is listed with a count of 0.
    """
    looks: dict[tuple[str | None, str | None], tuple[str | None, str | None]] = {}
    for row in labels.classes.select(["value", "type", "title", "color"]).to_pylist():
        looks.setdefault((row["value"], row["type"]), (row["title"], row["color"]))
    counts = Counter(dict.fromkeys(looks, 0))
    for table in labels.batches(["annotations"]):
        annotations = pc.list_flatten(one_array(table["annotations"]))
        columns = {name: pc.struct_field(annotations, name) for name in ("value", "type", "title", "color")}
        grouped = pa.table(columns).group_by(["value", "type"]).aggregate([([], "count_all"), *_LOOKS_OF_GROUP])
        for row in grouped.to_pylist():
            key = row["value"], row["type"]
            counts[key] += row["count_all"]
            looks.setdefault(key, (row["title_min"], row["color_min"]))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0][0] or "", item[0][1] or ""))
    return pa.Table.from_pylist(
        [
            {"value": key[0], "title": looks[key][0], "type": key[1], "color": looks[key][1], "count": count}
            for key, count in ordered
        ],
        schema=CLASS_COUNTS,
    )


def geometry_masks(flat: FlatAnnotations, *, tolerance: float = 0.0) -> dict[str, Bools]:
    """bool[n] for each of three problems: which annotations have it; each at most one, the first that applies.

    ``ill_formed``: the points do not fit the type; ``not_finite``: NaN or infinite coordinates; ``outside_image``: some
    part lies outside the picture (only where its size is known).

    Args:
        tolerance: this many pixels outside the picture do not count.
    """
    finite = is_finite(flat)
    return {
        "ill_formed": ~flat.well_formed,
        "not_finite": flat.well_formed & ~finite,
        "outside_image": flat.well_formed & finite & ~inside_image(flat, tolerance=tolerance),
    }


# The smallest title, not the first one seen: the same whatever the batches.
_LOOKS_OF_GROUP = [("title", "min"), ("color", "min")]


def _value_counts(values: pa.Array | pa.ChunkedArray) -> Iterator[tuple[str, int]]:
    for group in pc.value_counts(one_array(values)).to_pylist():
        yield group["values"], group["counts"]
