"""Text files of a dataset, line by line: found inside its folder, decoded, whatever encoding they are in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from fastlabel_dagster.formats.label_files import files_below
from fastlabel_dagster.formats.report import FILE
from fastlabel_dagster.labels.report import ReadTally


class FoundFiles(NamedTuple):
    """The files of a dataset, in the order of their paths."""

    root: Path
    files: list[Path]

    def below(self, path: Path) -> str:
        """The path of a file as reports name it: relative to the dataset's folder."""
        return path.relative_to(self.root).as_posix()


def find_files(source: Path, endings: Collection[str], *, index: str = "") -> FoundFiles:
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
    files = [root / folder / name for folder, names in files_below(root, endings) for name in names]
    files.sort(key=lambda path: path.as_posix())
    if not files:
        raise FileNotFoundError(f"there is no {' or '.join(sorted(endings))} file in {source}")
    return FoundFiles(root, files)


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
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding = "utf-16" if wide else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode(encoding, "replace")
        told.alter("bytes that are no text were replaced", FILE, where=where)
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        yield number, line.removesuffix("\r")
