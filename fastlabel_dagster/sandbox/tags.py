"""Task tags of a project: their list, and which tasks carry which."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable
from typing import Any

import orjson

from fastlabel_dagster.sandbox.clock import Clock, timestamp
from fastlabel_dagster.sandbox.database import Database
from fastlabel_dagster.sandbox.errors import invalid
from fastlabel_dagster.sandbox.projects import Projects

MOST_TAGS = 20
LONGEST_TAG = 140


class Tags:
    """The tags of every project. A tag comes into being when a task gets it, and stays until it is deleted."""

    def __init__(self, database: Database, clock: Clock, projects: Projects) -> None:
        self._database = database
        self._clock = clock
        self._projects = projects

    def listed(
        self, project: str, *, keyword: str | None = None, offset: int = 0, limit: int = 100
    ) -> list[dict[str, Any]]:
        """The tags of a project; ``keyword`` keeps those whose name contains it."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT body FROM tags WHERE project = ? AND instr(name, ?) > 0 ORDER BY seq LIMIT ? OFFSET ?",
                (self._projects.seq(project), keyword or "", limit, offset),
            ).fetchall()
        return [orjson.loads(body) for (body,) in rows]

    def numbers(self, project: int, names: Iterable[str]) -> dict[str, int]:
        """The database's numbers of these tags, made where they are new."""
        found: dict[str, int] = {}
        now = timestamp(self._clock.now())
        with self._database.write() as connection:
            for name in dict.fromkeys(names):
                row = connection.execute(
                    "SELECT seq FROM tags WHERE project = ? AND name = ?", (project, name)
                ).fetchone()
                if row is None:
                    (count,) = connection.execute("SELECT COUNT(*) FROM tags WHERE project = ?", (project,)).fetchone()
                    tag_id = str(uuid.uuid4())
                    body = {"id": tag_id, "name": name, "order": count + 1, "createdAt": now, "updatedAt": now}
                    cursor = connection.execute(
                        "INSERT INTO tags (id, project, name, body) VALUES (?, ?, ?, ?)",
                        (tag_id, project, name, orjson.dumps(body).decode()),
                    )
                    found[name] = int(cursor.lastrowid or 0)
                else:
                    found[name] = int(row[0])
        return found

    def put(self, connection: sqlite3.Connection, project: int, task: int, names: Iterable[str]) -> None:
        """Record that a task carries exactly these tags."""
        connection.execute("DELETE FROM task_tags WHERE task = ?", (task,))
        for number in self.numbers(project, names).values():
            connection.execute("INSERT OR IGNORE INTO task_tags VALUES (?, ?)", (number, task))

    def delete(self, tag_ids: Iterable[str]) -> dict[int, tuple[str, list[int]]]:
        """Delete tags; answers, by tag number, the name and the tasks that carried it. Unknown ids are ignored."""
        gone: dict[int, tuple[str, list[int]]] = {}
        with self._database.write() as connection:
            for tag_id in tag_ids:
                row = connection.execute("SELECT seq, name FROM tags WHERE id = ?", (tag_id,)).fetchone()
                if row is not None:
                    tasks = connection.execute("SELECT task FROM task_tags WHERE tag = ?", (row[0],)).fetchall()
                    gone[int(row[0])] = (str(row[1]), [int(task) for (task,) in tasks])
                    connection.execute("DELETE FROM tags WHERE seq = ?", (row[0],))
        return gone


def checked_tags(tags: Any, *, most: int = MOST_TAGS) -> list[str]:
    """The tags of a request without repeats; a 422 when there are too many or one is empty or too long."""
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag for tag in tags):
        raise invalid("tags must be a list of texts")
    if len(tags) > most:
        raise invalid(f"Up to {most} tags can be specified.")
    if any(len(tag) > LONGEST_TAG for tag in tags):
        raise invalid(f"A tag can have up to {LONGEST_TAG} characters.")
    return list(dict.fromkeys(tags))
