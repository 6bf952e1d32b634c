"""``TaskSpill``: what a scan has read so far, on disk, so that a project of any size needs little memory.

The file is SQLite's private temporary database: it has no name, so a process that is killed leaves nothing behind.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import Any, NamedTuple

from fastlabel_dagster.labels.digest import task_digest
from fastlabel_dagster.sync.buckets import slot_of

_SCHEMA = """
CREATE TABLE tasks (
    task_id TEXT PRIMARY KEY, slot INTEGER NOT NULL, digest BLOB NOT NULL, prior BLOB,
    annotations INTEGER NOT NULL, updated_at TEXT NOT NULL, seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE bodies (task_id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE listed (task_id TEXT PRIMARY KEY) WITHOUT ROWID;
"""


#: What JSON nested beyond reason makes writing it raise.
_UNWRITABLE = (ValueError, TypeError, RecursionError)


class Unreadable(NamedTuple):
    """Something in the API's answer that is not a task: why, its id as text (None: it has none), and how it begins."""

    reason: str
    task_id: str | None
    name: str | None
    excerpt: str


class SpilledTask(NamedTuple):
    """What the plan needs to know of a task: its id and the digest of its content."""

    task_id: str
    digest: bytes


class _Known(NamedTuple):
    """What is kept of a task: its digest now and at the end of the pass before, and when it was read."""

    digest: bytes
    prior: bytes | None
    updated_at: str
    seen: int


class TaskSpill:
    """The tasks of one project as the scan saw them last, keyed by task id.

    A scan consists of passes, numbered from 1. A task read again replaces what was read before: a later pass always
    wins; within a pass, where several pages are in flight, the answer with the newer ``updatedAt``. So a task that
    offset paging repeats, because somebody deleted one before it, is still there once.
    """

    def __init__(self) -> None:
        # Batches for a commit are drawn from here by the Delta writer's thread, while this one waits for it.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-32000;" + _SCHEMA)
        self._unreadable: dict[int, list[Unreadable]] = {}
        self._unreadable_ids: dict[int, set[str]] = {}
        self._dropped: dict[int, int] = {}

    def __enter__(self) -> TaskSpill:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def add(self, answers: Iterable[object], *, seen: int) -> None:
        """Keep what pass ``seen`` read. What is not a task is noted in :meth:`unreadable`."""
        incoming: dict[str, Mapping[str, Any]] = {}
        for answer in answers:
            problem = _problem(answer)
            if problem is not None:
                self._note(problem, seen=seen)
                continue
            assert isinstance(answer, Mapping)
            task_id = answer["id"]
            if task_id not in incoming or _updated_at(answer) >= _updated_at(incoming[task_id]):
                incoming[task_id] = answer
        known = self._known(incoming)
        rows: list[tuple[object, ...]] = []
        bodies: list[tuple[str, str]] = []
        for task_id, task in incoming.items():
            old, updated_at = known.get(task_id), _updated_at(task)
            if old is not None and old.seen == seen and old.updated_at > updated_at:
                continue
            try:
                digest = task_digest(dict(task))
                if old is None or old.digest != digest:
                    bodies.append((task_id, _packed(task)))
            except _UNWRITABLE as error:
                self._refuse(task_id, task, error, seen=seen)
                continue
            prior = None if old is None else old.prior if old.seen == seen else old.digest
            rows.append((task_id, slot_of(task_id), digest, prior, _annotation_count(task), updated_at, seen))
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            self._db.executemany("INSERT OR REPLACE INTO bodies VALUES (?, ?)", bodies)

    def _refuse(self, task_id: str, task: Mapping[str, Any], error: Exception, *, seen: int) -> None:
        name = task.get("name")
        reason = f"cannot be written as JSON: {type(error).__name__}: {error}"[:300]
        self._note(Unreadable(reason, task_id, name if isinstance(name, str) else None, _keys(task)), seen=seen)
        self.drop(task_id, seen=seen)

    def _note(self, problem: Unreadable, *, seen: int) -> None:
        """Keep a problem, once for each id: a task that pages repeat is one task, and :meth:`unsure` must not ask for
        it again, as the answer would be refused like the first."""
        if problem.task_id is not None:
            refused = self._unreadable_ids.setdefault(seen, set())
            if problem.task_id in refused:
                return
            refused.add(problem.task_id)
        self._unreadable.setdefault(seen, []).append(problem)

    def _known(self, task_ids: Iterable[str]) -> dict[str, _Known]:
        query = (
            "SELECT task_id, digest, prior, updated_at, seen FROM tasks "
            "WHERE task_id IN (SELECT value FROM json_each(?))"
        )
        return {row[0]: _Known(*row[1:]) for row in self._db.execute(query, (json.dumps(list(task_ids)),))}

    def drop(self, task_id: str, *, seen: int) -> None:
        """Forget a task that pass ``seen`` found gone."""
        with self._db:
            self._db.execute("BEGIN")
            gone = self._db.execute("DELETE FROM tasks WHERE task_id = ?", (task_id,)).rowcount
            self._db.execute("DELETE FROM bodies WHERE task_id = ?", (task_id,))
        self._dropped[seen] = self._dropped.get(seen, 0) + gone

    def set_listing(self, pages: Iterable[Iterable[str]]) -> None:
        """Remember which task ids the API lists, page by page; replaces the listing before."""
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM listed")
            for page in pages:
                self._db.executemany("INSERT OR IGNORE INTO listed VALUES (?)", ((task_id,) for task_id in page))

    def unsure(self, *, seen: int) -> list[str]:
        """The ids on which pass and listing disagree: listed and not seen in this pass, or kept and not listed."""
        query = """
            SELECT task_id FROM listed
            WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.task_id = listed.task_id AND seen = ?)
            UNION
            SELECT task_id FROM tasks WHERE NOT EXISTS (SELECT 1 FROM listed WHERE listed.task_id = tasks.task_id)
        """
        refused = self._unreadable_ids.get(seen, set())
        return [row[0] for row in self._db.execute(query, (seen,)) if row[0] not in refused]

    def differences(self, *, seen: int) -> int:
        """How many tasks pass ``seen`` found new, changed or gone, compared with the end of the pass before."""
        query = "SELECT count(*) FROM tasks WHERE seen = ? AND (prior IS NULL OR prior <> digest)"
        changed: int = self._db.execute(query, (seen,)).fetchone()[0]
        return changed + self._dropped.get(seen, 0)

    def unreadable(self, *, seen: int) -> list[Unreadable]:
        """What pass ``seen`` met that is not a task."""
        return self._unreadable.get(seen, [])

    @property
    def tasks(self) -> int:
        """How many tasks are kept."""
        count: int = self._db.execute("SELECT count(*) FROM tasks").fetchone()[0]
        return count

    @property
    def annotations(self) -> int:
        """How many annotations the kept tasks have."""
        count: int = self._db.execute("SELECT coalesce(sum(annotations), 0) FROM tasks").fetchone()[0]
        return count

    def digests(self) -> Iterator[bytes]:
        """The digest of every task."""
        for (digest,) in self._db.execute("SELECT digest FROM tasks"):
            yield digest

    def by_bucket(self, buckets: int) -> Iterator[tuple[int, list[SpilledTask]]]:
        """Each bucket that has tasks, in ascending order, with its tasks' ids and digests in the order of the ids."""
        query = "SELECT slot % ? AS bucket, task_id, digest FROM tasks ORDER BY bucket, task_id"
        rows = self._db.execute(query, (buckets,))
        for bucket, group in groupby(rows, key=itemgetter(0)):
            yield bucket, [SpilledTask(task_id, digest) for _, task_id, digest in group]

    def bodies(self, task_ids: Iterable[str]) -> list[dict[str, Any]]:
        """The JSON of these tasks, in the order asked for."""
        query = """
            SELECT bodies.body FROM json_each(?) AS wanted JOIN bodies ON bodies.task_id = wanted.value
            ORDER BY wanted.key
        """
        return [json.loads(row[0]) for row in self._db.execute(query, (json.dumps(list(task_ids)),))]


def _problem(answer: object) -> Unreadable | None:
    if not isinstance(answer, Mapping):
        return Unreadable(f"not a JSON object but {type(answer).__name__}", None, None, repr(answer)[:200])
    task_id = answer.get("id")
    if isinstance(task_id, str) and task_id and task_id.isprintable():
        return None
    name = answer.get("name")
    if task_id is None or task_id == "":
        reason = "a task without an id"
    elif isinstance(task_id, str):
        reason = "the id holds control characters"
    else:
        reason = f"the id is a {type(task_id).__name__}, not a string"
    # The listing names every task by a text, so that is what an id of another type is known by.
    known_as = None if task_id is None or task_id == "" else str(task_id)
    return Unreadable(reason, known_as, name if isinstance(name, str) else None, _keys(answer))


def _keys(task: Mapping[str, Any]) -> str:
    """What a task looks like, for a person: its keys only, as values hold signed links."""
    return f"keys: {', '.join(sorted(str(key) for key in task))}"[:200]


def _updated_at(task: Mapping[str, Any]) -> str:
    value = task.get("updatedAt")
    return value if isinstance(value, str) else ""


def _annotation_count(task: Mapping[str, Any]) -> int:
    annotations = task.get("annotations")
    return len(annotations) if isinstance(annotations, list) else 0


def _packed(task: Mapping[str, Any]) -> str:
    """A task's JSON without its signed links: they are credentials, and other ones in every answer."""
    kept = {key: value for key, value in task.items() if key != "url"}
    if isinstance(kept.get("contents"), list):
        kept["contents"] = [
            {key: value for key, value in content.items() if key != "url"} if isinstance(content, Mapping) else content
            for content in kept["contents"]
        ]
    # The standard library's JSON, because NaN and integers beyond 64 bits must come back as they were read.
    return json.dumps(kept, ensure_ascii=True, separators=(",", ":"))
