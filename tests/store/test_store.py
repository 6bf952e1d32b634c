"""What a local store and an S3 store do alike: single objects, listings, paths."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fastlabel_dagster.store import S3Options, Store, StoredObject, open_store

BAD_PATHS = ["", "/a", "../a", "a/../b", "a//b", "./a", "a/.", "C:/a", "c:a", "a\\b", "a\0b", "a/", "\ud800"]


def test_objects_are_written_read_listed_and_deleted(store: Store, tmp_path: Path) -> None:
    store.write_bytes("a/b.txt", b"one")
    store.write_bytes("a/b.txt", b"two, longer")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8" * 1000)
    store.write_file("a/photo.jpg", tmp_path / "photo.jpg")
    store.write_bytes("empty", b"")
    assert store.read_bytes("a/b.txt") == b"two, longer"
    assert store.read_bytes("empty") == b""
    assert list(store.list()) == [
        StoredObject("a/b.txt", 11),
        StoredObject("a/photo.jpg", 2000),
        StoredObject("empty", 0),
    ]
    with store.open_read("a/photo.jpg") as file:
        assert file.read(3) == b"\xff\xd8\xff"
        assert file.read() == (b"\xff\xd8" * 1000)[3:]
    store.delete(["a/b.txt", "never/was.txt", "a/photo.jpg"])
    assert [found.path for found in store.list()] == ["empty"]


def test_of_many_who_write_a_new_object_one_succeeds(store: Store) -> None:
    start = threading.Barrier(8)

    def write(number: int) -> bool:
        start.wait()
        return store.write_new("folder/claim", b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(write, range(8)))
    assert made.count(True) == 1
    assert store.read_bytes("folder/claim") == b"%d" % made.index(True)
    assert store.write_new("folder/claim", b"late") is False
    assert [found.path for found in store.list()] == ["folder/claim"]
    store.delete(["folder/claim"])
    assert store.write_new("folder/claim", b"again") is True
    assert store.read_bytes("folder/claim") == b"again"


def test_a_missing_object_is_file_not_found(store: Store) -> None:
    store.write_bytes("folder/file", b"")
    for path in ["none", "folder", "folder/file/below", "folder/none"]:
        assert not store.exists(path)
        with pytest.raises(FileNotFoundError) as caught:
            store.read_bytes(path)
        assert store.uri_of(path) in str(caught.value)
        with pytest.raises(FileNotFoundError):
            store.open_read(path)
    assert store.exists("folder/file")


@pytest.mark.parametrize("path", BAD_PATHS)
def test_paths_never_leave_the_store(store: Store, path: str) -> None:
    for call in (store.read_bytes, store.exists, store.open_read, lambda path: store.write_bytes(path, b"")):
        with pytest.raises(ValueError, match="no path inside a store"):
            call(path)
    with pytest.raises(ValueError, match="no path"):
        store.delete([path])
    if path not in {"", "a/"}:
        with pytest.raises(ValueError, match="no path"):
            store.at(path)
        with pytest.raises(ValueError, match="no path"):
            store.new_folder(path)
        with pytest.raises(ValueError, match="no path"):
            list(store.list(path))


def test_listing_is_in_the_order_of_whole_paths(store: Store) -> None:
    paths = ["a-b/x", "a.txt", "a/x", "a0", "b/c/d", "b/c-d", "写真/1.jpg", "é", "Z", "a b+c%20&=#?.txt"]
    for path in paths:
        store.write_bytes(path, path.encode())
    assert [found.path for found in store.list()] == sorted(paths, key=str.encode)
    assert [found.path for found in store.list("a")] == sorted((p for p in paths if p[0] == "a"), key=str.encode)
    assert [found.path for found in store.list("a/")] == ["a/x"]
    assert [found.path for found in store.list("b/c")] == ["b/c-d", "b/c/d"]
    assert [found.path for found in store.list("none/")] == []
    assert all(store.read_bytes(path) == path.encode() for path in paths)


def test_a_sub_store_is_a_view_of_its_folder(store: Store) -> None:
    below = store.at("labels", "v1/x")
    below.write_bytes("t.txt", b"1")
    assert store.read_bytes("labels/v1/x/t.txt") == b"1"
    assert below.uri == store.uri_of("labels/v1/x")
    assert [found.path for found in below.list()] == ["t.txt"]
    assert store.at() == store
    assert store.at("") == store


def test_a_store_that_does_not_exist_yet_is_empty(store: Store) -> None:
    assert list(store.at("nothing/here").list()) == []


def test_more_objects_than_one_page_or_one_delete_request(s3_store: Store) -> None:
    with s3_store.new_folder("many") as folder:
        folder.write_many((f"{number:04d}.txt", b"%d" % number) for number in range(1_005))
    assert [found.path for found in s3_store.at("many").list()] == [f"{number:04d}.txt" for number in range(1_005)]
    s3_store.delete(found.path for found in s3_store.list())
    assert list(s3_store.list()) == []


def test_a_bucket_without_prefix_is_a_store(moto_s3) -> None:
    store = open_store(f"s3://{moto_s3.bucket}")
    store.write_bytes("a.txt", b"1")
    assert store.uri == f"s3://{moto_s3.bucket}"
    assert store.uri_of("a.txt") == f"s3://{moto_s3.bucket}/a.txt"
    assert [found.path for found in store.list()] == ["a.txt"]
    assert open_store(f"s3://{moto_s3.bucket}/").read_bytes("a.txt") == b"1"


def test_stores_can_be_pickled_and_compared(store: Store) -> None:
    store.write_bytes("a", b"1")
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert hash(again) == hash(store)
    assert again.read_bytes("a") == b"1"


def test_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_store("data").uri == str(tmp_path / "data")
    assert open_store(tmp_path / "data") == open_store("data") == open_store(f"file://{tmp_path}/data")
    assert open_store("~/data") == open_store("data")
    assert open_store("data").is_local
    assert open_store("data").local_path == tmp_path / "data"
    store = open_store("s3://bucket/some/prefix/")
    assert (store.uri, store.is_local) == ("s3://bucket/some/prefix", False)
    assert open_store(store) is store
    with pytest.raises(OSError, match="no local folder"):
        _ = store.local_path


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "  ",
        "gs://bucket/a",
        "http://host/a",
        "s3://",
        "s3://b",
        "s3://bucket/../x",
        "s3://bucket//x",
        "s3://k:hush@bu/x",
    ],
)
def test_what_is_no_store(uri: str) -> None:
    with pytest.raises(ValueError, match=r"store|bucket") as caught:
        open_store(uri)
    assert "hush" not in str(caught.value)


def test_an_s3_uri_that_went_through_pathlib() -> None:
    with pytest.raises(ValueError, match="lost a slash"):
        open_store(Path("s3://bucket/prefix"))


def test_options_with_a_password_are_refused() -> None:
    with pytest.raises(ValueError, match="credentials") as caught:
        S3Options(endpoint_url="http://me:hush@host:9000")
    assert "hush" not in str(caught.value)
    with pytest.raises(ValueError, match="no http"):
        S3Options(endpoint_url="host:9000")


def test_a_staged_file_is_looked_at_before_it_takes_its_place(store: Store) -> None:
    store.write_bytes("a/film", b"old")
    with store.staged("a/film") as staged:
        staged.write(b"new ")
        staged.write(b"film")
        assert staged.flush().read_bytes() == staged.path.read_bytes() == b"new film"
        assert store.read_bytes("a/film") == b"old"
        assert [found.path for found in store.list()] == ["a/film"]
    assert store.read_bytes("a/film") == b"new film"
    with pytest.raises(ValueError, match="torn"), store.staged("a/film") as staged:
        staged.write(b"half")
        raise ValueError("torn")
    assert not staged.path.exists()
    assert store.read_bytes("a/film") == b"new film"
    with store.staged("b/empty"):
        pass
    assert store.read_bytes("b/empty") == b""


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_staged_file_of_a_bad_path_is_refused_at_once(store: Store, path: str) -> None:
    with pytest.raises(ValueError), store.staged(path):
        pytest.fail("nothing may be written there")
