"""A long JSON array (or a file of JSON lines) cut into pieces of whole elements: memory holds a piece and not the file.

Where an element ends is found by looking at the bytes of a block all at once: quotes say what is text, brackets outside
of text how deep it stands. No JSON is understood here; a piece that is damaged fails in the parser, which is asked for
each of its elements then, so that a damaged one costs no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import orjson

from fastlabel_dagster.api.exact_json import exact_json, may_be_rounded
from fastlabel_dagster.formats.fastlabel.json_brackets import Depth

#: About how many bytes a piece has: large enough for columns, small enough for the processor's caches.
PIECE_BYTES = 600_000
#: Pieces of a long file are longer, for each costs something of its own; of a shorter one there are some all the same.
_LONGEST_PIECE = 2_000_000
_SOME_PIECES = 4
#: The first piece is smaller: who learns from it what the others look like wants to know soon.
_FIRST_BYTES = 2**16
#: No element of an array, and no line, is longer than this.
MOST_BYTES_OF_ELEMENT = 256 * 2**20
_BYTES_AT_ONCE = 256
_SPACE = b" \t\r\n"
_COMMA = ord(",")


def piece_bytes_of(path: Path) -> int:
    """About how many bytes the pieces of a file shall have which more than one thread reads."""
    return max(PIECE_BYTES, min(_LONGEST_PIECE, path.stat().st_size // _SOME_PIECES))


class Elements(NamedTuple):
    """Elements that follow each other in a file."""

    values: list[Any]
    places: list[str] | None
    """Of each value, as "task 3" or "line 3"; None: they are numbered from ``first`` on."""
    first: int
    damaged: list[tuple[str, str]]
    """Place and problem of what is no JSON."""


class Piece:
    """Elements that follow each other in a file, not parsed yet.

    Pieces are taken in their order: each is parsed with :meth:`elements`, or whoever reads its text otherwise says
    with :meth:`took` how many elements that has.
    """

    def __init__(
        self,
        parts: Sequence[bytes | memoryview],
        parse: Callable[[int], Elements],
        before: Piece | None,
        *,
        noun: str,
        lines: int = 0,
    ) -> None:
        self._parts = parts
        self.lines = lines
        """Of how many lines the text was made, each of which is to be one element; 0: of no lines."""
        self.noun = noun
        """What an element is called in a place: "task", "line"."""
        self._parse, self._before = parse, before
        self._first: int | None = None
        self._count: int | None = None

    def __bool__(self) -> bool:
        """Whether there is text to read, and not only a problem to be told."""
        return any(self._parts)

    def text(self, before: bytes = b"", behind: bytes = b"") -> bytes:
        """The elements with commas between them, if they are JSON, and what shall stand before and behind them."""
        return b"".join([before, *self._parts, behind])

    @property
    def first(self) -> int:
        """The number of the first element, from 1."""
        if self._first is None:
            before, self._before = self._before, None
            self._first = 1 if before is None else before.behind
        return self._first

    @property
    def behind(self) -> int:
        """The number of the element behind the last one."""
        if self.lines:
            return self.first + self.lines
        if self._count is None:
            raise RuntimeError("the pieces of a file are taken in their order")
        return self.first + self._count

    def took(self, count: int) -> None:
        """The text was read, and has so many elements."""
        self._count = count

    def elements(self) -> Elements:
        """The parsed elements."""
        found = self._parse(self.first)
        self._count = len(found.values) + len(found.damaged)
        return found


def read_elements(path: Path, *, noun: str = "task", piece_bytes: int = PIECE_BYTES) -> Iterator[Elements]:
    """The elements of a JSON array, or the lines of a file of JSON lines, parsed: see :func:`read_pieces`."""
    for piece in read_pieces(path, noun=noun, piece_bytes=piece_bytes):
        yield piece.elements()


def read_pieces(path: Path, *, noun: str = "task", piece_bytes: int = PIECE_BYTES) -> Iterator[Piece]:
    """The elements of a JSON array, or the lines of a file of JSON lines, some thousand at a time.

    Which of the two it is, its first character tells. A file that begins with ``{`` and is one object over several
    lines is an array of one. Elements count from 1, as lines do. What cannot be read is among ``damaged``, never
    raised; of a truncated file that is the last one.
    """
    with path.open("rb") as file:
        start = file.read(3)
        file.seek(3 if start == b"\xef\xbb\xbf" else 0)
        first = _first_byte(file)
        if first == b"[":
            yield from _array(file, noun, piece_bytes)
        elif first:
            yield from _lines(file, piece_bytes)


def _first_byte(file: BinaryIO) -> bytes:
    """The first byte that is no space; the file stands at it."""
    while block := file.read(4096):
        bare = block.lstrip(_SPACE)
        if bare:
            file.seek(-len(bare), 1)
            return bare[:1]
    return b""


# ---------------------------------------------------------------------------------------------------- JSON lines


def _lines(file: BinaryIO, piece_bytes: int) -> Iterator[Piece]:
    number, offset = 1, file.tell()
    rest: list[bytes] = []
    held = 0
    while block := file.read(piece_bytes):
        end = block.rfind(b"\n") + 1
        if not end:
            rest.append(block)
            held += len(block)
            if held > MOST_BYTES_OF_ELEMENT:
                problem = f"no line ends within {MOST_BYTES_OF_ELEMENT:,} bytes; the rest is not read"
                yield _problem(f"line {number} (byte {offset})", problem)
                return
            continue
        text = b"".join([*rest, block[:end]])
        if number == 1:
            whole = _one_object(file, text + block[end:])
            if whole is not None:
                yield _parsed_piece(whole)
                return
            yield _parsed_piece(_of_lines(text, number))
        else:
            yield _piece_of_lines(text, number)
        number += text.count(b"\n")
        offset += len(text)
        rest, held = [block[end:]], len(block) - end
    text = b"".join(rest)
    if text.strip(_SPACE):
        yield _piece_of_lines(text, number)


def _piece_of_lines(text: bytes, first: int) -> Piece:
    bare = text.rstrip(_SPACE)
    joined = bare.replace(b"\n", b",")
    piece = Piece([joined], lambda _: _of_lines(text, first), None, noun="line", lines=bare.count(b"\n") + 1)
    piece._first = first
    return piece


def _parsed_piece(found: Elements, before: Piece | None = None) -> Piece:
    return Piece([], lambda _: found, before, noun="")


def _problem(place: str, problem: str) -> Piece:
    return _parsed_piece(Elements([], None, 1, [(place, problem)]))


def _one_object(file: BinaryIO, text: bytes) -> Elements | None:
    """The only element of a file that begins with ``text`` and is one object over several lines; None of another file,
    which then stands where it stood."""
    if not _breaks_off(text[: text.index(b"\n")]):
        return None
    here = file.tell()
    while len(text) <= MOST_BYTES_OF_ELEMENT and _breaks_off(text[: text.rindex(b"\n")]):
        more = file.read(len(text))
        if not more:
            break
        text += more
    with suppress(ValueError):
        value = exact_json(text)
        if not _first_byte(file):
            return Elements([value], None, 1, [])
    file.seek(here)
    return None


def _breaks_off(text: bytes) -> bool:
    """Whether this may be the beginning of JSON text."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return error.pos >= len(error.doc)
    return False


def _of_lines(text: bytes, first: int) -> Elements:
    # Within a JSON text a line break is always written \n, so each one here ends a line.
    bare = text.rstrip(_SPACE)
    joined = b"[" + bare.replace(b"\n", b",") + b"]"
    if bare and not may_be_rounded(joined):
        try:
            values = orjson.loads(joined)
            if len(values) == bare.count(b"\n") + 1:
                return Elements(values, [f"line {first + place}" for place in range(len(values))], first, [])
        except orjson.JSONDecodeError:
            pass  # an empty line or a damaged one: each is looked at by itself
    found: list[Any] = []
    places: list[str] = []
    damaged: list[tuple[str, str]] = []
    for place, line in enumerate(text.split(b"\n"), start=first):
        if line.strip(_SPACE):
            try:
                found.append(exact_json(line))
                places.append(f"line {place}")
            except ValueError as error:
                damaged.append((f"line {place}", f"it is no JSON: {error}"))
    return Elements(found, places, first, damaged)


# ---------------------------------------------------------------------------------------------------- one array


def _array(file: BinaryIO, noun: str, piece_bytes: int) -> Iterator[Piece]:
    file.read(1)
    state = Depth()
    state.depth = 1
    held: list[bytes | memoryview] = []  # the beginning of an element whose end has not been seen
    size, offset = 0, (start := file.tell())
    late = b""
    piece: Piece | None = None
    while block := late + file.read(piece_bytes if offset > start else min(piece_bytes, _FIRST_BYTES)):
        fresh = len(block) > len(late)
        slashes = len(block) - len(block.rstrip(b"\\"))
        late = block[-slashes:] if fresh and slashes else b""
        block = block[: len(block) - len(late)]
        closed, end = state.ends(block)
        if closed >= 0:
            rest = block[closed + 1 :] + late + file.read(64)
            yield _piece_of_array([*held, memoryview(block)[:closed]], noun, piece, offset)
            if rest.strip(_SPACE):
                at = offset + size + closed + 1
                yield _problem(f"byte {at}", "something stands behind the end of the list; it is not read")
            return
        if end >= 0:
            end += 1
            parts = [*held, memoryview(block)[:end]]
            yield (piece := _piece_of_array(parts, noun, piece, offset))
            offset += sum(map(len, parts))
            held, size = [block[end:]], len(block) - end
        else:
            held.append(block)
            size += len(block)
            if size > MOST_BYTES_OF_ELEMENT:
                problem = f"it does not end within {MOST_BYTES_OF_ELEMENT:,} bytes; the rest is not read"
                yield _unread(noun, piece, offset, problem)
                return
        if not fresh:
            break
    # The end of the file before the end of the list: what is held is the rest of it.
    yield _cut_off(b"".join(held) + late, noun, piece, offset)


def _piece_of_array(parts: list[bytes | memoryview], noun: str, before: Piece | None, offset: int) -> Piece:
    """What stands between two places of an array, commas at the ends included.

    The text is put together when somebody wants it, with what he wants around it: each copy of it is felt."""
    bare = _bare(parts, comma=before is not None)

    def parsed(first: int) -> Elements:
        return _of_array(b"".join(bare), b"".join(parts), noun, first, offset)

    return Piece(bare, parsed, before, noun=noun)


def _bare(parts: list[bytes | memoryview], *, comma: bool) -> list[bytes | memoryview]:
    """The parts without the spaces, and the one ``comma``, before the first element; nothing if that is all."""
    bare = list(parts)
    while bare:
        begin = bytes(bare[0][:_BYTES_AT_ONCE])
        rest = begin.lstrip(_SPACE)
        comma_here = comma and rest.startswith(b",")
        if rest and not comma_here:
            break
        bare[0] = memoryview(bare[0])[len(begin) - len(rest) + comma_here :]
        comma = comma and not comma_here
        if not bare[0]:
            bare.pop(0)
    return bare


def _cut_off(text: bytes, noun: str, before: Piece | None, offset: int) -> Piece:
    bare = text.strip(_SPACE).removeprefix(b",").strip(_SPACE)
    at = offset + len(text)
    if not bare:
        return _problem(f"byte {at}", "the file ends before its list does; all before was read")
    return _unread(noun, before, offset, f"the file ends within it, at byte {at}")


def _unread(noun: str, before: Piece | None, offset: int, problem: str) -> Piece:
    """The element behind ``before``, which is not read."""

    def told(number: int) -> Elements:
        return Elements([], None, number, [(f"{noun} {number} (byte {offset})", problem)])

    return Piece([], told, before, noun=noun)


def _of_array(bare: bytes, text: bytes, noun: str, first: int, offset: int) -> Elements:
    """The elements in ``bare``, which is ``text`` without spaces and a comma at its ends."""
    if not bare:
        return Elements([], None, first, [])
    joined = b"[" + bare + b"]"
    if not may_be_rounded(joined):
        with suppress(orjson.JSONDecodeError):
            return Elements(orjson.loads(joined), None, first, [])
    return _one_by_one(text, noun, first, offset)


def _one_by_one(text: bytes, noun: str, first: int, offset: int) -> Elements:
    """Each element of a piece that is no JSON as a whole."""
    state = Depth()
    state.depth = 1
    quotes, brackets, depths = state.marks(text)
    commas = np.flatnonzero(np.frombuffer(text, np.uint8) == _COMMA)
    commas = commas[(np.searchsorted(quotes, commas) & 1) == 0]
    before = np.searchsorted(brackets, commas) - 1
    depth = np.where(before >= 0, depths[before], 1) if len(depths) else np.ones(len(commas), np.int64)
    cuts = [-1, *commas[depth == 1].tolist(), len(text)]
    parts = [(start + 1, text[start + 1 : end]) for start, end in pairwise(cuts)]
    if first > 1 and not parts[0][1].strip(_SPACE):
        parts = parts[1:]  # the comma that parts this piece from the one before
    found: list[Any] = []
    places: list[str] = []
    damaged: list[tuple[str, str]] = []
    for number, (start, part) in enumerate(parts, start=first):
        try:
            found.append(exact_json(part))
            places.append(f"{noun} {number}")
        except ValueError as error:
            damaged.append((f"{noun} {number} (byte {offset + start})", f"it is no JSON: {error}"))
    return Elements(found, places, first, damaged)
