"""What is to be trained, evaluated and annotated, checked when a code location loads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

from fastlabel_dagster.api.task_statuses import refuse_mistyped
from fastlabel_dagster.assets.input_files import settings_of
from fastlabel_dagster.assets.plan_options import Waiting, flag_of, mapping_of, names_of, number_of, refuse_others
from fastlabel_dagster.jobs.gate import Gate
from fastlabel_dagster.jobs.kinds import AUTO_ANNOTATION, EVALUATION, TRAINING, JobRequest

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

#: ``(client) -> version``: what a dataset holds at this moment.
VersionNow: TypeAlias = "Callable[[FastLabelClient], str]"


@dataclass(frozen=True)
class TrainingPlan:
    """What to train: a base model, for how many epochs, and any further argument of ``client.training_jobs.submit``."""

    base_model_name: str
    epoch: int
    more: Mapping[str, Any] = field(default_factory=dict)
    waiting: Waiting = field(default_factory=lambda: Waiting("sensor"))

    @classmethod
    def of(cls, training: TrainingPlan | Mapping[str, Any]) -> TrainingPlan:
        """Read ``{"base_model": …, "epoch": …, "wait": …, …}``. Raises ValueError when one is missing or unusable."""
        if isinstance(training, TrainingPlan):
            return training
        given = mapping_of(training, "training")
        model = given.pop("base_model", None) or given.pop("base_model_name", None)
        epoch = given.pop("epoch", None)
        if not isinstance(model, str) or not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 1:
            raise ValueError("training needs base_model (its name in FastLabel) and epoch (a whole number, at least 1)")
        waiting = Waiting.of(given, "training", "sensor")
        refuse_others(given, "training", _TRAINING_OPTIONS)
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
    waiting: Waiting = field(default_factory=Waiting)

    @classmethod
    def of(cls, evaluation: EvaluationPlan | Mapping[str, Any]) -> EvaluationPlan:
        """Read ``{"iou_threshold": …, "gate": {"mAP": {"no_worse_than": 0.01}}, …}``. Raises ValueError."""
        if isinstance(evaluation, EvaluationPlan):
            return evaluation
        given = mapping_of(evaluation, "evaluation")
        iou = number_of(given.pop("iou_threshold", 0.5), "evaluation: iou_threshold", least=0, most=1)
        confidence = number_of(
            given.pop("confidence_threshold", 0.4), "evaluation: confidence_threshold", least=0, most=1
        )
        test = flag_of(given.pop("use_dataset_test", False), "evaluation: use_dataset_test")
        gate = given.pop("gate", None)
        waiting = Waiting.of(given, "evaluation", "run")
        known = {"iou_threshold", "confidence_threshold", "use_dataset_test", "gate"}
        refuse_others(given, "evaluation", known)
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
    waiting: Waiting = field(default_factory=Waiting)

    @classmethod
    def of(cls, auto_annotation: AutoAnnotationPlan | Mapping[str, Any]) -> AutoAnnotationPlan:
        """Read ``{"status": "registered", "confidence": 0.4, …}``. Raises ValueError."""
        if isinstance(auto_annotation, AutoAnnotationPlan):
            return auto_annotation
        given = mapping_of(auto_annotation, "auto_annotation")
        status = names_of(given.pop("status", "registered"), "auto_annotation: status")
        refuse_mistyped("auto_annotation: status", status)
        confidence = given.pop("confidence", given.pop("confidence_threshold", 0.4))
        confidence = number_of(confidence, "auto_annotation: confidence", least=0, most=1)
        waiting = Waiting.of(given, "auto_annotation", "run")
        if given.pop("update_existing", False):
            raise ValueError("auto_annotation never touches what people have made: there is no update_existing here")
        refuse_others(given, "auto_annotation", _AUTO_ANNOTATION_OPTIONS, {"status", "confidence"})
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


def version_of(*parts: object) -> str:
    """A short digest of what a job is made from."""
    return blake2b("\n".join(map(repr, parts)).encode(), digest_size=12).hexdigest()
