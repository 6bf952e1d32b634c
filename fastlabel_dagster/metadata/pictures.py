"""Pictures as SVG: text is drawn by the reader's browser, so Japanese class names are readable wherever the run was."""

from __future__ import annotations

import base64
import html
import re

from fastlabel_dagster.metadata.summary import NO_COLOUR

#: Fonts with Japanese letters first; the browser takes the first one it has.
FONT = "'Noto Sans CJK JP','Noto Sans JP','Hiragino Sans','Yu Gothic',Meiryo,'IPAexGothic',system-ui,sans-serif"
#: Colour of text.
INK = "#1c2128"


class TooLarge(ValueError):
    """A picture is not opened for a preview: it would need too much memory."""


def document(width: int, height: int, body: str, *, font_size: int = 12) -> str:
    """An SVG document of so many pixels: ``body`` on a white ground of its own, which reads in light and dark alike."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="{html.escape(FONT)}" font-size="{font_size}" fill="{INK}">'
        f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>{body}</svg>'
    )


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
