"""Names of label files: one beside each picture, called like it."""

from __future__ import annotations


def label_name(file: str, suffix: str) -> str:
    """The label file of a picture: ``file`` (a relative POSIX path) with ``suffix`` in the place of its extension.

    >>> label_name("north/a.b.jpg", ".xml")
    'north/a.b.xml'
    >>> label_name("north.d/a", ".txt")
    'north.d/a.txt'
    """
    folder, slash, _ = file.rpartition("/")
    return f"{folder}{slash}{stem_of(file)}{suffix}"


def stem_of(file: str) -> str:
    """The last part of a POSIX path without its extension; all of it where there is none (``.jpg`` has none)."""
    name = file.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def suffix_of(file: str) -> str:
    """The extension of a POSIX path in lower case, with its dot; empty where there is none."""
    name = file.rpartition("/")[2]
    return name[len(stem_of(name)) :].lower()
