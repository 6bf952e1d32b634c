"""Comments on tasks and their threads: a comment is a place in a task, its threads are the messages there."""

from __future__ import annotations

import uuid
from typing import Any

import orjson

from fastlabel_dagster.sandbox.clock import Clock, timestamp
from fastlabel_dagster.sandbox.database import Database
from fastlabel_dagster.sandbox.errors import invalid, missing
from fastlabel_dagster.sandbox.shapes import numbers
from fastlabel_dagster.sandbox.task_body import checked
from fastlabel_dagster.sandbox.tasks import Tasks

#: The service's documentation names the first; the others are the sandbox's guess.
STATUSES = ("todo", "in_progress", "done")


class Comments:
    """The comments of every project, in the order of their creation."""

    def __init__(self, database: Database, clock: Clock, tasks: Tasks) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make a comment with its first thread; answers the comment.

        A 404 without the task; a 422 for an empty text, points that are no list of numbers, or both ``contentName`` and
        ``contentId``.
        """
        now = timestamp(self._clock.now())
        if request.get("contentName") is not None and request.get("contentId") is not None:
            raise invalid("Specify either contentName or contentId, not both.")
        points = request.get("points")
        if points is not None and not numbers(points):
            raise invalid("points must be a list of numbers")
        comment_id = str(uuid.uuid4())
        with self._database.write() as connection:
            if not request.get("taskId"):
                raise invalid("taskId should not be empty")
            task = self._tasks.number(request["taskId"])
            name, content_id = self._content(request)
            body = {
                "id": comment_id,
                "taskId": request["taskId"],
                "contentId": content_id,
                "contentName": name,
                "type": request.get("type") or "text",
                "isResolved": bool(request.get("isResolved", False)),
                "points": points or [],
                "scale": request.get("scale") or 0,
                "frame": request.get("frame") or 0,
                "status": checked(request.get("status"), "status", STATUSES) or "todo",
                "priority": request.get("priority") or 0,
                "taskAnnotationId": request.get("taskAnnotationId"),
                "issueCategoryId": None,
                "color": request.get("color"),
                "createdAt": now,
                "updatedAt": now,
            }
            cursor = connection.execute(
                "INSERT INTO comments (id, task, body) VALUES (?, ?, ?)",
                (comment_id, task, orjson.dumps(body).decode()),
            )
            self._add_thread(int(cursor.lastrowid or 0), request.get("text"), now)
            return self._comment(comment_id)

    def reply(self, comment_id: str, text: Any) -> dict[str, Any]:
        """Add a thread to a comment; answers the comment."""
        with self._database.write() as connection:
            row = connection.execute("SELECT seq FROM comments WHERE id = ?", (comment_id,)).fetchone()
            if row is None:
                raise missing("Comment is not found.")
            self._add_thread(row[0], text, timestamp(self._clock.now()))
            return self._comment(comment_id)

    def update_thread(self, thread_id: str, text: Any) -> dict[str, Any]:
        """Change the text of a thread; answers its comment."""
        with self._database.write() as connection:
            seq, comment, _, body = self._thread(thread_id)
            body |= {"text": _checked_text(text), "updatedAt": timestamp(self._clock.now())}
            connection.execute("UPDATE threads SET body = ? WHERE seq = ?", (orjson.dumps(body).decode(), seq))
            return self._comment(comment)

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread, and its comment with the last one."""
        with self._database.write() as connection:
            seq, comment, number, _ = self._thread(thread_id)
            connection.execute("DELETE FROM threads WHERE seq = ?", (seq,))
            if connection.execute("SELECT 1 FROM threads WHERE comment = ?", (number,)).fetchone() is None:
                connection.execute("DELETE FROM comments WHERE id = ?", (comment,))

    def of_task(self, project: str, task_id: str, *, offset: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """The comments of a task with their threads; a 404 when the project has no such task."""
        where, values = self._tasks.where(project)
        with self._database.read() as connection:
            row = connection.execute(
                f"SELECT seq FROM tasks WHERE id = ? AND {where}",  # noqa: S608 - constant parts
                [task_id, *values],
            ).fetchone()
            if row is None:
                raise missing("Task is not found.")
            rows = connection.execute(
                "SELECT id FROM comments WHERE task = ? ORDER BY seq LIMIT ? OFFSET ?", (row[0], limit, offset)
            ).fetchall()
        return [self._comment(comment_id) for (comment_id,) in rows]

    def of_project(
        self, project: str, *, category: str | None = None, offset: int = 0, limit: int = 100, **filters: Any
    ) -> list[dict[str, Any]]:
        """The threads of a project, each with its comment; ``filters`` are those of tasks."""
        where, values = self._tasks.where(project, **filters)
        condition = "AND json_extract(comments.body, '$.issueCategoryId') = ?" if category else ""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT threads.body, comments.body FROM threads JOIN comments ON comments.seq = comment "  # noqa: S608 - constant parts
                f"WHERE task IN (SELECT seq FROM tasks WHERE {where}) {condition} "
                "ORDER BY threads.seq LIMIT ? OFFSET ?",
                [*values, *([category] if category else []), limit, offset],
            ).fetchall()
        return [_thread_answer(orjson.loads(thread), orjson.loads(comment)) for thread, comment in rows]

    def _content(self, request: dict[str, Any]) -> tuple[str | None, str | None]:
        """The name and id of the content a comment is on; a 422 when the task has none of this name."""
        task = self._tasks.find(request["taskId"])
        names = {content_id(task["id"], one["name"]): one["name"] for one in task.get("contents", [])}
        wanted, given = request.get("contentName"), request.get("contentId")
        if wanted is None and given is None:
            alone = task["name"] if "contents" not in task else None
            return alone, content_id(task["id"], alone) if alone else None
        if wanted is not None:
            if wanted not in (names.values() if names else [task["name"]]):
                raise invalid(f"Content is not found: {wanted}")
            return wanted, content_id(task["id"], wanted)
        return names.get(str(given)), str(given)

    def _add_thread(self, comment: int, text: Any, now: str) -> None:
        body = {"id": str(uuid.uuid4()), "text": _checked_text(text), "createdAt": now, "updatedAt": now}
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO threads (id, comment, body) VALUES (?, ?, ?)",
                (body["id"], comment, orjson.dumps(body).decode()),
            )

    def _thread(self, thread_id: str) -> tuple[int, str, int, dict[str, Any]]:
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT threads.seq, comments.id, comments.seq, threads.body FROM threads "
                "JOIN comments ON comments.seq = comment WHERE threads.id = ?",
                (thread_id,),
            ).fetchone()
        if row is None:
            raise missing("Comment thread is not found.")
        return int(row[0]), str(row[1]), int(row[2]), orjson.loads(row[3])

    def _comment(self, comment_id: str) -> dict[str, Any]:
        with self._database.read() as connection:
            seq, text = connection.execute("SELECT seq, body FROM comments WHERE id = ?", (comment_id,)).fetchone()
            threads = connection.execute("SELECT body FROM threads WHERE comment = ? ORDER BY seq", (seq,)).fetchall()
        body: dict[str, Any] = orjson.loads(text)
        dates = {key: body.pop(key) for key in ("createdAt", "updatedAt")}
        return {**body, "threads": [orjson.loads(one) for (one,) in threads], **dates}


def content_id(task_id: str, name: str) -> str:
    """The id of a task's content; follows from the task's id and the content's name."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{task_id}\n{name}"))


def _thread_answer(thread: dict[str, Any], comment: dict[str, Any]) -> dict[str, Any]:
    dates = {key: thread[key] for key in ("createdAt", "updatedAt")}
    return {"id": thread["id"], "text": thread["text"], "comment": comment, **dates}


def _checked_text(text: Any) -> str:
    if not isinstance(text, str) or not text:
        raise invalid("text should not be empty")
    return text
