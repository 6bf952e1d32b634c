"""What only a local store has to get right: leftovers, locks, permissions, full disks, links, killed processes."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fastlabel_dagster.store import Store, StoreError, open_store

FILES = 40
WRITER = f"""
import sys
from fastlabel_dagster.store import local_folder, open_store
if sys.argv[3] == "two-steps":  # as on a file system that cannot exchange two folders
    local_folder.exchange = lambda one, other: False
store, number = open_store(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
while True:
    number += 1
    with store.new_folder("out", last=["index.txt"]) as folder:
        folder.write_bytes("index.txt", b"%d" % number)
        folder.write_many((f"data/{{each}}.txt", b"%d" % number) for each in range({FILES}))
    print(number, flush=True)
"""


def hidden(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".")]


def numbers(store: Store) -> tuple[int, set[bytes]]:
    paths = [found.path for found in store.at("out").list()]
    return len(paths), {store.read_bytes(f"out/{path}") for path in paths}


@pytest.mark.parametrize("swap", ["one-step", "two-steps"])
def test_a_killed_writer_leaves_the_old_folder_or_the_new_one(tmp_path: Path, swap: str) -> None:
    store = open_store(tmp_path)
    last = 0
    chance = random.Random(swap)
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(last), swap], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.random() * 0.05)
            process.send_signal(signal.SIGKILL)
            finished = [int(line) for line in process.stdout.read().splitlines()]
        if swap == "two-steps":  # only the next writer puts back what was aside when the other was killed
            with pytest.raises(RuntimeError), store.new_folder("out", last=["index.txt"]):
                raise RuntimeError
        last = max([last, *finished])
        if (tmp_path / "out").exists() or last:
            count, held = numbers(store)
            assert count == FILES + 1
            assert held in ({b"%d" % last}, {b"%d" % (last + 1)})  # the kill can fall between the swap and the print
            last = int(held.pop())
    assert last > 0
    with store.new_folder("out", last=["index.txt"]) as folder:
        folder.write_bytes("index.txt", b"end")
    assert os.listdir(tmp_path) == ["out"]
    assert numbers(store) == (1, {b"end"})


def test_a_living_writers_folder_is_left_alone(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.new_folder("out", last=["index.txt"]) as slow:
        slow.write_bytes("index.txt", b"slow")
        with store.new_folder("out", last=["index.txt"]) as quick:
            quick.write_bytes("index.txt", b"quick")
        assert store.read_bytes("out/index.txt") == b"quick"
        assert len(hidden(tmp_path)) == 1
    assert store.read_bytes("out/index.txt") == b"slow"
    assert hidden(tmp_path) == []


def test_a_folder_put_aside_comes_back(tmp_path: Path) -> None:
    with open_store(tmp_path).new_folder("out", last=["index.txt"]) as folder:
        folder.write_bytes("index.txt", b"old")
    (tmp_path / "out").rename(tmp_path / ".out.0123456789ab.old")
    (tmp_path / ".out.ba9876543210.partial").mkdir()
    (tmp_path / ".out.more.ba9876543210.partial").mkdir()  # another folder's, "out.more"
    store = open_store(tmp_path)
    with pytest.raises(RuntimeError), store.new_folder("out", last=["index.txt"]):
        raise RuntimeError
    assert store.read_bytes("out/index.txt") == b"old"
    assert hidden(tmp_path) == [".out.more.ba9876543210.partial"]


def test_hidden_files_of_killed_writers_are_ignored_and_removed(tmp_path: Path) -> None:
    leftover = tmp_path / ".a.txt.0123456789ab.partial"
    leftover.write_bytes(b"half")
    os.utime(leftover, (0, 0))
    (tmp_path / ".fresh.txt.0123456789ab.partial").write_bytes(b"perhaps somebody is at it")
    store = open_store(tmp_path)
    assert list(store.list()) == []
    store.write_bytes("a.txt", b"whole")
    assert sorted(os.listdir(tmp_path)) == [".fresh.txt.0123456789ab.partial", "a.txt"]
    assert [found.path for found in store.list()] == ["a.txt"]


def test_deleting_the_last_object_removes_its_folders(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    store.write_bytes("a/b/c.txt", b"")
    store.write_bytes("a/d.txt", b"")
    store.delete(["a/b/c.txt"])
    assert sorted(os.listdir(tmp_path / "store/a")) == ["d.txt"]
    store.delete(["a/d.txt", "a"])
    assert os.listdir(tmp_path / "store") == []


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    store = open_store(tmp_path)
    for call in (
        lambda: store.write_bytes("file/below.txt", b""),
        lambda: open_store(tmp_path / "file/store").write_bytes("a", b""),
        lambda: store.new_folder("file").__enter__(),
        lambda: store.new_folder("file/below").__enter__(),
    ):
        with pytest.raises(StoreError, match="file") as caught:
            call()
        assert str(tmp_path / "file") in str(caught.value)
    with pytest.raises(StoreError, match="it is a folder"):
        store.write_bytes("folder", b"")
    assert hidden(tmp_path) == []
    assert (tmp_path / "file").read_bytes() == b"x"


@contextmanager
def without_privileges() -> Iterator[None]:
    """Nothing is forbidden to root, so root becomes nobody for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    for call in (
        lambda: open_store(locked).write_bytes("a.txt", b""),
        lambda: open_store(locked).new_folder("out").__enter__(),
        lambda: open_store(locked / "deep").write_bytes("a.txt", b""),
    ):
        with without_privileges(), pytest.raises(StoreError, match="permission denied") as caught:
            call()
        assert str(locked) in str(caught.value)
        assert caught.value.errno == errno.EACCES


def test_a_write_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    """A limit on file size stands in for a full disk: both fail in the middle of a write."""
    script = """
import sys
from fastlabel_dagster.store import StoreError, open_store
store = open_store(sys.argv[1])
def stream():
    with store.new_folder("out", last=["index.txt"]) as folder, folder.open("big") as file:
        for _ in range(100):
            file.write(b"x" * 10_000)
def folder():
    with store.new_folder("out", last=["index.txt"]) as folder:
        folder.write_bytes("big", b"x" * 1_000_000)
for call in (lambda: store.write_bytes("a.txt", b"x" * 1_000_000), stream, folder):
    try:
        call()
    except StoreError as error:
        print(error)
"""
    store = open_store(tmp_path)
    store.write_bytes("a.txt", b"old")
    with store.new_folder("out", last=["index.txt"]) as folder:
        folder.write_bytes("index.txt", b"old")
    limit = 100_000
    outcome = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        check=False,
    )
    assert outcome.stderr == ""
    assert [line.split(":")[0] for line in outcome.stdout.splitlines()] == [
        f"cannot write {tmp_path}/a.txt",
        f"cannot write {tmp_path}/out/big",
        f"cannot write {tmp_path}/out/big",
    ]
    assert [(found.path, store.read_bytes(found.path)) for found in store.list()] == [
        ("a.txt", b"old"),
        ("out/index.txt", b"old"),
    ]
    assert hidden(tmp_path) == []


