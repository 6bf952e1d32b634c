"""Label files: one for each picture, called like it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.labels.report import FILE, ReadTally

_BYTES_AT_ONCE = 2**16
NAMELESS = "the name of the file is no text"


def label_name(file: str, suffix: str) -> str:
    """The label file of a picture: ``file`` (a relative POSIX path) with ``suffix`` in the place of its extension.

    >>> label_name("north/a.b.jpg", ".xml")
    'north/a.b.xml'
    >>> label_name("north.d/a", ".txt")
    'north.d/a.txt'
    """
    dot = file.rfind(".")
    return (file[:dot] if dot > file.rfind("/") + 1 else file) + suffix


def stem_of(file: str) -> str:
    """The last part of a POSIX path without its extension; all of it where there is none (``.jpg`` has none)."""
    name = file.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def suffix_of(file: str) -> str:
    """The extension of a POSIX path in lower case, with its dot; empty where there is none."""
    name = file.rpartition("/")[2]
    return name[len(stem_of(name)) :].lower()


def read_small(path: str) -> bytes:
    """The content of a file, in half the time ``Path.read_bytes`` takes for one of some kilobytes."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(file, _BYTES_AT_ONCE):
            pieces.append(piece)
    finally:
        os.close(file)
    return b"".join(pieces)


def files_below(
    root: Path, suffixes: Collection[str], told: ReadTally | None = None
) -> Iterator[tuple[str, list[str]]]:
    """The folders below ``root`` (POSIX paths, "" for itself), sorted, with the names of their files that end in one of
    ``suffixes`` (in lower case); folders without any are left out.

    Hidden files and folders, links to folders, links that lead out of ``root``, devices and pipes are none of them, nor
    is what has a name that is no text (as folders have that were packed where names are Shift_JIS): ``told`` is told of
    it.
    """
    real = Path(os.path.realpath(root))
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        names: list[str] = []
        folders: list[str] = []
        with os.scandir(real / folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith("."):
                    continue
                if not (name.isascii() or is_text(name)):
                    if told is not None and (suffix_of(name) in suffixes or entry.is_dir(follow_symlinks=False)):
                        place = f"{folder}/{name}" if folder else name
                        told.drop(NAMELESS, FILE, where=ascii(place))
                    continue
                if entry.is_file(follow_symlinks=False):  # as nearly all are, and looking costs a call each
                    if name[name.rfind(".") :].lower() in suffixes:
                        names.append(name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(f"{folder}/{name}" if folder else name)
                elif entry.is_symlink() and suffix_of(name) in suffixes and _leads_within(entry, real):
                    names.append(name)
        waiting += sorted(folders, reverse=True)
        if names:
            yield folder, sorted(names)


def folder_of(source: Path, endings: Collection[str]) -> Path:
    """The folder of a dataset: ``source``, or the one of the file ``source``, whose name ends in one of ``endings``
    (lower case).

    Raises:
        FormatError: when it is another file. What lies around a file that was named by mistake nobody asked for.
    """
    if source.is_dir():
        return source
    if not source.name.lower().endswith(tuple(endings)):
        raise FormatError(source, f"it is no {' or '.join(endings)} file: name one, or the dataset's folder")
    return source.parent


def is_own_file(path: Path, root: Path) -> bool:
    """Whether ``path`` is a file that lies in ``root``, links followed: what a link leads to outside of a dataset is
    nothing its reader may open."""
    return path.is_file() and (
        not path.is_symlink() or Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
    )


def _leads_within(entry: os.DirEntry[str], root: Path) -> bool:
    target = Path(os.path.realpath(entry.path))
    return target.is_relative_to(root) and target.is_file()


def only_named(paths: Iterable[Path], root: Path, told: ReadTally) -> list[Path]:
    """Those of ``paths`` (below ``root``) whose names are text; ``told`` is told of the others."""
    named = []
    for path in paths:
        place = path.relative_to(root).as_posix()
        if is_text(place):
            named.append(path)
        else:
            told.drop(NAMELESS, FILE, where=ascii(place))
    return named


def is_text(name: str) -> bool:
    """Whether the name of a file is text. One that is not cannot be told to anybody."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
