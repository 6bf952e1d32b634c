"""Labelled spans as JSON lines, the form Prodigy reads and writes and spaCy's training is fed with.

A line is a text: ``{"text": …, "spans": [{"start": 0, "end": 5, "label": "ORG"}], "meta": {…}}``. Offsets count
characters (code points), the end is exclusive. Spans may overlap and nest. ``meta`` is Prodigy's place for what belongs
to a text: here the task's id, name and tags. Attributes are kept in a key of the span that other programs pass over,
titles, colours and the order of the classes in ``classes.json`` beside the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.api.exact_json import exact_json
from fastlabel_dagster.formats.assembly import stable_id
from fastlabel_dagster.formats.attributes import attribute_values, tell_of_keys
from fastlabel_dagster.formats.categories import Categories
from fastlabel_dagster.formats.class_words import ClassWords, merged_by_value
from fastlabel_dagster.formats.registry import Format
from fastlabel_dagster.formats.report import FILE, Tally
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.spans.text_parts import part_files, text_parts
from fastlabel_dagster.formats.spans.text_spans import NO_CONFIDENCE, SpanBatch, SpanTasks, span_batches
from fastlabel_dagster.formats.splits import PART_OF_TAG, Split
from fastlabel_dagster.formats.task_list import read_class_list, texts_of
from fastlabel_dagster.formats.text import glued, joined, json_text, number_text
from fastlabel_dagster.formats.text_files import FoundFiles, find_files
from fastlabel_dagster.formats.unread import SAYS_NOTHING, differ, unread_names
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.json_text import encodable
from fastlabel_dagster.labels.ragged import Ints, offsets_of
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

INDEX = "train.jsonl"
_ENDING = ".jsonl"
_DEV = {**PART_OF_TAG, "dev": "val"}
#: What is read of a line, and of its ``meta``.
_LINE_FIELDS = frozenset(
    ("text", "spans", "entities", "label", "labels", "cats", "accept", "answer", "meta", "relations")
)
_META_FIELDS = frozenset(("task_id", "name", "tags"))
_ANSWERS = ("accept", "reject", "ignore")
_UNREAD = "a line has fields FastLabel has no place for, which were not read"
_UNREAD_OF_SPAN = "a span has fields FastLabel has no place for, which were not read"
_LONGEST = 200
#: What is read of a span, or follows from it.
_SPAN_FIELDS = frozenset(
    ("start", "end", "start_offset", "end_offset", "label", "attributes", "text", "token_start", "token_end")
)
#: Where doccano lists spans, and others what the whole text is; and where spaCy and Prodigy say that.
_LABELS, _OF_WHOLE_TEXT = ("label", "labels"), ("cats", "accept")


def write_spacy(
    labels: Labels, folder: FolderWriter, images: PictureSource | None, tally: Tally, *, split: Split = None
) -> Written:
    """Write ``<part>.jsonl``, a line per task, in the order of the labels, and ``classes.json``.

    Args:
        labels: what to write.
        folder: where to.
        images: the source of the tasks' text files, for tasks whose JSON does not hold their text.
        tally: told of everything left out or changed.
        split: which part each task belongs to, as :func:`~fastlabel_dagster.formats.splits.parts_of` says.

    Raises:
        ValueError: for an impossible split.
    """
    categories = Categories(labels.classes)
    with part_files(folder, text_parts(labels, split, tally), _ENDING) as files:
        for batch in span_batches(labels, images, tally):
            batch.meet(categories)
            rest = _rest_of_lines(batch).to_pylist()
            for task_id, text, behind in zip(batch.task_ids, batch.texts, rest, strict=True):
                if text is not None:
                    files.write(task_id, b'{"text":' + orjson.dumps(text) + behind.encode())
            batch.told.finish()
    return files.written(folder, ClassWords(categories))


def _rest_of_lines(batch: SpanBatch) -> pa.Array:
    """What stands behind the text in the line of each task. The texts themselves may be more than a column holds."""
    kept = np.flatnonzero(batch.told.kept)
    rows = pa.array(kept)
    tell_of_keys(batch.attributes, batch.told)
    batch.told.alter(NO_CONFIDENCE, batch.confident)
    values = attribute_values(batch.attributes)
    offsets = values.offsets(len(batch.owner))
    members = joined(offsets, glued(json_text(values.key), ":", values.json()), ",")
    attributes = pc.if_else(pa.array(np.diff(offsets) > 0), glued(',"attributes":{', members, "}"), "").take(rows)
    spans = glued(
        '{"start":',
        number_text(batch.start[kept]),
        ',"end":',
        number_text(batch.end[kept]),
        ',"label":',
        json_text(batch.value.take(rows)),
        attributes,
        "}",
    )
    count: Ints = np.bincount(batch.owner[kept], minlength=len(batch.names))
    meta = [
        orjson.dumps({"task_id": task_id, "name": name, **({"tags": tags} if tags else {})}).decode()
        for task_id, name, tags in zip(batch.task_ids, batch.names, batch.tags, strict=True)
    ]
    return glued(',"spans":[', joined(offsets_of(count), spans, ","), '],"meta":', pa.array(meta, pa.string()), "}\n")


def read_spacy(source: Path, told: ReadTally) -> Labels:
    """Read a ``.jsonl`` file, or all of a folder.

    Lines may hold ``spans`` (objects, as Prodigy writes) or ``entities`` (``[start, end, label]``, or objects), or be
    spaCy's older ``[text, {"entities": …}]``, or doccano's, with ``label`` or ``labels`` for the list and
    ``start_offset`` and ``end_offset`` in its objects. Texts that an annotator rejected or skipped (Prodigy's
    ``answer``) and labels of whole texts (``cats``, ``accept``, a ``label`` that is one) are told as dropped.

    Raises:
        FileNotFoundError: when there is no such file.
    """
    found = find_files(source, {_ENDING}, told)
    classes = merged_by_value(read_class_list(found.root, told))
    tasks = SpanTasks("spacy")
    for path in found.files:
        _read_file(path, found, tasks, told)
    return tasks.labels(told, classes)


def _read_file(path: Path, found: FoundFiles, tasks: SpanTasks, told: ReadTally) -> None:
    file = found.below(path)
    part = _DEV.get(path.stem.lower())
    unread: set[str] = set()
    lines_unread = 0
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                content = line.removeprefix(b"\xef\xbb\xbf").strip()
                if content:
                    names = _read_line(content, f"{file}, line {number}", part, tasks, told)
                    unread.update(names)
                    lines_unread += bool(names)
                    told.advance()
    except OSError:
        told.drop("the file cannot be read to its end", FILE, where=file)
    # Lines mostly have the same fields: one example names them all.
    told.notice(_UNREAD, "text", where=f"{file}: {', '.join(sorted(unread))[:_LONGEST]}", count=lines_unread)


def _read_line(line: bytes, where: str, part: str | None, tasks: SpanTasks, told: ReadTally) -> list[str]:
    """Read a line. Returns the names of the fields that are not read."""
    document = _document(line)
    if document is None:
        told.drop("a line is not a JSON object with a text", "text", where=where)
        return []
    answer = document.get("answer")
    if answer in ("reject", "ignore"):
        told.drop(f"the annotator's answer to it was {answer}", "text", where=where)
        return []
    text = document["text"]
    meta = document.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    task_id, name = (
        value if isinstance(value, str) and value and encodable(value) else ""
        for value in (meta.get("task_id"), meta.get("name"))
    )
    if task_id and not tasks.is_new(task_id):
        told.alter("two texts have the same task id, the later one got another", "text", where=where)
        task_id = ""
    tags = list(dict.fromkeys([*texts_of(meta.get("tags")), *([part] if part and part != "train" else [])]))
    if document.get("relations"):
        told.drop("relations between spans have no place in FastLabel", "relation", where=where)
    spans = list(_spans(document, where, told))
    tasks.add(task_id or stable_id("spacy", where), name or where.replace(", line ", "-"), text, spans, tags=tags)
    return _unread_of(document)


def _unread_of(document: dict[str, Any]) -> list[str]:
    """The names of the fields of a line that say something and are not read; those of ``meta`` as ``meta.source``."""
    unread = unread_names(document, _LINE_FIELDS)
    meta = document.get("meta")
    if isinstance(meta, dict):
        odd = [name for name in ("task_id", "name") if not isinstance(meta.get(name) or "", str)]
        odd += ["tags"] * (meta.get("tags") not in SAYS_NOTHING and texts_of(meta["tags"]) != meta["tags"])
        unread += [f"meta.{name}" for name in (*unread_names(meta, _META_FIELDS), *odd)]
    elif meta:
        unread.append("meta")
    answer = document.get("answer")
    if answer not in SAYS_NOTHING and answer not in _ANSWERS:
        unread.append("answer")
    lists = [key for key in ("spans", "entities", *_LABELS) if document.get(key) not in SAYS_NOTHING]
    lists = [key for key in lists if not _is_of_whole_text(document[key])]
    unread += [key for key in lists[1:] if differ(document[key], document[lists[0]])]
    unread += [key for key in _OF_WHOLE_TEXT if document.get(key) and not _is_of_whole_text(document[key])]
    return unread


def _document(line: bytes) -> dict[str, Any] | None:
    try:
        document = exact_json(line)
    except ValueError:
        return None
    if isinstance(document, list) and len(document) == 2 and isinstance(document[1], dict):
        document = {**document[1], "text": document[0]}
    if not isinstance(document, dict):
        return None
    text = document.get("text")
    return document if isinstance(text, str) and encodable(text) else None


def _spans(document: dict[str, Any], where: str, told: ReadTally) -> Iterator[dict[str, Any]]:
    length = len(document["text"])
    given = document.get("spans")
    if given is None:
        given = document.get("entities")
    listed = [document.get(key) for key in _LABELS]
    said = _labels_in(given)  # beside spans a label may repeat what these say
    whole = [one for one in listed if _is_of_whole_text(one) and not _repeats(one, said)]
    if whole or any(_is_of_whole_text(document.get(key)) for key in _OF_WHOLE_TEXT):
        told.drop("a label of the whole text is no span", "classification", where=where)
    if given is None:
        given = next((one for one in listed if isinstance(one, list) and not _is_of_whole_text(one)), [])
    if not isinstance(given, list):
        told.drop("the spans are not a list", where=where)
        return
    for number, one in enumerate(given, start=1):
        place = f"{where}, span {number}"
        is_triple = isinstance(one, list) and len(one) >= 3
        if is_triple and any(more not in SAYS_NOTHING for more in one[3:]):
            told.alter("what a span has behind start, end and label was not read", where=place)
        span = {"start": one[0], "end": one[1], "label": one[2]} if is_triple else one
        if not isinstance(span, dict):
            told.drop("a span has no start, end and label", where=place)
            continue
        start, end = (span.get(key, span.get(f"{key}_offset")) for key in ("start", "end"))
        label = span.get("label")
        if type(start) is not int or type(end) is not int:
            told.drop("the start or end of a span is not a whole number", where=place)
        elif not (isinstance(label, str) and label and encodable(label)):
            told.drop("a span has no label", where=place)
        elif start >= end:
            told.drop("a span covers no text", where=place)
        elif start < 0 or end > length:
            told.drop("a span reaches outside its text", where=place)
        else:
            stated = span.get("attributes")
            attributes = _attributes(stated)
            if (stated is not None and not isinstance(stated, dict)) or len(attributes) < len(stated or ()):
                told.alter(
                    "attributes of a span that are no texts, numbers or lists of them were left out", where=place
                )
            unread = unread_names(span, _SPAN_FIELDS)
            if unread:
                told.notice(_UNREAD_OF_SPAN, where=f"{place}: {', '.join(unread)[:_LONGEST]}")
            if span.get("text") not in (None, "", document["text"][start:end]):
                told.notice("a span says it covers another text than lies at its place", where=place)
            yield {"start": start, "end": end, "label": label, "attributes": attributes}


def _is_of_whole_text(value: Any) -> bool:
    """Whether a value is a label, labels, or labels with a score each, rather than a list of spans (or nothing)."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, str) for one in value)
    return bool(value) and isinstance(value, str | dict)


def _labels_in(given: Any) -> set[str]:
    """The labels of spans as they stand in a line."""
    entries = given if isinstance(given, list) else []
    labels = [
        one.get("label") if isinstance(one, dict) else one[2]
        for one in entries
        if isinstance(one, dict) or (isinstance(one, list) and len(one) >= 3)
    ]
    return {label for label in labels if isinstance(label, str)}


def _repeats(label: Any, said: set[str]) -> bool:
    return bool(said) and not isinstance(label, dict) and said.issuperset([label] if isinstance(label, str) else label)


def _attributes(given: Any) -> list[dict[str, Any]]:
    """``{"key": value}`` as FastLabel's attributes; of values, texts, numbers and switches and lists of them."""
    if not isinstance(given, dict):
        return []
    plain = (str, int, float)
    return [
        {"key": key, "name": key, "type": "text", "value": value}
        for key, value in given.items()
        if isinstance(value, plain) or (isinstance(value, list) and all(isinstance(one, plain) for one in value))
    ]


FORMAT = Format(
    name="spacy",
    summary="spans of text as JSON lines, for spaCy and Prodigy",
    index=INDEX,
    rules=2,
    write=write_spacy,
    read=read_spacy,
    options={"split": None},
    per_picture=False,
    files="text",
)
