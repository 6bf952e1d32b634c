"""What a workspace or project lets people note on tasks: the definitions of metadata."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

import orjson

from fastlabel_dagster.sandbox.clock import Clock, timestamp
from fastlabel_dagster.sandbox.database import Database
from fastlabel_dagster.sandbox.errors import invalid
from fastlabel_dagster.sandbox.projects import Projects


class Metadatas:
    """Metadata definitions. The API lists them only; :meth:`create` stands in for the service's own pages."""

    def __init__(self, database: Database, clock: Clock, projects: Projects) -> None:
        self._database = database
        self._clock = clock
        self._projects = projects

    def create(
        self,
        key: str,
        *,
        project: str | None = None,
        type: str = "text",
        options: Iterable[str] = (),
        default: str = "",
        is_admin: bool = False,
        is_required: bool = False,
    ) -> str:
        """Make a definition, of a project or (None) of the whole workspace; answers its id."""
        if not key:
            raise invalid("key should not be empty")
        now = timestamp(self._clock.now())
        with self._database.write() as connection:
            seq = None if project is None else self._projects.seq(project)
            (count,) = connection.execute("SELECT COUNT(*) FROM metadatas WHERE project IS ?", (seq,)).fetchone()
            body = {
                "id": str(uuid.uuid4()),
                "key": key,
                "type": type,
                "options": list(options),
                "defaultValue": default,
                "order": count + 1,
                "isAdmin": is_admin,
                "isRequired": is_required,
                "createdAt": now,
                "updatedAt": now,
            }
            connection.execute(
                "INSERT INTO metadatas (id, project, key, body) VALUES (?, ?, ?, ?)",
                (body["id"], seq, key, orjson.dumps(body).decode()),
            )
        return str(body["id"])

    def listed(self, project: str | None = None, *, offset: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """The definitions of a project, or (None) those of the workspace."""
        seq = None if project is None else self._projects.seq(project)
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT body FROM metadatas WHERE project IS ? ORDER BY seq LIMIT ? OFFSET ?", (seq, limit, offset)
            ).fetchall()
        return [orjson.loads(body) for (body,) in rows]
