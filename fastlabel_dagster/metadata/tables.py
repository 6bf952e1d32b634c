"""Numbers and tables for the Dagster UI, from reports and Arrow schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.api.task_statuses import in_order

if TYPE_CHECKING:
    import pyarrow as pa

    from fastlabel_dagster.api import RequestStatistics
    from fastlabel_dagster.formats import ExportReport
    from fastlabel_dagster.labels import Labels

#: Metadata lives in Dagster's database: a table shows this many rows and says how many there are.
MOST_ROWS = 50
#: What people wrote may be long; a cell of a table shows this many characters of it.
_LONGEST_CELL = 300


#: What the columns of the label tables mean, for the UI; :mod:`fastlabel_dagster.labels.schema` says it in full.
_COLUMNS = {
    "task_id": "Id of the task in FastLabel.",
    "task_name": "Name of the task, usually the file's name.",
    "name": "Name of the task, usually the file's name.",
    "index": "Position of the annotation within its task, from 0.",
    "status": "registered, completed, skipped, reviewed, sent_back, approved, declined or pending.",
    "width": "Width of the picture in pixels.",
    "height": "Height of the picture in pixels.",
    "type": "Kind of annotation: bbox, polygon, segmentation, keypoint, line, circle, pose_estimation, …",
    "value": "Machine name of the annotation class.",
    "title": "Name of the annotation class that people read.",
    "color": "Colour of the annotation class, #RRGGBB.",
    "points": "Pixels: bbox x1 y1 x2 y2; polygon and line x y x y …; keypoint x y; circle x y radius.",
    "regions": "Segmentation: regions of rings of x y …, the first ring the outline, the others holes.",
    "rotation": "Degrees about the box's centre, clockwise on screen.",
    "confidence_score": "Confidence of a prediction; -1 when a person drew it.",
    "keypoints": "Points of a pose: key, name, [x, y, visible].",
    "attributes": "Attribute values.",
    "annotations": "The task's annotations, nested: a task and its annotations are always of one moment.",
    "class_id": "Id of the annotation class in FastLabel.",
    "annotation_id": "Id of the annotation in FastLabel.",
    "content": "Which picture or file of the task it is on, by name.",
    "content_id": "Which picture or file of the task it is on, by id.",
    "text": "The words that are marked.",
    "start": "Where a stretch begins: seconds of a recording, or characters of a text, from 0.",
    "end": "Where a stretch ends, in the unit of start.",
    "frames": "Keyframes of a track: frame from 1, value, whether FastLabel has worked it out.",
    "annotation_count": "How many annotations the task has.",
    "external_status": "Status of the work that is done outside, with the words of status.",
    "priority": "How urgent the task is, as the API says it.",
    "tags": "Tags of the task.",
    "assignee": "Who labels it.",
    "reviewer": "Who reviews it.",
    "approver": "Who approves it.",
    "external_assignee": "Who labels it outside.",
    "external_reviewer": "Who reviews it outside.",
    "external_approver": "Who approves it outside.",
    "fps": "Frames of the video a second.",
    "frame_count": "How many frames the video has.",
    "duration": "Length of the video or recording in seconds.",
    "contents": "The pictures or files of a task that has several.",
    "url": "Signed link to the file; it expires, and the mirror does not keep it.",
    "created_at": "When it was made in FastLabel.",
    "updated_at": "When it was last changed in FastLabel.",
    "order": "Place of the class in FastLabel's list.",
    "vertex": "Number of corners, as the API says it.",
    "extra": "What has no column of its own, as JSON under the API's keys.",
}


def column_schema(schema: pa.Schema) -> dg.TableSchema:
    """An Arrow schema as the table schema the Dagster UI shows; nested types in Arrow's own words."""
    columns = [
        dg.TableColumn(
            name=one.name,
            type=str(one.type),
            description=_COLUMNS.get(one.name),
            constraints=dg.TableColumnConstraints(nullable=one.nullable),
        )
        for one in schema
    ]
    return dg.TableSchema(columns=columns)


def records_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[tuple[str, str]]) -> dg.TableMetadataValue:
    """``rows`` as a table with ``columns`` of (name, ``string`` | ``int`` | ``float``), at most 50 rows."""
    records = []
    for number, row in enumerate(rows):
        if number == MOST_ROWS:
            break
        records.append(dg.TableRecord({name: _cell(row.get(name)) for name, _ in columns}))
    schema = dg.TableSchema(columns=[dg.TableColumn(name=name, type=kind) for name, kind in columns])
    return dg.MetadataValue.table(records=records, schema=schema)


def counts_table(counts: Mapping[str, int], what: str) -> dg.TableMetadataValue:
    """``{thing: how many}`` as a table with the columns ``what`` and ``count``."""
    rows = [{what: name or "(none)", "count": count} for name, count in counts.items()]
    return records_table(rows, [(what, "string"), ("count", "int")])


def statuses_table(counts: Mapping[str, int]) -> dg.TableMetadataValue:
    """Tasks by status, in the order a task goes through them: rows keep their places while the counts change."""
    return counts_table(in_order(counts), "status")


def export_notes_table(report: ExportReport) -> dg.TableMetadataValue:
    """What an export dropped, altered or noticed, and why, as a table; empty when every annotation came through."""
    rows = [
        {
            "what": fate,
            "type": note.type,
            "count": note.count,
            "reason": note.reason,
            "examples": ", ".join(note.examples),
        }
        for fate, notes in (("dropped", report.dropped), ("altered", report.altered), ("noticed", report.noticed))
        for note in notes
    ]
    columns = [("what", "string"), ("type", "string"), ("count", "int"), ("reason", "string"), ("examples", "string")]
    return records_table(rows, columns)


def quarantine_table(entries: Iterable[Any]) -> dg.TableMetadataValue:
    """Quarantined tasks or pictures: mappings or dataclasses with ``task_id``, ``name`` and ``reason``."""
    rows = [
        {name: entry.get(name) if isinstance(entry, Mapping) else getattr(entry, name, None) for name in _QUARANTINE}
        for entry in entries
    ]
    return records_table(rows, [(name, "string") for name in _QUARANTINE])


_QUARANTINE = ("task_id", "name", "reason")


def api_usage(usage: RequestStatistics) -> dict[str, Any]:
    """What a step asked of the API: requests (retries included), retries, seconds spent waiting."""
    return {
        "api/requests": usage.requests,
        "api/retries": usage.retries,
        "api/waited_seconds": round(float(usage.waited_seconds), 3),
    }


def labels_origin(labels: Labels) -> dict[str, Any]:
    """``labels_version`` and ``labels_digest``: which labels something was made from."""
    origin = labels.origin
    return {
        "labels_version": int(origin.get("version", -1)),
        "labels_digest": str(origin.get("digest", "")),
    }


def _cell(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, (int, float, bool)):
        return value
    text = str(value)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
