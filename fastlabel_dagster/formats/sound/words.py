"""Names as single words, for formats whose fields are separated by blanks."""

from __future__ import annotations

import re
from collections.abc import Iterable

_BLANKS = re.compile(r"[\s\x00-\x1f\x7f]+")


def words_of(texts: Iterable[str]) -> list[str]:
    """A word of its own for each text: blanks become ``_``, and where that is the word of another text, a number
    follows. A text that is a word already stays as it is; of several that are alike, the first.

    >>> words_of(["a b", "a_b", "a  b", "a_b"])
    ['a_b_2', 'a_b', 'a_b_3', 'a_b_4']
    """
    texts = list(texts)
    plain = [_BLANKS.sub("_", text) or "_" for text in texts]
    kept: dict[str, int] = {}
    for place, (word, text) in enumerate(zip(plain, texts, strict=True)):
        if word == text:
            kept.setdefault(word, place)
    taken = set(kept)
    words = []
    for place, stem in enumerate(plain):
        word, number = stem, 1
        while word in taken and kept.get(word) != place:
            number += 1
            word = f"{stem}_{number}"
        taken.add(word)
        words.append(word)
    return words
