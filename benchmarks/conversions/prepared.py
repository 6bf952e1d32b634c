"""Datasets that readers and other converters start from, and mirrors, made once from the FastLabel JSON."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from benchmarks.conversions.inputs import CLASSES, HEIGHT, WIDTH


def dataset(source: Path, format: str, **options: Any) -> Path:
    """The dataset our writer makes of an input, with a picture for every task (all the same grey one)."""
    from fastlabel_dagster import formats

    place = source.parent / "-".join([source.name, format, *(str(value) for value in options.values() if value)])
    if place.exists():
        return place
    labels = formats.read(source, format="fastlabel")
    formats.write(labels, format=format, target=place, pictures=False, **options)
    names = labels.tasks["name"].to_pylist()
    folder = {"yolo": "images/train", "pascal_voc": "JPEGImages", "labelme": "images", "coco": "images"}.get(format)
    if folder is not None:
        _pictures(source.parent, place / folder, names)
    return place


def sdk_yolo(source: Path) -> Path:
    """YOLO the way the SDK reads it: pictures and label files in one folder, ``classes.txt`` beside it."""
    place = source.parent / f"{source.name}-sdk-yolo"
    if place.exists():
        return place
    ours = dataset(source, "yolo", split=None)
    shutil.copytree(ours / "labels" / "train", place / "train")
    for picture in (ours / "images" / "train").iterdir():
        os.link(picture, place / "train" / picture.name)
    (place / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    return place


def mirror(source: Path) -> None:
    """A mirror of the input at ``<input>/mirror``, synced from a sandbox."""
    import orjson

    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.sandbox import Sandbox
    from fastlabel_dagster.sync import sync_project

    place = source / "mirror"
    if place.exists():
        return
    with Sandbox(source.parent / f"{source.name}-sandbox") as sandbox:
        sandbox.state.create_project("bench", type="image_all")
        for row in orjson.loads((source / "classes.json").read_bytes()):
            more = {"color": row["color"], "order": row["order"], "keypoints": row["keypoints"]}
            sandbox.state.create_class("bench", row["type"], row["value"], row["title"], **more)
        sandbox.state.add_tasks("bench", orjson.loads((source / "tasks.json").read_bytes()), validate=False)
        with FastLabelClient(sandbox.token, sandbox.url) as client:
            sync_project(client, "bench", source, confirm=False)
    shutil.move(source / "labels", place)
    shutil.rmtree(source.parent / f"{source.name}-sandbox")


def _pictures(folder: Path, target: Path, names: list[str]) -> None:
    import cv2
    import numpy as np

    picture = folder / "grey.jpg"
    if not picture.exists():
        cv2.imwrite(str(picture), np.full((HEIGHT, WIDTH, 3), 127, np.uint8))
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        os.link(picture, target / name)
