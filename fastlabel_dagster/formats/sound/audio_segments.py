"""Labelled stretches of sound (FastLabel's type ``segmentation`` in audio projects, with ``start`` and ``end`` in
seconds), as the audio formats write and read them.

Times are written in microseconds' precision, the duration as the difference of the rounded ends, so that start and end
come back as they were written. ``tasks.jsonl`` names the task of each label file, ``classes.json`` knows titles,
colours and the order of the classes. Recordings, where they are at hand, are put into ``audio/``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.assembly import FoundClass, class_colors, classes_table, stable_id
from fastlabel_dagster.formats.attributes import attribute_values
from fastlabel_dagster.formats.batches import task_batches
from fastlabel_dagster.formats.categories import Categories, Met
from fastlabel_dagster.formats.class_words import with_unlisted
from fastlabel_dagster.formats.file_kinds import AUDIO_ENDINGS
from fastlabel_dagster.formats.label_files import files_below, stem_of
from fastlabel_dagster.formats.pictures import Pictures
from fastlabel_dagster.formats.report import BatchTally, Tally
from fastlabel_dagster.formats.shapes import CLASSLESS, confidences, has_class
from fastlabel_dagster.formats.task_list import ListedTask
from fastlabel_dagster.formats.text import number_text
from fastlabel_dagster.labels import fastlabel
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, as_ragged, floats, kept_only, one_array
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels

SEGMENT = "segmentation"
#: The columns of the label tables this reads.
NEEDS = ("task_id", "name", "duration", "annotations")
#: Microseconds.
PLACES = 6
#: Seconds: about three years, and exact to a microsecond as float64.
LONGEST = 1e8
AUDIO = "audio"
_ROUNDING = 0.5e-6


@dataclass
class SegmentBatch:
    """``n`` annotations of a batch of ``t`` tasks."""

    picture: Ints
    """int64[t]: the position of each task among the dataset's recordings."""
    owner: Ints
    """int64[n]: the task each annotation belongs to."""
    start: Floats
    """Seconds, in whole microseconds."""
    end: Floats
    value: pa.Array
    confidence: Floats
    """NaN where a person set them."""
    attributes: pa.Array
    told: BatchTally
    """What became of them. Call ``told.finish()`` when the batch is written."""

    def meet(self, categories: Categories) -> Met:
        """The categories of those that are kept; unknown ones are added."""
        kept = kept_only(self.value, self.told.kept)
        return categories.meet(kept, pa.array([SEGMENT] * len(kept), pa.string()), pa.nulls(len(kept)))

    def attribute(self, key: str) -> list[str | None]:
        """The value of an attribute of each annotation, as text; None where it has none of this key."""
        values = attribute_values(self.attributes)
        values = values.take(values.is_key(key))
        found: list[str | None] = [None] * len(self.owner)
        for row, value in zip(values.owner.tolist(), values.value.to_pylist(), strict=True):
            found[row] = value
        return found

    def has_attributes_besides(self, *known: str) -> Bools:
        """bool[n]: there are attributes of other keys than ``known``."""
        values = attribute_values(self.attributes)
        others = np.zeros(len(self.owner), np.bool_)
        others[values.owner[~values.is_key(*known)]] = True
        return others


def segment_batches(labels: Labels, recordings: Pictures, tally: Tally) -> Iterator[SegmentBatch]:
    """All segments, a batch of tasks at a time, in the order of the labels; whatever is no sound segment is dropped
    with its reason."""
    for tasks in task_batches(labels, NEEDS):
        nested = one_array(tasks["annotations"])
        owner = np.repeat(np.arange(tasks.num_rows), as_ragged(nested).lengths)
        rows = pc.list_flatten(nested)
        kind, value, attributes, ids = (
            pc.struct_field(rows, name) for name in ("type", "value", "attributes", "annotation_id")
        )
        start, end = (floats(pc.struct_field(rows, name)) for name in ("start", "end"))
        told = tally.batch(kind, owner, one_array(tasks["name"]), ids)
        is_segment: Bools = pc.fill_null(pc.equal(kind, SEGMENT), False).to_numpy(zero_copy_only=False)
        told.drop("not a stretch of sound", ~is_segment)
        told.drop("it has no start or end in seconds", ~(np.isfinite(start) & np.isfinite(end)))
        told.drop(CLASSLESS, ~has_class(value))
        told.drop("a time is more than three years away", (np.abs(start) > LONGEST) | (np.abs(end) > LONGEST))
        told.drop("it begins before the recording", start < -_ROUNDING)
        told.drop("it ends before it starts", end < start)
        duration = floats(tasks["duration"])[owner]
        with np.errstate(invalid="ignore"):
            told.notice("it reaches beyond the end of the recording", end > duration + _ROUNDING)
        start, end = (np.where(told.kept, np.round(np.maximum(side, 0), PLACES), 0) for side in (start, end))
        confidence = confidences(pc.struct_field(rows, "confidence_score"))
        yield SegmentBatch(recordings.rows_of(tasks["task_id"]), owner, start, end, value, confidence, attributes, told)


