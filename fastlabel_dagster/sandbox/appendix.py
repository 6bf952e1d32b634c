"""Pictures and calibrations that belong to the point clouds of a task."""

from __future__ import annotations

import uuid
from typing import Any

import orjson

from fastlabel_dagster.sandbox.database import Database
from fastlabel_dagster.sandbox.task_body import Linker
from fastlabel_dagster.sandbox.tasks import Tasks


class Appendix:
    """The appendices of every task, in the order of their import."""

    def __init__(self, database: Database, tasks: Tasks) -> None:
        self._database = database
        self._tasks = tasks

    def add(
        self,
        task_id: str,
        file: str,
        *,
        image: str,
        calibration_file: str | None,
        calibration: str | None,
        format: str,
    ) -> str:
        """Keep one, in place of what was under the same name; answers its id.

        ``file`` is the picture's key, ``image`` and ``calibration_file`` are ``task/content/file`` names, ``format`` is
        ``yml``, ``kitti`` or ``none``.
        """
        appendix_id = str(uuid.uuid4())
        body = {"format": format, "calibrationFileName": calibration_file, "calibration": calibration}
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO appendix (id, task, image, file, body) VALUES (?, ?, ?, ?, ?)",
                (appendix_id, self._tasks.number(task_id), image, file, orjson.dumps(body).decode()),
            )
        return appendix_id

    def exported(self, project: str, link: Linker, **filters: Any) -> list[dict[str, Any]]:
        """As the export answers them: with ``imageFileName`` and ``calibrationFileName``."""
        return [
            {
                "id": appendix_id,
                "url": link(file),
                "format": body["format"],
                "imageFileName": image,
                "calibrationFileName": body["calibrationFileName"],
                "calibration": body["calibration"],
            }
            for appendix_id, image, file, body in self._rows(project, **filters)
        ]

    def listed(self, project: str, link: Linker, **filters: Any) -> list[dict[str, Any]]:
        """As the tasks' own list answers them: with ``name``."""
        return [
            {
                "id": appendix_id,
                "url": link(file),
                "name": image,
                "format": body["format"],
                "calibration": body["calibration"],
            }
            for appendix_id, image, file, body in self._rows(project, **filters)
        ]

    def _rows(
        self, project: str, *, offset: int = 0, limit: int = 10_000, **filters: Any
    ) -> list[tuple[str, str, str, dict[str, Any]]]:
        where, values = self._tasks.where(project, **filters)
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT id, image, file, body FROM appendix WHERE task IN (SELECT seq FROM tasks WHERE {where}) "  # noqa: S608 - constant parts
                "ORDER BY seq LIMIT ? OFFSET ?",
                [*values, limit, offset],
            ).fetchall()
        return [(appendix_id, image, file, orjson.loads(body)) for appendix_id, image, file, body in rows]
