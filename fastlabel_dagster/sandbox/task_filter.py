"""Which tasks a request asks for, as a condition on the table ``tasks``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastlabel_dagster.sandbox.modalities import EXTERNAL_STATUSES, STATUSES
from fastlabel_dagster.sandbox.tags import checked_tags
from fastlabel_dagster.sandbox.task_body import checked


def task_condition(
    project: int,
    modality: str | None,
    status: str | None = None,
    external_status: str | None = None,
    *,
    tags: Sequence[str] = (),
    task_name: str | None = None,
) -> tuple[str, list[Any]]:
    """The condition and its values. ``project`` is the database's number of it; a 422 for a status there is none of."""
    where = ["project = ?"]
    values: list[Any] = [project]
    for column, value in (
        ("modality", modality),
        ("status", checked(status, "status", STATUSES)),
        ("external_status", checked(external_status, "externalStatus", EXTERNAL_STATUSES)),
        ("name", task_name),
    ):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    if tags:
        names = checked_tags(list(tags), most=10)
        marks = ",".join("?" * len(names))
        where.append(
            "seq IN (SELECT task FROM task_tags JOIN tags ON tags.seq = tag "  # noqa: S608 - constant parts
            f"WHERE tags.project = ? AND tags.name IN ({marks}))"
        )
        values += [project, *names]
    return " AND ".join(where), values
