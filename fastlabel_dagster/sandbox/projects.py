"""Projects: the settings of a piece of labeling work, found by id or by slug."""

from __future__ import annotations

import re
import uuid
from itertools import count
from typing import Any

import orjson

from fastlabel_dagster.sandbox.clock import Clock, timestamp
from fastlabel_dagster.sandbox.database import Database
from fastlabel_dagster.sandbox.errors import invalid, missing
from fastlabel_dagster.sandbox.modalities import family, modality_of

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_WORKFLOWS = ("two_step", "three_step")


class Projects:
    """Projects as the API answers them; the database's own number of a project is its ``seq``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        slug: str,
        type: str,
        name: str | None = None,
        *,
        is_pixel: bool = False,
        job_size: int = 10,
        workflow: str | None = "two_step",
        external_workflow: str | None = "two_step",
        id: str | None = None,
    ) -> str:
        """Make a project; answers its id. A 422 for a slug that is taken or malformed and for an unknown type."""
        if not isinstance(slug, str) or not _SLUG.fullmatch(slug):
            raise invalid("Project slug must consist of letters, digits, hyphen and underscore.")
        if not type or family(type) is None:
            raise invalid(f"Project type is not supported: {type!r}")
        _check_workflows(workflow, external_workflow)
        now = timestamp(self._clock.now())
        project_id = id or str(uuid.uuid4())
        body = {
            "id": project_id,
            "type": type,
            "slug": slug,
            "name": name or slug,
            "isPixel": is_pixel,
            "jobSize": job_size,
            "status": "active",
            "createdAt": now,
            "updatedAt": now,
        }
        private = {"workflow": workflow, "externalWorkflow": external_workflow}
        with self._database.write() as connection:
            if self._seq(slug) is not None:
                raise invalid(f"Project slug already exists: {slug}")
            connection.execute(
                "INSERT INTO projects (id, slug, type, body, private) VALUES (?, ?, ?, ?, ?)",
                (project_id, slug, type, _text(body), _text(private)),
            )
        return project_id

    def listed(self, *, slug: str | None = None, offset: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Projects in the order of their creation."""
        condition, values = ("WHERE slug = ?", [slug]) if slug is not None else ("", [])
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT body FROM projects {condition} ORDER BY seq LIMIT ? OFFSET ?",  # noqa: S608 - constant parts
                [*values, limit, offset],
            ).fetchall()
        return [orjson.loads(body) for (body,) in rows]

    def find(self, project_id: str) -> dict[str, Any]:
        """One project; a 404 when there is none with this id."""
        with self._database.read() as connection:
            row = connection.execute("SELECT body FROM projects WHERE id = ?", (project_id,)).fetchone()
        if row is None:
            raise missing("Project is not found.")
        project: dict[str, Any] = orjson.loads(row[0])
        return project

    def by_slug(self, slug: str) -> dict[str, Any]:
        """One project; a 404 when there is none with this slug."""
        found = self.listed(slug=slug, limit=1)
        if not found:
            raise missing(f"Project is not found: {slug}")
        return found[0]

    def seq(self, slug: str | None) -> int:
        """The database's number of the project with this slug; a 422 without a slug, a 404 for an unknown one."""
        if not isinstance(slug, str) or not slug:
            raise invalid("project should not be empty")
        found = self._seq(slug)
        if found is None:
            raise missing(f"Project is not found: {slug}")
        return found

    def _seq(self, slug: str) -> int | None:
        with self._database.read() as connection:
            row = connection.execute("SELECT seq FROM projects WHERE slug = ?", (slug,)).fetchone()
        return None if row is None else int(row[0])

    def check_modality(self, slug: str | None, modality: str) -> int:
        """The database's number of a project that takes tasks of this modality; a 422 when it takes others."""
        seq = self.seq(slug)
        kind = self.type_of(seq)
        if modality_of(kind) != modality:
            raise invalid(f"Project type {kind} does not take {modality.replace('_', ' ')} tasks.")
        return seq

    def type_of(self, seq: int) -> str:
        """The type of a project by the database's number."""
        with self._database.read() as connection:
            return str(connection.execute("SELECT type FROM projects WHERE seq = ?", (seq,)).fetchone()[0])

    def slug_of(self, seq: int) -> str:
        """The slug of a project by the database's number."""
        with self._database.read() as connection:
            return str(connection.execute("SELECT slug FROM projects WHERE seq = ?", (seq,)).fetchone()[0])

    def id_slug_map(self, *, offset: int = 0, limit: int = 1000) -> dict[str, str]:
        """Slugs by id."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, slug FROM projects ORDER BY seq LIMIT ? OFFSET ?", (limit, offset)
            ).fetchall()
        return dict(rows)

    def update(self, project_id: str, changes: dict[str, Any]) -> str:
        """Change name, slug, jobSize, workflow or externalWorkflow; answers the id."""
        with self._database.write() as connection:
            body = self.find(project_id)
            row = connection.execute("SELECT private FROM projects WHERE id = ?", (project_id,)).fetchone()
            private = orjson.loads(row[0])
            _check_workflows(changes.get("workflow"), changes.get("externalWorkflow"))
            slug = changes.get("slug", body["slug"])
            if slug != body["slug"]:
                if not isinstance(slug, str) or not _SLUG.fullmatch(slug):
                    raise invalid("Project slug must consist of letters, digits, hyphen and underscore.")
                if self._seq(slug) is not None:
                    raise invalid(f"Project slug already exists: {slug}")
            body.update({key: changes[key] for key in ("name", "slug", "jobSize") if key in changes})
            private.update({key: changes[key] for key in ("workflow", "externalWorkflow") if key in changes})
            body["updatedAt"] = timestamp(self._clock.now())
            connection.execute(
                "UPDATE projects SET slug = ?, body = ?, private = ? WHERE id = ?",
                (slug, _text(body), _text(private), project_id),
            )
        return project_id

    def update_metadata(self, project_id: str, codes: dict[str, Any]) -> str:
        """Keep the three external codes of a project; answers the id of its metadata."""
        with self._database.write() as connection:
            self.find(project_id)
            row = connection.execute("SELECT private FROM projects WHERE id = ?", (project_id,)).fetchone()
            private = orjson.loads(row[0])
            private["metadata"] = {
                "id": private.get("metadata", {}).get("id") or str(uuid.uuid4()),
                **{key: codes.get(key) for key in ("externalCode1", "externalCode2", "externalCode3")},
            }
            connection.execute("UPDATE projects SET private = ? WHERE id = ?", (_text(private), project_id))
        return str(private["metadata"]["id"])

    def delete(self, project_id: str) -> None:
        """Delete a project with its classes, tasks, tags and jobs."""
        with self._database.write() as connection:
            self.find(project_id)
            connection.execute("DELETE FROM projects WHERE id = ?", (project_id,))

    def copy(self, project_id: str, name: str | None = None, slug: str | None = None) -> str:
        """Make a project with the same settings and annotation classes, without tasks; answers the new id."""
        with self._database.write() as connection:
            source = self.find(project_id)
            if slug is None:
                numbered = (f"{source['slug']}-copy-{number}" for number in count(1))
                slug = next(one for one in numbered if self._seq(one) is None)
            copied = self.create(
                slug,
                source["type"],
                name or f"{source['name']} copy",
                is_pixel=source["isPixel"],
                job_size=source["jobSize"],
            )
            target = self.seq(slug)
            rows = connection.execute(
                "SELECT type, value, body FROM classes WHERE project = ? ORDER BY seq", (self.seq(source["slug"]),)
            ).fetchall()
            for kind, value, body in rows:
                class_id = str(uuid.uuid4())
                connection.execute(
                    "INSERT INTO classes (id, project, type, value, body) VALUES (?, ?, ?, ?, ?)",
                    (class_id, target, kind, value, _text({**orjson.loads(body), "id": class_id})),
                )
        return copied


def _check_workflows(*workflows: Any) -> None:
    for workflow in workflows:
        if workflow and workflow not in _WORKFLOWS:
            raise invalid(f"workflow must be one of {', '.join(_WORKFLOWS)}.")


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
