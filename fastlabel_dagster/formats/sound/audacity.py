"""Audacity's label tracks: a text file per recording, ``start<TAB>end<TAB>label`` in seconds, a line per label.

A label of no length is a point. Where spectral selection was on, a line ``\\<TAB>low<TAB>high`` behind a label gives
its frequencies in hertz; they are the attributes ``low_frequency`` and ``high_frequency``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.attributes import tell_of_keys
from fastlabel_dagster.formats.categories import Categories
from fastlabel_dagster.formats.class_words import ClassWords, merged_by_value
from fastlabel_dagster.formats.label_files import label_name, stem_of
from fastlabel_dagster.formats.pictures import list_pictures
from fastlabel_dagster.formats.registry import Format
from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.formats.shapes import has_class
from fastlabel_dagster.formats.sound.audio_segments import (
    PLACES,
    SEGMENT,
    SegmentBatch,
    SegmentTasks,
    microseconds_text,
    seconds,
    segment_batches,
)
from fastlabel_dagster.formats.sound.beside import LABELS, TASK_LIST, find_beside, write_beside
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.task_list import read_class_list
from fastlabel_dagster.formats.text import glued, joined
from fastlabel_dagster.formats.text_files import read_lines
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.ragged import offsets_of
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

LOW, HIGH = "low_frequency", "high_frequency"
_ENDING = ".txt"
_FREQUENCIES = "\\"
_BREAKS = r"[\t\r\n]"
_UNDEFINED = "-1.000000"  # what Audacity writes for a frequency that was not chosen


def write_audacity(labels: Labels, folder: FolderWriter, images: PictureSource | None, tally: Tally) -> Written:
    """Write ``labels/….txt`` for every task, ``tasks.jsonl`` and ``classes.json``.

    Args:
        labels: what to write.
        folder: where to.
        images: the recordings, when they shall lie in ``audio/``.
        tally: told of everything left out or changed.
    """
    recordings = list_pictures(labels, images, tally, unique_stem=True)
    names = [f"{LABELS}/{label_name(file, _ENDING)}" for file in recordings.files]
    categories = Categories(labels.classes)
    files = size = 0
    for batch in segment_batches(labels, recordings, tally):
        batch.meet(categories)
        for row, text in zip(batch.picture.tolist(), _texts(batch), strict=True):
            folder.write_bytes(names[row], text)
            files, size = files + 1, size + len(text)
    beside = write_beside(folder, recordings, keys=names, classes=ClassWords(categories), images=images, tally=tally)
    return Written(len(recordings), files + beside.files, size + beside.bytes)


def _texts(batch: SegmentBatch) -> list[bytes]:
    """The file of each task of a batch."""
    told = batch.told
    label = pc.replace_substring_regex(batch.value, _BREAKS, " ")
    told.drop("its class has no name but blanks", ~has_class(pc.utf8_trim_whitespace(label)))
    changed = pc.fill_null(pc.not_equal(label, batch.value), False).to_numpy(zero_copy_only=False)
    told.alter("tabs and line breaks in the class name became blanks", changed)
    told.alter("its attributes have no place in a line", batch.has_attributes_besides(LOW, HIGH))
    told.alter("its confidence was left out", np.isfinite(batch.confidence))
    tell_of_keys(batch.attributes, told, among=[LOW, HIGH])
    kept = np.flatnonzero(told.kept)
    rows = pa.array(kept)
    start, end = (np.rint(side[kept] * 10**PLACES) for side in (batch.start, batch.end))
    ranges = pa.array(_frequencies(batch), pa.string()).take(rows)
    lines = glued(microseconds_text(start), "\t", microseconds_text(end), "\t", label.take(rows), "\n", ranges)
    told.finish()
    texts = joined(offsets_of(np.bincount(batch.owner[kept], minlength=len(batch.picture))), lines, "")
    return [text.encode() for text in texts.to_pylist()]


def _frequencies(batch: SegmentBatch) -> list[str]:
    """The line of frequencies behind each label; empty for one without. Tells of attributes that are none."""
    odd = np.zeros(len(batch.owner), np.bool_)

    def hertz(key: str) -> list[str | None]:
        found: list[str | None] = []
        for row, text in enumerate(batch.attribute(key)):
            value = None if text is None else seconds(text)
            odd[row] |= text is not None and (value is None or value < 0)
            found.append(None if value is None or value < 0 else f"{value:.6f}")
        return found

    pairs = list(zip(hertz(LOW), hertz(HIGH), strict=True))
    batch.told.alter("a frequency that is no number of hertz was left out", odd)
    return [f"\\\t{low or _UNDEFINED}\t{high or _UNDEFINED}\n" if low or high else "" for low, high in pairs]


def read_audacity(source: Path, told: ReadTally) -> Labels:
    """Read a label file, or all ``.txt`` files of a folder: each is the task of one recording, called like its audio
    file where that lies in the folder.

    Raises:
        FileNotFoundError: when there is no such file.
    """
    listed, found = find_beside(source, _ENDING, told)
    tasks = SegmentTasks("audacity", found.root, listed)
    for path in found.files:
        key = found.below(path)
        tasks.begin(key, stem_of(key))
        _read_file(path, key, tasks, told)
        told.advance()
    return tasks.labels(told, merged_by_value(read_class_list(found.root, told)))


def _read_file(path: Path, key: str, tasks: SegmentTasks, told: ReadTally) -> None:
    lines = [(number, line) for number, line in read_lines(path, told, key) if line.strip()]
    used = set()
    for place, (number, line) in enumerate(lines):
        where = f"{key}, line {number}"
        if line.startswith(_FREQUENCIES):
            if place not in used:
                told.drop("a line of frequencies without a label before it", "line", where=where)
            continue
        fields = line.split("\t", 2)
        times = [seconds(field.strip()) for field in fields[:2]]
        attributes = {}
        if place + 1 < len(lines) and lines[place + 1][1].startswith(_FREQUENCIES):
            used.add(place + 1)
            attributes = _read_frequencies(*lines[place + 1], key, told)
        if len(times) < 2 or times[0] is None or times[1] is None:
            told.drop("a line does not begin with two times in seconds", SEGMENT, where=where)
        elif times[0] < 0:
            told.drop("it begins before the recording", SEGMENT, where=where)
        elif times[1] < times[0]:
            told.drop("it ends before it starts", SEGMENT, where=where)
        elif len(fields) < 3 or not fields[2].strip():
            told.drop("it has no label", SEGMENT, where=where)
        else:
            tasks.add(key, fields[2], times[0], times[1], attributes)


def _read_frequencies(number: int, line: str, key: str, told: ReadTally) -> dict[str, str]:
    fields = line.split("\t")[1:3]
    values = [seconds(field.strip()) for field in fields]
    if len(values) < 2 or None in values:
        told.drop("a line of frequencies without two numbers", "line", where=f"{key}, line {number}")
        return {}
    known = zip((LOW, HIGH), fields, values, strict=True)
    return {name: field.strip() for name, field, value in known if value is not None and value >= 0}


FORMAT = Format(
    name="audacity",
    summary="labels of stretches of sound, for Audacity's label tracks",
    index=TASK_LIST,
    write=write_audacity,
    read=read_audacity,
    per_picture=False,
    files="sound",
)
