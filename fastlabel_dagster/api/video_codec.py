"""Whether a video is H.264, read from the boxes of its MP4 file (ISO/IEC 14496-12) without decoding anything."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

H264_ENTRIES: Final = frozenset({b"avc1", b"avc2", b"avc3", b"avc4", b"h264", b"x264", b"dvav", b"dva1"})
"""Names of sample entries that hold H.264 (ISO/IEC 14496-15, and what encoders wrote before it), in lower case."""

LARGEST_TABLE: Final = 1 << 20
"""A sample description is some hundred bytes; more than this is no such thing."""

Box = tuple[bytes, int, int]
"""A box's name, where its content begins, and where it ends."""


def is_h264(file: BinaryIO) -> bool:
    """Whether the first video track of an MP4 file is H.264.

    Args:
        file: opened for reading bytes; it must be seekable.
    """
    return (first_video_entry(file) or b"").lower() in H264_ENTRIES


def first_video_entry(file: BinaryIO) -> bytes | None:
    """The four characters that name the codec of the first video track, `b"avc1"` for instance; None without one."""
    end = file.seek(0, 2)
    for name, start, stop in _boxes(file, 0, end):
        if name != b"moov":
            continue
        for track, track_start, track_stop in _boxes(file, start, stop):
            if track == b"trak" and (entry := _entry(file, track_start, track_stop)) is not None:
                return entry
    return None


def _entry(file: BinaryIO, start: int, stop: int) -> bytes | None:
    media = _inside(file, start, stop, b"mdia")
    handler = media and _inside(file, *media, b"hdlr")
    if not media or not handler or _read(file, handler[0] + 8, 4) != b"vide":
        return None
    place: tuple[int, int] | None = media
    for name in (b"minf", b"stbl", b"stsd"):
        place = place and _inside(file, *place, name)
    if not place or place[1] - place[0] > LARGEST_TABLE:
        return None
    # Version and flags (4), number of entries (4), then the first entry: its size (4) and its name (4).
    name = _read(file, place[0] + 12, 4)
    return name if len(name) == 4 else None


def _inside(file: BinaryIO, start: int, stop: int, wanted: bytes) -> tuple[int, int] | None:
    return next(((begin, end) for name, begin, end in _boxes(file, start, stop) if name == wanted), None)


def _boxes(file: BinaryIO, start: int, stop: int) -> Iterator[Box]:
    while start + 8 <= stop:
        header = _read(file, start, 16)
        if len(header) < 8:
            return
        size, name = struct.unpack(">I4s", header[:8])
        content = start + 8
        if size == 1 and len(header) == 16:  # a 64-bit size follows
            size, content = struct.unpack(">Q", header[8:])[0], start + 16
        elif size == 0:  # up to the end of the file
            size = stop - start
        if size < content - start:
            return
        yield name, content, min(start + size, stop)
        start += size


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)
