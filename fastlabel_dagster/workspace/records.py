"""What is known of a workspace: frozen records, as small as a state file should be.

A record holds what somebody reads in a user interface (names, ids, states, counts, dates), never labels, a token or a
link that gives access. Every field has a default and every word from outside is kept as it came: an answer with a key
too few, a key too many or a status nobody has heard of becomes a record like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastlabel_dagster.api import job_state
from fastlabel_dagster.api.links import without_query


def text(value: Any) -> str:
    """``value`` as text; nothing for None."""
    return "" if value is None else str(value)


def whole(value: Any) -> int | None:
    """``value`` when it is a whole number, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: Any) -> float | None:
    """``value`` as a float when it is a number, else None."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def texts(value: Any) -> tuple[str, ...]:
    """The entries of a list as texts; nothing for anything else."""
    return tuple(text(one) for one in value) if isinstance(value, list | tuple) else ()


@dataclass(frozen=True)
class AnnotationClass:
    """A class that a project's annotations can have; ``value`` is for machines, ``title`` for people."""

    id: str = ""
    type: str = ""
    value: str = ""
    title: str = ""
    color: str = ""

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> AnnotationClass:
        """The record of an answer of ``annotations``."""
        return cls(*(text(answer.get(key)) for key in ("id", "type", "value", "title", "color")))


@dataclass(frozen=True)
class ImportHistory:
    """An import of files into a project, running or past."""

    id: str = ""
    storage_type: str = ""
    status: str = ""
    created_at: str = ""
    updated_at: str = ""

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> ImportHistory:
        """The record of an answer of ``tasks/import/histories``."""
        return cls(*(text(answer.get(key)) for key in ("id", "storageType", "status", "createdAt", "updatedAt")))

    @property
    def state(self) -> str:
        """``running``, ``completed`` or ``failed``."""
        return job_state({"status": self.status})


@dataclass(frozen=True)
class AutoAnnotationJob:
    """A model that annotated a project's tasks; ``annotations`` is how many it made, on ``contents`` pictures."""

    id: str = ""
    status: str = ""
    model: str = ""
    contents: int | None = None
    annotations: int | None = None
    created_at: str = ""
    completed_at: str = ""

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> AutoAnnotationJob:
        """The record of an answer of ``auto-annotations``."""
        return cls(
            id=text(answer.get("id")),
            status=text(answer.get("status")),
            model=text(answer.get("modelName")),
            contents=whole(answer.get("contentCount")),
            annotations=whole(answer.get("taskAnnotationCount")),
            created_at=text(answer.get("createdAt")),
            completed_at=text(answer.get("completedAt")),
        )


@dataclass(frozen=True)
class Model:
    """A model that a training has made. ``url`` is where it lies, without what would let one fetch it."""

    id: str = ""
    name: str = ""
    classes: tuple[str, ...] = ()
    url: str = ""
    base_model: str = ""
    training_job: str = ""
    created_at: str = ""


@dataclass(frozen=True)
class TrainingJob:
    """A training; ``model`` is there once it has finished."""

    id: str = ""
    status: str = ""
    base_model: str = ""
    epoch: int | None = None
    contents: int | None = None
    created_at: str = ""
    completed_at: str = ""
    model: Model | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> TrainingJob:
        """The record of an answer of ``trainings``."""
        id, base = text(answer.get("trainingJobId") or answer.get("id")), text(answer.get("baseModelName"))
        completed, made = text(answer.get("completedAt")), answer.get("customModel")
        model = None
        if isinstance(made, Mapping) and (made.get("modelId") or made.get("modelName")):
            model = Model(
                id=text(made.get("modelId")),
                name=text(made.get("modelName")),
                classes=_class_names(made.get("classes")),
                url=without_query(made.get("modelURL")),
                base_model=base,
                training_job=id,
                created_at=completed,
            )
        return cls(
            id=id,
            status=text(answer.get("status")),
            base_model=base,
            epoch=whole(answer.get("epoch")),
            contents=whole(answer.get("contentCount")),
            created_at=text(answer.get("createdAt")),
            completed_at=completed,
            model=model,
        )