def test_a_copy_that_does_not_fit_blames_the_target(tmp_path: Path) -> None:
    """Only between two file systems is a link a copy. What has no room is the place it goes to, not the source."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    script = """
import sys
from fastlabel_dagster.store import StoreError, open_store
source, target = map(open_store, sys.argv[1:])
try:
    with target.new_folder("out", last=["index.txt"]) as folder:
        folder.link(source, "big", "images/big")
except StoreError as error:
    print(error)
"""
    with tempfile.TemporaryDirectory(dir=shared) as elsewhere:
        (Path(elsewhere) / "big").write_bytes(b"x" * 1_000_000)
        outcome = subprocess.run(
            [sys.executable, "-c", script, elsewhere, str(tmp_path)],
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
            check=False,
        )
    assert outcome.stderr == ""
    assert outcome.stdout.startswith(f"cannot write {tmp_path}/out/images/big: ")
    assert not (tmp_path / "out").exists() and hidden(tmp_path) == []


def test_a_target_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "disk2").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk2")
    store = open_store(tmp_path)
    with store.new_folder("out") as folder:
        folder.write_bytes("a.txt", b"1")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "disk2/a.txt").read_bytes() == b"1"
    assert "out/a.txt" in [found.path for found in store.list()]


def test_links_in_circles_do_not_hang_a_listing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write_bytes("a/b.txt", b"")
    (tmp_path / "a/up").symlink_to(tmp_path)
    assert [found.path for found in store.list()] == ["a/b.txt"]


def test_files_of_others_stay_whatever_they_are(tmp_path: Path) -> None:
    store, out = open_store(tmp_path), tmp_path / "out"

    def write() -> None:
        with store.new_folder("out", last=["index.txt"]) as folder:
            folder.write_bytes("index.txt", b"1")
            folder.write_bytes("data/a.txt", b"1")

    write()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.txt").write_bytes(b"there")
    (out / "data/link").symlink_to(tmp_path / "elsewhere")
    (out / "nowhere").symlink_to(tmp_path / "none")
    (out / "back\\slash").write_bytes(b"no object can be called so")
    (out / ".hidden").mkdir()
    (out / ".hidden/notes.txt").write_bytes(b"mine")
    for _ in range(2):
        write()
        assert (out / "data/link").is_symlink() and (out / "data/link/b.txt").read_bytes() == b"there"
        assert (out / "nowhere").is_symlink()
        assert (out / "back\\slash").is_file()
        assert (out / ".hidden/notes.txt").read_bytes() == b"mine"
    assert hidden(tmp_path) == []


def test_what_comes_while_a_folder_is_written_stays_too(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(StoreError, match=r"thesis\.txt"), store.new_folder("out", last=["index.txt"]) as folder:
        folder.write_bytes("index.txt", b"1")
        store.write_bytes("out/thesis.txt", b"years of work")
    assert [found.path for found in store.list()] == ["out/thesis.txt"]
    assert hidden(tmp_path) == []


def test_the_mode_of_a_replaced_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o700)
    with open_store(tmp_path).new_folder("out") as folder:
        folder.write_bytes("a.txt", b"1")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


def test_the_root_of_the_file_system_is_not_replaced() -> None:
    with pytest.raises(StoreError, match="root"):
        open_store("/").new_folder().__enter__()


def test_errors_can_be_sent_between_processes() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(StoreError("cannot", "s3://b", errno.ENOSPC)))
    assert (str(error), error.uri, error.errno) == ("cannot", "s3://b", errno.ENOSPC)


def test_importing_the_store_loads_nothing_heavy() -> None:
    heavy = {"boto3", "botocore", "pyarrow", "numpy"}
    script = f"import sys, fastlabel_dagster.store; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
