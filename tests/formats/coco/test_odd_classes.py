"""Classes whose JSON has values strict JSON has no word for: no export fails because of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fastlabel_dagster import formats

ODD = [float("nan"), "\ud800", 10**30, {"deep": "\ud800"}]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("format", ["coco", "coco_parquet", "coco_panoptic"])
def test_what_classes_say_besides(tmp_path: Path, bench: Any, format: str, odd: Any) -> None:
    declared = {"key": "kind", "name": "Kind", "type": "text", "order": 1, "options": [], "hint": odd}
    classes = [
        bench.klass("dog", maxAreaCount=odd, supercategory=odd),
        bench.klass("cat", isthing=0, attributes=[declared]),
    ]
    content = bench.labels(bench.task("a.jpg", bench.shape("bbox", [1, 2, 30, 40], "dog")), classes=classes)
    formats.write(content, format=format, target=tmp_path / "out")
    back = formats.read(tmp_path / "out", format=format)
    assert set(back.classes["value"].to_pylist()) == {"cat", "dog"}
    for path in (tmp_path / "out").glob("*.json"):
        json.loads(path.read_bytes(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
