"""Semantic masks: every pixel has the number of its class."""

from __future__ import annotations

from functools import partial

from fastlabel_dagster.formats.masks.read import read_semantic
from fastlabel_dagster.formats.masks.write import SEMANTIC_INDEX, write_masks
from fastlabel_dagster.formats.registry import Format

FORMAT = Format(
    name="semantic_masks",
    summary="an index image per picture: each pixel's class",
    index=SEMANTIC_INDEX,
    write=partial(write_masks, instances=False),
    read=read_semantic,
    options={
        "palette": "sdk",
        "start_index": 1,
        "classes": "project",
        "pixels": "centers",
        "mask_folder": "masks",
    },
    read_options={"classes": None, "start_index": 1, "split_components": False, "mask_folder": None},
)
