"""The SQLite database below the sandbox: its tables, a pool of readers and one writer.

Write-ahead logging lets readers go on while a write is under way, in this process and in others (``seed`` may run
beside the server). ``synchronous=NORMAL`` keeps every committed transaction through a killed process.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastlabel_dagster.sandbox.errors import SandboxError

SCHEMA_VERSION = 2

_SCHEMA = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE projects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    slug TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    body TEXT NOT NULL,
    private TEXT NOT NULL DEFAULT '{}'
);

CREATE TABLE classes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE,
    type TEXT NOT NULL,
    value TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (project, type, value)
);

-- body is the task's answer as JSON text, ready to send but for the signed links: every "url":null is filled in from
-- files, in order.
CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE,
    modality TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    external_status TEXT NOT NULL,
    annotations INTEGER NOT NULL,
    files TEXT NOT NULL,
    private TEXT NOT NULL DEFAULT '{}',
    body TEXT NOT NULL,
    UNIQUE (project, name)
);
CREATE INDEX tasks_in_order ON tasks (project, modality, seq);
CREATE INDEX tasks_by_status ON tasks (project, modality, status, seq);
CREATE INDEX tasks_by_external_status ON tasks (project, modality, external_status, seq);
CREATE INDEX tasks_by_annotations ON tasks (project, annotations, seq);

CREATE TABLE tags (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (project, name)
);
CREATE TABLE task_tags (
    tag INTEGER NOT NULL REFERENCES tags ON DELETE CASCADE,
    task INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE,
    PRIMARY KEY (tag, task)
) WITHOUT ROWID;
CREATE INDEX tags_of_task ON task_tags (task);

CREATE TABLE datasets (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    revision TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    file TEXT NOT NULL,
    licenses TEXT NOT NULL DEFAULT '[]',
    body TEXT NOT NULL,
    UNIQUE (dataset, name)
);
CREATE INDEX objects_in_order ON objects (dataset, seq);

-- Everything that runs for a while: imports, trainings, evaluations, auto-annotations. Times are seconds on the clock.
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    project INTEGER REFERENCES projects ON DELETE CASCADE,
    started REAL NOT NULL,
    due REAL NOT NULL,
    outcome TEXT NOT NULL,
    settled INTEGER NOT NULL DEFAULT 0,
    request TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX jobs_by_kind ON jobs (kind, project, seq);
CREATE INDEX jobs_unsettled ON jobs (due) WHERE settled = 0;
"""

#: What came later, by the version it makes of the one before: an older data folder is brought up to date when it is
#: opened.
_LATER = {
    2: """
CREATE TABLE users (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    email TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
);
CREATE TABLE members (
    project INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (project, email)
) WITHOUT ROWID;

CREATE TABLE comments (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    task INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE,
    body TEXT NOT NULL
);
CREATE INDEX comments_of_task ON comments (task, seq);
CREATE TABLE threads (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    comment INTEGER NOT NULL REFERENCES comments ON DELETE CASCADE,
    body TEXT NOT NULL
);
CREATE INDEX threads_of_comment ON threads (comment, seq);

CREATE TABLE appendix (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    task INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE,
    image TEXT NOT NULL,
    file TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (task, image)
);

CREATE TABLE metadatas (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project INTEGER REFERENCES projects ON DELETE CASCADE,
    key TEXT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE monitorings (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    results TEXT NOT NULL
);
"""
}


class Database:
    """One SQLite file; ``read()`` and ``write()`` hand out connections to any thread.

    Inside ``write()`` both give the same connection, so functions compose into one transaction.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._pool: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._all: list[sqlite3.Connection] = []
        self._current = threading.local()
        try:
            self._writer = self._connect()
            self._create()
        except sqlite3.Error as error:
            for connection in self._all:
                connection.close()
            raise SandboxError(f"cannot open the sandbox database {path}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        self._all.append(connection)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-32768",
            "mmap_size=1073741824",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _create(self) -> None:
        with self.write() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise SandboxError(
                    f"{self.path} was written by a later version of the sandbox (schema {version}, this one reads "
                    f"{SCHEMA_VERSION}): use a new data folder"
                )
            for later in range(version + 1, SCHEMA_VERSION + 1):
                for statement in _statements(_LATER.get(later, _SCHEMA)):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {later}")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with; sees all committed writes."""
        current: sqlite3.Connection | None = getattr(self._current, "connection", None)
        if current is not None:
            yield current
            return
        try:
            connection = self._pool.get_nowait()
        except queue.Empty:
            with self._lock:
                connection = self._connect()
        try:
            yield connection
        finally:
            self._pool.put(connection)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: committed when the block ends, rolled back when it raises. Nested blocks join the outer
        one."""
        if getattr(self._current, "connection", None) is not None:
            yield self._writer
            return
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            self._current.connection = self._writer
            try:
                yield self._writer
            except BaseException:  # an interrupted request leaves the writer to the next, so nothing stays half done
                self._writer.execute("ROLLBACK")
                raise
            else:
                self._writer.execute("COMMIT")
            finally:
                self._current.connection = None

    def setting(self, key: str) -> str | None:
        """The stored text of a setting, None when it was never set."""
        with self.read() as connection:
            row = connection.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_setting(self, key: str, value: str) -> None:
        """Store a setting."""
        with self.write() as connection:
            connection.execute(
                "INSERT INTO settings VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, value),
            )

    def close(self) -> None:
        """Close every connection; the database cannot be used afterwards."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()


def _statements(script: str) -> Iterator[str]:
    """The single statements of a script (``executescript`` would commit the transaction around it)."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
