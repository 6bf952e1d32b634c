"""``FastLabelWorkspace``: all records of a workspace at one time, and their JSON, which a state file holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, TypeVar

from fastlabel_dagster.workspace.records import (
    AnnotationClass,
    AutoAnnotationJob,
    Dataset,
    EvaluationJob,
    ImportHistory,
    Model,
    Project,
    TrainingJob,
    number,
    text,
    texts,
    whole,
)
from fastlabel_dagster.workspace.selector import ProjectSelector

_KIND = "fastlabel_workspace"
#: Of the JSON. A release that only adds fields keeps the number: readers pass over what they do not know.
FORMAT = 1

Record = TypeVar("Record")


@dataclass(frozen=True)
class FastLabelWorkspace:
    """What :func:`~fastlabel_dagster.workspace.fetch_workspace` has found.

    Attributes:
        base_url: of the API it was fetched from.
        fetched_at: when, as ISO 8601 in UTC.
        projects: the selected ones, in the order of their slugs.
        datasets, trainings, evaluations: of the whole workspace; None when not asked for or not to be had.
        problems: what could not be had, and why, beside what each project says of itself:
            ``{"trainings": "Unauthorized: …", "project street": "no project of this slug"}``.
        requests: how many requests it took.
        kept: lists that are of an earlier look, as they could not be had in this one, and of when:
            ``{"trainings": "2025-01-31T10:00:00+00:00"}``.
    """

    base_url: str = ""
    fetched_at: str = ""
    projects: tuple[Project, ...] = ()
    datasets: tuple[Dataset, ...] | None = None
    trainings: tuple[TrainingJob, ...] | None = None
    evaluations: tuple[EvaluationJob, ...] | None = None
    problems: Mapping[str, str] = field(default_factory=dict)
    requests: int = 0
    kept: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def slugs(self) -> tuple[str, ...]:
        """The slugs of the projects."""
        return tuple(project.slug for project in self.projects)

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """The models that the finished trainings have made."""
        return tuple(job.model for job in self.trainings or () if job.model is not None)

    def project(self, slug: str) -> Project:
        """The project of this slug. Raises KeyError when it is not among them."""
        for project in self.projects:
            if project.slug == slug:
                return project
        raise KeyError(slug)

    def select(self, selector: ProjectSelector | Mapping[str, Any] | str | Iterable[str] | None) -> FastLabelWorkspace:
        """The same workspace with only the projects that ``selector`` means."""
        chosen = ProjectSelector.of(selector)
        return replace(self, projects=tuple(project for project in self.projects if chosen.matches(project)))

    def to_json(self) -> str:
        """The records as JSON text, the same for equal records: sorted keys, one line."""
        told = {"kind": _KIND, "v": FORMAT, **asdict(self)}
        return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, given: str | bytes | Mapping[str, Any]) -> FastLabelWorkspace:
        """Read :meth:`to_json` back, of this release or another: unknown keys are passed over, missing ones have their
        default, values of the wrong type count as missing, and unknown words (statuses, types) stay as they are.

        Raises:
            ValueError: it is no JSON, not a workspace, or in a format that only a newer release reads.
        """
        told = given if isinstance(given, Mapping) else _parsed(given)
        if told.get("kind") != _KIND:
            raise ValueError("this is not a saved FastLabel workspace")
        version = whole(told.get("v"))
        if version is None or version > FORMAT:
            raise ValueError(
                f"the saved FastLabel workspace has format {told.get('v')!r}; this release reads up to {FORMAT}. "
                "Fetch it again."
            )
        return _read(cls, told)


def _parsed(given: str | bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(given)
    except ValueError as error:
        raise ValueError(f"the saved FastLabel workspace is no JSON: {error}") from error
    if not isinstance(told, Mapping):
        raise ValueError("this is not a saved FastLabel workspace")
    return told


#: The records inside records, by the field that holds them.
_LISTS: dict[str, type[Any]] = {
    "projects": Project,
    "datasets": Dataset,
    "trainings": TrainingJob,
    "evaluations": EvaluationJob,
    "imports": ImportHistory,
    "auto_annotations": AutoAnnotationJob,
}


def _read(cls: type[Record], told: Mapping[str, Any]) -> Record:
    values: dict[str, Any] = {}
    for one in fields(cls):  # type: ignore[arg-type]  # every record is a dataclass
        value = told.get(one.name)
        if value is not None:
            values[one.name] = _value(cls, one.name, str(one.type), value)
    return cls(**{name: value for name, value in values.items() if value is not None})


def _value(cls: type[Any], name: str, kind: str, value: Any) -> Any:
    if kind == "Model | None":
        return _read(Model, value) if isinstance(value, Mapping) else None
    if kind.startswith("tuple[str"):
        return texts(value)
    if kind.startswith("tuple["):
        inner = AnnotationClass if (cls, name) == (Project, "classes") else _LISTS[name]
        if not isinstance(value, list | tuple):
            return None
        return tuple(_read(inner, one) for one in value if isinstance(one, Mapping))
    if kind == "Mapping[str, int]":
        counts = {text(key): whole(one) for key, one in value.items()} if isinstance(value, Mapping) else {}
        return {key: one for key, one in counts.items() if one is not None}
    if kind == "Mapping[str, str]":
        return {text(key): text(one) for key, one in value.items()} if isinstance(value, Mapping) else {}
    if kind.startswith("int"):
        return whole(value)
    return number(value) if kind.startswith("float") else text(value)
