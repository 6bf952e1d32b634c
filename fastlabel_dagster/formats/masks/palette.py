"""The colours of index masks: which red, green and blue each pixel value is shown in."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

from fastlabel_dagster.formats.assembly import distinct_colors

#: Black for the background, then the 57 colours the official SDK gives to indices 1..57 (some of them occur twice).
SDK_PALETTE = bytes.fromhex(
    "000000e41a1c377eb84daf4a984ea3ff7f00ffff33a65628f781bf99999966c2a5fc8d628da0cbe78ac3a6d854ffd92fe5c494b3b3b38dd3c7"
    "ffffb3bebadafb807280b1d3fdb462b3de69fccde5d9d9d9bc80bdccebc5ffed6fa6cee31f78b4b2df8a33a02cfb9a99e31a1cfdbf6fff7f00"
    "cab2d66a3d9affff99b159287fc97fbeaed4fdc086ffff99386cb0f0027fbf5b166666661b9e77d95f027570b3e7298a66a61ee6ab02a6761d"
    "666666"
)
#: How many colours a palette has at most; masks of more indices are grey, in 16 bits.
MOST = 256
_HEX = re.compile(r"#([0-9a-fA-F]{6})")


def sdk_palette(highest: int) -> bytes:
    """Red, green and blue (a byte each) of the indices 0 to ``highest`` (and more): the SDK's palette while it
    suffices, otherwise that and colours of our own behind it, each different from all others."""
    return SDK_PALETTE if 3 * highest < len(SDK_PALETTE) else extended(SDK_PALETTE)


def given_palette(colors: Sequence[int], highest: int) -> bytes:
    """The palette somebody made (flat [r, g, b, …]), with colours of our own for indices it does not reach."""
    palette = bytes(colors)
    return palette if 3 * highest < len(palette) else extended(palette)


@functools.lru_cache(maxsize=16)
def extended(palette: bytes) -> bytes:
    """``palette`` made 256 colours long."""
    known = {palette[place : place + 3] for place in range(0, len(palette), 3)}
    fresh = (color for color in _fresh() if color not in known)
    return palette + b"".join(next(fresh) for _ in range(MOST - len(palette) // 3))


def class_palette(colors: dict[int, str | None]) -> bytes:
    """A palette from index -> ``#rrggbb``. Where there is no colour, and for all other indices, it is the SDK's."""
    palette = bytearray(sdk_palette(max(colors, default=0)))
    for index, color in colors.items():
        rgb = rgb_of(color)
        if rgb is not None and index < MOST:
            palette[3 * index : 3 * index + 3] = rgb
    return bytes(palette)


def rgb_of(color: str | None) -> bytes | None:
    """Three bytes of a colour written ``#rrggbb``; None for anything else."""
    found = _HEX.fullmatch(color or "")
    return bytes.fromhex(found[1]) if found else None


def _fresh() -> Iterator[bytes]:
    for color in distinct_colors():
        yield bytes.fromhex(color[1:])
