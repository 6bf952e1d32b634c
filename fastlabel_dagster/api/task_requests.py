"""The body of a request that makes or changes a task, by the table of modalities and the rule of either face."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from fastlabel_dagster.api.file_rules import folder_to_send, one_to_send
from fastlabel_dagster.api.modalities import Modality
from fastlabel_dagster.api.wire import Json, annotations_to_send, attributes_to_send, given, truthy, users_to_send

SENT_UNLESS_NONE = frozenset({"priority", "operator"})
"""Fields that the SDK sends when they are 0 or '' too."""


def task_fields(
    modality: Modality,
    on: Literal["create", "update"],
    users: Mapping[str, str | None],
    fields: Mapping[str, Any],
    *,
    name: str | None = None,
    clears: bool,
) -> Json:
    """What is set on a task, as the request holds it. The caller's lists stay as they were.

    Args:
        users: the user keywords; None takes a person off.
        fields: among the modality's `create` or `update` fields.
        name: the new task's name, which its annotations' `content` becomes for most modalities.
        clears: whether an empty list is sent, and clears. If not, whatever is falsy stays behind, as in the SDK.

    Raises:
        Invalid: when a user keyword is unknown.
    """
    unknown = set(fields) - set(modality.create if on == "create" else modality.update)
    assert not unknown, f"{modality.key} takes no {unknown}"  # a slip in this package, never in the caller's
    values = dict(fields)
    if values.get("annotations") is not None:
        values["annotations"] = annotations_to_send(values["annotations"], _content(modality, on, name))
    if values.get("attributes") is not None:
        values["attributes"] = attributes_to_send(values["attributes"])
    if clears:
        return given(**values) | users_to_send(users)
    always = SENT_UNLESS_NONE | ({"annotations"} if modality.key == "robotics" else set())
    plain = {field: values.pop(field) for field in list(values) if field in always}
    return truthy(**values) | given(**plain) | users_to_send(users)


def _content(modality: Modality, on: str, name: str | None) -> str | None:
    if on == "create":
        return name if modality.content_on_create == "name" else None
    # The server fills in the name itself when the content is empty.
    return "" if modality.content_on_update == "empty" else None


def file_of(modality: Modality, file_path: str | Path | None, content: bytes | None) -> Json:
    """The file of a new task, checked against its modality's rule."""
    assert modality.file is not None
    return {"file": one_to_send(file_path, content, modality.file)}


def folder_of(modality: Modality, folder_path: str | Path) -> Json:
    """The files of a new task, checked against its modality's rule."""
    assert modality.file is not None
    return {"contents": folder_to_send(folder_path, modality.file, modality.most_files)}
