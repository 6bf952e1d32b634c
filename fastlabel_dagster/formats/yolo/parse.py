"""Label files as numbers: many files at once, whatever stands between the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, offsets_of, ranges

_BLANK = np.zeros(256, np.bool_)
_BLANK[list(b" \t\n\v\f\r")] = True
#: What a number is made of; ``nan`` and ``inf`` are numbers that are not finite.
_OF_NUMBERS = _BLANK.copy()
_OF_NUMBERS[list(b"0123456789.+-eEnNaAiIfFtTyY")] = True
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:nan|inf|infinity)$"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Lines(NamedTuple):
    """The lines of some texts that are not blank, in their order."""

    text: Ints
    """int64[l]: which text."""
    number: Ints
    """int64[l]: the line of its text, from 1."""
    values: Floats
    """float64[m]: all numbers of all lines; what is no number is NaN."""
    offsets: Ints
    """int64[l + 1] into ``values``."""
    is_numbers: Bools
    """bool[l]: every word of the line is a number."""

    @property
    def counts(self) -> Ints:
        """int64[l]: how many numbers each line has."""
        return np.diff(self.offsets)


def parse_lines(texts: Sequence[bytes]) -> Lines:
    """Read lines of numbers with blanks or tabs between them; lines end as on any system.

    The texts are looked at as one array of bytes: where words begin and end, which line each stands on, and one
    conversion for all words.
    """
    plain = [_unmarked(text) if text[:1] in (b"\xef", b"\xff", b"\xfe") else text for text in texts]
    if any(b"\r" in text for text in plain):
        plain = [text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") for text in plain]
    data = np.frombuffer(b"\n".join(plain) + b"\n", np.uint8)
    blank = _BLANK[data]
    edges = np.flatnonzero(np.diff(blank, prepend=True))
    starts, ends = edges[::2], edges[1::2]
    line_ends = np.flatnonzero(data == ord("\n"))
    words_before = offsets_of(np.diff(np.searchsorted(starts, line_ends), prepend=0))
    text_ends = np.cumsum([len(text) + 1 for text in plain]) - 1
    lines_before = offsets_of(np.diff(np.searchsorted(line_ends, text_ends, side="right"), prepend=0))

    values, wrong = _numbers(data, blank, starts, ends)
    filled = np.flatnonzero(np.diff(words_before) > 0)
    text = np.searchsorted(lines_before, filled, side="right") - 1
    offsets = np.append(words_before[filled], words_before[-1])
    is_numbers = np.ones(len(filled), np.bool_)
    is_numbers[np.searchsorted(offsets, wrong, side="right") - 1] = False
    return Lines(text, filled - lines_before[text] + 1, values, offsets, is_numbers)


def _unmarked(text: bytes) -> bytes:
    if text.startswith(_UTF16_MARKS):
        return text.decode("utf-16", "replace").encode()
    return text.removeprefix(_UTF8_MARK)


def _numbers(data: NDArray[np.uint8], blank: Bools, starts: Ints, ends: Ints) -> tuple[Floats, Ints]:
    """The words as numbers, and which words (their positions) are none."""
    lengths = ends - starts
    odd = np.flatnonzero(~_OF_NUMBERS[data])
    wrong = np.unique(np.searchsorted(starts, odd, side="right") - 1)
    letters = data[~blank]
    offsets = offsets_of(lengths)
    if len(wrong):
        letters = letters.copy()
        letters[ranges(offsets[:-1][wrong], lengths[wrong])] = ord("x")
    words = pa.StringArray.from_buffers(
        len(lengths), pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(letters))
    )
    if not len(wrong):
        try:
            return pc.cast(words, pa.float64()).to_numpy(zero_copy_only=False), wrong
        except pa.ArrowInvalid:  # one word that is no number: they are looked at one by one
            pass
    right = pc.match_substring_regex(words, _NUMBER)
    words = pc.if_else(right, pc.utf8_ltrim(words, "+"), None)
    values = pc.cast(words, pa.float64()).to_numpy(zero_copy_only=False)
    return values, np.flatnonzero(~right.to_numpy(zero_copy_only=False))
