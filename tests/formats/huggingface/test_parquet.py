"""Hugging Face's Parquet: the schema its library reads types from, and the pictures byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from fastlabel_dagster import formats


def features_of(path: Path) -> dict[str, Any]:
    metadata = pq.read_schema(path).metadata
    return json.loads(metadata[b"huggingface"])["info"]["features"]


def read(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


def value(dtype: str) -> dict[str, str]:
    return {"dtype": dtype, "_type": "Value"}


def test_the_features_datasets_reads(bench, pictures, tmp_path) -> None:
    content = bench.labels(bench.task("a.png", bench.shape("bbox", [10, 20, 40, 60])))
    images = pictures(content, tmp_path / "images")
    report = formats.write(content, format="hf_parquet", target=tmp_path / "out", images=images)
    path = tmp_path / "out/data/train-00000-of-00001.parquet"
    assert features_of(path) == {
        "image": {"_type": "Image"},
        "image_id": value("int64"),
        "task_id": value("string"),
        "file_name": value("string"),
        "width": value("int64"),
        "height": value("int64"),
        "objects": {
            "feature": {
                "id": value("int64"),
                "area": value("float64"),
                "bbox": {"feature": value("float64"), "length": 4, "_type": "Sequence"},
                "category": {"names": ["dog"], "_type": "ClassLabel"},
                "iscrowd": value("int64"),
            },
            "_type": "Sequence",
        },
    }
    assert list(features_of(path)) == pq.read_schema(path).names
    (row,) = read(path)
    assert row["image"] == {"bytes": images.store.read_bytes("a.png"), "path": "a.png"}
    assert row["objects"] == {
        "id": [1],
        "area": [1200.0],
        "bbox": [[10.0, 20.0, 30.0, 40.0]],
        "category": [0],
        "iscrowd": [0],
    }
    _, head, _ = (tmp_path / "out/README.md").read_text().split("---\n")
    card = yaml.safe_load(head)
    assert [one["name"] for one in card["dataset_info"]["features"]] == list(features_of(path))
    assert card["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*"}]
    assert report.files == 2
    assert report.bytes == path.stat().st_size + (tmp_path / "out/README.md").stat().st_size


def test_without_pictures_there_are_their_names(bench, pictures, tmp_path) -> None:
    content = bench.labels(bench.task("b/a.png"), bench.task("c.png", width=None, height=None))
    images = pictures(content, tmp_path / "images")
    for options in ({"pictures": False}, {"images": images, "image_bytes": False}):
        report = formats.write(content, format="hf_parquet", target=tmp_path / "out", **options)
        path = tmp_path / "out/data/train-00000-of-00001.parquet"
        assert "image" not in features_of(path)
        assert [row["file_name"] for row in read(path)] == ["b/a.png", "c.png"]
        assert [row["objects"]["id"] for row in read(path)] == [[], []]
        assert report.dropped == ()
    assert [row["width"] for row in read(path)] == [100, 100]
    formats.write(content, format="hf_parquet", target=tmp_path / "out", pictures=False)
    assert [row["width"] for row in read(path)] == [100, None]


def test_a_task_without_a_picture_has_a_null_there(bench, pictures, tmp_path) -> None:
    content = bench.labels(bench.task("a.png", bench.shape("bbox", [0, 0, 1, 1])), bench.task("b.png"))
    images = pictures(content, tmp_path / "images")
    images.save(images.table.slice(0, 1))
    report = formats.write(content, format="hf_parquet", target=tmp_path / "out", images=images)
    rows = read(tmp_path / "out/data/train-00000-of-00001.parquet")
    assert [row["image"] is None for row in rows] == [False, True]
    assert report.written == 1
    assert [(note.type, note.count) for note in report.dropped] == [("image", 1)]


def test_splits_and_shards(bench, pictures, tmp_path) -> None:
    """Every row is in one shard of its split, the shards are numbered without gaps, row groups are small."""
    shape = bench.shape("bbox", [0, 0, 1, 1])
    tasks = [bench.task(f"{n:02}.png", shape, tags=["val"] if n % 4 == 0 else []) for n in range(40)]
    content = bench.labels(*tasks)
    images = pictures(content, tmp_path / "images")
    sizes = dict(zip(images.table["file"].to_pylist(), images.table["bytes"].to_pylist(), strict=True))
    limit = sum(sizes[task["name"]] for task in tasks if not task["tags"]) // 4 + 1
    options = {"images": images, "split": "tags", "file_bytes": limit}
    report = formats.write(content, format="hf_parquet", target=tmp_path / "out", **options)
    assert report.splits == {"train": 30, "validation": 10}
    names = sorted(path.name for path in (tmp_path / "out/data").iterdir())
    assert names == [f"train-{n:05}-of-00004.parquet" for n in range(4)] + [
        f"validation-{n:05}-of-00002.parquet" for n in range(2)
    ]
    files = [pq.ParquetFile(tmp_path / "out/data" / name) for name in names]
    groups = [file.read_row_group(n).to_pylist() for file in files for n in range(file.num_row_groups)]
    assert max(sum(sizes[row["file_name"]] for row in group) for group in groups) <= limit
    assert all(file.metadata.num_rows for file in files)
    rows = [row for file in files for row in file.read().to_pylist()]
    assert sorted(row["file_name"] for row in rows) == [task["name"] for task in tasks]
    assert all(row["image"]["bytes"] == images.store.read_bytes(row["file_name"]) for row in rows)
    assert sorted(one for row in rows for one in row["objects"]["id"]) == list(range(1, 41))
    assert report.files == len(names) + 1


def test_a_large_picture_leaves_no_number_out(bench, tmp_path) -> None:
    from fastlabel_dagster.store import ImageFolder, open_store

    store = open_store(tmp_path / "images")
    content = bench.labels(*(bench.task(f"{n}.png") for n in range(3)))
    for n, length in enumerate((10, 10, 1000)):
        store.write_bytes(f"{n}.png", bytes(length))
    images = ImageFolder(store)
    images.save(pa.table({"task_id": [f"id-{n}.png" for n in range(3)], "file": [f"{n}.png" for n in range(3)]}))
    formats.write(content, format="hf_parquet", target=tmp_path / "out", images=images, file_bytes=300)
    files = sorted((tmp_path / "out/data").iterdir())
    assert [path.name for path in files] == [f"train-{n:05}-of-00004.parquet" for n in range(4)]
    assert sum(pq.read_metadata(path).num_rows for path in files) == 3


def test_labels_of_pictures(bench) -> None:
    task = {**bench.task("a.jpg"), "attributes": [{"key": "kind", "value": "fold"}]}
    bench.write(task, bench.task("b.jpg"), format="hf_parquet", task="classify")
    path = bench.folder / "hf_parquet/data/train-00000-of-00001.parquet"
    assert features_of(path)["label"] == {"names": ["fold"], "_type": "ClassLabel"}
    assert [row["label"] for row in read(path)] == [0, None]


def test_categories_by_name(bench) -> None:
    bench.write(bench.task("a.jpg", bench.shape("bbox", [0, 0, 1, 1])), format="hf_parquet", category="name")
    path = bench.folder / "hf_parquet/data/train-00000-of-00001.parquet"
    assert features_of(path)["objects"]["feature"]["category"] == value("string")
    assert read(path)[0]["objects"]["category"] == ["dog"]


def test_the_same_labels_give_the_same_bytes(bench, tree) -> None:
    tasks = [bench.task(f"{n}.jpg", bench.shape("bbox", [0, 0, 1, n])) for n in range(5)]
    for place in ("one", "two"):
        formats.write(bench.labels(*tasks), format="hf_parquet", target=bench.folder / place)
    assert tree(bench.folder / "one") == tree(bench.folder / "two")


def test_real_photographs(coco_mini, tmp_path) -> None:
    import cv2
    import numpy as np

    content = formats.read(coco_mini, format="coco")
    report = formats.write(content, format="hf_parquet", target=tmp_path / "out", split={"train": 0.7, "val": 0.3})
    rows = [row for path in sorted((tmp_path / "out/data").iterdir()) for row in read(path)]
    assert len(rows) == 38
    assert sum(len(row["objects"]["id"]) for row in rows) == report.written == len(content.annotations)
    for row in rows:
        picture = cv2.imdecode(np.frombuffer(row["image"]["bytes"], np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[:2] == (row["height"], row["width"])


@pytest.mark.parametrize(
    "wrong", [{"task": "x"}, {"category": "x"}, {"split": {"a-b": 1}}, {"split": "x"}, {"file_bytes": 0}]
)
def test_options_are_checked(bench, wrong) -> None:
    with pytest.raises(ValueError, match=r"x|a-b|file_bytes"):
        bench.write(bench.task(), format="hf_parquet", **wrong)
