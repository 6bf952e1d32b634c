"""Texts in tokens and sentences, by a rule that knows no language.

Blanks separate tokens and belong to none. A run of letters, digits and underscores with their combining marks is a
token; so is every other sign (punctuation, an emoji), and every kanji and kana, for Japanese has no blanks between its
words. What must not be cut apart afterwards is cut here: tokens never reach across a boundary that is asked for.
A sentence ends at a line break, and behind ``。``, ``！`` and ``？`` with the brackets that close after them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from fastlabel_dagster.labels.ragged import Ints

#: Kana, kanji (with extensions and compatibility forms) and their iteration marks.
_SINGLE = "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SINGLE += "\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
#: Sentence ends within a line, with what closes behind them.
_STOP = re.compile(r"[。！？]+[」』）】〉》”’)]*")
_LINE_BREAK = re.compile(r"[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def tokens_of(text: str, boundaries: Iterable[int] = ()) -> list[tuple[int, int]]:
    """The tokens of a text as (start, end) in characters, cut at every one of ``boundaries`` that lies inside one."""
    return cut_tokens([match.span() for match in _pattern().finditer(text)], boundaries)


def cut_tokens(tokens: Sequence[tuple[int, int]], boundaries: Iterable[int]) -> list[tuple[int, int]]:
    """The tokens (in order and apart from each other), cut where a boundary lies inside one."""
    wanted = sorted(set(boundaries))
    if not wanted or not tokens:
        return list(tokens)
    flat = np.array(tokens, np.int64)
    boundary = np.array(wanted, np.int64)
    inside = np.searchsorted(flat[:, 0], boundary, side="left") - 1
    cuts = boundary[(inside >= 0) & (boundary < flat[np.maximum(inside, 0), 1])]
    starts: Ints = np.sort(np.concatenate([flat[:, 0], cuts]))
    ends: Ints = np.sort(np.concatenate([flat[:, 1], cuts]))
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def sentence_breaks(text: str, *, stops: bool = True) -> list[int]:
    """The offsets behind which a new sentence begins, in order. ``stops`` off: at line breaks only."""
    found = {match.end() for match in _LINE_BREAK.finditer(text)}
    if stops:
        found.update(match.end() for match in _STOP.finditer(text))
    return sorted(found)


def joins(before: str, after: str) -> bool:
    """Whether a token ending in the sign ``before`` and one beginning with ``after`` stand without a blank between
    them: as where both are Japanese, its punctuation and full-width signs included."""
    return _is_japanese(before) and _is_japanese(after)


def _is_japanese(sign: str) -> bool:
    return (
        "\u3001" <= sign <= "\u30ff"
        or "\u3400" <= sign <= "\u9fff"
        or "\uf900" <= sign <= "\ufaff"
        or (
            "\uff01" <= sign <= "\uff9f" or "\U0001b000" <= sign <= "\U0001b16f" or "\U00020000" <= sign <= "\U0003ffff"
        )
    )


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    marks = _marks()
    letter = rf"[^\W{_SINGLE}]"
    return re.compile(rf"{letter}(?:{letter}|[{marks}])*|\S[{marks}]*")


def _marks() -> str:
    """All combining marks as ranges for a character class; Python's ``re`` has no name for them."""
    ranges: list[list[int]] = []
    for code in (*range(0x300, 0x1FFFF), *range(0xE0100, 0xE01F0), *range(0x1F3FB, 0x1F400)):
        # The last range are the skin tones of emoji, which follow what they colour like a mark.
        if unicodedata.category(chr(code)).startswith("M") or 0x1F3FB <= code < 0x1F400:
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            elif not any(first <= code <= last for first, last in ranges[-1:]):
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
