"""Which kind of tasks a project holds: the API has a list of tasks for each kind, and answers with none on the others.

A project's ``type`` names what it is made of and how it is annotated: ``image_bbox``, ``image_all``,
``sequential_image_polygon``, ``video_single_classification``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fastlabel_dagster.api import Invalid
from fastlabel_dagster.api.modalities import IMAGE_TASK, MODALITIES, Modality

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.api.groups.modality_tasks import ModalityTasks

_BY_KEY = {modality.key: modality for modality in MODALITIES}
# Longer ones first, though none begins with another as it is.
_FAMILIES = (
    "multi_modal",
    "multi_image",
    "sequential_image",
    "sequential_pcd",
    "image",
    "video",
    "text",
    "audio",
    "pcd",
    "dicom",
    "robotics",
)
_CLASSIFICATION = "classification"


def modality_of(project: dict[str, Any]) -> Modality:
    """The kind of tasks a project holds, by the answer of the API about it. One without a type holds images.

    Raises:
        Invalid: its type is none that a list of tasks is known for.
    """
    stated = project.get("type")
    if not isinstance(stated, str) or not stated:
        return IMAGE_TASK
    family = next((each for each in _FAMILIES if stated == each or stated.startswith(f"{each}_")), None)
    if family is None:
        raise Invalid(
            f"project {project.get('slug')!r} is of type {stated}",
            hint=f"lists of tasks are known for {', '.join(each.key for each in MODALITIES)}",
        )
    if family == "multi_modal":
        return _BY_KEY["multi_modal_video_audio"]
    classified = _BY_KEY.get(f"{family}_{_CLASSIFICATION}")
    if classified is not None and (_CLASSIFICATION in stated or family not in _BY_KEY):
        return classified
    return _BY_KEY[family]


def is_of_pictures(project_type: str) -> bool:
    """Whether each task of a project of this type is one picture with annotations on it."""
    return modality_of({"type": project_type}) is IMAGE_TASK


def tasks_of(client: FastLabelClient, modality: Modality) -> ModalityTasks:
    """The group of the client's methods for tasks of this kind."""
    return cast("ModalityTasks", getattr(client, modality.group))
