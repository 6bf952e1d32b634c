"""Masks of small projects, ours and the official SDK's, as Pillow sees them."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from fastlabel_dagster import formats, labels


class Seen:
    """A mask as Pillow reads it."""

    def __init__(self, path):
        with Image.open(path) as image:
            self.mode, self.palette, self.pixels = image.mode, image.getpalette(), np.array(image)

    def counts(self):
        return dict(zip(*(found.tolist() for found in np.unique(self.pixels, return_counts=True)), strict=True))


@pytest.fixture
def ours(tmp_path):
    """Write tasks as masks: the report, and the masks by name."""

    def write(tasks, format="instance_masks", project=(), order=None, **options):
        if order is not None:
            options["classes"] = order
        target = tmp_path / format
        content = labels.from_fastlabel(tasks, list(project))
        report = formats.write(content, format=format, target=target, **options)
        place = target / options.get("mask_folder", "masks")
        return report, {path.relative_to(place).as_posix(): Seen(path) for path in sorted(place.rglob("*.png"))}

    return write


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """The same by the SDK."""
    fastlabel = pytest.importorskip("fastlabel")
    monkeypatch.setenv("FASTLABEL_ACCESS_TOKEN", "unused")
    client = fastlabel.Client()

    def write(tasks, format="instance_masks", **options):
        export = {
            "instance_masks": client.export_instance_segmentation,
            "semantic_masks": client.export_semantic_segmentation,
        }[format]
        target = tmp_path / "sdk"
        export(tasks, output_dir=str(target), **options)
        return {os.path.relpath(path, target): Seen(path) for path in sorted(target.rglob("*.png"))}

    return write
