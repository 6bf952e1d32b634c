"""Names as single words, for formats whose fields are separated by blanks."""

from __future__ import annotations

import re
from collections.abc import Iterable

_BLANKS = re.compile(r"[\s\x00-\x1f\x7f]+")


def words_of(texts: Iterable[str]) -> list[str]:
    """A word for each of these different texts: blanks become ``_``, and where that is the word of another text, a
    number follows. A text that is a word already stays as it is.

    >>> words_of(["a b", "a_b", "a  b"])
    ['a_b_2', 'a_b', 'a_b_3']
    """
    texts = list(texts)
    plain = [_BLANKS.sub("_", text) or "_" for text in texts]
    taken = {word for word, text in zip(plain, texts, strict=True) if word == text}
    words = []
    for text, stem in zip(texts, plain, strict=True):
        word, number = stem, 1
        while word != text and word in taken:
            number += 1
            word = f"{stem}_{number}"
        taken.add(word)
        words.append(word)
    return words
