"""What the drawn street scenes hold: their annotation classes and the colours things are painted in."""

from __future__ import annotations

from typing import Any

#: The annotation classes of a scene, in the order they are created.
CLASSES: tuple[dict[str, Any], ...] = (
    {
        "type": "bbox",
        "value": "car",
        "title": "車",
        "color": "#e6194b",
        "attributes": [
            {
                "key": "motion",
                "name": "動き",
                "type": "select",
                "options": [{"title": "走行中", "value": "moving"}, {"title": "停車中", "value": "parked"}],
            },
            {"key": "doors", "name": "ドア数", "type": "number"},
        ],
    },
    {
        "type": "bbox",
        "value": "truck",
        "title": "トラック",
        "color": "#f58231",
        "attributes": [{"key": "company", "name": "Company", "type": "text"}],
    },
    {"type": "bbox", "value": "marking", "title": "路面標示", "color": "#ffe119", "attributes": []},
    {
        "type": "polygon",
        "value": "sign",
        "title": "標識",
        "color": "#4363d8",
        "attributes": [
            {
                "key": "kind",
                "name": "種類",
                "type": "radio",
                "options": [
                    {"title": "Warning", "value": "warning"},
                    {"title": "止まれ", "value": "stop"},
                    {"title": "Information", "value": "information"},
                ],
            }
        ],
    },
    {
        "type": "segmentation",
        "value": "tree",
        "title": "樹木",
        "color": "#3cb44b",
        "attributes": [
            {
                "key": "season",
                "name": "Season",
                "type": "checkbox",
                "options": [{"title": "Leaves", "value": "leaves"}, {"title": "花", "value": "flowers"}],
            }
        ],
    },
    {
        "type": "line",
        "value": "lane",
        "title": "車線",
        "color": "#42d4f4",
        "attributes": [{"key": "dashed", "name": "破線", "type": "switch"}],
    },
    {"type": "keypoint", "value": "lamp", "title": "街灯", "color": "#bfef45", "attributes": []},
    {"type": "circle", "value": "wheel", "title": "タイヤ", "color": "#911eb4", "attributes": []},
    {
        "type": "pose_estimation",
        "value": "person",
        "title": "歩行者",
        "color": "#f032e6",
        "attributes": [],
        "keypoints": [
            {"key": "head", "name": "頭", "edges": ["neck"]},
            {"key": "neck", "name": "首", "edges": ["head", "right_hand", "left_hand", "hip"]},
            {"key": "right_hand", "name": "右手", "edges": ["neck"]},
            {"key": "left_hand", "name": "左手", "edges": ["neck"]},
            {"key": "hip", "name": "腰", "edges": ["neck", "right_foot", "left_foot"]},
            {"key": "right_foot", "name": "右足", "edges": ["hip"]},
            {"key": "left_foot", "name": "左足", "edges": ["hip"]},
        ],
    },
)

#: The hues (OpenCV's, 0 to 179) things are painted in; nothing else in a scene is as saturated.
PAINTS: dict[str, tuple[int, ...]] = {
    "car": (0, 112, 95),
    "truck": (14,),
    "sign": (27,),
    "tree": (55,),
    "person": (150, 135),
}
#: Smallest saturation (0 to 255) of painted things.
PAINT_SATURATION = 150