@dataclass
class _Recording:
    where: str
    name: str
    listed: ListedTask | None
    url: str | None
    tags: list[str]
    segments: list[dict[str, Any]] = field(default_factory=list)


class SegmentTasks:
    """Audio tasks put together by a reader. Recordings are known by a key: a file's path, or what the file says."""

    def __init__(self, format: str, root: Path, listed: Mapping[str, ListedTask]) -> None:
        self._format = format
        self._root = root
        self._listed = listed
        self._recordings: dict[str, _Recording] = {}
        self._audio: dict[str, list[Path]] | None = None

    def __len__(self) -> int:
        return len(self._recordings)

    def begin(self, key: str, stem: str) -> None:
        """A recording, with segments or without. ``stem`` is its file name without the ending, as far as known."""
        if key in self._recordings:
            return
        listed = self._listed.get(key)
        names = [stem_of(listed.name), stem] if listed else [stem]
        audio = next((path for name in names if (path := self._find_audio(name)) is not None), None)
        name = listed.name if listed else audio.name if audio else stem
        self._recordings[key] = _Recording(
            key, name, listed, audio.resolve().as_uri() if audio else None, listed.tags if listed else []
        )

    def add(
        self,
        key: str,
        value: str,
        start: float,
        end: float,
        attributes: Mapping[str, str],
        *,
        confidence: float | None = None,
    ) -> None:
        """A segment of a recording that has begun, checked by the reader."""
        sure = {} if confidence is None else {"confidenceScore": confidence}
        self._recordings[key].segments.append(
            {
                **sure,
                "type": SEGMENT,
                "value": value,
                "start": start,
                "end": end,
                "attributes": [
                    {"key": name, "name": name, "type": "text", "value": text} for name, text in attributes.items()
                ],
            }
        )

    def labels(self, told: ReadTally, known: Mapping[str, FoundClass]) -> Labels:
        """All of them, with the classes ``known`` by value and one for every other label, in the order of their
        names."""
        usage: dict[str, dict[str, int]] = {}
        for recording in self._recordings.values():
            for segment in recording.segments:
                usage.setdefault(segment["value"], {SEGMENT: 0})[SEGMENT] += 1
        classes = with_unlisted(known, usage, SEGMENT)
        colors = class_colors(classes.values())
        tasks: list[dict[str, Any]] = []
        ids: set[str] = set()
        for key, recording in self._recordings.items():
            task_id = recording.listed.task_id if recording.listed else ""
            if not task_id or task_id in ids:
                task_id = stable_id(self._format, key)
            ids.add(task_id)
            for number, segment in enumerate(recording.segments, start=1):
                segment["id"] = f"{task_id}-{number}"
                segment["title"] = classes[segment["value"]].title or segment["value"]
                segment["color"] = colors[segment["value"]]
            task = {"id": task_id, "name": recording.name, "tags": recording.tags, "annotations": recording.segments}
            if recording.url is not None:
                task["url"] = recording.url
            tasks.append(task)
        told.found(len(tasks), sum(sum(counts.values()) for counts in usage.values()))
        table = fastlabel.from_fastlabel(tasks).tasks
        return Labels(table, classes_table(classes.values(), usage, colors), origin={"format": self._format})

    def _find_audio(self, stem: str) -> Path | None:
        """The only recording of this name in the dataset's folder."""
        if self._audio is None:
            self._audio = {}
            for folder, names in files_below(self._root, AUDIO_ENDINGS):
                for name in names:
                    self._audio.setdefault(stem_of(name), []).append(self._root / folder / name)
        found = self._audio.get(stem, [])
        return found[0] if len(found) == 1 else None


def microseconds_text(times: Floats) -> pa.Array:
    """Whole microseconds as seconds with six decimals: ``1.500000``."""
    whole = times.astype(np.int64)
    digits = pc.utf8_lpad(number_text(whole % 10**PLACES), PLACES, "0")
    return pc.binary_join_element_wise(number_text(whole // 10**PLACES), digits, ".")


def seconds(text: str) -> float | None:
    """A time in seconds, also with a decimal comma as some systems write it; None for what is none, or too far."""
    try:
        value = float(text.replace(",", ".")) if len(text) < 100 and "_" not in text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) <= LONGEST else None
