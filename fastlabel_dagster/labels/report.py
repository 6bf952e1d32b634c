"""What became of what went into a reader or a writer: counted by reason, with the first examples.

Nothing disappears silently: an annotation is read (or written), or it is dropped with a reason; what was changed on
the way, or deserves a look, is said as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

#: How many examples a note names.
EXAMPLES = 5
Fate: TypeAlias = Literal["dropped", "altered", "noticed"]
FATES: tuple[Fate, ...] = ("dropped", "altered", "noticed")
#: The ``type`` of a note that is about pictures rather than annotations.
IMAGE = "image"
#: The ``type`` of a note that is about files other than pictures.
FILE = "file"
#: The ``type`` of a note that is about whole tasks, whatever they are tasks of.
TASK = "task"
_NOT_ANNOTATIONS = (IMAGE, FILE, TASK)


@dataclass(frozen=True)
class Note:
    """``count`` annotations of one ``type`` shared one fate for one ``reason``.

    ``examples`` say where to look: the task's name and, where it is about one annotation, its id (``a.jpg · 7c1e``) or
    its place in the task from 1 (``a.jpg · #3``); a reader names the file and the place in it.
    """

    reason: str
    type: str
    count: int
    examples: tuple[str, ...] = ()

    @property
    def is_of_annotations(self) -> bool:
        """Whether what is counted are annotations (and not pictures or files)."""
        return self.type not in _NOT_ANNOTATIONS

    def to_dict(self) -> dict[str, Any]:
        return {"reason": self.reason, "type": self.type, "count": self.count, "examples": list(self.examples)}

    @classmethod
    def from_dict(cls, note: Mapping[str, Any]) -> Note:
        return cls(str(note["reason"]), str(note["type"]), int(note["count"]), tuple(note.get("examples", ())))


@dataclass
class _Count:
    count: int = 0
    examples: dict[str, None] = field(default_factory=dict)


class NoteBook:
    """Adds up notes by fate, reason and type."""

    def __init__(self) -> None:
        self._notes: dict[Fate, dict[tuple[str, str], _Count]] = {fate: {} for fate in FATES}

    def note(self, fate: Fate, reason: str, kind: str, count: int, examples: Iterable[str] = ()) -> None:
        """Add ``count`` annotations of type ``kind``. A count of 0 leaves no trace."""
        if count:
            entry = self._notes[fate].setdefault((reason, kind), _Count())
            entry.count += count
            for example in examples:
                if len(entry.examples) >= EXAMPLES:
                    break
                entry.examples[example] = None

    def notes(self, fate: Fate) -> tuple[Note, ...]:
        """The notes of one fate, the most frequent first."""
        notes = [
            Note(reason, kind, entry.count, tuple(entry.examples))
            for (reason, kind), entry in self._notes[fate].items()
        ]
        return tuple(sorted(notes, key=lambda note: (-note.count, note.reason, note.type)))


class ReadTally(NoteBook):
    """What a reader tells while it reads. ``where`` names the file, and the place in it: a line, an id.

    The path is one below the dataset's folder, so that the same dataset gives the same report wherever it lies.
    """

    def __init__(self, progress: Callable[[int], object] | None = None) -> None:
        super().__init__()
        self._progress = progress
        self.tasks = self.annotations = 0

    def found(self, tasks: int, annotations: int) -> None:
        """What was read in the end; say it once, when all is read."""
        self.tasks, self.annotations = tasks, annotations

    def drop(self, reason: str, kind: str = "annotation", *, where: str | Iterable[str] = (), count: int = 1) -> None:
        """Something was left out. ``kind`` is an annotation type, "annotation", "image" or "file"."""
        self.note("dropped", reason, kind, count, [where] if isinstance(where, str) else where)

    def alter(self, reason: str, kind: str = "annotation", *, where: str | Iterable[str] = (), count: int = 1) -> None:
        """Something was read, but not as it is written there."""
        self.note("altered", reason, kind, count, [where] if isinstance(where, str) else where)

    def notice(self, reason: str, kind: str = "annotation", *, where: str | Iterable[str] = (), count: int = 1) -> None:
        """Something was read as it is, and deserves a look."""
        self.note("noticed", reason, kind, count, [where] if isinstance(where, str) else where)

    def advance(self, images: int = 1) -> None:
        """So many more images (or tasks) are done; moves the progress bar."""
        if self._progress is not None:
            self._progress(images)


class Account:
    """What a report of reading and one of writing have in common: notes of what became of annotations, by fate."""

    dropped: tuple[Note, ...]
    altered: tuple[Note, ...]
    noticed: tuple[Note, ...]

    @property
    def dropped_count(self) -> int:
        """Annotations that were left out."""
        return _annotations_in(self.dropped)

    @property
    def altered_count(self) -> int:
        """Alterations of annotations; one that was altered in two ways counts twice."""
        return _annotations_in(self.altered)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        plain = vars(self)
        return {**plain, **{fate: [note.to_dict() for note in plain[fate]] for fate in FATES}}

    def sentences(self) -> list[str]:
        """What was dropped, altered and noticed, a sentence each, with counts."""
        return [
            f"{note.count:,} {_types(note)}{'' if fate == 'noticed' else ' ' + fate}: {note.reason}"
            for fate in FATES
            for note in getattr(self, fate)
        ]


@dataclass(frozen=True)
class ReadReport(Account):
    """The outcome of reading one dataset.

    Attributes:
        format: name of the format.
        source: where the dataset lies.
        tasks: tasks read.
        annotations: annotations read.
        dropped: annotations (with type ``image`` or ``file``: pictures, files) left out.
        altered: annotations read, but not as they are written there.
        noticed: annotations read as they are that deserve a look.
    """

    format: str
    source: str
    tasks: int
    annotations: int
    dropped: tuple[Note, ...] = ()
    altered: tuple[Note, ...] = ()
    noticed: tuple[Note, ...] = ()

    def __str__(self) -> str:
        read = f"{self.format}: {self.annotations:,} annotations of {self.tasks:,} tasks read"
        return " · ".join([read, *self.sentences()])


def _annotations_in(notes: Iterable[Note]) -> int:
    return sum(note.count for note in notes if note.is_of_annotations)


def _types(note: Note) -> str:
    if note.count == 1:
        return note.type
    return note.type + ("es" if note.type.endswith(("s", "x")) else "s")
