"""Folders that appear whole or not at all, on both kinds of store."""

from __future__ import annotations

import io
import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastlabel_dagster.store import Store, StoreError, open_store

LAST = ["index.json"]


def content(store: Store) -> dict[str, bytes]:
    return {found.path: store.read_bytes(found.path) for found in store.list()}


def write(store: Store, files: dict[str, bytes], *, replace: bool = False) -> None:
    with store.new_folder("coco", last=LAST, replace=replace) as folder:
        folder.write_many(files.items())


def test_a_folder_is_replaced_whole(store: Store) -> None:
    write(store, {"index.json": b"1", "images/a.jpg": b"A", "images/b.jpg": b"B"})
    assert content(store.at("coco")) == {"index.json": b"1", "images/a.jpg": b"A", "images/b.jpg": b"B"}
    write(store, {"images/b.jpg": b"B2", "index.json": b"2"})
    assert content(store.at("coco")) == {"index.json": b"2", "images/b.jpg": b"B2"}
    assert [found.path for found in store.list()] == ["coco/images/b.jpg", "coco/index.json"]


def test_many_files_are_all_there_and_counted(tmp_path: Path) -> None:
    """More of them than one thread is given at once, and more bytes."""
    store = open_store(tmp_path)
    files = {f"labels/{number % 7}/{number:04}.txt": b"%d\n" % number * (number % 50) for number in range(1500)}
    files |= {f"big/{number}.bin": bytes([number]) * 700_000 for number in range(9)} | {"index.json": b"1"}
    with store.new_folder("coco", last=LAST) as folder:
        folder.write_many(files.items())
        assert folder.bytes_written == sum(map(len, files.values()))
    assert content(store.at("coco")) == files


@pytest.mark.parametrize("number", [0, 700, 4999])
def test_what_fails_while_many_are_written_leaves_the_folder_as_it_was(tmp_path: Path, number: int) -> None:
    store = open_store(tmp_path)

    def files() -> Iterator[tuple[str, bytes]]:
        for each in range(5000):
            if each == number:
                raise RuntimeError("no more")
            yield f"labels/{each}.txt", b"new"

    write(store, {"index.json": b"1", "labels/0.txt": b"old"})
    with pytest.raises(RuntimeError, match="no more"), store.new_folder("coco", last=LAST) as folder:
        folder.write_many(files())
    assert content(store.at("coco")) == {"index.json": b"1", "labels/0.txt": b"old"}
    assert [found.path for found in store.list()] == ["coco/index.json", "coco/labels/0.txt"]


def test_the_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Names the system refuses, among many that are written by two threads."""
    place = tmp_path / "there"
    files = {f"labels/{number}.txt": b"x" for number in range(3000)}
    files[f"labels/{'long' * 100}.txt"] = b"x"
    files |= {f"more/{number}.txt": b"x" for number in range(3000)}
    with pytest.raises(StoreError, match=r"there/labels/(long){100}\.txt"), open_store(place).new_folder("") as folder:
        folder.write_many(files.items())
    assert list(tmp_path.iterdir()) == []


def test_who_interrupts_does_not_wait_for_what_nobody_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other thread is held up by its first file until the error is there: of its bundle alone it goes on."""
    raised, opened, real = threading.Event(), list[str](), os.open

    def slow_open(path: Any, *args: Any, **options: Any) -> int:
        if threading.current_thread().name.startswith("store-files"):
            opened.append(path)
            assert raised.wait(30)
        return real(path, *args, **options)

    def files() -> Iterator[tuple[str, bytes]]:
        for number in range(3000):
            yield f"labels/{number}.txt", b"new"
        threading.Timer(0.5, raised.set).start()  # what waits has been called off by then
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "open", slow_open)
    with pytest.raises(KeyboardInterrupt), open_store(tmp_path).new_folder("coco", last=LAST) as folder:
        folder.write_many(files())
    assert len(opened) < 1000
    assert list(tmp_path.iterdir()) == []


def test_of_large_files_few_wait_in_memory(tmp_path: Path) -> None:
    size, count = 8 << 20, 24
    tracemalloc.start()
    try:
        with open_store(tmp_path).new_folder("coco", last=LAST) as folder:
            folder.write_many((f"{number}.png", bytes(size)) for number in range(count))
            assert folder.bytes_written == count * size
        assert tracemalloc.get_traced_memory()[1] < 5 * size
    finally:
        tracemalloc.stop()


def test_an_exception_leaves_the_folder_as_it_was(store: Store) -> None:
    write(store, {"index.json": b"1", "a.txt": b"A"})
    with pytest.raises(RuntimeError, match="stop"), store.new_folder("coco", last=LAST) as folder:
        folder.write_bytes("index.json", b"2")
        folder.write_bytes("b.txt", b"B")
        with folder.open("big.bin") as stream:
            stream.write(b"x" * 1000)
            raise RuntimeError("stop")
    assert content(store.at("coco")) == {"index.json": b"1", "a.txt": b"A"}
    assert [found.path for found in store.list()] == ["coco/a.txt", "coco/index.json"]


