"""CoNLL-2003: a token per line, its entity as a BIO tag in the last column, an empty line after each sentence.

The columns are token, part of speech, chunk and entity; what FastLabel does not know is ``-X-`` and ``O``, as in the
lines ``-DOCSTART- -X- O O`` that separate documents. Tokens are cut at the bounds of every span (see
:mod:`~fastlabel_dagster.formats.spans.tokens`), so no span is moved, but for blanks at its ends. A token has one tag,
so spans must not overlap: the longest is kept. ``tasks.jsonl`` beside the files names the task of each document.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.assembly import stable_id
from fastlabel_dagster.formats.categories import Categories
from fastlabel_dagster.formats.class_words import (
    RENAMED,
    ClassWords,
    class_of_word,
    merged_by_value,
)
from fastlabel_dagster.formats.registry import Format
from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.spans.text_parts import part_files, text_parts
from fastlabel_dagster.formats.spans.text_spans import NER, NO_CONFIDENCE, SpanBatch, SpanTasks, span_batches
from fastlabel_dagster.formats.spans.tokens import cut_tokens, joins, sentence_breaks, tokens_of
from fastlabel_dagster.formats.splits import PART_OF_TAG, Split
from fastlabel_dagster.formats.task_list import ListedTask, list_lines, read_class_list, read_list
from fastlabel_dagster.formats.text_files import FoundFiles, find_files, read_lines
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.ragged import Bools, as_ragged
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

TASK_LIST = "tasks.jsonl"
DOCUMENT = "-DOCSTART-"
_SEPARATOR = f"{DOCUMENT} -X- O O\n\n"
_ENDING = ".conll"
_ENDINGS = (_ENDING, ".conll03", ".conll2003", ".conll2002", ".iob", ".iob2", ".bio")
_PLAIN_ENDINGS = (".txt", ".tsv", ".train", ".testa", ".testb")
_DEV = {**PART_OF_TAG, "dev": "val", "testa": "val", "testb": "test"}
_NAME = re.compile(r"-DOCSTART-\s+\((.+)\)\s*")
#: What columns say that know nothing of a token.
_NOTHING = ("", "-X-", "-", "_", "O")
_UNREAD_HEAD = f"what a line of {DOCUMENT} says of its text has no place in FastLabel, and was not read"
_COLUMNS = re.compile(r"[ \t]+")


def write_conll(
    labels: Labels, folder: FolderWriter, images: PictureSource | None, tally: Tally, *, split: Split = None
) -> Written:
    """Write ``<part>.conll``, in the order of the labels, and ``tasks.jsonl``.

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
    words = ClassWords(categories)
    with (
        folder.open(TASK_LIST) as listing,
        part_files(folder, text_parts(labels, split, tally), _ENDING) as files,
    ):
        for batch in span_batches(labels, images, tally):
            for task, document in enumerate(_documents(batch, categories, words)):
                if document is not None:
                    task_id, name = batch.task_ids[task], batch.names[task]
                    listed = ListedTask(files.write(task_id, document), task_id, name, batch.tags[task])
                    listing.write(list_lines([listed]))
            batch.told.finish()
        size = listing.tell()
    return files.written(folder, words, size)


def _documents(batch: SpanBatch, categories: Categories, words: ClassWords) -> list[bytes | None]:
    _sift(batch)
    kept = np.flatnonzero(batch.told.kept)
    met = batch.meet(categories)
    tags, renamed = words.column(met)
    batch.told.alter(RENAMED, renamed)
    batch.told.alter(NO_CONFIDENCE, batch.confident)
    batch.told.alter("its attributes have no place in a column", as_ragged(batch.attributes).lengths > 0)
    columns = (batch.start[kept].tolist(), batch.end[kept].tolist(), tags.take(pa.array(kept)).to_pylist())
    spans = list(zip(*columns, strict=True))
    bounds = np.searchsorted(batch.owner[kept], np.arange(len(batch.names) + 1)).tolist()
    return [
        None if text is None else _document(text, sorted(spans[bounds[task] : bounds[task + 1]]), batch.tokens[task])
        for task, text in enumerate(batch.texts)
    ]


