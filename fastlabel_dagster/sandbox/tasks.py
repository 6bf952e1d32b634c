"""Tasks: stored as the JSON text they are answered with, so that a page of a thousand is read and not built."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from fastlabel_dagster.sandbox.classes import Classes
from fastlabel_dagster.sandbox.clock import Clock, timestamp
from fastlabel_dagster.sandbox.database import Database
from fastlabel_dagster.sandbox.errors import invalid, missing
from fastlabel_dagster.sandbox.modalities import BY_NAME, Modality, modality_of
from fastlabel_dagster.sandbox.projects import Projects
from fastlabel_dagster.sandbox.tags import Tags, checked_tags
from fastlabel_dagster.sandbox.task_body import (
    Linker,
    apply_common,
    check_frames,
    new_body,
    read_labels,
    with_links,
)
from fastlabel_dagster.sandbox.task_filter import task_condition


class Tasks:
    """The tasks of every project, in the order of their creation."""

    def __init__(self, database: Database, clock: Clock, projects: Projects, classes: Classes, tags: Tags) -> None:
        self._database = database
        self._clock = clock
        self._projects = projects
        self._classes = classes
        self._tags = tags

    # -- making ------------------------------------------------------------------------------------------------------

    def create(self, modality: Modality, request: dict[str, Any], files: str, measured: dict[str, Any]) -> str:
        """Make one task from a request of the API; answers its id. A 422 for whatever the request gets wrong.

        ``files`` are the keys of its files, a line each, and ``measured`` what was read from them.
        """
        with self._database.write():
            project = self._projects.check_modality(request.get("project"), modality.name)
            (task_id,) = self.add(project, [{**request, **measured}], files=[files], strict=True)
            return task_id

    def add(
        self,
        project: int,
        tasks: Iterable[dict[str, Any]],
        *,
        files: Iterable[str | None],
        strict: bool,
    ) -> list[str]:
        """Insert tasks given as the API's own objects (request or answer); answers their ids in order.

        Keys beyond a request's are honoured: ``id``, ``width``, ``height``, ``createdAt``, ``updatedAt``. With
        ``strict=False`` annotations are stored unchecked. ``files`` are the keys of the tasks' files, None without one.
        """
        ids: list[str] = []
        with self._database.write() as connection:
            modality = BY_NAME.get(modality_of(self._projects.type_of(project)), BY_NAME["image"])
            book = self._classes.book(project)
            now = timestamp(self._clock.now())
            known_tags: dict[str, int] = {}
            for task, file in zip(tasks, files, strict=True):
                body, private = new_body(task, modality, book, now, strict)
                try:
                    cursor = connection.execute(
                        "INSERT INTO tasks (id, project, modality, name, status, external_status, annotations, files, "
                        "private, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (
                            body["id"],
                            project,
                            modality.name,
                            body["name"],
                            body["status"],
                            body["externalStatus"],
                            len(body[modality.labels]),
                            file or "",
                            orjson.dumps(private).decode(),
                            orjson.dumps(body).decode(),
                        ),
                    )
                except sqlite3.IntegrityError as error:
                    what = "id" if "tasks.id" in str(error) else "name"
                    raise invalid(f"Task {what} already exists: {body[what]}") from error
                new = [tag for tag in body["tags"] if tag not in known_tags]
                if new:
                    known_tags.update(self._tags.numbers(project, new))
                if body["tags"]:
                    connection.executemany(
                        "INSERT OR IGNORE INTO task_tags VALUES (?, ?)",
                        [(known_tags[tag], cursor.lastrowid) for tag in body["tags"]],
                    )
                ids.append(body["id"])
        return ids

    # -- reading -----------------------------------------------------------------------------------------------------

    def page(
        self,
        project: str,
        modality: str,
        link: Linker,
        *,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] = (),
        task_name: str | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> str:
        """A page of tasks as JSON text, in the order of their creation. ``tags`` keeps tasks that carry any of them."""
        where, values = self._filter(project, modality, status, external_status, tags=tags, task_name=task_name)
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT files, body FROM tasks WHERE seq IN (SELECT seq FROM tasks WHERE {where} "  # noqa: S608 - constant parts
                "ORDER BY seq LIMIT ? OFFSET ?) ORDER BY seq",
                [*values, limit, offset],
            ).fetchall()
        return f"[{','.join([with_links(body, files, link) for files, body in rows])}]"

    def count(
        self,
        project: str,
        *,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] = (),
    ) -> int:
        """How many tasks of any modality there are."""
        where, values = self._filter(project, None, status, external_status, tags=tags)
        with self._database.read() as connection:
            row = connection.execute(f"SELECT COUNT(*) FROM tasks WHERE {where}", values).fetchone()  # noqa: S608 - constant parts
        return int(row[0])

    def ids(
        self, project: str, *, status: str | None = None, offset: int = 0, limit: int = -1, empty: bool = False
    ) -> list[str]:
        """Ids in the order of creation; ``limit`` -1 is all, ``empty`` keeps tasks without annotations."""
        where, values = self._filter(project, None, status)
        if empty:
            where += " AND annotations = 0"
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT id FROM tasks WHERE {where} ORDER BY seq LIMIT ? OFFSET ?",  # noqa: S608 - constant parts
                [*values, limit, offset],
            ).fetchall()
        return [task_id for (task_id,) in rows]

    def next_ids(self, project: str, status: str, count: int) -> list[str]:
        """Up to ``count`` tasks that do not have ``status``: those with annotations first, then in order of
        creation."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id FROM tasks WHERE project = ? AND status != ? ORDER BY annotations = 0, seq LIMIT ?",
                (self._projects.seq(project), status, count),
            ).fetchall()
        return [task_id for (task_id,) in rows]

    def id_name_map(self, project: str, *, offset: int = 0, limit: int = 1000) -> dict[str, str]:
        """Names by id, in the order of creation."""
        seq = self._projects.seq(project)
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, name FROM tasks WHERE seq IN (SELECT seq FROM tasks WHERE project = ? ORDER BY seq "
                "LIMIT ? OFFSET ?) ORDER BY seq",
                (seq, limit, offset),
            ).fetchall()
        return dict(rows)

    def find_text(self, task_id: str, modality: str, link: Linker) -> str:
        """One task as JSON text; a 404 when there is none of this modality."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT files, body FROM tasks WHERE id = ? AND modality = ?", (task_id, modality)
            ).fetchone()
        if row is None:
            raise missing("Task is not found.")
        return with_links(row[1], row[0], link)

    def find(self, task_id: str) -> dict[str, Any]:
        """One task of any modality, ``url`` null; a 404 when there is none."""
        return self._row(task_id)[2]

    def file_of(self, task_id: str) -> str | None:
        """The key of a task's first file, None without one."""
        with self._database.read() as connection:
            row = connection.execute("SELECT files FROM tasks WHERE id = ?", (task_id,)).fetchone()
        if row is None:
            raise missing("Task is not found.")
        return str(row[0]).split("\n")[0] or None

    # -- changing ----------------------------------------------------------------------------------------------------

    def update(self, task_id: str, changes: dict[str, Any], *, modality: str | None = None, strict: bool = True) -> str:
        """Change what ``changes`` names (the API's own keys); answers the id. ``modality`` None takes common keys only,
        and with ``strict=False`` any key at all."""
        with self._database.write() as connection:
            seq, project, body, private, kind = self._row(task_id)
            if modality is not None and kind != modality:
                raise missing("Task is not found.")
            apply_common(body, private, changes)
            labels = BY_NAME[kind].labels
            if changes.get(labels) is not None and (modality is not None or not strict):
                book = self._classes.book(project)
                body[labels] = read_labels(changes[labels], BY_NAME[kind], book, strict)
                if strict and BY_NAME[kind].shape == "frame":
                    check_frames(body[labels], body["contents"])
            if "roboticsOperator" in body and "operator" in changes:
                body["roboticsOperator"] = changes["operator"] or None
            if not strict:
                for key in ("name", "width", "height", "createdAt", "updatedAt"):
                    if key in changes:
                        body[key] = changes[key]
            if "updatedAt" not in changes or strict:
                body["updatedAt"] = timestamp(self._clock.now())
            if changes.get("tags") is not None:
                self._tags.put(connection, project, seq, body["tags"])
            self._store(connection, seq, body, private, labels)
        return task_id

    def add_contents(self, project: int, name: str, contents: list[dict[str, Any]], keys: list[str]) -> None:
        """Give a task by name further ``contents`` with the keys of their files, in place of those of the same name.

        A 404 when the project has no such task, a 422 when its kind has no contents.
        """
        with self._database.write() as connection:
            row = connection.execute(
                "SELECT id, files FROM tasks WHERE project = ? AND name = ?", (project, name)
            ).fetchone()
            if row is None:
                raise missing(f"Task is not found: {name}")
            seq, _, body, private, kind = self._row(row[0])
            if "contents" not in body:
                raise invalid("A task of this kind has no contents.")
            before = zip(body["contents"], row[1].split("\n") if row[1] else [], strict=True)
            merged = {one["name"]: (one, key) for one, key in before}
            merged |= {one["name"]: (one, key) for one, key in zip(contents, keys, strict=True)}
            body["contents"] = [one for one, _ in merged.values()]
            body["updatedAt"] = timestamp(self._clock.now())
            connection.execute(
                "UPDATE tasks SET files = ? WHERE seq = ?", ("\n".join(key for _, key in merged.values()), seq)
            )
            self._store(connection, seq, body, private, BY_NAME[kind].labels)

    def delete(self, task_id: str) -> None:
        """Delete one task; a 404 when there is none."""
        with self._database.write() as connection:
            if connection.execute("DELETE FROM tasks WHERE id = ?", (task_id,)).rowcount == 0:
                raise missing("Task is not found.")

    def clear(self, task_id: str) -> None:
        """Delete the annotations of one task."""
        with self._database.write() as connection:
            seq, _, body, private, kind = self._row(task_id)
            body[BY_NAME[kind].labels] = []
            body["updatedAt"] = timestamp(self._clock.now())
            self._store(connection, seq, body, private, BY_NAME[kind].labels)

    def change_tags(self, project: str, task_ids: Sequence[str], tags: Any, *, remove: bool = False) -> int:
        """Add tags to tasks or take them away; answers how many tasks really changed. Unknown task ids: a 422."""
        names = checked_tags(tags)
        changed = 0
        with self._database.write() as connection:
            seq = self._projects.seq(project)
            now = timestamp(self._clock.now())
            if not remove:
                self._tags.numbers(seq, names)
            for task_id in dict.fromkeys(task_ids):
                task, owner, body, private, kind = self._row(task_id)
                if owner != seq:
                    raise invalid(f"Task is not in the project: {task_id}")
                before = body["tags"]
                after = (
                    [tag for tag in before if tag not in names] if remove else list(dict.fromkeys([*before, *names]))
                )
                if after != before:
                    changed += 1
                    body["tags"] = after
                    body["updatedAt"] = now
                    self._tags.put(connection, seq, task, after)
                    self._store(connection, task, body, private, BY_NAME[kind].labels)
        return changed

    def delete_tags(self, tag_ids: Iterable[str]) -> None:
        """Delete tags and take them off the tasks that carry them."""
        with self._database.write() as connection:
            for name, tasks in self._tags.delete(tag_ids).values():
                for seq in tasks:
                    (text,) = connection.execute("SELECT body FROM tasks WHERE seq = ?", (seq,)).fetchone()
                    body = orjson.loads(text)
                    body["tags"] = [tag for tag in body["tags"] if tag != name]
                    connection.execute("UPDATE tasks SET body = ? WHERE seq = ?", (orjson.dumps(body).decode(), seq))

    def follow_class(self, project: int, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Give annotations the new value, title, colour and attribute names of a class that was changed."""
        keys = ("value", "title", "color")
        others = {one["type"] for one in self._classes.of(project, after["value"]) if one["id"] != after["id"]}
        names = {one["key"]: one["name"] for one in after["attributes"]}
        if all(before[key] == after[key] for key in keys) and before["attributes"] == after["attributes"]:
            return
        with self._database.write() as connection:
            rows = connection.execute(
                "SELECT seq, body FROM tasks WHERE project = ? AND annotations > 0", (project,)
            ).fetchall()
            for seq, text in rows:
                body = orjson.loads(text)
                touched = False
                for annotation in body.get("annotations", []):
                    same = annotation["value"] == before["value"] and annotation["type"] not in others
                    if same and annotation["color"] == before["color"]:
                        annotation.update({key: after[key] for key in keys})
                        for attribute in annotation.get("attributes") or []:
                            attribute["name"] = names.get(attribute["key"], attribute.get("name"))
                        touched = True
                if touched:
                    connection.execute("UPDATE tasks SET body = ? WHERE seq = ?", (orjson.dumps(body).decode(), seq))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _row(self, task_id: str) -> tuple[int, int, dict[str, Any], dict[str, Any], str]:
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT seq, project, body, private, modality FROM tasks WHERE id = ?", (task_id,)
            ).fetchone()
        if row is None:
            raise missing("Task is not found.")
        return int(row[0]), int(row[1]), orjson.loads(row[2]), orjson.loads(row[3]), str(row[4])

    @staticmethod
    def _store(
        connection: sqlite3.Connection, seq: int, body: dict[str, Any], private: dict[str, Any], labels: str
    ) -> None:
        try:
            connection.execute(
                "UPDATE tasks SET name = ?, status = ?, external_status = ?, annotations = ?, private = ?, body = ? "
                "WHERE seq = ?",
                (
                    body["name"],
                    body["status"],
                    body["externalStatus"],
                    len(body[labels]),
                    orjson.dumps(private).decode(),
                    orjson.dumps(body).decode(),
                    seq,
                ),
            )
        except sqlite3.IntegrityError as error:
            raise invalid(f"Task name already exists: {body['name']}") from error

    def number(self, task_id: Any) -> int:
        """The database's number of a task; a 404 when there is none."""
        return self._row(str(task_id))[0]

    def where(self, project: str, **filters: Any) -> tuple[str, list[Any]]:
        """A condition on the table ``tasks`` and its values, for the filters that :meth:`page` takes."""
        return self._filter(project, None, **filters)

    def _filter(self, project: str, modality: str | None, *some: str | None, **filters: Any) -> tuple[str, list[Any]]:
        return task_condition(self._projects.seq(project), modality, *some, **filters)
