"""The index of the images beside the labels."""

from __future__ import annotations

import pyarrow as pa
import pytest

from fastlabel_dagster.store import ImageFolder, Store

ROWS = [
    {"task_id": "t2", "name": "b.jpg", "file": "b.jpg", "bytes": 3, "sha256": "22", "width": 640, "height": 480},
    {"task_id": "t1", "name": "a.jpg", "file": "x/a.jpg", "bytes": 2, "sha256": "11", "width": None, "height": None},
]


def test_an_index_comes_back(store: Store) -> None:
    images = ImageFolder(store.at("images"))
    assert images.table.num_rows == 0
    assert images.files() == {}
    images.save(pa.Table.from_pylist(ROWS))
    assert images.table.to_pylist() == [ROWS[1], ROWS[0]]
    assert ImageFolder(store.at("images")).files() == {"t1": "x/a.jpg", "t2": "b.jpg"}
    assert images.store == store.at("images")


def test_equal_rows_give_equal_bytes_and_digests(local_store: Store, s3_store: Store) -> None:
    one, other = ImageFolder(local_store), ImageFolder(s3_store)
    empty = one.digest()
    one.save(pa.Table.from_pylist(ROWS))
    other.save(pa.Table.from_pylist(ROWS[::-1]))
    assert local_store.read_bytes("index.parquet") == s3_store.read_bytes("index.parquet")
    assert empty != one.digest() == other.digest()
    other.save(pa.Table.from_pylist([ROWS[0], {**ROWS[1], "sha256": "12"}]))
    assert one.digest() != other.digest()


def test_missing_columns_are_null_and_others_are_left_out(local_store: Store) -> None:
    images = ImageFolder(local_store)
    images.save(pa.table({"task_id": ["t"], "file": ["a.jpg"], "note": ["x"], "bytes": pa.array([1], pa.int32())}))
    assert images.table.to_pylist() == [
        {"task_id": "t", "name": None, "file": "a.jpg", "bytes": 1, "sha256": None, "width": None, "height": None}
    ]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("t", "a"), ("t", "b")], "same task_id"),
        ([("t", "a"), ("u", "a")], "same file"),
        ([("t", "../a")], "no path"),
        ([("t", "index.parquet")], "the index itself"),
        ([("t", None)], "without file"),
    ],
)
def test_rows_that_cannot_be(local_store: Store, rows: list[tuple[str, str]], reason: str) -> None:
    table = pa.table({"task_id": [row[0] for row in rows], "file": pa.array([row[1] for row in rows], pa.string())})
    with pytest.raises(ValueError, match=reason):
        ImageFolder(local_store).save(table)
    assert list(local_store.list()) == []


def test_an_index_without_files_is_refused(local_store: Store) -> None:
    with pytest.raises(ValueError, match="needs the column file"):
        ImageFolder(local_store).save(pa.table({"task_id": ["t"]}))