def _sift(batch: SpanBatch) -> None:
    """Drop spans of blanks only, cut blanks off the ends of others, and keep the longest of those that overlap."""
    told = batch.told
    blank = np.zeros(len(batch.owner), np.bool_)
    trimmed = np.zeros(len(batch.owner), np.bool_)
    for row in np.flatnonzero(told.kept).tolist():
        text = batch.texts[int(batch.owner[row])] or ""
        start, end = int(batch.start[row]), int(batch.end[row])
        if text[start].isspace() or text[end - 1].isspace():
            inner = text[start:end]
            left = len(inner) - len(inner.lstrip())
            right = len(inner) - len(inner.rstrip())
            blank[row] = left == len(inner)
            trimmed[row] = True
            if not blank[row]:
                batch.start[row], batch.end[row] = start + left, end - right
    told.drop("it covers blanks only", blank)
    told.alter("blanks at its ends were left out", trimmed)
    told.drop("it overlaps a longer span, and a token has one tag only", _overlapping(batch))


def _overlapping(batch: SpanBatch) -> Bools:
    """The spans that overlap a longer one that is kept (of equal ones: the one further left, then the first)."""
    rows = np.flatnonzero(batch.told.kept)
    lost = np.zeros(len(batch.owner), np.bool_)
    order = rows[np.lexsort((batch.start[rows], batch.owner[rows]))]
    owner, start, end = batch.owner[order], batch.start[order], batch.end[order]
    touching = (owner[1:] == owner[:-1]) & (start[1:] < end[:-1])
    # Where no span begins before its left neighbour ends, none overlap; only the other tasks are looked at closely.
    for task in np.unique(owner[1:][touching]).tolist():
        mine = order[owner == task].tolist()
        taken: list[tuple[int, int]] = []
        for row in sorted(mine, key=lambda one: (batch.start[one] - batch.end[one], batch.start[one], one)):
            a, b = int(batch.start[row]), int(batch.end[row])
            if any(a < other_end and other_start < b for other_start, other_end in taken):
                lost[row] = True
            else:
                taken.append((a, b))
    return lost


def _document(text: str, spans: list[tuple[int, int, str]], given: list[tuple[int, int]] | None) -> bytes:
    """One document; ``spans`` are in order, apart from each other, and begin and end with something visible."""
    bounds = [bound for start, end, _ in spans for bound in (start, end)]
    tokens = tokens_of(text, bounds) if given is None else cut_tokens(given, bounds)
    breaks = [
        place
        for place in sentence_breaks(text, stops=given is None)
        if not any(start < place < end for start, end, _ in _around(spans, place))
    ]
    lines = [_SEPARATOR]
    span = sentence = 0
    for start, end in tokens:
        if sentence < len(breaks) and breaks[sentence] <= start:
            while sentence < len(breaks) and breaks[sentence] <= start:
                sentence += 1
            if len(lines) > 1:
                lines.append("\n")
        while span < len(spans) and spans[span][1] <= start:
            span += 1
        tag = "O"
        if span < len(spans) and spans[span][0] <= start:
            tag = ("B-" if start == spans[span][0] else "I-") + spans[span][2]
        lines.append(f"{text[start:end]} -X- O {tag}\n")
    if len(lines) > 1:
        lines.append("\n")
    return "".join(lines).encode()


def _around(spans: list[tuple[int, int, str]], place: int) -> list[tuple[int, int, str]]:
    """The one span ``place`` may lie in."""
    before = bisect_left(spans, (place,)) - 1
    return spans[before : before + 1] if before >= 0 else []


@dataclass
class _Found:
    """A document while it is read."""

    where: str
    name: str
    sentences: list[list[tuple[str, str]]] = field(default_factory=lambda: [[]])
    """Token and tag."""


