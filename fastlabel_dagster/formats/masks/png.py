"""Index images as PNG: a palette in 8 bits, or grey in 16.

OpenCV neither writes palettes nor tells their indices, so the container is put together and taken apart here; pixels
are packed by :mod:`fastlabel_dagster.formats.masks.deflate` or zlib and unpacked by OpenCV. Rows are stored as they are
(no prediction) and packed by run lengths: for index images that is both smaller and faster than what PNG encoders
choose by themselves.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Pixels of the largest image that is read or written: 16,384 x 16,384. A PNG of a few kilobytes can claim more than
#: any memory holds.
MOST_PIXELS = 2**28
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGB_ALPHA: 4}
_DEPTHS = {_GREY: (1, 2, 4, 8, 16), _RGB: (8, 16), _PALETTE: (1, 2, 4, 8), _GREY_ALPHA: (8, 16), _RGB_ALPHA: (8, 16)}


class PngError(ValueError):
    """The file is no PNG, is damaged, or claims to be larger than :data:`MOST_PIXELS`."""


class IndexImage(NamedTuple):
    """The pixels of a mask."""

    pixels: NDArray[Any]
    """uint8, uint16: [h, w] indices; or uint32[h, w]: colours, red * 65536 + green * 256 + blue."""
    palette: bytes | None = None
    """Red, green and blue of each index, where the file has a palette."""

    @property
    def is_color(self) -> bool:
        """Pixels are colours and not indices."""
        return self.pixels.dtype == np.uint32


def palette_png(packed: bytes, width: int, height: int, palette: bytes) -> bytes:
    """A PNG of 8-bit indices into ``palette``.

    ``packed`` is the zlib data of the rows, each of which begins with a byte 0 (PNG's "no prediction").
    """
    head = struct.pack(">IIBBBBB", width, height, 8, _PALETTE, 0, 0, 0)
    return b"".join([_SIGNATURE, _chunk(b"IHDR", head), _chunk(b"PLTE", palette), _chunk(b"IDAT", packed), _LAST])


def encode_grey16(pixels: NDArray[np.uint16]) -> bytes:
    """A 16-bit grey PNG of uint16[h, w] indices."""
    height, width = pixels.shape
    rows = np.zeros((height, 1 + 2 * width), np.uint8)
    rows[:, 1:] = pixels.astype(">u2").view(np.uint8).reshape(height, 2 * width)
    head = struct.pack(">IIBBBBB", width, height, 16, _GREY, 0, 0, 0)
    packer = zlib.compressobj(1, zlib.DEFLATED, 15, 8, zlib.Z_RLE)
    packed = packer.compress(rows.data) + packer.flush()
    return b"".join([_SIGNATURE, _chunk(b"IHDR", head), _chunk(b"IDAT", packed), _LAST])


def read_indices(path: Path) -> IndexImage:
    """The indices of a palette PNG, the values of a grey one (8 or 16 bits), or the colours of an RGB one.

    An alpha channel is left out. Raises PngError, and OSError when the file cannot be read.
    """
    chunks = _chunks(path)
    width, height, depth, kind, _, _, interlaced = _head(chunks)
    palette = next((data for name, data in chunks if name == b"PLTE"), None)
    packed = b"".join(data for name, data in chunks if name == b"IDAT")
    _refuse_short_data(packed, -(-width * depth * _CHANNELS[kind] // 8), height, interlaced=bool(interlaced))
    # What OpenCV would turn into colours is handed to it as grey: then the values come out as they are.
    grey = kind == _PALETTE
    head = struct.pack(">IIBBBBB", width, height, depth, _GREY if grey else kind, 0, 0, interlaced)
    plain = b"".join([_SIGNATURE, _chunk(b"IHDR", head), _chunk(b"IDAT", packed), _LAST])
    pixels = _decoded(plain)
    if pixels.shape[:2] != (height, width):
        raise PngError("its pixels cannot be decoded")
    if pixels.ndim == 3:
        return IndexImage(_gathered(pixels, is_grey=kind == _GREY_ALPHA))
    if depth < 8:
        pixels //= 255 // (2**depth - 1)  # grey values of few bits are stretched to 0..255
    return IndexImage(pixels, palette if grey else None)


def _decoded(png: bytes) -> NDArray[Any]:
    import cv2

    try:
        pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise PngError(f"its pixels cannot be decoded: {error}") from error
    if pixels is None:
        raise PngError("its pixels cannot be decoded")
    return np.asarray(pixels)


def _gathered(pixels: NDArray[Any], *, is_grey: bool) -> NDArray[Any]:
    """Blue, green, red (and alpha) as one number per pixel."""
    if is_grey:
        return np.ascontiguousarray(pixels[:, :, 0])
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    colors = pixels[:, :, 2].astype(np.uint32)
    for channel in (1, 0):
        colors <<= 8
        colors |= pixels[:, :, channel]
    return colors


def _chunks(path: Path) -> list[tuple[bytes, bytes]]:
    """Name and content of what matters of a PNG, checked. The head is looked at before anything else is read."""
    found = []
    with path.open("rb") as file:
        if file.read(8) != _SIGNATURE:
            raise PngError("it is not a PNG file")
        while True:
            start = file.read(8)
            if len(start) < 8:
                raise PngError("it ends before its end")
            length, name = int.from_bytes(start[:4], "big"), start[4:]
            if length > 2**31 - 1:
                raise PngError("a part of it has an impossible length")
            data, check = file.read(length), file.read(4)
            if len(check) < 4:
                raise PngError("it ends before its end")
            if name in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
                if zlib.crc32(data, zlib.crc32(name)) != int.from_bytes(check, "big"):
                    raise PngError("it is damaged: a checksum is wrong")
                found.append((name, data))
                if len(found) == 1:
                    _head(found)
            if name == b"IEND":
                return found


def _head(chunks: list[tuple[bytes, bytes]]) -> tuple[int, int, int, int, int, int, int]:
    name, data = chunks[0]
    if name != b"IHDR" or len(data) != 13:
        raise PngError("it has no proper head")
    head: tuple[int, int, int, int, int, int, int] = struct.unpack(">IIBBBBB", data)
    width, height, depth, kind, packing, prediction, interlaced = head
    if not width or not height or max(width, height) >= 2**31:
        raise PngError(f"a picture cannot be {width} x {height} pixels large")
    if width * height > MOST_PIXELS:
        raise PngError(f"it claims to be {width} x {height} pixels large, more than {MOST_PIXELS:,} are not read")
    if depth not in _DEPTHS.get(kind, ()) or packing or prediction or interlaced > 1:
        raise PngError("it is of a kind that PNG does not know")
    return head


def _refuse_short_data(packed: bytes, row: int, height: int, *, interlaced: bool) -> None:
    """OpenCV fills what is missing with black; here it is an error. Unpacks a piece at a time."""
    wanted = (row + 1) * height if not interlaced else 1
    unpacker = zlib.decompressobj()
    try:
        while packed and wanted > 0:
            wanted -= len(unpacker.decompress(packed, 1 << 20))
            packed = unpacker.unconsumed_tail
    except zlib.error as error:
        raise PngError(f"its pixels cannot be unpacked: {error}") from error
    if wanted > 0:
        raise PngError("it ends in the middle of its pixels")


def _chunk(name: bytes, data: bytes) -> bytes:
    return b"".join([struct.pack(">I", len(data)), name, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))])


_LAST = _chunk(b"IEND", b"")