def test_a_first_folder_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError, match="stop"), store.new_folder("coco", last=LAST) as folder:
        folder.write_bytes("a.txt", b"A")
        raise RuntimeError("stop")
    assert list(store.list()) == []
    write(store, {"index.json": b"1"})
    assert content(store) == {"coco/index.json": b"1"}


def test_the_stores_own_folder_can_be_written(store: Store) -> None:
    with store.new_folder(last=LAST) as folder:
        folder.write_bytes("index.json", b"1")
    with store.new_folder(last=LAST) as folder:
        folder.write_bytes("index.json", b"2")
    assert content(store) == {"index.json": b"2"}


def test_streams_hold_what_was_written(store: Store) -> None:
    data = os.urandom(40_000_000)  # more than two parts of a multipart upload
    with store.new_folder("coco", last=LAST) as folder:
        with folder.open("big.bin") as stream:
            for start in range(0, len(data), 7_000_001):
                stream.write(data[start : start + 7_000_001])
            assert stream.tell() == len(data)
        with folder.open("index.json") as stream:
            stream.write(b"{}")
        folder.open("empty.txt").close()
        assert folder.bytes_written == len(data) + 2
        assert folder.files == ["big.bin", "empty.txt", "index.json"]
    assert store.read_bytes("coco/big.bin") == data
    assert store.read_bytes("coco/empty.txt") == b""
    with store.open_read("coco/big.bin") as file:
        file.seek(-10, io.SEEK_END)
        assert file.read() == data[-10:]
        file.seek(20_000_000)
        assert file.read(5) == data[20_000_000:20_000_005]


def test_an_abandoned_file_is_no_part_of_the_folder(store: Store) -> None:
    write(store, {"index.json": b"1", "big.bin": b"old"})
    with store.new_folder("coco", last=LAST) as folder:
        with pytest.raises(RuntimeError), folder.open("big.bin") as stream:
            stream.write(b"half of it")
            raise RuntimeError
        assert (folder.files, folder.bytes_written) == ([], 0)
        folder.write_bytes("index.json", b"2")
    assert content(store) == {"coco/index.json": b"2"}


def test_text_and_tables_can_be_streamed(store: Store) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"a": list(range(1000))})
    with store.new_folder("parquet", last=LAST) as folder:
        with folder.open("t.parquet") as stream, pq.ParquetWriter(stream, table.schema) as writer:
            writer.write_table(table)
        with io.TextIOWrapper(folder.open("index.json"), encoding="utf-8") as text:
            text.write("写真")
    with store.open_read("parquet/t.parquet") as file:
        assert pq.read_table(file).equals(table)
    assert store.read_bytes("parquet/index.json") == "写真".encode()


@pytest.mark.parametrize("first", ["local", "s3"])
def test_links_between_all_kinds_of_stores(store: Store, first: str, tmp_path: Path, s3_store: Store) -> None:
    source = open_store(tmp_path / "source") if first == "local" else s3_store.at("source")
    for number in range(70):
        source.write_bytes(f"images/{number}.jpg", b"picture %d" % number)
    for _ in range(2):  # the second time over what is there; more than are looked up one by one on S3
        with store.new_folder("yolo", last=LAST) as folder:
            for number in range(70):
                folder.link(source, f"images/{number}.jpg", f"train/{number:02d}.jpg")
            folder.write_bytes("index.json", b"{}")
        linked = content(store.at("yolo"))
        assert len(linked) == 71
        assert all(linked[f"train/{number:02d}.jpg"] == b"picture %d" % number for number in range(70))


def test_a_local_link_is_a_hard_link(local_store: Store) -> None:
    local_store.write_bytes("images/a.jpg", b"A")
    with local_store.new_folder("yolo") as folder:
        folder.link(local_store, "images/a.jpg", "a.jpg")
    root = local_store.local_path
    assert (root / "images/a.jpg").samefile(root / "yolo/a.jpg")


def test_a_missing_source_of_a_link_is_told_and_the_folder_stays(store: Store) -> None:
    write(store, {"index.json": b"1"})
    with pytest.raises(FileNotFoundError), store.new_folder("coco", last=LAST) as folder:
        folder.link(store, "images/none.jpg", "a.jpg")
    assert content(store) == {"coco/index.json": b"1"}


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        (["a", "a"], "twice"),
        (["a", "a/b"], "which is a file"),
        (["a/b", "a"], "is a folder"),
        (["../a"], "no path"),
        (["/a"], "no path"),
        ([".coco.0123456789ab.partial"], "no path"),
    ],
)
def test_paths_that_cannot_be(store: Store, paths: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason), store.new_folder("coco") as folder:
        for path in paths:
            folder.write_bytes(path, b"")
    assert list(store.list()) == []