def read_conll(source: Path, told: ReadTally) -> Labels:
    """Read a file, or all of a folder that end in ``.conll`` and its kin (or, where there are none, in ``.txt``).

    The first column is the token, the last the tag; BIO, IOB (as in the task's own data), BIOES and BILOU are
    understood. The text of a task is its tokens with a blank between them (none between Japanese ones) and a line per
    sentence. A file without ``-DOCSTART-`` is one document.

    Raises:
        FileNotFoundError: when there is no such file.
    """
    try:
        found = find_files(source, _ENDINGS, told, index=TASK_LIST)
    except FileNotFoundError:
        found = find_files(source, _PLAIN_ENDINGS, told, index=TASK_LIST)
    listed = read_list(found.root / TASK_LIST, told)
    classes = read_class_list(found.root, told)
    tasks = SpanTasks("conll")
    for path in found.files:
        part = _DEV.get(path.stem.lower()) or _DEV.get(path.suffix.lower().removeprefix("."))
        tags = [part] if part and part != "train" else []
        for number, document in enumerate(_read_documents(path, found, told), start=1):
            file = found.below(path)
            known = listed.get(f"{file}#{number}")
            task_id = known.task_id if known and tasks.is_new(known.task_id) else stable_id("conll", file, str(number))
            name = known.name if known else document.name or f"{file}-{number}"
            text, tokens, spans = _assembled(document)
            for span in spans:
                span["label"] = class_of_word(classes, span["label"]).value
            given = list(dict.fromkeys([*(known.tags if known else []), *tags]))
            tasks.add(task_id, name, text, spans, tags=given, tokens=tokens)
            told.advance()
    return tasks.labels(told, merged_by_value(classes))


def _read_documents(path: Path, found: FoundFiles, told: ReadTally) -> Iterator[_Found]:
    file = found.below(path)
    document: _Found | None = None
    unread = 0
    for number, line in read_lines(path, told, file):
        where = f"{file}, line {number}"
        if line.startswith(DOCUMENT):
            if document is not None:
                yield document
            named = _NAME.fullmatch(line)
            if named is None and any(word not in _NOTHING for word in line.split()[1:]):
                told.notice(_UNREAD_HEAD, "text", where=where)
            document = _Found(where, named.group(1) if named else "")
            continue
        document = document or _Found(where, "")
        if not line.strip():
            document.sentences.append([])
            continue
        content = line.rstrip(" \t")
        columns = content.split("\t") if "\t" in content else _COLUMNS.split(content.strip(" "))
        token, tag = columns[0].strip(), columns[-1].strip()
        unread += any(word not in _NOTHING for word in columns[1:-1])
        if not token:
            told.drop("a line without a token", "token", where=where)
            continue
        if len(columns) < 2:
            told.notice("a line without a tag", "token", where=where)
            tag = "O"
        document.sentences[-1].append((token, _checked(tag, where, told)))
    told.notice(
        "columns between token and tag (part of speech, chunk, …) were not read", "token", where=file, count=unread
    )
    if document is not None:
        yield document


def _checked(tag: str, where: str, told: ReadTally) -> str:
    if tag in ("O", "_"):
        return "O"
    if len(tag) > 2 and tag[1] == "-" and tag[0] in "BIESLU":
        return tag
    told.drop("a tag that is not of the form B-… or I-…", NER, where=where)
    return "O"


def _assembled(document: _Found) -> tuple[str, list[tuple[int, int]], list[dict[str, Any]]]:
    """Text, tokens and spans of a document."""
    pieces: list[str] = []
    tokens: list[tuple[int, int]] = []
    spans: list[dict[str, Any]] = []
    length = 0
    for sentence in document.sentences:
        if not sentence:
            continue
        if pieces:
            pieces.append("\n")
            length += 1
        open_span: dict[str, Any] | None = None
        before = ""
        for token, tag in sentence:
            if before and not joins(before[-1], token[0]):
                pieces.append(" ")
                length += 1
            start, end = length, length + len(token)
            pieces.append(token)
            tokens.append((start, end))
            length, before = end, token
            kind, _, label = tag.partition("-")
            if kind == "O":
                open_span = None
                continue
            if open_span is None or kind in "BSU" or open_span["label"] != label:
                open_span = {"start": start, "label": label}
                spans.append(open_span)
            open_span["end"] = end
            if kind in "ESLU":
                open_span = None
    return "".join(pieces), tokens, spans


FORMAT = Format(
    name="conll",
    summary="tokens with entity tags, CoNLL-2003",
    index=TASK_LIST,
    rules=2,
    write=write_conll,
    read=read_conll,
    options={"split": None},
    per_picture=False,
    files="text",
)
