"""Annotation classes of a project, and how an annotation that was sent becomes the one that is answered."""

from __future__ import annotations

import colorsys
import re
import uuid
from collections.abc import Iterable
from itertools import chain
from typing import Any

import orjson

from fastlabel_dagster.sandbox.clock import Clock, timestamp
from fastlabel_dagster.sandbox.database import Database
from fastlabel_dagster.sandbox.errors import invalid, missing
from fastlabel_dagster.sandbox.modalities import ANNOTATION_TYPES, ATTRIBUTE_TYPES
from fastlabel_dagster.sandbox.projects import Projects
from fastlabel_dagster.sandbox.shapes import READERS, numbers

_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


class Classes:
    """The annotation classes of every project."""

    def __init__(self, database: Database, clock: Clock, projects: Projects) -> None:
        self._database = database
        self._clock = clock
        self._projects = projects

    def create(
        self,
        project: str,
        type: str,
        value: str,
        title: str | None = None,
        *,
        color: str | None = None,
        order: int | None = None,
        attributes: Iterable[dict[str, Any]] = (),
        keypoints: Iterable[dict[str, Any]] = (),
        vertex: int = 0,
        id: str | None = None,
    ) -> str:
        """Make a class; answers its id.

        ``attributes`` are ``{key, name, type, options?, value?}``. ``keypoints`` (pose_estimation) are
        ``{key, name, color?, edges: [keys]}``; the class answers with edges as keypoint ids, as the API does.
        A 422 for an unknown type, a value that is taken, or an attribute that makes no sense.
        """
        now = timestamp(self._clock.now())
        class_id = id or str(uuid.uuid4())
        with self._database.write() as connection:
            seq = self._projects.seq(project)
            if type not in ANNOTATION_TYPES:
                raise invalid(f"Annotation type is not supported: {type!r}")
            wanted = _only_type(self._projects.type_of(seq))
            if wanted is not None and type != wanted:
                raise invalid(f"This project takes annotations of type {wanted} only.")
            if not value or not isinstance(value, str):
                raise invalid("value should not be empty")
            if not title or not isinstance(title, str):
                title = value
            taken = connection.execute(
                "SELECT COUNT(*), MAX(CASE WHEN type = ? AND value = ? THEN 1 END) FROM classes WHERE project = ?",
                (type, value, seq),
            ).fetchone()
            if taken[1]:
                raise invalid(f"Annotation value already exists: {value}")
            if color is not None and not _COLOR.fullmatch(str(color)):
                raise invalid(f"color must look like #FF0000, not {color!r}")
            body: dict[str, Any] = {
                "id": class_id,
                "type": type,
                "value": value,
                "title": title,
                "color": color or distinct_color(taken[0]),
                "order": taken[0] + 1 if order is None else order,
            }
            if type == "pose_estimation":
                body["keypoints"] = _keypoints(class_id, keypoints)
            else:
                body["vertex"] = vertex
            body["attributes"] = _attributes(class_id, attributes)
            body["createdAt"] = body["updatedAt"] = now
            connection.execute(
                "INSERT INTO classes (id, project, type, value, body) VALUES (?, ?, ?, ?, ?)",
                (class_id, seq, type, value, orjson.dumps(body).decode()),
            )
        return class_id

    def listed(
        self, project: str, *, value: str | None = None, offset: int = 0, limit: int = 1000
    ) -> list[dict[str, Any]]:
        """The classes of a project in the order of their creation."""
        seq = self._projects.seq(project)
        condition, values = ("AND value = ?", [value]) if value is not None else ("", [])
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT body FROM classes WHERE project = ? {condition} ORDER BY seq LIMIT ? OFFSET ?",  # noqa: S608 - constant parts
                [seq, *values, limit, offset],
            ).fetchall()
        return [orjson.loads(body) for (body,) in rows]

    def find(self, class_id: str) -> dict[str, Any]:
        """One class; a 404 when there is none with this id."""
        with self._database.read() as connection:
            row = connection.execute("SELECT body FROM classes WHERE id = ?", (class_id,)).fetchone()
        if row is None:
            raise missing("Annotation is not found.")
        found: dict[str, Any] = orjson.loads(row[0])
        return found

    def update(self, class_id: str, changes: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, Any]]:
        """Change value, title, color, order or attributes; answers the project's number, the class before and after."""
        with self._database.write() as connection:
            before = self.find(class_id)
            body = dict(before)
            for key in ("value", "title", "color", "order"):
                if changes.get(key) is not None:
                    if key != "order" and not isinstance(changes[key], str):
                        raise invalid(f"{key} must be a text")
                    body[key] = changes[key]
            if not _COLOR.fullmatch(str(body["color"])):
                raise invalid(f"color must look like #FF0000, not {body['color']!r}")
            if changes.get("attributes") is not None:
                body["attributes"] = _attributes(class_id, changes["attributes"], before["attributes"])
            body["updatedAt"] = timestamp(self._clock.now())
            (project,) = connection.execute("SELECT project FROM classes WHERE id = ?", (class_id,)).fetchone()
            if body["value"] != before["value"]:
                taken = connection.execute(
                    "SELECT 1 FROM classes WHERE project = ? AND type = ? AND value = ?",
                    (project, body["type"], body["value"]),
                ).fetchone()
                if taken is not None:
                    raise invalid(f"Annotation value already exists: {body['value']}")
            connection.execute(
                "UPDATE classes SET value = ?, body = ? WHERE id = ?",
                (body["value"], orjson.dumps(body).decode(), class_id),
            )
        return int(project), before, body

    def delete(self, class_id: str) -> None:
        """Delete a class. Annotations made with it stay as they are."""
        with self._database.write() as connection:
            self.find(class_id)
            connection.execute("DELETE FROM classes WHERE id = ?", (class_id,))

    def of(self, project: int, value: str) -> list[dict[str, Any]]:
        """The classes of a project (by the database's number) that have this value, one for each type."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT body FROM classes WHERE project = ? AND value = ? ORDER BY seq", (project, value)
            ).fetchall()
        return [orjson.loads(body) for (body,) in rows]

    def book(self, project: int) -> ClassBook:
        """The classes of a project (by the database's number), to read many annotations with."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT body FROM classes WHERE project = ? ORDER BY seq", (project,)).fetchall()
        return ClassBook([orjson.loads(body) for (body,) in rows])


class ClassBook:
    """Turns annotations as they are sent into annotations as they are answered, with the classes of one project."""

    def __init__(self, classes: list[dict[str, Any]]) -> None:
        self._exact = {(one["type"], one["value"]): one for one in classes}
        self._by_value: dict[str, dict[str, Any]] = {}
        for one in classes:
            self._by_value.setdefault(one["value"], one)
        self._attributes = {one["id"]: {a["key"]: a for a in one["attributes"]} for one in classes}

    def annotation(self, sent: Any, *, shape: str = "plain", strict: bool = True) -> dict[str, Any]:
        """One annotation with its class's title and color. A 422 for an unknown class, attribute or shape.

        ``shape`` is the modality's: how its annotations say where they are.

        With ``strict=False`` nothing is refused: unknown keys, classes and shapes are kept as they were given.
        """
        if not isinstance(sent, dict):
            raise invalid("annotations must be objects")
        value = sent.get("value")
        found = self._exact.get((sent.get("type"), value)) if isinstance(value, str) else None
        found = found or (self._by_value.get(value) if isinstance(value, str) else None)
        if found is None:
            if strict:
                raise invalid(f"Annotation class is not found. value: {value}")
            found = {"id": None, "type": None, "title": sent.get("title", value), "color": sent.get("color", "#808080")}
        kind = sent.get("type") or found["type"]
        known = self._attributes.get(found["id"], {})
        answer: dict[str, Any] = {"type": kind, "title": found["title"], "value": value, "color": found["color"]}
        attributes = [_attribute(one, known, strict) for one in sent.get("attributes") or []]
        if kind == "pose_estimation":
            answer["attributes"] = attributes
            answer["keypoints"] = _pose(sent.get("keypoints") or [], found.get("keypoints") or [], strict)
        else:
            answer |= READERS[shape](str(kind), sent, strict)
            answer["attributes"] = attributes
        if sent.get("confidenceScore") is not None:
            answer["confidenceScore"] = sent["confidenceScore"]
        if not strict:
            for key, other in sent.items():
                if key not in answer and key != "content":
                    answer[key] = other
        return answer

    def attribute(self, sent: Any, *, strict: bool = True) -> dict[str, Any]:
        """One attribute of a classification task."""
        known = dict(chain.from_iterable(attributes.items() for attributes in self._attributes.values()))
        return _attribute(sent, known, strict)


def _attribute(sent: Any, known: dict[str, dict[str, Any]], strict: bool) -> dict[str, Any]:
    if not isinstance(sent, dict) or not isinstance(sent.get("key"), str):
        raise invalid("attributes must be objects with a key and a value")
    found = known.get(sent["key"])
    if found is None:
        if strict:
            raise invalid(f"Attribute is not found. key: {sent['key']}")
        return dict(sent)
    return {"key": sent["key"], "name": found["name"], "type": found["type"], "value": sent.get("value")}


def _pose(sent: list[Any], known: list[dict[str, Any]], strict: bool) -> list[dict[str, Any]]:
    by_key = {one["key"]: one for one in known}
    keys = {one["id"]: one["key"] for one in known}
    answer = []
    for one in sent:
        key = one.get("key") if isinstance(one, dict) else None
        value = one.get("value") if isinstance(one, dict) else None
        if strict:
            if not isinstance(key, str) or (by_key and key not in by_key):
                raise invalid(f"Keypoint is not found. key: {key}")
            if value is not None and (not numbers(value) or len(value) != 3):
                raise invalid("A keypoint's value must be [x, y, 0 or 1].")
        found = by_key.get(str(key))
        edges = [keys[edge] for edge in found["edges"] if edge in keys] if found else list(one.get("edges") or [])
        answer.append(
            {"name": found["name"] if found else one.get("name", key), "key": key, "value": value, "edges": edges}
        )
    return answer


def _attributes(
    class_id: str, sent: Iterable[dict[str, Any]], before: Iterable[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    ids = {one["key"]: one["id"] for one in before}
    answer = []
    for index, one in enumerate(sent, start=1):
        if not isinstance(one, dict) or not one.get("key") or one.get("type") not in ATTRIBUTE_TYPES:
            raise invalid(f"An attribute needs a key and one of the types {', '.join(ATTRIBUTE_TYPES)}.")
        options = one.get("options") or []
        if one["type"] in {"select", "radio", "checkbox"} and not options:
            raise invalid(f"The attribute {one['key']} needs options.")
        answer.append(
            {
                "id": ids.get(one["key"]) or _part_id(class_id, one["key"]),
                "key": one["key"],
                "name": one.get("name") or one["key"],
                "options": [{"title": o.get("title", o.get("value")), "value": o.get("value")} for o in options],
                "order": one.get("order") or index,
                "type": one["type"],
                "value": one.get("value", ""),
            }
        )
    return answer


def _keypoints(class_id: str, sent: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    points = list(sent)
    ids = {one["key"]: _part_id(class_id, one["key"]) for one in points}
    return [
        {
            "id": ids[one["key"]],
            "name": one.get("name") or one["key"],
            "key": one["key"],
            "color": one.get("color") or distinct_color(index),
            "edges": [ids.get(edge, edge) for edge in one.get("edges") or []],
            "value": [],
        }
        for index, one in enumerate(points)
    ]


def _part_id(class_id: str, key: str) -> str:
    """The id of an attribute or keypoint; follows from the class's, so that seeding twice gives the same ids."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{class_id}\n{key}"))


def _only_type(project_type: str) -> str | None:
    """The one annotation type a project takes (``image_bbox`` -> bbox), None when it takes several."""
    if project_type.startswith("robotics"):
        return "sub_task"
    if project_type.endswith("classification"):
        return "classification"
    for kind in ANNOTATION_TYPES:
        if project_type.endswith(f"_{kind}"):
            return kind
    return None


def distinct_color(index: int) -> str:
    """The ``index``-th of a row of colours in which neighbours differ well (golden-ratio steps of the hue)."""
    red, green, blue = colorsys.hsv_to_rgb((index * 0.61803398875) % 1, 0.75, (0.9, 0.7)[index % 2])
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
