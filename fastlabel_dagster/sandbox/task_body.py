"""A task as JSON: made from a request, changed by one, and sent with its links filled in."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from fastlabel_dagster.sandbox.classes import ClassBook
from fastlabel_dagster.sandbox.errors import invalid
from fastlabel_dagster.sandbox.modalities import (
    EXTERNAL_STATUSES,
    PEOPLE,
    PRIORITIES,
    STATUSES,
    WORKFLOW_PEOPLE,
    Modality,
)
from fastlabel_dagster.sandbox.tags import checked_tags

#: Fills the n-th ``"url":null`` of a task with a link to its n-th file.
Linker = Callable[[str], str]

#: The people of the sandbox's workspace: answers hold names where requests hold slugs. Unknown slugs stand for
#: themselves.
USERS = {
    "sato": "佐藤 葵",
    "suzuki": "鈴木 蓮",
    "tanaka": "田中 陽菜",
    "garcia": "María García",
    "smith": "John Smith",
}

CONTENT_KEYS = ("name", "url", "width", "height")
_PRIVATE = ("metadatas", "customTaskStatus", "relations", *WORKFLOW_PEOPLE)


def with_links(body: str, files: str, link: Linker) -> str:
    """The stored text with its links filled in. ``"url":null`` cannot occur inside a JSON string (its quotes would be
    escaped), and the links stand before anything a user can nest objects in."""
    if not files:
        return body
    keys = files.split("\n")
    parts = body.split('"url":null', len(keys))
    if len(parts) <= len(keys):
        raise invalid("The task has fewer places for links than files.")
    text = parts[0]
    for key, part in zip(keys, parts[1:], strict=True):
        text += f'"url":"{link(key)}"{part}'
    return text


def new_body(
    task: dict[str, Any], modality: Modality, book: ClassBook, now: str, strict: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A task's answer, and what the service keeps but does not answer, from a request; a 422 for a mistake in it."""
    name = task.get("name")
    if not isinstance(name, str) or not name or len(name) > 1024:
        raise invalid("name should not be empty" if not name else "name must be a text of up to 1024 characters")
    body: dict[str, Any] = {"id": task.get("id") or str(uuid.uuid4()), "name": name}
    for key in modality.fields:
        if key in task:
            body[key] = task[key]
    if modality.place == "url":
        body["url"] = None
    body |= {"status": "registered", "externalStatus": "registered"}
    if modality.place == "contents":
        # before anything else that may hold an object: links are filled in by their order
        body["contents"] = [dict.fromkeys(CONTENT_KEYS) | one for one in task.get("contents") or []]
    body |= {"priority": 0, "tags": []}
    body |= dict.fromkeys(PEOPLE)
    private: dict[str, Any] = {}
    apply_common(body, private, task)
    if modality.shape == "robotics":
        body |= {"relations": [], "roboticsOperator": task.get("operator")}
    elif modality.place == "none":
        private["contents"] = task.get("contents") or []
    body[modality.labels] = read_labels(task.get(modality.labels) or [], modality, book, strict)
    if strict and modality.shape == "frame":
        check_frames(body["annotations"], body["contents"])
    body["createdAt"] = task.get("createdAt") or now
    body["updatedAt"] = task.get("updatedAt") or body["createdAt"]
    return body, private


def check_frames(annotations: list[dict[str, Any]], contents: list[dict[str, Any]]) -> None:
    """Raise a 422 for an annotation on a picture that its task does not have."""
    names = {one["name"] for one in contents}
    for one in annotations:
        if one["content"] not in names:
            raise invalid(f"Content is not found. content: {one['content']}")


def read_labels(sent: Any, modality: Modality, book: ClassBook, strict: bool) -> list[dict[str, Any]]:
    """The annotations (or attributes, for classification) of a request as they are answered."""
    if not isinstance(sent, list):
        raise invalid(f"{modality.labels} must be a list")
    if modality.labels == "attributes":
        return [book.attribute(one, strict=strict) for one in sent]
    return [book.annotation(one, shape=modality.shape, strict=strict) for one in sent]


def apply_common(body: dict[str, Any], private: dict[str, Any], changes: dict[str, Any]) -> None:
    """Set status, priority, tags and people; a 422 for values the API does not know."""
    if changes.get("status") is not None:
        body["status"] = checked(changes["status"], "status", STATUSES)
    if changes.get("externalStatus") is not None:
        body["externalStatus"] = checked(changes["externalStatus"], "externalStatus", EXTERNAL_STATUSES)
    if changes.get("priority") is not None:
        body["priority"] = checked(changes["priority"], "priority", PRIORITIES)
    if changes.get("tags") is not None:
        body["tags"] = checked_tags(changes["tags"])
    for key in PEOPLE:
        if key in changes:
            person = changes[key]
            if person is not None and not isinstance(person, str):
                raise invalid(f"{key} must be a user's slug")
            body[key] = USERS.get(person, person) if person else None
    for key in _PRIVATE:
        if key in changes:
            private[key] = changes[key]


def checked(value: Any, name: str, known: Sequence[Any]) -> Any:
    """The value, if it is None or one of the known ones; a 422 otherwise."""
    if value is not None and (isinstance(value, bool) or value not in known):
        raise invalid(f"{name} must be one of the following values: {', '.join(map(str, known))}")
    return value
