"""Datasets and their objects: the pictures and annotations models are trained from."""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections.abc import Sequence
from typing import Any

import orjson

from fastlabel_dagster.sandbox.classes import distinct_color
from fastlabel_dagster.sandbox.clock import Clock, timestamp
from fastlabel_dagster.sandbox.database import Database
from fastlabel_dagster.sandbox.errors import Refused, invalid, missing
from fastlabel_dagster.sandbox.files import Files
from fastlabel_dagster.sandbox.modalities import measure_image
from fastlabel_dagster.sandbox.tags import checked_tags

OBJECT_TYPES = ("none", "train", "valid", "test")
VISIBILITIES = ("workspace", "public", "organization")
MOST_TAGS = 5
MOST_LICENSES = 10
MOST_BYTES = 250 << 20

_NAME = re.compile(r"[a-z0-9-]{1,128}")
_IMAGES = (".png", ".jpg", ".jpeg")


class Datasets:
    """Every dataset of the workspace. A dataset has one state, its latest; each change gives it a new revision id."""

    def __init__(self, database: Database, clock: Clock, files: Files) -> None:
        self._database = database
        self._clock = clock
        self._files = files

    def create(self, name: Any, tags: Any = None, visibility: Any = None) -> dict[str, Any]:
        """Make a dataset; a 422 for a name that is taken or malformed, or more than five tags."""
        now = timestamp(self._clock.now())
        body = {
            "id": str(uuid.uuid4()),
            "name": _checked_name(name),
            "tags": checked_tags(tags or [], most=MOST_TAGS),
            "visibility": visibility or "workspace",
            "license": "",
            "createdAt": now,
            "updatedAt": now,
        }
        if body["visibility"] not in VISIBILITIES:
            raise invalid(f"visibility must be one of {', '.join(VISIBILITIES)}")
        with self._database.write() as connection:
            try:
                connection.execute(
                    "INSERT INTO datasets (id, name, revision, body) VALUES (?, ?, ?, ?)",
                    (body["id"], name, str(uuid.uuid4()), orjson.dumps(body).decode()),
                )
            except sqlite3.IntegrityError as error:
                raise invalid(f"Dataset name already exists: {name}") from error
        return body

    def listed(
        self,
        *,
        keyword: str | None = None,
        tags: Sequence[str] = (),
        license: str | None = None,
        visibility: str | None = None,
    ) -> list[dict[str, Any]]:
        """Datasets in the order of their creation; ``tags`` keeps those that have any of them."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT body FROM datasets ORDER BY seq").fetchall()
        return [
            body
            for body in (orjson.loads(text) for (text,) in rows)
            if (not keyword or keyword in body["name"])
            and (not tags or set(tags) & set(body["tags"]))
            and (not license or body["license"] == license)
            and (not visibility or body["visibility"] == visibility)
        ]

    def find(self, dataset_id: str) -> dict[str, Any]:
        """One dataset; a 404 when there is none with this id."""
        with self._database.read() as connection:
            row = connection.execute("SELECT body FROM datasets WHERE id = ?", (dataset_id,)).fetchone()
        if row is None:
            raise missing("Dataset is not found.")
        found: dict[str, Any] = orjson.loads(row[0])
        return found

    def by_name(self, name: Any) -> tuple[int, str, dict[str, Any]]:
        """The database's number, the revision id and the dataset; a 404 when there is none with this name."""
        if not isinstance(name, str) or not name:
            raise invalid("datasetName should not be empty")
        with self._database.read() as connection:
            row = connection.execute("SELECT seq, revision, body FROM datasets WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise missing(f"Dataset is not found: {name}")
        return int(row[0]), str(row[1]), orjson.loads(row[2])

    def update(self, dataset_id: str, name: Any = None, tags: Any = None) -> dict[str, Any]:
        """Change a dataset's name and/or tags (None leaves them)."""
        with self._database.write() as connection:
            body = self.find(dataset_id)
            if name is not None:
                body["name"] = _checked_name(name)
            if tags is not None:
                body["tags"] = checked_tags(tags, most=MOST_TAGS)
            body["updatedAt"] = timestamp(self._clock.now())
            try:
                connection.execute(
                    "UPDATE datasets SET name = ?, body = ? WHERE id = ?",
                    (body["name"], orjson.dumps(body).decode(), dataset_id),
                )
            except sqlite3.IntegrityError as error:
                raise invalid(f"Dataset name already exists: {name}") from error
        return body

    def delete(self, dataset_id: str) -> None:
        """Delete a dataset with its objects."""
        with self._database.write() as connection:
            self.find(dataset_id)
            connection.execute("DELETE FROM datasets WHERE id = ?", (dataset_id,))

    # -- objects -----------------------------------------------------------------------------------------------------

    def add_object(self, dataset: Any, name: Any, content: bytes, request: dict[str, Any]) -> dict[str, Any]:
        """Add an object; a 422 for a name that is taken, an image that cannot be read, too many tags or licences."""
        if not isinstance(name, str) or not name or len(name) > 1024:
            raise invalid("objectName must be a text of 1 to 1024 characters")
        if len(content) > MOST_BYTES:
            raise invalid("Supported object size is under 250 MB.")
        size = measure_image(content) if name.lower().endswith(_IMAGES) else {"width": None, "height": None}
        now = timestamp(self._clock.now())
        body: dict[str, Any] = {
            "name": name,
            "size": len(content),
            "height": size["height"],
            "width": size["width"],
            "tags": [],
            "annotations": [],
            "customMetadata": {},
            "createdAt": now,
            "updatedAt": now,
        }
        licenses = _apply(body, [], request)
        key = self._files.add(content, name)
        with self._database.write() as connection:
            seq, _, _ = self.by_name(dataset)
            try:
                connection.execute(
                    "INSERT INTO objects (dataset, name, type, file, licenses, body) VALUES (?, ?, 'none', ?, ?, ?)",
                    (seq, name, key, orjson.dumps(licenses).decode(), orjson.dumps(body).decode()),
                )
            except sqlite3.IntegrityError as error:
                raise invalid(f"Object name already exists: {name}") from error
            self._touch(connection, seq)
        return body

    def objects(
        self,
        dataset: Any,
        *,
        version: str | None = None,
        revision_id: str | None = None,
        tags: Sequence[str] = (),
        licenses: Sequence[str] = (),
        types: Sequence[str] = (),
        offset: int = 0,
        limit: int = 1000,
    ) -> list[tuple[dict[str, Any], str, str]]:
        """``(object, type, file key)`` in the order of creation; each filter keeps objects that have any of its
        values."""
        if unknown := set(types) - set(OBJECT_TYPES):
            raise invalid(f"types must be some of {', '.join(OBJECT_TYPES)}, not {', '.join(sorted(unknown))}")
        seq, revision, _ = self.by_name(dataset)
        _check_revision(revision, version, revision_id)
        where, values = ["dataset = ?"], [seq, *types]
        if types:
            where.append(f"type IN ({','.join('?' * len(types))})")
        for column, wanted in (("json_extract(body, '$.tags')", tags), ("licenses", licenses)):
            if wanted:
                where.append(
                    f"EXISTS (SELECT 1 FROM json_each({column}) WHERE value IN ({','.join('?' * len(wanted))}))"  # noqa: S608 - constant parts
                )
                values += wanted
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT body, type, file FROM objects WHERE {' AND '.join(where)} ORDER BY seq LIMIT ? OFFSET ?",  # noqa: S608 - constant parts
                [*values, limit, offset],
            ).fetchall()
        return [(orjson.loads(body), kind, key) for body, kind, key in rows]

    def find_object(
        self, dataset_id: str, name: str, *, version: str | None = None, revision_id: str | None = None
    ) -> dict[str, Any]:
        """One object; a 404 when the dataset has none of this name."""
        self.find(dataset_id)
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT objects.body, revision FROM objects JOIN datasets ON datasets.seq = dataset "
                "WHERE datasets.id = ? AND objects.name = ?",
                (dataset_id, name),
            ).fetchone()
        if row is None:
            raise missing("Dataset object is not found.")
        _check_revision(row[1], version, revision_id)
        found: dict[str, Any] = orjson.loads(row[0])
        return found

    def update_object(self, dataset_id: str, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change tags, licenses, annotations or customMetadata of an object; empty values clear."""
        with self._database.write() as connection:
            body = self.find_object(dataset_id, name)
            seq, licenses = connection.execute(
                "SELECT objects.seq, licenses FROM objects JOIN datasets ON datasets.seq = dataset "
                "WHERE datasets.id = ? AND objects.name = ?",
                (dataset_id, name),
            ).fetchone()
            licenses = _apply(body, orjson.loads(licenses), changes)
            body["updatedAt"] = timestamp(self._clock.now())
            connection.execute(
                "UPDATE objects SET licenses = ?, body = ? WHERE seq = ?",
                (orjson.dumps(licenses).decode(), orjson.dumps(body).decode(), seq),
            )
            self._touch_id(connection, dataset_id)
        return body

    def set_object_type(self, dataset_id: str, name: str, kind: str) -> None:
        """Say whether an object is for ``train``, ``valid``, ``test`` or ``none``; the API itself has no call for
        it."""
        if kind not in OBJECT_TYPES:
            raise invalid(f"type must be one of {', '.join(OBJECT_TYPES)}")
        with self._database.write() as connection:
            self.find_object(dataset_id, name)
            connection.execute(
                "UPDATE objects SET type = ? WHERE name = ? AND dataset = (SELECT seq FROM datasets WHERE id = ?)",
                (kind, name, dataset_id),
            )

    def delete_object(self, dataset_id: str, name: str) -> None:
        """Delete an object; a 404 when the dataset has none of this name."""
        with self._database.write() as connection:
            self.find_object(dataset_id, name)
            connection.execute(
                "DELETE FROM objects WHERE name = ? AND dataset = (SELECT seq FROM datasets WHERE id = ?)",
                (name, dataset_id),
            )
            self._touch_id(connection, dataset_id)

    def _touch_id(self, connection: sqlite3.Connection, dataset_id: str) -> None:
        self._touch(
            connection, connection.execute("SELECT seq FROM datasets WHERE id = ?", (dataset_id,)).fetchone()[0]
        )

    def _touch(self, connection: sqlite3.Connection, seq: int) -> None:
        connection.execute(
            "UPDATE datasets SET revision = ?, body = json_set(body, '$.updatedAt', ?) WHERE seq = ?",
            (str(uuid.uuid4()), timestamp(self._clock.now()), seq),
        )


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid("name must consist of lower-case letters, digits and hyphen")
    return name


def _check_revision(current: str, version: str | None, revision_id: str | None) -> None:
    if version and revision_id:
        raise Refused(400, "only use specify one of revisionId or version.")
    if version and version != "latest":
        raise missing(f"Dataset version is not found: {version}")
    if revision_id and (len(revision_id) < 8 or not current.startswith(revision_id)):
        raise missing(f"Dataset revision is not found: {revision_id}")


def _apply(body: dict[str, Any], licenses: list[str], changes: dict[str, Any]) -> list[str]:
    if changes.get("tags") is not None:
        body["tags"] = checked_tags(changes["tags"], most=MOST_TAGS)
    if changes.get("licenses") is not None:
        licenses = checked_tags(changes["licenses"], most=MOST_LICENSES)
    if changes.get("customMetadata") is not None:
        if not isinstance(changes["customMetadata"], dict):
            raise invalid("customMetadata must be an object")
        body["customMetadata"] = changes["customMetadata"]
    if changes.get("annotations") is not None:
        if not isinstance(changes["annotations"], list):
            raise invalid("annotations must be a list")
        body["annotations"] = [_annotation(one) for one in changes["annotations"]]
    return licenses


def _annotation(sent: Any) -> dict[str, Any]:
    """An object's annotation as it is answered: objects belong to no project, so title and colour come with the request
    or are made from the value."""
    if not isinstance(sent, dict) or not sent.get("type") or not sent.get("value"):
        raise invalid("annotations must be objects with a type and a value")
    value = str(sent["value"])
    return {
        "id": sent.get("id") or str(uuid.uuid4()),
        "type": sent["type"],
        "title": sent.get("title") or value,
        "value": value,
        "points": sent.get("points") or [],
        "attributes": [dict(one) for one in sent.get("attributes") or []],
        "keypoints": [dict(one) for one in sent.get("keypoints") or []],
        "rotation": sent.get("rotation") or 0,
        "color": sent.get("color") or distinct_color(sum(value.encode())),
        "confidenceScore": -1 if sent.get("confidenceScore") is None else sent["confidenceScore"],
    }
