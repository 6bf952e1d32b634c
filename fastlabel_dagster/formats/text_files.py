"""Text files of a dataset, line by line: found inside its folder, decoded, whatever encoding they are in."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.label_files import files_below
from fastlabel_dagster.formats.report import FILE
from fastlabel_dagster.labels.report import ReadTally

REPLACED = "bytes that are no text were replaced"


class FoundFiles(NamedTuple):
    """The files of a dataset, in the order of their paths."""

    root: Path
    files: list[Path]

    def below(self, path: Path) -> str:
        """The path of a file as reports name it: relative to the dataset's folder."""
        return path.relative_to(self.root).as_posix()


def find_files(source: Path, endings: Collection[str], told: ReadTally, *, index: str = "") -> FoundFiles:
    """The files to read: ``source`` itself, or those below the folder that end in one of ``endings`` (lower case).

    Hidden files and folders, and links that lead out of the folder, are none of them. A ``source`` named ``index``
    stands for its folder.

    Raises:
        FileNotFoundError: when there is nothing of the kind.
    """
    if source.is_file() and source.name != index:
        return FoundFiles(source.parent, [source])
    root = source.parent if source.is_file() else source
    if not root.is_dir():
        raise FileNotFoundError(f"{source} is not there")
    files = [root / folder / name for folder, names in files_below(root, endings, told) for name in names]
    files.sort(key=lambda path: path.as_posix())
    if not files:
        raise FileNotFoundError(f"there is no {' or '.join(sorted(endings))} file in {source}")
    return FoundFiles(root, files)


def decoded(data: bytes) -> tuple[str, bool]:
    """The text of a file, and whether its bytes were text. UTF-8, or UTF-16 where the file says so; other bytes become
    replacement characters."""
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding), True
    except UnicodeDecodeError:
        return data.decode(encoding, "replace"), False


def text_of_names(path: Path, data: bytes | None = None) -> str:
    """The text of a file that names the classes of a dataset (``data``: its bytes, where they are read already).

    Raises:
        FormatError: when it is in another encoding than UTF-8, or UTF-16 that says so. Which one nobody knows, and a
            guess would give every class a wrong name.
    """
    data = path.read_bytes() if data is None else data
    text, whole = decoded(data)
    if not whole:
        line = text[: text.index("\ufffd")].count("\n") + 1
        raise FormatError(path, "it is not UTF-8, so its names cannot be read: save it as UTF-8", place=f"line {line}")
    return text


def read_lines(path: Path, told: ReadTally, where: str) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers from 1, without line ends. UTF-8, or UTF-16 where the file says so.

    Bytes that are no text become replacement characters, which is told once per file; a file that cannot be read has no
    lines and is told as dropped.
    """
    try:
        data = path.read_bytes()
    except OSError:
        told.drop("the file cannot be read", FILE, where=where)
        return
    text, whole = decoded(data)
    if not whole:
        told.alter(REPLACED, FILE, where=where)
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        yield number, line.removesuffix("\r")
