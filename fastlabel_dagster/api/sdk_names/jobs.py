"""The SDK's names for training, evaluation and auto-annotation jobs.

These send once, as the SDK does. `client.training_jobs.submit` and its siblings look a lost answer up first, so that no
job is started twice.
"""

# ruff: noqa: PLR0917 - the signatures are the SDK's
from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.file_rules import ANY_FILE, file_to_send
from fastlabel_dagster.api.sdk_names.face import SdkFace
from fastlabel_dagster.api.wire import given, path_to, truthy


class JobNames(SdkFace):
    """Jobs on FastLabel's machines."""

    def find_training_job(self, id: str) -> Any:
        """One training by id."""
        return self._get(path_to("trainings", id))

    def get_training_jobs(self, offset: int | None = None, limit: int | None = 100) -> Any:
        """One page of trainings, at most 1,000."""
        return self._get_page("trainings", truthy(offset=offset, limit=limit), limit=limit)

    def execute_training_job(
        self,
        dataset_name: str,
        base_model_name: str,
        epoch: int,
        dataset_revision_id: str | None = None,
        use_dataset_train_val: bool = False,
        instance_type: str | None = "ml.p3.2xlarge",
        batch_size: int | None = None,
        learning_rate: float | None = None,
        resize_option: Literal["fixed", "none"] | None = None,
        resize_dimension: int | None = None,
        annotation_value: str | None = "",
        config_file_path: str | Path | None = None,
    ) -> Any:
        """Start a training and return what the API answers."""
        config = config_file_path
        body = given(
            dataset_name=dataset_name,
            base_model_name=base_model_name,
            epoch=epoch,
            use_dataset_train_val=use_dataset_train_val,
            dataset_revision_id=dataset_revision_id,
            instance_type=instance_type,
            batch_size=batch_size,
            learning_rate=learning_rate,
            resize_option=resize_option,
            resize_dimension=resize_dimension,
            config_file=None if config is None else file_to_send(config, ANY_FILE),
        )
        return self._post("trainings", body | truthy(annotation_value=annotation_value))

    def find_evaluation_job(self, id: str) -> Any:
        """One evaluation by id."""
        return self._get(path_to("evaluations", id))

    def get_evaluation_jobs(self, offset: int | None = None, limit: int | None = 1000) -> Any:
        """One page of evaluations, at most 1,000."""
        return self._get_page("evaluations", truthy(offset=offset, limit=limit), limit=limit)

    def execute_evaluation_job(
        self,
        dataset_name: str,
        model_name: str,
        iou_threshold: float | None = 0.5,
        confidence_threshold: float | None = 0.4,
        dataset_revision_id: str | None = None,
        use_dataset_test: bool = False,
        instance_type: str | None = "ml.p3.2xlarge",
        batch_size: int | None = None,
        learning_rate: float | None = None,
    ) -> Any:
        """Start an evaluation and return what the API answers.

        `instance_type`, `batch_size` and `learning_rate` are taken and not sent, as in the SDK.
        """
        body = given(
            model_name=model_name,
            dataset_name=dataset_name,
            iou_threshold=iou_threshold,
            confidence_threshold=confidence_threshold,
            dataset_revision_id=dataset_revision_id,
            use_dataset_test=use_dataset_test,
        )
        return self._post("evaluations", body)

    def get_auto_annotation_jobs(self, project: str, offset: int | None = None, limit: int | None = 1000) -> Any:
        """One page of a project's auto-annotation jobs, at most 1,000."""
        if project is None:
            raise Invalid("Project is required.", status=422)
        query = {"project": project} | truthy(offset=offset, limit=limit)
        return self._get_page("auto-annotations", query, limit=limit)

    def execute_auto_annotation_job(
        self,
        project: str,
        model_name: str,
        algorithm_type: str | None = None,
        update_existing: bool = False,
        confidence_threshold: float | None = 0.4,
        use_tta: bool = False,
        use_flip: bool = False,
        processing_speed: Literal["low", "medium", "high"] | None = "low",
        auto_creation: bool = True,
    ) -> Any:
        """Have a model annotate a project's tasks and return what the API answers."""
        body = given(
            project=project,
            model_name=model_name,
            algorithm_type=algorithm_type,
            update_existing=update_existing,
            confidence_threshold=confidence_threshold,
            use_tta=use_tta,
            use_flip=use_flip,
            processing_speed=processing_speed,
            auto_creation=auto_creation,
        )
        return self._post("auto-annotations", body)
