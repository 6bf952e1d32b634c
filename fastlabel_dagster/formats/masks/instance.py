"""Instance masks: every pixel has the number of the object it belongs to."""

from __future__ import annotations

from functools import partial

from fastlabel_dagster.formats.masks.read import read_instances
from fastlabel_dagster.formats.masks.write import INSTANCE_INDEX, write_masks
from fastlabel_dagster.formats.registry import Format

FORMAT = Format(
    name="instance_masks",
    summary="an index image per picture: each pixel's object",
    index=INSTANCE_INDEX,
    write=partial(write_masks, instances=True),
    read=read_instances,
    options={"palette": "sdk", "start_index": 1, "pixels": "centers", "mask_folder": "masks"},
    read_options={"value": "object", "mask_folder": None},
)
