"""The sandbox's auto-annotation: finds things by their colour. No model, but honest work on real pixels.

A class is looked for by the hues the drawn scenes paint it in, else by the hue of its own colour; every large enough
patch of it becomes an annotation of the class's type, with a confidence that grows with how well the patch fills its
box.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.sandbox.scene_classes import PAINT_SATURATION, PAINTS

if TYPE_CHECKING:
    from fastlabel_dagster.sandbox.state import SandboxState

_HUE_TOLERANCE = 5  # of OpenCV's 180
_SMALLEST_SHARE = 0.0006  # of the image's area
_MOST_PER_CLASS = 20
_TYPES = ("bbox", "polygon", "segmentation")


def annotate_tasks(state: SandboxState, project: int, request: dict[str, Any]) -> tuple[int, int]:
    """Annotate the pictures of a project (by the database's number) that have no annotations, or all of them with
    ``updateExisting``; answers how many pictures were looked at and how many annotations were made."""
    slug = state.projects.slug_of(project)
    classes = [one for one in state.classes.listed(slug) if one["type"] in _TYPES]
    threshold = float(request.get("confidenceThreshold", 0.4))
    seen = made = 0
    for task_id in state.tasks.ids(slug, empty=not request.get("updateExisting")):
        key = state.tasks.file_of(task_id)
        pixels = None if key is None else cv2.imread(str(state.files.path(key)), cv2.IMREAD_COLOR)
        if pixels is None:
            continue
        seen += 1
        found = [one for one in find_shapes(pixels, classes) if one["confidenceScore"] >= threshold]
        if found:
            made += len(found)
            state.tasks.update(task_id, {"annotations": found}, strict=False)
    return seen, made


def detect_and_draw(content: bytes) -> tuple[list[dict[str, Any]], bytes]:
    """What is found on a picture (encoded bytes) as ``{value, confidenceScore, points}`` boxes, and the picture with
    them drawn on it as PNG."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None, "the caller has measured it"
    classes = [{"type": "bbox", "value": value, "color": "#000000"} for value in PAINTS]
    found = find_shapes(pixels, classes)
    for one in found:
        x1, y1, x2, y2 = (round(number) for number in one["points"])
        cv2.rectangle(pixels, (x1, y1), (x2, y2), (0, 0, 255), 2)
    done, drawn = cv2.imencode(".png", pixels)
    assert done
    return [{key: one[key] for key in ("value", "confidenceScore", "points")} for one in found], drawn.tobytes()


def find_shapes(pixels: NDArray[Any], classes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Annotations for the coloured patches of ``pixels`` (uint8[h, w, 3], BGR), the classes in their order."""
    hsv = cv2.cvtColor(pixels, cv2.COLOR_BGR2HSV)
    smallest = max(40.0, _SMALLEST_SHARE * pixels.shape[0] * pixels.shape[1])
    annotations = []
    for one in classes:
        patches = []
        for hue in PAINTS.get(one["value"]) or (_hue(one["color"]),):
            mask = _mask(hsv, hue)
            outlines, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
            for index, outline in enumerate(outlines):
                if tree[0][index][3] == -1 and cv2.contourArea(outline) >= smallest:
                    holes = _holes(outlines, tree[0], index, smallest / 4)
                    patches.append((cv2.contourArea(outline), outline, holes))
        patches.sort(key=lambda patch: -patch[0])
        annotations += [_annotation(one, area, outline, holes) for area, outline, holes in patches[:_MOST_PER_CLASS]]
    return annotations


def _mask(hsv: NDArray[Any], hue: int) -> NDArray[Any]:
    distance = np.abs(hsv[..., 0].astype(np.int16) - hue)
    near = np.minimum(distance, 180 - distance) <= _HUE_TOLERANCE
    mask = (near & (hsv[..., 1] >= PAINT_SATURATION) & (hsv[..., 2] >= 60)).astype(np.uint8)
    return cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))


def _holes(outlines: Any, tree: NDArray[Any], index: int, smallest: float) -> list[NDArray[Any]]:
    holes = []
    child = tree[index][2]
    while child != -1:
        if cv2.contourArea(outlines[child]) >= smallest:
            holes.append(outlines[child])
        child = tree[child][0]
    return holes


def _annotation(one: dict[str, Any], area: float, outline: NDArray[Any], holes: list[NDArray[Any]]) -> dict[str, Any]:
    x, y, width, height = (float(number) for number in cv2.boundingRect(outline))
    points: Any = [x, y, x + width, y + height]
    if one["type"] == "polygon":
        points = _ring(outline)
    elif one["type"] == "segmentation":
        rings = [_ring(outline), *(_ring(hole) for hole in holes)]
        points = [[[*ring, *ring[:2]] for ring in rings]]
    confidence = round(min(0.99, 0.5 + 0.5 * area / (width * height)), 4)
    return {"type": one["type"], "value": one["value"], "points": points, "confidenceScore": confidence}


def _ring(outline: NDArray[Any]) -> list[float]:
    simple = cv2.approxPolyDP(outline, 1.0, closed=True)
    if len(simple) < 3:
        simple = outline
    return [float(number) for number in (simple.reshape(-1, 2) + 0.5).ravel()]


def _hue(color: str) -> int:
    blue, green, red = (int(color[at : at + 2], 16) for at in (5, 3, 1))
    return int(cv2.cvtColor(np.array([[[blue, green, red]]], np.uint8), cv2.COLOR_BGR2HSV)[0, 0, 0])
