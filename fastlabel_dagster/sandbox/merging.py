"""The parts of a split picture, video or recording put together again under the name of the whole."""

from __future__ import annotations

import math
import re
from pathlib import PurePosixPath
from typing import Any

from fastlabel_dagster.sandbox.errors import missing

_KEYS = ("attributes", "color", "confidenceScore", "keypoints", "points", "rotation", "title", "type", "value")


def in_order(names: list[str], prefix: str) -> list[str]:
    """The names of the parts ``<prefix>/1.jpg``, ``<prefix>/2.jpg``, …, by their numbers."""
    parts = re.compile(rf"{re.escape(prefix)}/([0-9]+)\.[^/]+")
    found = {name: match for name in names if (match := parts.fullmatch(name))}
    return sorted(found, key=lambda name: int(found[name].group(1)))


def merge_pictures(prefix: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The boxes and polygons of the tiles of a picture at their place in the whole.

    Tiles lie row by row, as many across as down when their number is a square, else side by side. Annotations that a
    border cuts stay in pieces (the service joins them).
    """
    across = math.isqrt(len(parts))
    across = across if across * across == len(parts) else len(parts)
    annotations = []
    y = 0
    for start in range(0, len(parts), across):
        row = parts[start : start + across]
        x = 0
        for part in row:
            for one in part["annotations"]:
                if one["type"] in {"bbox", "polygon"}:
                    points = [value + (y if index % 2 else x) for index, value in enumerate(one["points"])]
                    annotations.append({**one, "points": points})
            x += part.get("width") or 0
        y += max(part.get("height") or 0 for part in row)
    return {"name": _whole(prefix, parts), "annotations": [_with_defaults(one) for one in annotations]}


def merge_recordings(prefix: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The annotations of the parts of a recording one after the other. A part's length is not known to the sandbox, so
    times stay those of the part."""
    annotations = [one for part in parts for one in part["annotations"]]
    return {"name": _whole(prefix, parts), "annotations": annotations}


def merge_videos(prefix: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The first part as a task of the whole's length, with the annotations of all parts at their frames."""
    annotations = []
    frames, seconds = 0, 0.0
    for part in parts:
        for one in part["annotations"]:
            points = {str(int(frame) + frames): value for frame, value in one["points"].items()}
            annotations.append({**one, "points": points})
        frames += part.get("frameCount") or 0
        seconds += part.get("duration") or 0.0
    whole = {"name": _whole(prefix, parts), "frameCount": frames, "duration": seconds, "annotations": annotations}
    return {**parts[0], **whole}


MERGERS = {"image": merge_pictures, "video": merge_videos, "audio": merge_recordings}


def merge(modality: str, prefix: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The parts as one task; a 404 when there are none."""
    if not parts:
        raise missing("Task is not found.")
    return MERGERS[modality](prefix, parts)


def _whole(prefix: str, parts: list[dict[str, Any]]) -> str:
    return prefix + PurePosixPath(parts[0]["name"]).suffix


def _with_defaults(one: dict[str, Any]) -> dict[str, Any]:
    return {"confidenceScore": -1, "keypoints": [], "rotation": 0, **{key: one[key] for key in _KEYS if key in one}}
