"""Is this a whole picture, and how large is it?"""

from __future__ import annotations

_GIFS = (b"GIF87a", b"GIF89a")
_JPEG = b"\xff\xd8"
_START_OF_SCAN = b"\xff\xda"
_END_OF_GIF = b";"
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
    if looks_like_text(data):
        raise ValueError("the file is text, not a picture")
    if data.startswith(_JPEG) and data.rfind(_END_OF_IMAGE) < data.rfind(_START_OF_SCAN):
        raise ValueError("the picture is cut off")  # OpenCV would fill the rest with grey and say nothing
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ValueError(f"the picture cannot be decoded: {error.err}") from error
    if decoded is None and data.startswith(_GIFS) and data.rstrip(b"\0").endswith(_END_OF_GIF):
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")  # not all OpenCVs read GIF
    if decoded is None:
        raise ValueError("no picture that can be decoded")
    return int(decoded.shape[1]), int(decoded.shape[0])


def check_size(found: tuple[int | None, int | None], width: int | None, height: int | None) -> None:
    """Compare the size of a picture or video with the one its task states, where both are known.

    Width and height the other way round are accepted: that is what an EXIF orientation does to them.

    Raises:
        ValueError: they differ; boxes drawn on one would lie wrong on the other.
    """
    if None in {width, height, *found} or found in {(width, height), (height, width)}:
        return
    raise ValueError(f"the picture is {found[0]}x{found[1]} pixels, its task says {width}x{height}")


def looks_like_text(data: bytes) -> bool:
    """Whether it begins as a page or a message of an error does, and not as any picture or sound."""
    return data.lstrip()[:1] in {b"<", b"{"} and b"\x00" not in data[:512]
