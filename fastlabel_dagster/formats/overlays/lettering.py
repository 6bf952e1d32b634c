"""Names of classes as pixels, in a font that has their letters.

OpenCV itself only writes ASCII. Matplotlib's FreeType draws any letter of any font that is installed; Japanese needs a
Japanese font on the machine (such as Noto Sans CJK or IPAex). A name no font can write is not written at all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.formats.frames import Pixels
from fastlabel_dagster.formats.overlays.drawing import Colour
from fastlabel_dagster.labels.ragged import Floats

_LONGEST = 60
#: Fonts known to have many letters are asked first.
_LIKELY = ("CJK JP", "Sans JP", "IPA", "Gothic", "Meiryo", "Hiragino", "CJK", "Droid Sans Fallback", "Unifont")


def lettering(text: str, size: int) -> NDArray[np.uint8] | None:
    """``text`` as coverage (0 to 255) of pixels, ``size`` pixels high or a little more; None when no font on this
    machine has all its letters, or there is nothing to see in it."""
    shown = " ".join(text.split())
    if len(shown) > _LONGEST:
        shown = shown[: _LONGEST - 1] + "…"
    if not shown or not shown.isprintable():
        return None
    return _lettered(shown, size)


def write_title(pixels: Pixels, letters: NDArray[np.uint8], corner: Floats, colour: Colour) -> None:
    """Put ``letters`` on a plate of ``colour``, above ``corner`` (x, y) if there is room, within the picture."""
    height, width = pixels.shape[:2]
    pad = 2
    high, wide = min(letters.shape[0] + 2 * pad, height), min(letters.shape[1] + 2 * pad, width)
    left = int(np.clip(corner[0], 0, width - wide))
    top = int(np.clip(corner[1] - high, 0, height - high))
    plate: Any = np.empty((high, wide, 3), np.float32)
    plate[:] = colour
    inner = letters[: max(0, high - 2 * pad), : max(0, wide - 2 * pad), None].astype(np.float32) / 255
    blue, green, red = colour
    ink = 0.0 if 0.114 * blue + 0.587 * green + 0.299 * red > 140 else 255.0
    part = plate[pad : pad + inner.shape[0], pad : pad + inner.shape[1]]
    part += (ink - part) * inner
    pixels[top : top + high, left : left + wide] = np.rint(plate).astype(np.uint8)


@lru_cache(maxsize=4096)
def _lettered(text: str, size: int) -> NDArray[np.uint8] | None:
    path = _font_with(frozenset(map(ord, text)))
    if path is None:
        return None
    from matplotlib.ft2font import FT2Font

    font = FT2Font(path)
    font.set_size(size, 72)
    font.set_text(text, 0)
    font.draw_glyphs_to_bitmap()
    drawn = np.asarray(font.get_image(), np.uint8)
    return drawn if drawn.size and drawn.any() else None


@lru_cache(maxsize=4096)
def _font_with(letters: frozenset[int]) -> str | None:
    return next((path for path in _fonts() if letters <= _letters_of(path)), None)


@lru_cache(maxsize=256)
def _letters_of(path: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # a font FreeType cannot read has no letters for us
        return frozenset()


@lru_cache(maxsize=1)
def _fonts() -> tuple[str, ...]:
    """Files of upright, regular fonts: matplotlib's own first, then those likely to have what it has not."""
    from matplotlib.font_manager import FontProperties, findfont, fontManager

    own = str(findfont(FontProperties(family="DejaVu Sans")))
    others = sorted(
        (next((place for place, part in enumerate(_LIKELY) if part in font.name), len(_LIKELY)), font.fname)
        for font in fontManager.ttflist
        if font.style == "normal" and str(font.weight) in ("400", "normal", "regular")
    )
    return tuple(dict.fromkeys([own, *(path for _, path in others)]))
