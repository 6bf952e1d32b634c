"""A preview of labeled texts: a few sentences with their entities marked, in Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pyarrow as pa

#: How much of a text is shown, in characters, and how many texts.
_LONGEST = 400
_MOST = 6

#: The text of a task, given its id and name; None when there is none.
ReadText = Callable[[str, str], str | None]


def text_preview(tasks: pa.Table, read_text: ReadText, on_problem: Callable[[str], object] = lambda _: None) -> str:
    """The first texts of ``tasks`` (schema ``TASKS``) with their spans in bold and the class behind each, as Markdown.

    Spans are ``start`` and ``end`` in characters, as FastLabel's text annotations give them; of spans that overlap the
    first is marked. A text that cannot be read is told to ``on_problem``. Empty when nothing can be shown.
    """
    parts = []
    for row in tasks.select(["task_id", "name", "annotations"]).slice(0, _MOST).to_pylist():
        name = str(row["name"] or row["task_id"])
        text = read_text(str(row["task_id"]), name)
        if text is None:
            on_problem(f"{name}: no text")
            continue
        spans = [
            (int(one["start"]), int(one["end"]), str(one["value"] or "?"))
            for one in row["annotations"] or []
            if one["start"] is not None and one["end"] is not None and math.isfinite(one["start"] + one["end"])
        ]
        parts.append(f"**{_plain(name)}**\n\n> {_marked(text, spans)}")
    return "\n\n".join(parts)


def _marked(text: str, spans: list[tuple[int, int, str]]) -> str:
    parts, at = [], 0
    for start, end, value in sorted(spans):
        if not at <= start < end <= len(text) or start >= _LONGEST:
            continue
        shown = text[start:end] if end - start <= _LONGEST else text[start : start + _LONGEST] + " …"
        parts += [_plain(text[at:start]), f"**{_plain(shown)}** `{_code(value)}`"]
        at = end
    parts.append(_plain(text[at : max(at, _LONGEST)]) + (" …" if len(text) > max(at, _LONGEST) else ""))
    return " ".join(" ".join(parts).split())


def _plain(text: str) -> str:
    """``text`` from outside, with everything that means something in Markdown or HTML made harmless."""
    return re.sub(r"([\\`*_{}\[\]()#+!<>|~&-])", r"\\\1", text)


def _code(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")[:40]
