"""Pictures as SVG: text is drawn by the reader's browser, so Japanese class names are readable wherever the run was."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence

from fastlabel_dagster.metadata.summary import NO_COLOUR, ClassCount

#: Fonts with Japanese letters first; the browser takes the first one it has.
FONT = "'Noto Sans CJK JP','Noto Sans JP','Hiragino Sans','Yu Gothic',Meiryo,'IPAexGothic',system-ui,sans-serif"
_MOST_BARS = 40
_ROW = 24
_WIDTH = 720


def picture_markdown(svg: str, description: str) -> str:
    """``svg`` as a Markdown picture that holds its own data, which the Dagster UI shows."""
    safe = re.sub(r"[\[\]()\n]", " ", description)
    return f"![{safe}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def colour(text: str | None) -> str:
    """``text`` when it is a hexadecimal colour (``#RGB`` … ``#RRGGBBAA``), else grey: it comes from outside."""
    return text if text and re.fullmatch(r"#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})", text) else NO_COLOUR


def shortened(text: str, length: int) -> str:
    """``text`` in at most ``length`` columns, where a Japanese letter is two columns wide, escaped for SVG."""
    width = 0
    for position, letter in enumerate(text):
        width += 2 if ord(letter) > 0x2E7F else 1
        if width > length:
            text = text[: max(position - 1, 1)] + "…"
            break
    printable = "".join(letter for letter in text if letter.isprintable())
    return html.escape(printable, quote=True)


def class_histogram(classes: Sequence[ClassCount]) -> str:
    """Annotations per class as horizontal bars in the classes' colours, most frequent first; an SVG document.

    At most 40 bars; further classes are one bar "n more". A class the project does not declare is marked with ``?``.
    """
    ordered = sorted(classes, key=lambda one: (-one.count, one.title))
    rest = ordered[_MOST_BARS:]
    shown = ordered[:_MOST_BARS]
    if rest:
        shown.append(ClassCount("", f"{len(rest)} more", NO_COLOUR, sum(one.count for one in rest), True))
    most = max((one.count for one in shown), default=0) or 1
    total = sum(one.count for one in ordered)
    left, right = 190, 84
    rows = []
    for number, one in enumerate(shown):
        top = 44 + number * _ROW
        length = max((_WIDTH - left - right) * one.count / most, 1.5 if one.count else 0)
        name = shortened(one.title or one.value or "(no class)", 24) + ("" if one.known else " ?")
        rows.append(
            f'<text x="{left - 8}" y="{top + 15}" text-anchor="end">{name}</text>'
            f'<rect x="{left}" y="{top + 3}" width="{length:.1f}" height="{_ROW - 8}" rx="2" '
            f'fill="{colour(one.color)}"/>'
            f'<text x="{left + length + 6:.1f}" y="{top + 15}" fill="#444b55">{one.count:,}</text>'
        )
    height = 56 + max(len(shown), 1) * _ROW
    empty = "" if shown else f'<text x="{left}" y="59">This project declares no class.</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="{html.escape(FONT)}" font-size="13" fill="#1c2128">'
        f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="#ffffff"/>'
        f'<text x="16" y="26" font-size="15" font-weight="600">{total:,} annotations in {len(ordered)} classes</text>'
        f"{''.join(rows)}{empty}</svg>"
    )
