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
_MB = 1 << 20


@dataclass(frozen=True)
class Modality:
    """One kind of task: its place in the API and what its answer holds besides the common keys.

    ``source`` says what a request brings: one ``file`` (base64), several ``contents``, the key of an uploaded
    ``archive``, or ``nothing``. ``most_files`` bounds contents. ``fields`` are the keys between ``name`` and ``status``
    and ``measure`` reads them from the uploaded bytes; it raises a 422 for bytes it cannot read. ``place`` is where the
    answer has its links: ``url``, ``contents`` or ``none``. ``labels`` is ``annotations``, or ``attributes`` for
    classification; ``shape`` is how annotations say where they are (see :mod:`fastlabel_dagster.sandbox.shapes`).
    ``page`` and ``most_per_page`` are the default and the largest page of a list.
    """

    name: str
    path: str
    extensions: tuple[str, ...] = ()
    most_bytes: int = 0
    measure: Callable[[bytes], dict[str, Any]] = lambda content: {}
    fields: tuple[str, ...] = ()
    labels: str = "annotations"
    shape: str = "plain"
    source: str = "file"
    place: str = "url"
    most_files: int = 1
    page: int = 100
    most_per_page: int = 1000

    def check_file(self, name: str, content: bytes) -> None:
        """Raise a 422 when the file's extension or size is not accepted."""
        self.check_name(name)
        if len(content) > self.most_bytes:
            raise invalid(f"Supported size is under {self.most_bytes >> 20} MB.")
        if not content:
            raise invalid("The file is empty.")

    def check_name(self, name: str) -> None:
        """Raise a 422 when the file's extension is not accepted."""
        if not name.lower().endswith(self.extensions):
            raise invalid(f"Supported extensions are {', '.join(e.lstrip('.') for e in self.extensions)}.")


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


def measure_picture(content: bytes) -> dict[str, Any]:
    """As :func:`measure_image`, and GIF too, of which the header alone is read."""
    if content[:6] in {b"GIF87a", b"GIF89a"} and len(content) >= 10:
        return {
            "width": int.from_bytes(content[6:8], "little"),
            "height": int.from_bytes(content[8:10], "little"),
        }
    return measure_image(content)


def measure_video(content: bytes) -> dict[str, Any]:
    """``width`` and ``height`` in pixels, ``fps``, ``frameCount`` and ``duration`` (seconds) of an H.264 video. A 422
    for one that cannot be read and for another codec."""
    measured, codec = probe_video(content)
    if codec.lower() not in {"avc1", "h264"}:
        raise invalid("Supported video encoding is AVC/H.264 only.")
    return measured


def probe_video(content: bytes) -> tuple[dict[str, Any], str]:
    """What :func:`measure_video` answers, and the four letters of the codec, whichever it is."""
    import tempfile

    import cv2

    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(content)
        file.flush()
        capture = cv2.VideoCapture(file.name)
        try:
            wanted = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT)
            width, height, fps, frames = (capture.get(one) for one in wanted)
            codec = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("latin-1")
            opened = capture.isOpened()
        finally:
            capture.release()
    if not opened or width < 1 or height < 1 or fps <= 0 or frames < 1:
        raise invalid("The video is corrupt or of an unsupported format.")
    measured = {
        "width": int(width),
        "height": int(height),
        "fps": fps,
        "frameCount": int(frames),
        "duration": round(frames / fps, 3),
    }
    return measured, codec


_IMAGES = (".png", ".jpg", ".jpeg")
_SOUNDS = (".mp3", ".wav", ".m4a")
_SIZE = ("width", "height")
_VIDEO = (*_SIZE, "fps", "frameCount", "duration")

MODALITIES = (
    Modality("image", "image", _IMAGES, 20 * _MB, measure_image, _SIZE),
    Modality("image_classification", "image/classification", _IMAGES, 20 * _MB, measure_image, _SIZE, "attributes"),
    Modality(
        "multi_image_classification",
        "multi-image/classification",
        (*_IMAGES, ".gif"),
        20 * _MB,
        measure_picture,
        labels="attributes",
        source="contents",
        place="contents",
        most_files=6,
    ),
    Modality(
        "sequential_image",
        "sequential-image",
        _IMAGES,
        20 * _MB,
        measure_image,
        shape="frame",
        source="contents",
        place="contents",
        most_files=250,
        page=10,
        most_per_page=10,
    ),
    Modality("video", "video", (".mp4",), 250 * _MB, measure_video, _VIDEO, shape="frames", page=10, most_per_page=10),
    Modality("video_classification", "video/classification", (".mp4",), 250 * _MB, measure_video, _VIDEO, "attributes"),
    Modality("text", "text", (".txt",), 2 * _MB, shape="text"),
    Modality("text_classification", "text/classification", (".txt",), 2 * _MB, labels="attributes"),
    Modality("audio", "audio", _SOUNDS, 120 * _MB, shape="audio"),
    Modality("audio_classification", "audio/classification", _SOUNDS, 120 * _MB, labels="attributes"),
    Modality(
        "multi_modal_video_audio",
        "multi-modal-video-audio",
        fields=_VIDEO,
        shape="any",
        source="nowhere",
        page=10,
        most_per_page=10,
    ),
    Modality("pcd", "pcd", (".pcd",), 100 * _MB, shape="pcd"),
    Modality(
        "sequential_pcd",
        "sequential-pcd",
        (".pcd",),
        100 * _MB,
        shape="pcd_frames",
        source="contents",
        place="none",
        most_files=250,
        page=10,
        most_per_page=10,
    ),
    Modality("dicom", "dicom", (".zip",), 2000 * _MB, fields=_SIZE, shape="dicom", source="archive"),
    Modality("robotics", "robotics", shape="robotics", source="nothing", place="contents", most_per_page=100),
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
    if kind == "multi_modal":
        return "multi_modal_video_audio"
    classified = f"{kind}_classification"
    if project_type.endswith("classification") and classified in BY_NAME:
        return classified
    return kind if kind in BY_NAME else classified
