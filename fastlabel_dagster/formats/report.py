"""What an export did: how many annotations were written, which were not and why, which were changed and how.

Every annotation that goes into an export comes out of it as written or as dropped with a reason; the report proves that
by adding up. It lies beside the data as ``report.json`` and holds no time and no path of the machine, so the same
labels give the same bytes wherever they are written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fastlabel_dagster.labels.report import EXAMPLES, FATES, FILE, IMAGE, Account, Fate, Note, NoteBook

__all__ = ["EXAMPLES", "FILE", "IMAGE", "REPORT_FILE", "BatchTally", "ExportReport", "Note", "Tally"]

#: ``bytes``, by a name that the report's field of the same name does not hide.
ByteString: TypeAlias = bytes
REPORT_FILE = "report.json"


@dataclass(frozen=True)
class ExportReport(Account):
    """The outcome of one :func:`fastlabel_dagster.formats.write`.

    Attributes:
        format: name of the format.
        target: where the folder lies (not part of ``report.json``).
        tasks: tasks that went in.
        annotations: annotations that went in; always ``written + dropped_count``.
        written: annotations that came out.
        images: images the dataset lists.
        files: files in the folder, ``report.json`` not counted.
        bytes: their size in bytes, pictures included.
        dropped: annotations (and, with type ``image``, pictures) left out.
        altered: annotations written, but not as they were drawn.
        noticed: annotations written as they are that deserve a look, such as those that reach outside the picture.
        splits: images per part of the dataset, where the format has parts.
        origin: the project, mirror version and digest the labels came from, as far as known.
        archive: when the files lie in archives: ``kind`` of them, their names (``shards``), and the ``files`` in them.
        digest: of the labels, the options and the format's rules; empty when the labels carry no digest.
        unchanged: nothing was written, because the folder held this very export already.
    """

    format: str
    target: str
    tasks: int = 0
    annotations: int = 0
    written: int = 0
    images: int = 0
    files: int = 0
    bytes: int = 0
    dropped: tuple[Note, ...] = ()
    altered: tuple[Note, ...] = ()
    noticed: tuple[Note, ...] = ()
    splits: dict[str, int] = field(default_factory=dict)
    origin: dict[str, str | int] = field(default_factory=dict)
    archive: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    unchanged: bool = False

    def to_json(self) -> ByteString:
        """The content of ``report.json``: :meth:`to_dict` without what depends on the place or the moment."""
        lasting = {name: value for name, value in self.to_dict().items() if name not in ("target", "unchanged")}
        return orjson.dumps(lasting, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, data: ByteString, target: str) -> ExportReport:
        """Read ``report.json`` again. Raises ValueError when it is not one."""
        try:
            plain = orjson.loads(data)
            known = {name: plain[name] for name in cls.__dataclass_fields__ if name in plain and name != "target"}
            for fate in FATES:
                known[fate] = tuple(Note.from_dict(note) for note in plain[fate])
            return cls(target=target, **known)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{target}/{REPORT_FILE} is not an export report: {error}") from error

    def __str__(self) -> str:
        parts = [f"{self.format}: {self.written:,} annotations of {self.images:,} images written", *self.sentences()]
        if self.unchanged:
            parts.append("unchanged, nothing to do")
        return " · ".join(parts)


class Tally(NoteBook):
    """Adds up the fates of annotations, batch by batch, and becomes an :class:`ExportReport`."""

    def __init__(self, progress: Callable[[int], object] | None = None) -> None:
        super().__init__()
        self.tasks = self.annotations = self.written = 0
        self._progress = progress

    def batch(
        self, types: pa.Array, task: NDArray[np.int64], names: pa.Array, ids: pa.Array | None = None
    ) -> BatchTally:
        """Begin a batch: the ``types`` of its annotations, the row of each one's ``task``, the ``names`` of the
        tasks, and the annotations' ``ids`` where they are known."""
        self.tasks += len(names)
        self.annotations += len(types)
        return BatchTally(self, types, task, names, ids)

    def advance(self, tasks: int) -> None:
        """So many more tasks are done; moves the progress bar."""
        if self._progress is not None:
            self._progress(tasks)

    def report(self, report: ExportReport) -> ExportReport:
        """``report`` with the counts and notes of this tally. Raises RuntimeError when they do not add up."""
        full = replace(
            report,
            tasks=self.tasks,
            annotations=self.annotations,
            written=self.written,
            dropped=self.notes("dropped"),
            altered=self.notes("altered"),
            noticed=self.notes("noticed"),
        )
        if full.written + full.dropped_count != full.annotations:
            raise RuntimeError(
                f"the {full.format} export lost count: {full.annotations} annotations went in, "
                f"{full.written} were written and {full.dropped_count} dropped"
            )
        return full


class BatchTally:
    """The part of a :class:`Tally` that knows one batch, so that a fate is told as a mask over its annotations."""

    def __init__(
        self, tally: Tally, types: pa.Array, task: NDArray[np.int64], names: pa.Array, ids: pa.Array | None
    ) -> None:
        self._tally, self._types, self._task, self._names, self._ids = tally, types, task, names, ids
        #: bool[n]: the annotations that are not dropped so far.
        self.kept: NDArray[np.bool_] = np.ones(len(types), np.bool_)
        #: The batch is made ahead, maybe in another thread: whoever uses it moves the progress bar.
        self.ahead = False

    def drop(self, reason: str, mask: NDArray[np.bool_]) -> None:
        """Leave out the annotations in ``mask`` (those left out before keep their first reason)."""
        self._count("dropped", reason, mask & self.kept)
        self.kept &= ~mask

    def alter(self, reason: str, mask: NDArray[np.bool_]) -> None:
        """The annotations in ``mask`` that are kept will be written in another form."""
        self._count("altered", reason, mask & self.kept)

    def notice(self, reason: str, mask: NDArray[np.bool_]) -> None:
        """The annotations in ``mask`` that are kept deserve a look."""
        self._count("noticed", reason, mask & self.kept)

    def finish(self) -> None:
        """The batch is written: what is kept counts as written."""
        self._tally.written += int(self.kept.sum())
        if not self.ahead:
            self._tally.advance(len(self._names))

    def _count(self, fate: Fate, reason: str, mask: NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(mask)
        if not len(rows):
            return
        types = pc.fill_null(self._types.take(pa.array(rows)), "untyped")
        for counted in pc.value_counts(types):
            kind = counted["values"].as_py()
            of_kind = rows[pc.equal(types, kind).to_numpy(zero_copy_only=False)][:EXAMPLES]
            examples = [self._example(row) for row in of_kind.tolist()]
            self._tally.note(fate, reason, kind, counted["counts"].as_py(), examples)

    def _example(self, row: int) -> str:
        task = int(self._task[row])
        identity = None if self._ids is None else self._ids[row].as_py()
        if identity is None:
            identity = f"#{row - int(np.searchsorted(self._task, task)) + 1}"
        return f"{self._names[task].as_py()} · {identity}"
