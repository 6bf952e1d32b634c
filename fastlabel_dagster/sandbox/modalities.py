"""What the kinds of tasks have in common and what sets them apart, a row each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastlabel_dagster.sandbox.errors import invalid

STATUSES = ("registered", "completed", "skipped", "reviewed", "sent_back", "approved", "declined", "pending")
EXTERNAL_STATUSES = (*STATUSES, "customer_declined")
PRIORITIES = (0, 10, 20, 30)

#: Request fields that name people; answers carry the first six.
PEOPLE = ("assignee", "reviewer", "approver", "externalAssignee", "externalReviewer", "externalApprover")
WORKFLOW_PEOPLE = tuple(f"workflow{step}User" for step in range(1, 7))

ANNOTATION_TYPES = (
    "bbox",
    "polygon",
    "keypoint",
    "line",
    "circle",
    "segmentation",
    "classification",
    "pose_estimation",
    "ner",
    "cuboid",
    "sub_task",
)
ATTRIBUTE_TYPES = ("text", "number", "select", "radio", "checkbox", "switch")

_PROJECT_FAMILIES = (
    "sequential_image",
    "multi_image",
    "image",
    "video",
    "text",
    "audio",
    "sequential_pcd",
    "pcd",
    "dicom",
    "robotics",
    "multi_modal",
)


@dataclass(frozen=True)
class Modality:
    """One kind of task: its place in the API and what its answer holds besides the common keys.

    ``fields`` are the keys between ``name`` and ``status``; ``measure`` reads them from the uploaded bytes and raises a
    422 for bytes it cannot read. ``labels`` is ``annotations``, or ``attributes`` for classification.
    """

    name: str
    path: str
    family: str
    extensions: tuple[str, ...]
    most_bytes: int
    most_per_page: int
    measure: Callable[[bytes], dict[str, Any]]
    labels: str = "annotations"

    def check_file(self, name: str, content: bytes) -> None:
        """Raise a 422 when the file's extension or size is not accepted."""
        if not name.lower().endswith(self.extensions):
            raise invalid(f"Supported extensions are {', '.join(e.lstrip('.') for e in self.extensions)}.")
        if len(content) > self.most_bytes:
            raise invalid(f"Supported size is under {self.most_bytes >> 20} MB.")


def measure_image(content: bytes) -> dict[str, Any]:
    """``width`` and ``height`` of an image in pixels, as stored (EXIF rotation not applied). A 422 when it is
    corrupt."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    import cv2
    import numpy as np

    pixels = None
    if content:
        try:
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error:  # absurd sizes in the header make OpenCV raise in place of answering None
            pixels = None
    if pixels is None:
        raise invalid("The image is corrupt or of an unsupported format.")
    return {"width": int(pixels.shape[1]), "height": int(pixels.shape[0])}


MODALITIES = (
    Modality("image", "image", "image", (".png", ".jpg", ".jpeg"), 20 << 20, 1000, measure_image),
    Modality(
        "image_classification",
        "image/classification",
        "image",
        (".png", ".jpg", ".jpeg"),
        20 << 20,
        1000,
        measure_image,
        labels="attributes",
    ),
)
BY_NAME = {modality.name: modality for modality in MODALITIES}


def family(project_type: str) -> str | None:
    """The modality family of a project type: ``image_bbox`` is of ``image``. None when it is not a known one."""
    for name in _PROJECT_FAMILIES:
        if project_type == name or project_type.startswith(f"{name}_"):
            return name
    return None


def modality_of(project_type: str) -> str:
    """The name of the modality whose tasks a project of this type holds."""
    kind = family(project_type) or "image"
    return f"{kind}_classification" if project_type.endswith("classification") else kind
