"""Is this a whole picture, and how large is it?"""

from __future__ import annotations

_JPEG = b"\xff\xd8"
_START_OF_SCAN = b"\xff\xda"
_END_OF_IMAGE = b"\xff\xd9"


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels as the file stores them, without the turn an EXIF orientation asks for.

    The picture is decoded, so that a file with a good header and a broken body is noticed.

    Raises:
        ValueError: it is empty, cut off, or no picture that OpenCV can read; the message says which.
    """
    import cv2
    import numpy as np

    if not data:
        raise ValueError("the file is empty")
    if _looks_like_text(data):
        raise ValueError("the file is text, not a picture")
    if data.startswith(_JPEG) and data.rfind(_END_OF_IMAGE) < data.rfind(_START_OF_SCAN):
        raise ValueError("the picture is cut off")  # OpenCV would fill the rest with grey and say nothing
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ValueError(f"the picture cannot be decoded: {error.err}") from error
    if decoded is None:
        raise ValueError("no picture that can be decoded")
    return int(decoded.shape[1]), int(decoded.shape[0])


def check_size(found: tuple[int, int], width: int | None, height: int | None) -> None:
    """Compare a picture's size with the one its task states, where it states one.

    Width and height the other way round are accepted: that is what an EXIF orientation does to them.

    Raises:
        ValueError: they differ; boxes drawn on one would lie wrong on the other.
    """
    if width is None or height is None or found in {(width, height), (height, width)}:
        return
    raise ValueError(f"the picture is {found[0]}x{found[1]} pixels, its task says {width}x{height}")


def _looks_like_text(data: bytes) -> bool:
    return data.lstrip()[:1] in {b"<", b"{"} and b"\x00" not in data[:512]
