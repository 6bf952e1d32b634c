"""Steps of this package: FastLabel's JSON, its mirror, and datasets of other formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.conversions.registry import STEPS, Step, Work


def _ours(format: str, **options: Any) -> Step:
    """FastLabel's JSON on disk -> a dataset on disk."""

    def prepare(source: Path, out: Path) -> Work:
        from fastlabel_dagster import formats

        return lambda: formats.write(
            formats.read(source, format="fastlabel"), format=format, target=out, pictures=False, **options
        )

    return prepare


def _from_mirror(format: str, **options: Any) -> Step:
    """The mirror of the same labels -> a dataset on disk."""

    def prepare(source: Path, out: Path) -> Work:
        from fastlabel_dagster import LabelMirror, formats

        mirror = LabelMirror(source / "mirror")
        return lambda: formats.write(mirror.read(), format=format, target=out, pictures=False, **options)

    return prepare


def _ours_reads(format: str, **options: Any) -> Step:
    def prepare(source: Path, out: Path) -> Work:
        from fastlabel_dagster import formats

        return lambda: formats.read(source, format=format, **options).tasks.num_rows

    return prepare


def _ours_converts(before: str, after: str, **options: Any) -> Step:
    def prepare(source: Path, out: Path) -> Work:
        from fastlabel_dagster import formats

        return lambda: formats.write(
            formats.read(source, format=before), format=after, target=out, pictures=False, **options
        )

    return prepare


for _name, _options in (
    ("coco", {}),
    ("yolo", {"split": None}),
    ("yolo-segment", {"split": None, "task": "segment"}),
    ("yolo-pose", {"split": None, "task": "pose"}),
    ("pascal_voc", {}),
    ("labelme", {}),
    ("semantic_masks", {}),
    ("instance_masks", {}),
):
    STEPS[f"ours {_name}"] = _ours(_name.partition("-")[0], **_options)
    STEPS[f"mirror {_name}"] = _from_mirror(_name.partition("-")[0], **_options)
for _name in ("coco", "yolo", "pascal_voc", "labelme"):
    STEPS[f"ours read {_name}"] = _ours_reads(_name)
STEPS["ours coco>yolo"] = _ours_converts("coco", "yolo", split=None)
STEPS["ours coco>pascal_voc"] = _ours_converts("coco", "pascal_voc")
