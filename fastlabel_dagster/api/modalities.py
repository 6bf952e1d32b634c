"""Every kind of task in one table: where it lives, which files it takes, how many come on a page, what may be set.

Both faces of the client, the checks before anything is sent, and the API page in the documentation read this table and
nothing else. The figures are those of the official SDK 0.26.0 (a megabyte is 1024² bytes; exactly the limit passes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fastlabel_dagster.api.file_rules import AUDIO, DICOM_ZIP, IMAGE, MULTI_IMAGE, PCD, TEXT, VIDEO, FileRule

Source = Literal["file", "folder", "zip", "nothing", "not creatable"]
"""What a task is made from: a file or a folder of files in the request itself, a zip beside it, no file at all."""

FOLDER_FRAMES: Final = 250
"""The most frames of a sequential task."""

_STATES = ("status", "external_status")
_ANNOTATED = (*_STATES, "priority", "annotations", "tags", "metadatas")
_CLASSIFIED = (*_STATES, "priority", "attributes", "tags")


@dataclass(frozen=True)
class Modality:
    """One kind of task.

    Attributes:
        key: its name in the SDK's methods, as in `create_{key}_task`.
        group: its name on the client, as in `client.video_tasks`.
        path: the endpoint below the base URL.
        page_default: the `limit` of the SDK's list method when none is given.
        page_maximum: the longest page that the API hands out.
        checked_by_sdk: whether the SDK refuses a longer one itself.
        source: what a new task is made from.
        file: the rule for that file, or for each file of the folder; None where there is none.
        most_files: how many files a folder may hold.
        create, update: the fields that may be set, besides the twelve user keywords.
        content_on_create, content_on_update: what every annotation's `content` becomes: the task's name, nothing, or
            what the caller wrote.
    """

    key: str
    group: str
    path: str
    page_default: int = 100
    page_maximum: int = 1000
    checked_by_sdk: bool = True
    source: Source = "file"
    file: FileRule | None = None
    most_files: int = 1
    create: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    content_on_create: Literal["name", "kept"] = "name"
    content_on_update: Literal["empty", "kept"] = "empty"


def _annotated(key: str, path: str, file: FileRule) -> Modality:
    return Modality(key, f"{key}_tasks", path, file=file, create=_ANNOTATED, update=_ANNOTATED)


def _classified(key: str, path: str, file: FileRule, *also: str) -> Modality:
    return Modality(
        key,
        f"{key}_tasks",
        path,
        checked_by_sdk=False,
        file=file,
        create=(*_CLASSIFIED, *also),
        update=_CLASSIFIED,
    )


IMAGE_TASK: Final = Modality(
    "image",
    "image_tasks",
    "tasks/image",
    file=IMAGE,
    create=(*_ANNOTATED, "custom_task_status", "is_delete_exif"),
    update=(*_ANNOTATED, "custom_task_status", "relations"),
)
IMAGE_CLASSIFICATION: Final = _classified("image_classification", "tasks/image/classification", IMAGE, "is_delete_exif")
MULTI_IMAGE_CLASSIFICATION: Final = Modality(
    "multi_image_classification",
    "multi_image_classification_tasks",
    "tasks/multi-image/classification",
    checked_by_sdk=False,
    source="folder",
    file=MULTI_IMAGE,
    most_files=6,
    create=(*_CLASSIFIED, "is_delete_exif"),
    update=_CLASSIFIED,
)
SEQUENTIAL_IMAGE: Final = Modality(
    "sequential_image",
    "sequential_image_tasks",
    "tasks/sequential-image",
    page_default=10,
    page_maximum=10,
    source="folder",
    file=IMAGE,
    most_files=FOLDER_FRAMES,
    create=(*_ANNOTATED, "is_delete_exif"),
    update=_ANNOTATED,
    content_on_create="kept",
    content_on_update="kept",
)
VIDEO_TASK: Final = Modality(
    "video",
    "video_tasks",
    "tasks/video",
    page_default=10,
    page_maximum=10,
    file=VIDEO,
    create=_ANNOTATED,
    update=_ANNOTATED,
)
VIDEO_CLASSIFICATION: Final = _classified("video_classification", "tasks/video/classification", VIDEO)
TEXT_TASK: Final = _annotated("text", "tasks/text", TEXT)
TEXT_CLASSIFICATION: Final = _classified("text_classification", "tasks/text/classification", TEXT)
AUDIO_TASK: Final = _annotated("audio", "tasks/audio", AUDIO)
AUDIO_CLASSIFICATION: Final = _classified("audio_classification", "tasks/audio/classification", AUDIO)
MULTI_MODAL_VIDEO_AUDIO: Final = Modality(
    "multi_modal_video_audio",
    "multi_modal_video_audio_tasks",
    "tasks/multi-modal-video-audio",
    page_default=10,
    page_maximum=10,
    source="not creatable",
)
PCD_TASK: Final = _annotated("pcd", "tasks/pcd", PCD)
SEQUENTIAL_PCD: Final = Modality(
    "sequential_pcd",
    "sequential_pcd_tasks",
    "tasks/sequential-pcd",
    page_default=10,
    page_maximum=10,
    source="folder",
    file=PCD,
    most_files=FOLDER_FRAMES,
    create=_ANNOTATED,
    update=_ANNOTATED,
    content_on_create="kept",
)
DICOM: Final = Modality(
    "dicom",
    "dicom_tasks",
    "tasks/dicom",
    source="zip",
    file=DICOM_ZIP,
    create=(*_STATES, "tags", "metadatas"),
    update=(*_STATES, "tags", "metadatas"),
)
ROBOTICS: Final = Modality(
    "robotics",
    "robotics_tasks",
    "tasks/robotics",
    page_maximum=100,
    source="nothing",
    create=(*_STATES, "priority", "tags", "operator", "metadatas"),
    update=(*_STATES, "priority", "tags", "operator", "annotations", "metadatas"),
    content_on_update="kept",
)

MODALITIES: Final = (
    IMAGE_TASK,
    IMAGE_CLASSIFICATION,
    MULTI_IMAGE_CLASSIFICATION,
    SEQUENTIAL_IMAGE,
    VIDEO_TASK,
    VIDEO_CLASSIFICATION,
    TEXT_TASK,
    TEXT_CLASSIFICATION,
    AUDIO_TASK,
    AUDIO_CLASSIFICATION,
    MULTI_MODAL_VIDEO_AUDIO,
    PCD_TASK,
    SEQUENTIAL_PCD,
    DICOM,
    ROBOTICS,
)
"""All of them, in the order of the documentation."""
