"""What a conversion refuses: a file that is not what it should be, and, where asked to be strict, any loss."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fastlabel_dagster.labels.report import Note


class FormatError(ValueError):
    """A file of a dataset is not what its format says, and nothing of it can be read.

    The message names the file, the place in it where that is known (a line, an id, an element), and what was expected.
    """

    def __init__(self, path: Path | str, problem: str, *, place: str = "") -> None:
        where = f"{path}, {place}" if place else str(path)
        super().__init__(f"{where}: {problem}")
        self.path = str(path)
        self.place = place
        self.problem = problem


class LossError(ValueError):
    """Something would have been left out, and ``strict=True`` forbids that. ``notes`` say what and why."""

    def __init__(self, what: str, notes: Iterable[Note]) -> None:
        self.notes = tuple(notes)
        told = "; ".join(
            f"{note.count:,} {note.type}: {note.reason}" + (f" (such as {note.examples[0]})" if note.examples else "")
            for note in self.notes
        )
        super().__init__(f"{what} would lose something, and strict is on: {told}")
