"""Which files the API takes, and files and folders turned into what a request holds. Nothing is read before it is sent.

The checks run in the order of the official SDK: extension, size, codec. The texts are the SDK's where they are right.
"""

from __future__ import annotations

import errno
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.streamed import Base64Content
from fastlabel_dagster.api.video_codec import is_h264
from fastlabel_dagster.api.wire import MEGABYTE, Json, Jsons

CONTENTS_CHARACTERS: Final = 536_870_000
"""The most characters of JSON that all files of one folder may come to; the server cannot hold a longer text."""


@dataclass(frozen=True)
class FileRule:
    """What is asked of a file.

    Attributes:
        what: names the kind of file in errors, e.g. "image".
        extensions: allowed endings of the path, compared without case; None allows any.
        max_bytes: the largest size; exactly this many bytes pass.
        h264: whether it must be an H.264 video in an MP4 file.
    """

    what: str
    extensions: tuple[str, ...] | None
    max_bytes: int | None
    h264: bool = False

    def check_name(self, name: str | os.PathLike[str]) -> None:
        """Refuse another extension.

        Raises:
            Invalid: (422)
        """
        endings = self.extensions
        if endings is not None and not os.fspath(name).lower().endswith(tuple(f".{ending}" for ending in endings)):
            raise Invalid(f"Supported extensions are {', '.join(endings)}.", status=422)

    def check_size(self, size: int) -> None:
        """Refuse a larger file.

        Raises:
            Invalid: (422)
        """
        if self.max_bytes is not None and size > self.max_bytes:
            limit = f"{self.max_bytes // MEGABYTE} MB" if self.max_bytes < 2000 * MEGABYTE else "2 GB"
            raise Invalid(f"Supported {self.what} size is under {limit}.", status=422)

    def check_codec(self, file: BinaryIO) -> None:
        """Refuse a video of another codec, where that matters.

        Raises:
            Invalid: (422)
        """
        if self.h264 and not is_h264(file):
            raise Invalid("Supported video encoding for registration through the SDK is only AVC/H.264", status=422)

    def check(self, path: str | os.PathLike[str]) -> int:
        """All three checks on a file on disk. Returns its size in bytes.

        Raises:
            Invalid: (422) when one fails.
            OSError: when there is no such file.
        """
        self.check_name(path)
        if not os.fspath(path):  # which Path would take for the present folder
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "")
        with Path(path).open("rb") as file:  # says at once what cannot be read: a folder, a file of someone else's
            size = file.seek(0, os.SEEK_END)
            self.check_size(size)
            self.check_codec(file)
        return size


IMAGE: Final = FileRule("image", ("png", "jpg", "jpeg"), 20 * MEGABYTE)
MULTI_IMAGE: Final = FileRule("image", ("png", "jpg", "jpeg", "gif"), 20 * MEGABYTE)
INFERENCE_IMAGE: Final = FileRule("image", ("png", "jpg", "jpeg"), 6 * MEGABYTE)
VIDEO: Final = FileRule("video", ("mp4",), 250 * MEGABYTE, h264=True)
TEXT: Final = FileRule("text", ("txt",), 2 * MEGABYTE)
AUDIO: Final = FileRule("audio", ("mp3", "wav", "m4a"), 120 * MEGABYTE)
PCD: Final = FileRule("PCD", ("pcd",), 100 * MEGABYTE)
DICOM_ZIP: Final = FileRule("image", ("zip",), 2000 * MEGABYTE)
ANY_ZIP: Final = FileRule("zip", ("zip",), None)
DATASET_OBJECT: Final = FileRule("object", None, 250 * MEGABYTE)
ANY_FILE: Final = FileRule("file", None, None)


def file_to_send(file_path: str | os.PathLike[str], rule: FileRule) -> Base64Content:
    """A file that a request will hold as base64 text. It is read, in pieces, when the request is sent.

    Raises:
        Invalid: (422) when the rule refuses it.
        OSError: when there is no such file.
    """
    return Base64Content(Path(file_path), rule.check(file_path))


def content_to_send(content: bytes, rule: FileRule) -> Base64Content:
    """Bytes in memory as base64 text, under the same rule; there is no extension to check.

    Raises:
        Invalid: (422) when the rule refuses them.
    """
    rule.check_size(len(content))
    rule.check_codec(io.BytesIO(content))
    return Base64Content(content, len(content))


def one_to_send(file_path: str | os.PathLike[str] | None, content: bytes | None, rule: FileRule) -> Base64Content:
    """Whichever of the two was given.

    Raises:
        Invalid: when both or neither were, or the rule refuses it.
    """
    if content is not None and file_path is None:
        return content_to_send(content, rule)
    if file_path is not None and content is None:
        return file_to_send(file_path, rule)
    raise Invalid("give either file_path or content")


def folder_to_send(folder_path: str | os.PathLike[str], rule: FileRule, most_files: int) -> Jsons:
    """The files of a folder in ascending order of their names, as `contents` of a request. Hidden files stay behind.

    Raises:
        Invalid: (422) when there is no such folder, nothing or too much in it, or the rule refuses one of its files.
    """
    folder = Path(folder_path)
    if not folder.is_dir():
        raise Invalid("Folder does not exist.", status=422)
    paths = sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda path: path.name)
    if not paths:
        raise Invalid("Folder does not have any file.", status=422)
    contents: list[Json] = []
    characters = 0
    for path in paths:
        size = rule.check(path)
        if len(contents) == most_files:
            raise Invalid(f"The count of files should be under {most_files}", status=422)
        file = Base64Content(path, size)
        contents.append({"name": path.name, "file": file})
        characters += len(file) + len('{"name": "", "file": ""}') + _length_in_json(path.name)
        if characters > CONTENTS_CHARACTERS:
            raise Invalid(f"Supported contents size is under {CONTENTS_CHARACTERS}.", status=422)
    return contents


def _length_in_json(text: str) -> int:
    return len(json.dumps(text)) - 2
