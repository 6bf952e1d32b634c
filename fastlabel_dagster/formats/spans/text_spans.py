"""Labelled stretches of text (FastLabel's type ``ner``), as all text formats write and read them.

Offsets count characters, that is Unicode code points, from 0; the end is exclusive, so ``text[start:end]`` is what is
labelled. The API's reference speaks of characters and does not say which kind: where a text has characters beyond
U+FFFF (emoji, rare kanji), and the annotations' own ``text`` proves that they were counted as UTF-16 units, as browsers
count, they are converted and that is told.

FastLabel keeps the text itself in a file behind the task's URL. It is taken from the task's ``text`` (our readers leave
it there), or else from the file of the task in the picture source; it is UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.assembly import FoundClass, class_colors, classes_table
from fastlabel_dagster.formats.batches import task_batches
from fastlabel_dagster.formats.categories import Categories, Met
from fastlabel_dagster.formats.class_words import with_unlisted
from fastlabel_dagster.formats.report import FILE, BatchTally, Tally
from fastlabel_dagster.formats.shapes import CLASSLESS, confidences, has_class
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.labels import fastlabel
from fastlabel_dagster.labels.json_text import encodable, loads
from fastlabel_dagster.labels.ragged import Bools, Ints, as_ragged, floats, kept_only, one_array, valid_mask
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels

NER = "ner"
#: The columns of the label tables this reads.
NEEDS = ("task_id", "name", "tags", "annotations", "extra")
#: And of their annotations.
_FIELDS = ("annotation_id", "type", "value", "text", "attributes", "confidence_score")
#: Keys of a task's JSON that hold its text, and the tokens it came in as pairs of offsets.
TEXT = "text"
TOKENS = "tokens"
_TASKS_AT_ONCE = 256  # their texts are held in memory
#: Characters of texts (and what spans cover) in one piece of the tables, and covered by the spans of one task: a column
#: of Arrow holds 2 GB, and JSON may need six bytes for one.
_MOST_TEXT = 2**28
_VISIBLE = re.compile(r"\S+")
_LAST_OF_ONE_UNIT = "\uffff"  # the signs behind it take two units of UTF-16
_TOO_MUCH_TEXT = "its own text was left out, for the spans of its task cover too much: they lie over each other"
#: Of every format of texts.
NO_CONFIDENCE = "its confidence was left out"
_NO_TEXT = "the text of its task is not known"


@dataclass
class SpanBatch:
    """``n`` annotations of ``t`` tasks."""

    task_ids: list[str]
    names: list[str]
    tags: list[list[str]]
    texts: list[str | None]
    """None where the text is not known; such a task cannot be written."""
    tokens: list[list[tuple[int, int]] | None]
    """The tokens of texts that were read in tokens, as pairs of offsets."""
    owner: Ints
    """int64[n]: the task each annotation belongs to; it never falls."""
    start: Ints
    end: Ints
    value: pa.Array
    """string[n]: the class."""
    attributes: pa.Array
    confident: Bools
    """bool[n]: it has a confidence."""
    told: BatchTally
    """What became of them: ``told.kept`` are sound spans. Call ``told.finish()`` when the batch is written."""

    def meet(self, categories: Categories) -> Met:
        """The categories of those that are kept; unknown ones are added."""
        kept = kept_only(self.value, self.told.kept)
        types = pa.array(np.full(len(kept), NER, object), pa.string())
        return categories.meet(kept, types, pa.nulls(len(kept)))


def span_batches(labels: Labels, texts: PictureSource | None, tally: Tally) -> Iterator[SpanBatch]:
    """All spans, some tasks at a time, in the order of the labels; whatever is no sound span is dropped with its
    reason. Tasks without a text are told as dropped files."""
    for batch in task_batches(labels, NEEDS):
        for first in range(0, batch.num_rows, _TASKS_AT_ONCE):
            yield _span_batch(batch.slice(first, _TASKS_AT_ONCE).combine_chunks(), texts, tally)


def _span_batch(tasks: pa.Table, source: PictureSource | None, tally: Tally) -> SpanBatch:
    task_ids = tasks["task_id"].to_pylist()
    names = [name or key for name, key in zip(tasks["name"].to_pylist(), task_ids, strict=True)]
    extras = [_extra(text) for text in tasks["extra"].to_pylist()]
    texts = [_text_of(extra, key, source) for extra, key in zip(extras, task_ids, strict=True)]
    missing = [name for name, text in zip(names, texts, strict=True) if text is None]
    tally.note("dropped", "the text of the task is not known, it was left out", FILE, len(missing), missing)

    nested = one_array(tasks["annotations"])
    lists = as_ragged(nested)
    owner = np.repeat(np.arange(tasks.num_rows), lists.lengths)
    rows = pc.list_flatten(nested)
    field = {name: pc.struct_field(rows, name) for name in _FIELDS}
    start, end = (floats(pc.struct_field(rows, name)) for name in ("start", "end"))
    told = tally.batch(field["type"], owner, pa.array(names, pa.string()), field["annotation_id"])

    is_span: Bools = pc.fill_null(pc.equal(field["type"], NER), False).to_numpy(zero_copy_only=False)
    told.drop("not a span of text", ~is_span)
    with np.errstate(invalid="ignore"):
        whole: Bools = (start == np.floor(start)) & (end == np.floor(end)) & (np.abs(start) < 2**53)
        whole &= np.abs(end) < 2**53
    told.drop("its start or end is not a whole number", ~whole)
    told.drop(CLASSLESS, ~has_class(field["value"]))
    starts, ends = (np.where(told.kept, side, 0).astype(np.int64) for side in (start, end))
    batch = SpanBatch(
        task_ids,
        names,
        [tags or [] for tags in tasks["tags"].to_pylist()],
        texts,
        [_tokens(extra, text) for extra, text in zip(extras, texts, strict=True)],
        owner,
        starts,
        ends,
        field["value"],
        field["attributes"],
        np.isfinite(confidences(field["confidence_score"])),
        told,
    )
    lengths = np.array([-1 if text is None else len(text) for text in texts], np.int64)[owner]
    told.drop(_NO_TEXT, lengths < 0)
    told.drop("it covers no text", batch.end <= batch.start)
    _to_characters(batch, field["text"])
    told.drop("it reaches outside the text", (batch.start < 0) | (batch.end > lengths))
    _compare(batch, field["text"])
    return batch


def _extra(text: str | None) -> dict[str, Any]:
    if text is None or f'"{TEXT}"' not in text:
        return {}
    extra = loads(text)
    return extra if isinstance(extra, dict) else {}


def _text_of(extra: dict[str, Any], task_id: str, source: PictureSource | None) -> str | None:
    text = extra.get(TEXT)
    if isinstance(text, str) and encodable(text):
        return text
    file = None if source is None else source.held.get(task_id)
    if file is None:
        return None
    try:
        return file.store.read_bytes(file.path).decode("utf-8-sig")
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def _tokens(extra: dict[str, Any], text: str | None) -> list[tuple[int, int]] | None:
    """The tokens in ``extra``, when they are what they should be: in order, apart, and all there is in the text but
    blanks. One with blanks in it, as a file with tabs between its columns may have, is several."""
    given = extra.get(TOKENS)
    if text is None or not isinstance(given, list):
        return None
    tokens = []
    before = 0
    for pair in given:
        if not (isinstance(pair, list) and len(pair) == 2 and all(type(side) is int for side in pair)):
            return None
        if not before <= pair[0] < pair[1] <= len(text) or text[before : pair[0]].strip():
            return None
        tokens += [match.span() for match in _VISIBLE.finditer(text, *pair)]
        before = pair[1]
    return None if text[before:].strip() else tokens


def _to_characters(batch: SpanBatch, own: pa.Array) -> None:
    """Turn, in place, offsets in UTF-16 units into offsets in characters, for the tasks where they prove to be such.
    ``own`` is the text each annotation says it covers."""
    converted = np.zeros(len(batch.owner), np.bool_)
    cut = np.zeros(len(batch.owner), np.bool_)
    for task, text in enumerate(batch.texts):
        if not text or max(text) <= _LAST_OF_ONE_UNIT:
            continue
        first, last = np.searchsorted(batch.owner, [task, task + 1])
        rows = first + np.flatnonzero(batch.told.kept[first:last])
        if not _counts_units(text, batch.start[rows], batch.end[rows], own.take(pa.array(rows)).to_pylist()):
            continue
        place = np.cumsum([0, *(1 + (sign > _LAST_OF_ONE_UNIT) for sign in text)])
        for side in (batch.start, batch.end):
            character = np.searchsorted(place, side[rows])
            inside = (side[rows] >= 0) & (character < len(place))
            exact = place[np.minimum(character, len(text))] == side[rows]
            cut[rows[inside & ~exact]] = True
            # What lies outside the text stays outside.
            side[rows] = np.where(inside, character, np.where(side[rows] < 0, -1, len(text) + 1))
        converted[rows] = True
    batch.told.drop("it cuts a character in two", cut)
    batch.told.alter("its offsets counted UTF-16 units, they count characters now", converted)


def _counts_units(text: str, start: Ints, end: Ints, own: list[str | None]) -> bool:
    """Whether more of the annotations find their ``own`` text when offsets count UTF-16 units than when they count
    characters."""
    units = text.encode("utf-16-le")
    balance = 0
    for a, b, said in zip(start.tolist(), end.tolist(), own, strict=True):
        if said is not None and a >= 0:
            in_characters = b <= len(text) and text[a:b] == said  # a slice ends where the text does
            balance += (2 * b <= len(units) and units[2 * a : 2 * b] == said.encode("utf-16-le")) - in_characters
    return balance > 0


def _compare(batch: SpanBatch, own: pa.Array) -> None:
    rows = np.flatnonzero(batch.told.kept & valid_mask(own))
    columns = [column[rows].tolist() for column in (batch.owner, batch.start, batch.end)]
    differs = np.zeros(len(batch.owner), np.bool_)
    # One after the other: spans that lie over each other cover more text than there is, and than a column holds.
    differs[rows] = [
        (batch.texts[task] or "")[a:b] != said
        for task, a, b, said in zip(*columns, own.take(pa.array(rows)).to_pylist(), strict=True)
    ]
    batch.told.notice("its own text is not what stands there in the task's text", differs)


class SpanTasks:
    """Text tasks put together by a reader."""

    def __init__(self, format: str) -> None:
        self._format = format
        self._tasks: list[dict[str, Any]] = []
        self._ids: set[str] = set()
        self._count: dict[str, dict[str, int]] = {}
        self._sizes: list[int] = []
        self._bare: list[tuple[str, int]] = []

    def is_new(self, task_id: str) -> bool:
        """Whether no task has this id yet."""
        return task_id not in self._ids

    def add(
        self,
        task_id: str,
        name: str,
        text: str,
        spans: list[dict[str, Any]],
        *,
        tags: list[str],
        tokens: list[tuple[int, int]] | None = None,
    ) -> None:
        """Add a task. Each span has ``start``, ``end`` and ``label``, checked by the reader, and perhaps
        ``attributes``."""
        annotations: list[dict[str, Any]] = []
        covered = sum(span["end"] - span["start"] for span in spans)
        if covered > _MOST_TEXT:
            self._bare.append((name, len(spans)))
        for number, span in enumerate(spans, start=1):
            value = span["label"]
            self._count.setdefault(value, {NER: 0})[NER] += 1
            annotations.append(
                {
                    "id": f"{task_id}-{number}",
                    "type": NER,
                    "value": value,
                    "attributes": span.get("attributes", []),
                    "start": span["start"],
                    "end": span["end"],
                    **({} if covered > _MOST_TEXT else {"text": text[span["start"] : span["end"]]}),
                }
            )
        task: dict[str, Any] = {"id": task_id, "name": name, "tags": tags, "annotations": annotations, TEXT: text}
        if tokens is not None:
            task[TOKENS] = [list(token) for token in tokens]
        self._ids.add(task_id)
        self._tasks.append(task)
        self._sizes.append(len(text) + (covered if covered <= _MOST_TEXT else 0))

    def labels(self, told: ReadTally, known: Mapping[str, FoundClass]) -> Labels:
        """All of them, with the classes ``known`` by value and one for every other label, in the order of their
        names."""
        classes = with_unlisted(known, self._count, NER)
        colors = class_colors(classes.values())
        total = 0
        for task in self._tasks:
            for annotation in task["annotations"]:
                annotation["color"] = colors[annotation["value"]]
                annotation["title"] = classes[annotation["value"]].title or annotation["value"]
            total += len(task["annotations"])
        tasks = pa.concat_tables(fastlabel.from_fastlabel(piece).tasks for piece in self._pieces())
        for name, spans in self._bare:
            told.alter(_TOO_MUCH_TEXT, NER, where=name, count=spans)
        told.found(len(self._tasks), total)
        return Labels(tasks, classes_table(classes.values(), self._count, colors), origin={"format": self._format})

    def _pieces(self) -> Iterator[list[dict[str, Any]]]:
        """The tasks, some at a time, whose texts fit into the columns of one table."""
        first = size = 0
        for place, one in enumerate(self._sizes):
            if size + one > _MOST_TEXT and place > first:
                yield self._tasks[first:place]
                first, size = place, 0
            size += one
        yield self._tasks[first:]
