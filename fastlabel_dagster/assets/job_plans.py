"""What is to be trained, evaluated, annotated and imported, checked when a code location loads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from fastlabel_dagster.api.task_statuses import refuse_mistyped
from fastlabel_dagster.assets.input_files import settings_of
from fastlabel_dagster.jobs.gate import Gate
from fastlabel_dagster.jobs.kinds import AUTO_ANNOTATION, DICOM_IMPORT, EVALUATION, S3_IMPORT, TRAINING, JobRequest

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

#: ``run``: the step polls until the job has ended. ``sensor``: the step submits, and the jobs sensor reports the end.
Wait: TypeAlias = Literal["run", "sensor"]

#: ``(client) -> version``: what a dataset holds at this moment.
VersionNow: TypeAlias = "Callable[[FastLabelClient], str]"

_WAITING = ("wait", "poll_seconds", "give_up_after_hours")


@dataclass(frozen=True)
class Waiting:
    """How the end of a job is waited for.

    Attributes:
        wait: ``run``: in the run; ``sensor``: not at all, the jobs sensor reports the end.
        poll_seconds: pause between the first two looks; it grows to twelve times that.
        give_up_after_hours: how long a run polls at most. The job goes on, and the next run attaches to it.
    """

    wait: Wait = "run"
    poll_seconds: float = 10.0
    give_up_after_hours: float = 24.0

    @classmethod
    def of(cls, given: dict[str, Any], what: str, default: Wait) -> Waiting:
        """Take the three options out of ``given``. Raises ValueError."""
        wait = given.pop("wait", default)
        if wait not in ("run", "sensor"):
            raise ValueError(f"{what}: wait is 'run' or 'sensor', not {wait!r}")
        poll = _number(given.pop("poll_seconds", 10.0), f"{what}: poll_seconds", above=0)
        hours = _number(given.pop("give_up_after_hours", 24.0), f"{what}: give_up_after_hours", above=0)
        return cls(cast("Wait", wait), poll, hours)


@dataclass(frozen=True)
class TrainingPlan:
    """What to train: a base model, for how many epochs, and any further argument of ``client.training_jobs.submit``."""

    base_model_name: str
    epoch: int
    more: Mapping[str, Any] = field(default_factory=dict)
    waiting: Waiting = Waiting("sensor")

    @classmethod
    def of(cls, training: TrainingPlan | Mapping[str, Any]) -> TrainingPlan:
        """Read ``{"base_model": …, "epoch": …, "wait": …, …}``. Raises ValueError when one is missing or unusable."""
        if isinstance(training, TrainingPlan):
            return training
        given = _mapping(training, "training")
        model = given.pop("base_model", None) or given.pop("base_model_name", None)
        epoch = given.pop("epoch", None)
        if not isinstance(model, str) or not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 1:
            raise ValueError("training needs base_model (its name in FastLabel) and epoch (a whole number, at least 1)")
        waiting = Waiting.of(given, "training", "sensor")
        _nothing_left(given, "training", _TRAINING_OPTIONS)
        return cls(model, epoch, {name: value for name, value in given.items() if value is not None}, waiting)

    def request(self, dataset: str, dataset_version: str, now: VersionNow | None = None) -> JobRequest:
        """The training of a dataset as it is at a version, from this base model and with these options.
        Earlier releases knew it by the name of its configuration file, and before that by the dataset's version alone.
        Raises ``dagster.Failure`` for an unreadable file.

        Args:
            now: looks which version the dataset has at this moment; with it, that one is trained on, and told.
        """
        arguments = {
            "dataset_name": dataset,
            "base_model_name": self.base_model_name,
            "epoch": self.epoch,
            **self.more,
        }
        made_of = dataset_version, self.base_model_name, self.epoch
        return JobRequest(
            TRAINING,
            dataset,
            version_of(*made_of, *settings_of(self.more)),
            arguments,
            changed="the approved labels or the settings have changed",
            unchanged="nothing newly approved since",
            formerly=(version_of(*made_of, *sorted(self.more.items())), dataset_version),
            made_from=dataset_version,
            as_found=None if now is None else lambda client: self.request(dataset, now(client)),
        )


_TRAINING_OPTIONS = {
    "annotation_value",
    "batch_size",
    "config_file_path",
    "dataset_revision_id",
    "instance_type",
    "learning_rate",
    "resize_dimension",
    "resize_option",
    "use_dataset_train_val",
}


@dataclass(frozen=True)
class EvaluationPlan:
    """How a model is measured on the published dataset, and what it must reach.

    Attributes:
        iou_threshold: least overlap, 0 to 1, of a found box with a true one.
        confidence_threshold: least confidence, 0 to 1, of a box that counts as found.
        use_dataset_test: only the objects of type test.
        gate: what the check ``gate`` asks for; None has no gate.
    """

    iou_threshold: float = 0.5
    confidence_threshold: float = 0.4
    use_dataset_test: bool = False
    gate: Gate | None = None
    waiting: Waiting = Waiting()

    @classmethod
    def of(cls, evaluation: EvaluationPlan | Mapping[str, Any]) -> EvaluationPlan:
        """Read ``{"iou_threshold": …, "gate": {"mAP": {"no_worse_than": 0.01}}, …}``. Raises ValueError."""
        if isinstance(evaluation, EvaluationPlan):
            return evaluation
        given = _mapping(evaluation, "evaluation")
        iou = _number(given.pop("iou_threshold", 0.5), "evaluation: iou_threshold", least=0, most=1)
        confidence = _number(
            given.pop("confidence_threshold", 0.4), "evaluation: confidence_threshold", least=0, most=1
        )
        test = _flag(given.pop("use_dataset_test", False), "evaluation: use_dataset_test")
        gate = given.pop("gate", None)
        waiting = Waiting.of(given, "evaluation", "run")
        known = {"iou_threshold", "confidence_threshold", "use_dataset_test", "gate"}
        _nothing_left(given, "evaluation", known)
        return cls(iou, confidence, test, Gate.of(gate) if gate else None, waiting)

    def request(
        self, dataset: str, dataset_version: str, model_name: str, model_id: str, now: VersionNow | None = None
    ) -> JobRequest:
        """The evaluation of a model on a dataset as it is at a version; ``now`` as in :meth:`TrainingPlan.request`."""
        arguments = {
            "dataset_name": dataset,
            "model_name": model_name,
            "iou_threshold": self.iou_threshold,
            "confidence_threshold": self.confidence_threshold,
            "use_dataset_test": self.use_dataset_test,
        }
        return JobRequest(
            EVALUATION,
            dataset,
            version_of(dataset_version, model_id, *arguments.values()),
            arguments,
            changed=f"the model {model_name} was not evaluated on this version of the dataset",
            unchanged=f"the model {model_name} was evaluated on this version of the dataset by",
            made_from=dataset_version,
            as_found=(None if now is None else lambda client: self.request(dataset, now(client), model_name, model_id)),
        )


@dataclass(frozen=True)
class AutoAnnotationPlan:
    """Which tasks a model annotates once it has passed the gate.

    The API annotates the tasks of a project that have no annotations, whatever their status is. ``status`` says which
    of these make a job worth while.

    Attributes:
        status: tasks in one of these statuses that have no annotations are counted as untouched.
        confidence: least confidence, 0 to 1, of an annotation that is kept.
        more: further arguments of ``client.auto_annotation_jobs.submit``.
    """

    status: tuple[str, ...] = ("registered",)
    confidence: float = 0.4
    more: Mapping[str, Any] = field(default_factory=dict)
    waiting: Waiting = Waiting()

    @classmethod
    def of(cls, auto_annotation: AutoAnnotationPlan | Mapping[str, Any]) -> AutoAnnotationPlan:
        """Read ``{"status": "registered", "confidence": 0.4, …}``. Raises ValueError."""
        if isinstance(auto_annotation, AutoAnnotationPlan):
            return auto_annotation
        given = _mapping(auto_annotation, "auto_annotation")
        status = _names(given.pop("status", "registered"), "auto_annotation: status")
        refuse_mistyped("auto_annotation: status", status)
        confidence = given.pop("confidence", given.pop("confidence_threshold", 0.4))
        confidence = _number(confidence, "auto_annotation: confidence", least=0, most=1)
        waiting = Waiting.of(given, "auto_annotation", "run")
        if given.pop("update_existing", False):
            raise ValueError("auto_annotation never touches what people have made: there is no update_existing here")
        _nothing_left(given, "auto_annotation", _AUTO_ANNOTATION_OPTIONS, {"status", "confidence"})
        return cls(status, confidence, {name: value for name, value in given.items() if value is not None}, waiting)

    def request(self, project: str, model_name: str, model_id: str, newest: str) -> JobRequest:
        """The annotation of what was untouched in a project.

        Args:
            newest: when the newest untouched task was made: with newer ones, the same model is asked again.
        """
        arguments = {
            "project": project,
            "model_name": model_name,
            "confidence_threshold": self.confidence,
            "update_existing": False,
            **self.more,
        }
        return JobRequest(
            AUTO_ANNOTATION,
            project,
            f"{self.family(project, model_id)} {newest}",
            arguments,
            changed=f"the model {model_name} has not seen these tasks",
            unchanged=f"the model {model_name} has seen these tasks in",
        )

    def family(self, project: str, model_id: str) -> str:
        """The part of the version that does not depend on the tasks: model and settings."""
        return version_of(project, model_id, self.confidence, *sorted(self.more.items()))


_AUTO_ANNOTATION_OPTIONS = {"algorithm_type", "auto_creation", "processing_speed", "use_flip", "use_tta"}


@dataclass(frozen=True)
class S3ImportPlan:
    """Tasks from the project's S3 storage.

    Attributes:
        bucket, region, prefix: set as the project's storage before each import; None leaves the one it has.
        status, tags, priority: of the tasks that are made.
    """

    bucket: str | None = None
    region: str | None = None
    prefix: str | None = None
    status: str = "registered"
    tags: tuple[str, ...] = ()
    priority: int = 0
    waiting: Waiting = Waiting()

    @classmethod
    def of(cls, plan: S3ImportPlan | Mapping[str, Any]) -> S3ImportPlan:
        """Read ``{"bucket": …, "region": …, "prefix": …, "tags": […], …}``. Raises ValueError."""
        if isinstance(plan, S3ImportPlan):
            return plan
        given = _mapping(plan, "s3 import")
        waiting = Waiting.of(given, "s3 import", "run")
        bucket, region = given.pop("bucket", None), given.pop("region", None)
        if (bucket is None) != (region is None):
            raise ValueError("s3 import: bucket and region are given together, or neither is")
        prefix = given.pop("prefix", None)
        if prefix is not None and bucket is None:
            raise ValueError("s3 import: a prefix needs a bucket and its region")
        status = given.pop("status", "registered")
        tags = _names(given.pop("tags", ()), "s3 import: tags")
        priority = given.pop("priority", 0)
        if priority not in (0, 10, 20, 30) or isinstance(priority, bool):
            raise ValueError(f"s3 import: priority is 0, 10, 20 or 30, not {priority!r}")
        _nothing_left(given, "s3 import", {"bucket", "region", "prefix", "status", "tags", "priority"})
        return cls(bucket, region, prefix, str(status), tags, int(priority), waiting)

    def request(self, project: str, version: str) -> JobRequest:
        """One import of what lies in the bucket; ``version`` says which one."""
        arguments = {"project": project, "status": self.status, "tags": list(self.tags), "priority": self.priority}
        return JobRequest(
            S3_IMPORT,
            project,
            version,
            arguments,
            changed="asked for by this run",
            unchanged="this import was already asked for:",
        )


@dataclass(frozen=True)
class DicomImportPlan:
    """Tasks from a zip of DICOM files.

    Attributes:
        file: path of the zip, at most 2,000 MB.
        status, tags: of the tasks that are made.
    """

    file: str
    status: str | None = None
    tags: tuple[str, ...] = ()
    waiting: Waiting = Waiting()

    @classmethod
    def of(cls, plan: DicomImportPlan | Mapping[str, Any] | str | Path) -> DicomImportPlan:
        """Read the path of a zip, or ``{"file": …, "tags": […], …}``. Raises ValueError."""
        if isinstance(plan, DicomImportPlan):
            return plan
        given = {"file": str(plan)} if isinstance(plan, str | Path) else _mapping(plan, "dicom import")
        waiting = Waiting.of(given, "dicom import", "run")
        file, status = given.pop("file", None), given.pop("status", None)
        if not isinstance(file, str | Path) or not str(file).lower().endswith(".zip"):
            raise ValueError("dicom import needs file: the path of a .zip")
        tags = _names(given.pop("tags", ()), "dicom import: tags")
        _nothing_left(given, "dicom import", {"file", "status", "tags"})
        return cls(str(file), None if status is None else str(status), tags, waiting)

    def request(self, project: str, digest: str) -> JobRequest:
        """The import of the zip whose content has this digest: the same content is imported once."""
        arguments: dict[str, Any] = {"project": project, "file_path": self.file}
        if self.status is not None:
            arguments["status"] = self.status
        if self.tags:
            arguments["tags"] = list(self.tags)
        return JobRequest(
            DICOM_IMPORT,
            project,
            digest,
            arguments,
            changed="this file has not been imported",
            unchanged="this file was imported by",
        )


@dataclass(frozen=True)
class ImportPlans:
    """What can be imported into a project: from S3, from a DICOM zip."""

    s3: S3ImportPlan | None = None
    dicom: DicomImportPlan | None = None

    @classmethod
    def of(cls, imports: ImportPlans | Mapping[str, Any] | None) -> ImportPlans:
        """Read ``{"s3": {…}, "dicom": {…}}``; ``{"s3": True}`` takes the storage the project has. Raises ValueError."""
        if isinstance(imports, ImportPlans):
            return imports
        given = _mapping(imports or {}, "imports")
        s3, dicom = given.pop("s3", None), given.pop("dicom", None)
        _nothing_left(given, "imports", {"s3", "dicom"}, waits=False)
        s3 = {} if s3 is True else None if s3 is False else s3
        return cls(
            None if s3 is None else S3ImportPlan.of(s3), None if dicom in (None, False) else DicomImportPlan.of(dicom)
        )


def version_of(*parts: object) -> str:
    """A short digest of what a job is made from."""
    return blake2b("\n".join(map(repr, parts)).encode(), digest_size=12).hexdigest()


def _mapping(given: object, what: str) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ValueError(f"{what} is a mapping of options, not {given!r}")
    return {str(name): value for name, value in given.items()}


def _nothing_left(given: Mapping[str, Any], what: str, *known: Iterable[str], waits: bool = True) -> None:
    names = {name for some in known for name in some} | (set(_WAITING) if waits else set())
    unknown = sorted(set(given) - names)
    if unknown:
        raise ValueError(f"{what} has no option {', '.join(unknown)}; it has {', '.join(sorted(names))}")


def _number(
    value: object, what: str, *, least: float | None = None, most: float | None = None, above: float | None = None
) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{what} is a number, not {value!r}")
    if (
        (least is not None and value < least)
        or (most is not None and value > most)
        or (above is not None and value <= above)
    ):
        bounds = f"above {above:g}" if above is not None else f"from {least:g} to {most:g}"
        raise ValueError(f"{what} is a number {bounds}, not {value!r}")
    return float(value)


def _flag(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{what} is true or false, not {value!r}")
    return value


def _names(value: object, what: str) -> tuple[str, ...]:
    several = (value,) if isinstance(value, str) else value
    if not isinstance(several, Iterable):
        raise ValueError(f"{what} is a text or a list of them, not {value!r}")
    names = tuple(several)
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"{what} is a text or a list of them, not {value!r}")
    return names