def test_a_writer_is_used_once_and_inside_its_block(store: Store) -> None:
    writer = store.new_folder("coco")
    with pytest.raises(RuntimeError):
        writer.write_bytes("a", b"")
    with writer:
        writer.write_bytes("a", b"")
    with pytest.raises(RuntimeError):
        writer.write_bytes("b", b"")
    with pytest.raises(RuntimeError), writer:
        pass


def test_a_folder_of_somebody_else_is_not_replaced(store: Store) -> None:
    store.write_bytes("coco/thesis.docx", b"years of work")
    with pytest.raises(StoreError, match="holds files already"):
        write(store, {"index.json": b"1"})
    with pytest.raises(StoreError, match="holds files already"), store.new_folder("coco"):
        pass
    assert content(store) == {"coco/thesis.docx": b"years of work"}
    write(store, {"index.json": b"1"}, replace=True)
    assert content(store) == {"coco/index.json": b"1"}


def test_an_index_alone_proves_nothing(store: Store) -> None:
    """Any program may call a file ``index.json`` (or ``data.yaml``); that does not make the folder ours."""
    mine = {"coco/index.json": b"of a neighbour", "coco/images/a.jpg": b"A", "coco/thesis.txt": b"years of work"}
    for path, data in mine.items():
        store.write_bytes(path, data)
    with pytest.raises(StoreError, match=r"holds files already, such as .*, and nothing proves"):
        write(store, {"index.json": b"1"})
    assert content(store) == mine


def test_files_of_others_stay_in_our_folder(store: Store) -> None:
    write(store, {"index.json": b"1", "a.txt": b"A"})
    store.write_bytes("coco/thesis.txt", b"years of work")
    store.write_bytes("coco/runs/weights.pt", b"trained")
    for number in (b"2", b"3"):
        write(store, {"index.json": number, "b.txt": b"B"})
        assert content(store.at("coco")) == {
            "index.json": number,
            "b.txt": b"B",
            "thesis.txt": b"years of work",
            "runs/weights.pt": b"trained",
        }
    write(store, {"index.json": b"4"}, replace=True)
    assert content(store) == {"coco/index.json": b"4"}


@pytest.mark.parametrize("path", ["thesis.txt", "runs", "thesis.txt/chapter"])
def test_a_file_of_somebody_else_is_not_written_over(store: Store, path: str) -> None:
    write(store, {"index.json": b"1"})
    before = {"index.json": b"1", "thesis.txt": b"years of work", "runs/weights.pt": b"trained"}
    for name in ("thesis.txt", "runs/weights.pt"):
        store.write_bytes(f"coco/{name}", before[name])
    with pytest.raises(StoreError, match="which no export wrote"):
        write(store, {path: b"ours", "index.json": b"2"})
    assert content(store.at("coco")) == before


def test_a_folder_of_another_kind_is_not_replaced(store: Store) -> None:
    write(store, {"index.json": b"1"})
    with pytest.raises(StoreError, match=r"another kind \(index\.json\)"), store.new_folder("coco", last=["data.yaml"]):
        pass
    store.delete(["coco/index.json"])
    with store.new_folder("coco", last=["data.yaml"]) as folder:
        folder.write_bytes("data.yaml", b"")
    assert content(store) == {"coco/data.yaml": b""}


def test_what_tools_make_of_a_folder_goes_with_it(store: Store) -> None:
    def export() -> None:
        with store.new_folder("yolo", last=LAST, derived=["labels/*.cache"]) as folder:
            folder.write_bytes("index.json", b"1")

    export()
    for name in ("labels/train.cache", "labels/train/sub.cache", "mine.cache"):
        store.write_bytes(f"yolo/{name}", b"x")
    export()
    assert [found.path for found in store.at("yolo").list()] == ["index.json", "mine.cache"]


def test_the_mark_is_the_same_everywhere_and_nobody_can_fake_it_by_accident(
    local_store: Store, s3_store: Store
) -> None:
    for place in (local_store, s3_store):
        write(place, {"頭.txt": b"A", "index.json": b"1"})
    local = (local_store.local_path / "coco/.fastlabel-folder").read_bytes()
    remote = s3_store.at("coco").read_own(".fastlabel-folder")  # type: ignore[attr-defined]
    assert local == remote
    mark = local_store.at("coco").read_mark()
    assert mark is not None and (mark.last, mark.files) == (("index.json",), ("index.json", "頭.txt"))
    assert s3_store.at("coco").read_mark() == mark
    assert local_store.at("none").read_mark() is None and s3_store.at("none").read_mark() is None
    for data in (b"", b"[]", b'{"made_by": 1}', b'{"made_by": "fastlabel-dagster", "last": [1], "files": []}'):
        (local_store.local_path / "coco/.fastlabel-folder").write_bytes(data)
        with pytest.raises(StoreError, match="nothing proves"):
            write(local_store, {"index.json": b"2"})
