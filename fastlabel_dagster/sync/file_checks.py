"""Is this a whole file of the kind its task is made of? What can be told without taking it apart wholly.

=============== ======================================================================================================
kind            what is looked at, besides its length, which every download compares
=============== ======================================================================================================
picture         all of it is decoded; its size is the one its task states
video           it is opened and its first frame decoded; its size is the one its task states; no part of it is cut off
DICOM zip       the list of what is in it, which a zip has at its end
sound           it is no page of text, as an error would be
text, point     it is not empty
cloud, other
=============== ======================================================================================================
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from fastlabel_dagster.api.file_rules import AUDIO, DICOM_ZIP, IMAGE, MULTI_IMAGE, VIDEO, FileRule
from fastlabel_dagster.api.modalities import Modality
from fastlabel_dagster.formats.frames import VideoError, open_film
from fastlabel_dagster.labels.picture_plan import is_name_of_video
from fastlabel_dagster.sync.pictures import looks_like_text, picture_size

#: Width and height in pixels, for what has any.
Size: TypeAlias = tuple[int | None, int | None]
Check: TypeAlias = Callable[[Path], Size]

_NO_SIZE: Size = (None, None)
_PICTURE_NAME = re.compile(r"\.(?:png|jpe?g|gif|bmp|webp|tiff?)$", re.IGNORECASE)
_HEAD = 512
_BOX_HEADER = 16
#: Pictures and sound, and where in them everything is. Programs put all sorts of things behind those.
_BOXES_THAT_MATTER = {b"mdat", b"moov", b"moof"}


def check_for(modality: Modality, name: str) -> Check:
    """How a file of this kind of task is looked at: width and height by its path, a ValueError for what is wrong.

    ``name`` decides where a task may be made of files of several kinds.
    """
    rule = modality.file
    if rule is not None:
        return _BY_RULE.get(rule, check_anything)
    if is_name_of_video(name):
        return check_video
    return check_picture if _PICTURE_NAME.search(name) else check_anything


def check_picture(path: Path) -> Size:
    """Raises ValueError for what cannot be decoded; see :func:`~fastlabel_dagster.sync.pictures.picture_size`."""
    return picture_size(path.read_bytes())


def check_video(path: Path) -> Size:
    """Raises ValueError for what is no video, ends too soon, or has a first frame that cannot be decoded."""
    check_anything(path)
    _check_boxes(path)
    try:
        with open_film(path, "the file") as film:
            if film.frame(1) is None:
                raise ValueError("the first frame of the video cannot be decoded")
            return film.width, film.height
    except VideoError as error:
        raise ValueError("no video that can be decoded") from error


def check_zip(path: Path) -> Size:
    """Raises ValueError for what is no zip, or one that was cut off."""
    check_anything(path)
    if not zipfile.is_zipfile(path):
        raise ValueError("no whole zip file")
    return _NO_SIZE


def check_sound(path: Path) -> Size:
    """Raises ValueError for what is text; sound is not decoded."""
    check_anything(path)
    with path.open("rb") as file:
        if looks_like_text(file.read(_HEAD)):
            raise ValueError("the file is text, not sound")
    return _NO_SIZE


def check_anything(path: Path) -> Size:
    """Raises ValueError for an empty file."""
    if not path.stat().st_size:
        raise ValueError("the file is empty")
    return _NO_SIZE


_BY_RULE: dict[FileRule, Check] = {
    IMAGE: check_picture,
    MULTI_IMAGE: check_picture,
    VIDEO: check_video,
    AUDIO: check_sound,
    DICOM_ZIP: check_zip,
}


def _check_boxes(path: Path) -> None:
    """An MP4 file is a row of boxes that each say how long they are; one that was cut off ends inside one."""
    size = path.stat().st_size
    at = 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            header = file.read(_BOX_HEADER)
            kind, length = header[4:8], int.from_bytes(header[:4], "big")
            if length == 1:  # a long one
                length = int.from_bytes(header[8:], "big")
            if (at == 0 and kind != b"ftyp") or length < len(header[:8]):
                return  # no such file, or one whose last box goes on to the end; the decoder has the last word
            at += length
            if at > size and kind in _BOXES_THAT_MATTER:
                raise ValueError("the video is cut off")
