"""Tokens and sentences: nothing visible is lost, nothing is cut that belongs together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastlabel_dagster.formats.sound.words import words_of
from fastlabel_dagster.formats.spans.tokens import cut_tokens, joins, sentence_breaks, tokens_of


def words(text: str, *boundaries: int) -> list[str]:
    return [text[start:end] for start, end in tokens_of(text, boundaries)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I like London.", ["I", "like", "London", "."]),
        ("don't 3.5", ["don", "'", "t", "3", ".", "5"]),
        ("東京へ行く。", ["東", "京", "へ", "行", "く", "。"]),
        ("iPhoneを買う", ["iPhone", "を", "買", "う"]),
        ("cafe\u0301 noir", ["cafe\u0301", "noir"]),
        ("か\u3099く", ["か\u3099", "く"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("👍🏽!", ["👍🏽", "!"]),
        ("안녕 세계", ["안녕", "세계"]),
        ("　\t\n", []),
        ("", []),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_tokens_are_cut_where_asked() -> None:
    assert words("Londoner", 6) == ["London", "er"]
    assert words("ab cd", 0, 2, 3, 5) == ["ab", "cd"]
    assert words("abcd", 1, 2, 3, 9) == ["a", "b", "c", "d"]
    assert cut_tokens([(0, 4)], []) == [(0, 4)]


@given(st.text(max_size=60), st.lists(st.integers(-5, 70), max_size=8))
def test_tokens_are_all_that_is_not_blank(text: str, boundaries: list[int]) -> None:
    tokens = tokens_of(text, boundaries)
    assert "".join(text[start:end] for start, end in tokens) == "".join(text.split())
    sides = [side for token in tokens for side in token]
    assert sides == sorted(sides)
    assert all(start < end for start, end in tokens)
    assert not any(start < boundary < end for start, end in tokens for boundary in boundaries)


def test_sentences_end_at_line_breaks_and_full_stops() -> None:
    text = "行く。「帰る。」\nMr. X\r\ny"
    assert [
        text[a:b] for a, b in zip([0, *sentence_breaks(text)], [*sentence_breaks(text), len(text)], strict=True)
    ] == [
        "行く。",
        "「帰る。」",
        "\n",
        "Mr. X\r",
        "\n",
        "y",
    ]
    assert sentence_breaks(text, stops=False) == [9, 15, 16]


def test_japanese_has_no_blanks() -> None:
    assert joins("京", "都")
    assert joins("る", "。")
    assert not joins("a", "都")
    assert not joins(".", "a")


def test_words_have_no_blanks_and_differ() -> None:
    assert words_of(["a b", "a_b", "a  b", "a_b", "", "_", "c"]) == ["a_b_2", "a_b", "a_b_3", "a_b_4", "__2", "_", "c"]


@given(st.lists(st.text("ab _\t2\n", max_size=4), max_size=8))
def test_words_are_unique(texts: list[str]) -> None:
    found = words_of(texts)
    assert len(set(found)) == len(texts)
    assert all(word == "".join(word.split()) != "" for word in found)
