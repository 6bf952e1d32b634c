"""Many run-length masks traced together have the outlines each has by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fastlabel_dagster.formats import read
from fastlabel_dagster.formats.coco.masks import regions_of, run_mask
from fastlabel_dagster.labels import raster


def runs_of(mask: raster.Mask) -> dict[str, Any]:
    flat = mask.T.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return {"counts": [0, *counts] if flat[0] else counts, "size": list(mask.shape)}


@pytest.mark.parametrize("canvas", [1, 200, 2**19])
def test_they_are_the_same(canvas: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastlabel_dagster.formats.coco.masks._CANVAS_PIXELS", canvas)
    random = np.random.default_rng(3)
    masks = [random.random(random.integers(1, 12, 2)) < share for share in np.linspace(0.05, 1, 60)]
    masks = [mask for mask in masks if mask.any()]
    found = [run_mask(runs_of(mask)) for mask in masks]
    assert regions_of([one for one in found if one is not None]).to_pylist() == [
        raster.mask_to_regions(mask) for mask in masks
    ]
    for one, mask in zip(found, masks, strict=True):
        assert one is not None
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert one.box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert (one.area, one.size) == (mask.sum(), mask.shape[::-1])


def test_runs_without_a_pixel_do_not_count() -> None:
    one = run_mask({"counts": [0, 2, 0, 2, 3, 0, 2], "size": [3, 3]})
    assert one is not None
    assert (one.area, one.box) == (4, (0, 0, 2, 3))
    assert regions_of([one]).to_pylist() == [raster.mask_to_regions(raster.rle_to_mask([0, 4, 5], 3, 3))]
    assert run_mask({"counts": [9], "size": [3, 3]}) is None
    assert run_mask({"counts": [4, 0, 5], "size": [3, 3]}) is None
    assert regions_of([]).to_pylist() == []


@pytest.mark.parametrize("counts", [[8], [10, -1], [[4, 5]], None, "0", ["x"], [], [*[2**62] * 4, 9]])
def test_damaged_ones_are_refused(counts: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        run_mask({"counts": counts, "size": [3, 3]})


@pytest.mark.parametrize(
    ("counts", "size"),
    [
        ([0, 1, 2**31 - 2, 1], [1, 2**31]),  # its columns reach from one end to the other
        ([0, 1, 2**31 - 1], [2**31, 1]),
        ([1, 1, 2**32 - 2], [2**16, 2**16]),
    ],
)
def test_those_that_no_memory_holds_are_refused(counts: list[int], size: list[int]) -> None:
    with pytest.raises(ValueError, match="pixels"):
        run_mask({"counts": counts, "size": size})


def test_a_thousand_masks_are_kept_small(tmp_path: Path) -> None:
    y, x = np.mgrid[:100, :100]
    masks = [runs_of(abs(x - 50) + abs(y - 50) <= 30 + number % 15) for number in range(1_200)]
    content = {
        "images": [{"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 100} for number in range(600)],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [
            {"id": number + 1, "image_id": number * 7 % 600, "category_id": 1, "segmentation": mask, "iscrowd": 0}
            for number, mask in enumerate(masks)
        ],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    before = pa.total_allocated_bytes()
    labels = read(tmp_path, format="coco")
    kept = pa.total_allocated_bytes() - before
    assert kept < sum(part.nbytes for part in labels.batches()) / 2
    rows = labels.annotations.to_pylist()
    found = {row["annotation_id"]: (row["task_name"], row["regions"]) for row in rows}
    assert len(rows) == 1_200
    for number, mask in enumerate(masks):
        pixels = raster.rle_to_mask(mask["counts"], 100, 100)
        name, regions = found[str(number + 1)]
        assert name == f"{number * 7 % 600}.jpg" and regions == raster.mask_to_regions(pixels)
