"""Width and height of a picture, from the head of its file where that is enough."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import BinaryIO

#: Endings of picture files, compared in lower case.
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".jp2", ".pgm", ".ppm"})
_TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
_ORIENTATION = 0x0112
_HEAD = 4096  # bytes; a photograph with a large preview in its EXIF data needs more, and gets it
_JPEG = b"\xff\xd8"
_PNG = b"\x89PNG\r\n\x1a\n"


def image_size(path: Path | str) -> tuple[int, int] | None:
    """Width and height in pixels as the picture is shown (a JPEG's EXIF orientation applied); None when unreadable.

    Most pictures say so within their first kilobytes: one read. Only what is none of PNG, JPEG, GIF, BMP and WebP, or
    not as it should be, is decoded.
    """
    try:
        # Without pathlib and buffers, which take longer than the reading.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        head = os.read(file, _HEAD)
        size = head_size(head)
        if size is None and head.startswith(_JPEG) and len(head) == _HEAD:
            with os.fdopen(os.dup(file), "rb") as rest:
                rest.seek(2)
                size = _jpeg_size(rest)
    except OSError:
        return None
    finally:
        os.close(file)
    return size or _decoded_size(path)


def head_size(head: bytes) -> tuple[int, int] | None:
    """Width and height as a picture's first bytes (or all of them) state; None when they state nothing possible."""
    width = height = 0
    if head.startswith(_JPEG):
        return _jpeg_size(io.BytesIO(head[2:]))
    if head.startswith(_PNG) and len(head) >= 24:
        width, height = struct.unpack_from(">II", head, 16)
    elif head.startswith((b"GIF87a", b"GIF89a")) and len(head) >= 10:
        width, height = struct.unpack_from("<HH", head, 6)
    elif head.startswith(b"BM") and len(head) >= 26 and int.from_bytes(head[14:18], "little") >= 40:
        width, height = struct.unpack_from("<ii", head, 18)
        height = abs(height)  # negative: its rows stand from the top
    elif head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8X" and len(head) >= 30:
        width, height = (1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
    elif head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8 " and head[23:26] == b"\x9d\x01\x2a" and len(head) >= 30:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", head, 26))
    elif head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8L" and len(head) >= 25 and head[20] == 0x2F:
        sides = int.from_bytes(head[21:25], "little")
        width, height = 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
    return (int(width), int(height)) if width > 0 and height > 0 else None


def _jpeg_size(file: BinaryIO) -> tuple[int, int] | None:
    """Walk the segments of a JPEG, from behind its first two bytes, up to the one that holds the size. None when the
    file is not as it should be, or ends before."""
    turned = False
    while True:
        marker = file.read(2)
        while marker == b"\xff\xff":
            marker = b"\xff" + file.read(1)
        if len(marker) < 2 or marker[0] != 0xFF:
            return None
        kind = marker[1]
        if 0xD0 <= kind <= 0xD7 or kind == 0x01:
            continue
        length = int.from_bytes(file.read(2), "big") - 2
        if length < 0 or kind in (0xD9, 0xDA):
            return None
        content = file.read(length)
        if len(content) < length:
            return None
        if kind == 0xE1 and content.startswith(b"Exif\0\0"):
            turned = _orientation(content[6:]) in _TURNED
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC) and length >= 5:
            height, width = struct.unpack(">HH", content[1:5])
            if not width or not height:
                return None
            return (height, width) if turned else (width, height)


def _orientation(tiff: bytes) -> int:
    """The orientation an EXIF block states; 1 (upright) when it states none."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return int(value)
    except struct.error:  # a damaged EXIF block says nothing about the pixels
        return 1
    return 1


def _decoded_size(path: Path | str) -> tuple[int, int] | None:
    import cv2
    import numpy as np

    try:
        data = np.fromfile(path, np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):  # gone, or of more pixels than OpenCV opens
        return None
    return None if picture is None else (int(picture.shape[1]), int(picture.shape[0]))
