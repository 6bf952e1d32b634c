"""RTTM (rich transcription time marked): who speaks when, a line per turn.

``SPEAKER <recording> <channel> <onset> <duration> <NA> <NA> <name> <confidence> <NA>``, times in seconds with six
decimals. Fields are words without blanks: recordings are called after the file of their task, classes as
``classes.json`` says. The channel is 1 unless an attribute ``channel`` says otherwise, the confidence ``<NA>`` where a
person set the turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.assembly import FoundClass
from fastlabel_dagster.formats.attributes import tell_of_keys
from fastlabel_dagster.formats.categories import Categories
from fastlabel_dagster.formats.class_words import RENAMED, ClassWords, class_of_word, merged_by_value
from fastlabel_dagster.formats.label_files import label_name, stem_of
from fastlabel_dagster.formats.pictures import list_pictures
from fastlabel_dagster.formats.registry import Format
from fastlabel_dagster.formats.report import FILE, Tally
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
from fastlabel_dagster.formats.sound.words import words_of
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.task_list import read_class_list
from fastlabel_dagster.formats.text import glued, joined, number_text
from fastlabel_dagster.formats.text_files import read_lines
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.ragged import Bools, offsets_of
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

ALL_IN_ONE = "all.rttm"
CHANNEL = "channel"
_ENDING = ".rttm"
_FIELDS = 8  # up to the speaker's name; what follows is often left out
_SHORTEST = 0.5e-6
_NONE = "<NA>"
_NOTHING = ("", _NONE)
_CHANNEL = re.compile(r"[0-9]{1,4}|<NA>")
_COLUMNS = re.compile(r"[ \t]+")


def write_rttm(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    one_file: bool = False,
) -> Written:
    """Write ``labels/….rttm`` for every task, ``tasks.jsonl`` and ``classes.json``.

    Args:
        labels: what to write.
        folder: where to.
        images: the recordings, when they shall lie in ``audio/``.
        tally: told of everything left out or changed.
        one_file: the lines of all tasks in one ``all.rttm``, as evaluation programs want them, in the order of the
            labels. Tasks without segments are then only in ``tasks.jsonl``.
    """
    recordings = list_pictures(labels, images, tally, unique_stem=True)
    words = words_of([stem_of(file) for file in recordings.files])
    renamed = [file for file, word in zip(recordings.files, words, strict=True) if word != stem_of(file)]
    tally.note("altered", "the name has blanks, the recording is called by one word", FILE, len(renamed), renamed)
    categories = Categories(labels.classes)
    classes = ClassWords(categories)
    size = files = 0
    texts = _texts(segment_batches(labels, recordings, tally), categories, classes, words)
    if one_file:
        with folder.open(ALL_IN_ONE) as file:
            for _, text in texts:
                file.write(text)
            files, size = 1, file.tell()
    else:
        for row, text in texts:
            folder.write_bytes(f"{LABELS}/{label_name(recordings.files[row], _ENDING)}", text)
            files, size = files + 1, size + len(text)
    beside = write_beside(folder, recordings, keys=words, classes=classes, images=images, tally=tally)
    return Written(len(recordings), files + beside.files, size + beside.bytes)


def _texts(
    batches: Iterator[SegmentBatch],
    categories: Categories,
    classes: ClassWords,
    words: list[str],
) -> Iterator[tuple[int, bytes]]:
    """The lines of each recording: its position, and the text."""
    known = pa.array(words, pa.string())
    for batch in batches:
        told = batch.told
        told.drop("it is of no length", batch.end - batch.start < _SHORTEST)
        word, renamed = classes.column(batch.meet(categories))
        nameless: Bools = pc.fill_null(pc.equal(word, _NONE), False).to_numpy(zero_copy_only=False)
        told.drop(f"its class is called {_NONE}, which says in RTTM that there is none", nameless)
        told.alter(RENAMED, renamed)
        told.alter("its attributes have no place in a line", batch.has_attributes_besides(CHANNEL))
        kept = np.flatnonzero(told.kept)
        rows = pa.array(kept)
        said = batch.attribute(CHANNEL)
        odd = np.array([text is not None and not _CHANNEL.fullmatch(text) for text in said], np.bool_)
        told.alter("an attribute channel that is no number of a channel was left out", odd)
        tell_of_keys(batch.attributes, told, among=[CHANNEL])
        channel = ["1" if text is None or is_odd else text for text, is_odd in zip(said, odd, strict=True)]
        sure = pc.if_else(pa.array(np.isfinite(batch.confidence)), number_text(batch.confidence), _NONE)
        start, end = np.rint(batch.start[kept] * 10**PLACES), np.rint(batch.end[kept] * 10**PLACES)
        lines = glued(
            "SPEAKER ",
            known.take(pa.array(batch.picture[batch.owner[kept]])),
            " ",
            pa.array(channel, pa.string()).take(rows),
            " ",
            microseconds_text(start),
            " ",
            microseconds_text(end - start),
            " <NA> <NA> ",
            word.take(rows),
            " ",
            sure.take(rows),
            " <NA>\n",
        )
        told.finish()
        texts = joined(offsets_of(np.bincount(batch.owner[kept], minlength=len(batch.picture))), lines, "")
        yield from zip(batch.picture.tolist(), (text.encode() for text in texts.to_pylist()), strict=True)


def read_rttm(source: Path, told: ReadTally) -> Labels:
    """Read an ``.rttm`` file, or all of a folder: each may hold one recording or many. A recording is a task, called
    like its audio file where that lies in the folder.

    Lines of other types than ``SPEAKER`` are told as noticed. A channel other than 1 becomes the attribute ``channel``.

    Raises:
        FileNotFoundError: when there is no such file.
    """
    listed, found = find_beside(source, _ENDING, told)
    classes = read_class_list(found.root, told)
    tasks = SegmentTasks("rttm", found.root, listed)
    for word in listed:
        tasks.begin(word, word)
    for path in found.files:
        file = found.below(path)
        for number, line in read_lines(path, told, file):
            _read_line(line, f"{file}, line {number}", tasks, classes, told)
    told.advance(len(tasks))
    return tasks.labels(told, merged_by_value(classes))


def _read_line(line: str, where: str, tasks: SegmentTasks, classes: dict[str, FoundClass], told: ReadTally) -> None:
    fields = _COLUMNS.split(line.strip(" \t\r"))
    if fields == [""] or fields[0].startswith(";;"):
        return
    if fields[0] != "SPEAKER":
        told.notice("a line that is not of the type SPEAKER", "line", where=where)
        return
    if len(fields) < _FIELDS:
        told.drop(f"a line with fewer than {_FIELDS} fields", SEGMENT, where=where)
        return
    word, channel, onset, duration, name = fields[1], fields[2], fields[3], fields[4], fields[7]
    tasks.begin(word, word)
    start, length = seconds(onset), seconds(duration)
    if start is None or length is None:
        told.drop("the onset or duration is not a number of seconds", SEGMENT, where=where)
    elif start < 0:
        told.drop("it begins before the recording", SEGMENT, where=where)
    elif length <= 0:
        told.drop("it is of no length", SEGMENT, where=where)
    elif name == _NONE:
        told.drop("it has no name", SEGMENT, where=where)
    else:
        if any(field not in _NOTHING for field in (*fields[5:7], *fields[_FIELDS + 1 :])):
            told.alter("its orthography, subtype or lookahead time was not read", SEGMENT, where=where)
        said = fields[_FIELDS] if len(fields) > _FIELDS else _NONE
        sure = seconds(said)
        if said not in _NOTHING and (sure is None or sure < 0):
            told.alter("its confidence is no number from 0 on, and was not read", SEGMENT, where=where)
            sure = None
        attributes = {} if channel in ("1", _NONE) else {CHANNEL: channel}
        tasks.add(
            word, class_of_word(classes, name).value, start, round(start + length, PLACES), attributes, confidence=sure
        )


FORMAT = Format(
    name="rttm",
    summary="who speaks when, a line per turn (RTTM)",
    index=TASK_LIST,
    rules=2,
    write=write_rttm,
    read=read_rttm,
    options={"one_file": False},
    per_picture=False,
    files="sound",
)