@dataclass(frozen=True)
class EvaluationJob:
    """A model measured on a dataset. mAP, precision, recall and f1 are shares from 0 to 1, of a finished job only."""

    id: str = ""
    status: str = ""
    model: str = ""
    dataset: str = ""
    dataset_id: str = ""
    dataset_revision: str = ""
    mAP: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    created_at: str = ""
    completed_at: str = ""

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> EvaluationJob:
        """The record of an answer of ``evaluations``."""
        about = answer.get("dataset")
        done = job_state({"status": text(answer.get("status"))}) == "completed"
        return cls(
            id=text(answer.get("id") or answer.get("evaluationJobId")),
            status=text(answer.get("status")),
            model=text(answer.get("modelName")),
            dataset=text(about.get("name")) if isinstance(about, Mapping) else "",
            dataset_id=text(answer.get("datasetId")),
            dataset_revision=text(answer.get("datasetRevisionId")),
            mAP=number(answer.get("mAP")) if done else None,
            precision=number(answer.get("precision")) if done else None,
            recall=number(answer.get("recall")) if done else None,
            f1=number(answer.get("f1")) if done else None,
            created_at=text(answer.get("createdAt")),
            completed_at=text(answer.get("completedAt")),
        )


@dataclass(frozen=True)
class Dataset:
    """A dataset of the workspace.

    Attributes:
        objects: how many objects its latest version has; None when that was not asked for, or would have taken more
            than one request.
        objects_at_least: what is certain of the number then.
        revisions: the revision ids that evaluations name, newest first. The API has no list of a dataset's versions.
        error: why its objects could not be counted.
        kept: what is not of this look but of an earlier one, and of when: ``{"objects": "2025-01-31T10:00:00+00:00"}``.
    """

    id: str = ""
    name: str = ""
    tags: tuple[str, ...] = ()
    visibility: str = ""
    license: str = ""
    created_at: str = ""
    updated_at: str = ""
    objects: int | None = None
    objects_at_least: int = 0
    revisions: tuple[str, ...] = ()
    error: str = ""
    kept: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Dataset:
        """The record of an answer of ``datasets-v2``."""
        return cls(
            id=text(answer.get("id")),
            name=text(answer.get("name")),
            tags=texts(answer.get("tags")),
            visibility=text(answer.get("visibility")),
            license=text(answer.get("license")),
            created_at=text(answer.get("createdAt")),
            updated_at=text(answer.get("updatedAt")),
        )


@dataclass(frozen=True)
class Project:
    """A labeling project.

    Attributes:
        slug: its name in addresses, unique in the workspace; ``name`` is what people read, and need not be.
        type, status: as the API says them (``image_bbox``, ``active``, …), also where nobody knows the word.
        tasks: how many tasks it has; ``statuses``: how many in each status, where that was asked for.
        classes, imports, auto_annotations: None when they were not asked for or could not be had; newest first.
        errors: what could not be had, and why: ``{"classes": "ServerError: …"}``.
        left_out: what was not asked for because the requests allowed were used up.
        kept: what is of an earlier look, as it could not be had in this one, and of when:
            ``{"classes": "2025-01-31T10:00:00+00:00"}``; ``project`` stands for all of it.
    """

    slug: str = ""
    id: str = ""
    name: str = ""
    type: str = ""
    status: str = ""
    created_at: str = ""
    updated_at: str = ""
    tasks: int | None = None
    statuses: Mapping[str, int] = field(default_factory=dict)
    classes: tuple[AnnotationClass, ...] | None = None
    imports: tuple[ImportHistory, ...] | None = None
    auto_annotations: tuple[AutoAnnotationJob, ...] | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Project:
        """The record of an answer of ``projects``."""
        return cls(
            slug=text(answer.get("slug")),
            id=text(answer.get("id")),
            name=text(answer.get("name")),
            type=text(answer.get("type")),
            status=text(answer.get("status")),
            created_at=text(answer.get("createdAt")),
            updated_at=text(answer.get("updatedAt")),
        )

    @property
    def error(self) -> str:
        """What is wrong with it, in one line; empty when nothing is."""
        return "; ".join(f"{part}: {why}" for part, why in self.errors.items())


def _class_names(classes: Any) -> tuple[str, ...]:
    """Names of a model's classes, which an answer gives as texts or as objects."""
    if not isinstance(classes, Iterable) or isinstance(classes, str | bytes | Mapping):
        return ()
    return tuple(
        text(one.get("value") or one.get("name") or one.get("title")) if isinstance(one, Mapping) else text(one)
        for one in classes
    )
