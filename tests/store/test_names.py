"""Names from outside: safe, unique on every file system, stable, fast."""

from __future__ import annotations

import ntpath
import posixpath
import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastlabel_dagster.store import disk_names, renamed

WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{d}{n}" for d in ("COM", "LPT") for n in range(10))}
WORDS = [
    "a",
    "A",
    "b",
    ".",
    "..",
    "...",
    "/",
    "\\",
    ".jpg",
    ".JPG",
    ".png",
    ".txt",
    "a.jpg",
    "é",
    "é",
    "ß",
    "SS",
    "ı",
    "I",
]
WORDS += [
    " ",
    "\0",
    "\n",
    "CON",
    "nul.txt",
    "C:",
    "写真",
    "x" * 300,
    "index.parquet",
    "-",
    ".a.0123456789ab.partial",
    "\ud800",
]
NAMES = st.lists(
    st.one_of(st.lists(st.sampled_from(WORDS), max_size=5).map("".join), st.text(max_size=12), st.just("a.jpg")),
    max_size=25,
)


def keys_for(names: list[str]) -> list[str]:
    return [f"task-{number}" for number in range(len(names))]


def canonical(path: str) -> str:
    """Unicode's own canonical caseless matching: what a file system that ignores case and form compares."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


@pytest.mark.parametrize("unique_stem", [False, True])
@given(names=NAMES)
@settings(max_examples=150, deadline=None)
@example(names=["a", "a/b.jpg", "A/c.jpg", "b/x", "B"])
@example(names=["a.jpg", "a.txt/x.jpg", "a.txt", "a"])
@example(names=["e\u0301.jpg", "\u00e9.jpg", "E\u0301.JPG"])
@example(names=["a.jpg", "task-0", "a-0b7f0f7e.jpg"])
@example(names=["a." + "e" * 300, "a." + "f" * 300, "a. " + " " * 70 + "x"])
@example(names=["/".join("x" * 200 for _ in range(9)), "/".join(["y"] * 600)])
def test_names_are_safe_unique_and_stable(names: list[str], unique_stem: bool) -> None:
    keys = keys_for(names)
    result = disk_names(names, keys, unique_stem=unique_stem)
    assert len(result) == len(names)
    for path in result:
        assert path == posixpath.normpath(path)
        assert not posixpath.isabs(path)
        assert not ntpath.splitdrive(path)[0]
        assert path == unicodedata.normalize("NFC", path)
        assert len(path.encode()) <= 700
        assert not any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or char in '\\<>:"|?*' for char in path)
        for part in path.split("/"):
            assert part not in {"", ".", ".."}
            assert len(part.encode()) <= 240
            assert not part.startswith(".")
            assert part == part.strip().rstrip(".")
            assert part.split(".")[0].rstrip().upper() not in WINDOWS_DEVICES
        assert path.split("/")[0].lower() != "index.parquet"
    files = [canonical(path) for path in result]
    assert len(set(files)) == len(files)
    if unique_stem:
        stems = [canonical(str(PurePosixPath(path).with_suffix(""))) for path in result]
        assert len(set(stems)) == len(stems)
        derived = {canonical(str(PurePosixPath(path).with_suffix(".txt"))) for path in result}
        assert not derived & {canonical(str(parent)) for path in result for parent in PurePosixPath(path).parents}
    folders = {canonical(str(parent)) for path in result for parent in PurePosixPath(path).parents}
    assert not folders & set(files)
    assert disk_names(names, keys, unique_stem=unique_stem) == result
    for length in range(len(names)):
        assert disk_names(names[:length], keys[:length], unique_stem=unique_stem) == result[:length]


@given(names=NAMES)
@settings(max_examples=100, deadline=None)
def test_names_that_are_fit_already_stay(names: list[str]) -> None:
    result = disk_names(names, keys_for(names))
    assert disk_names(result, keys_for(names)) == result
    assert renamed(result, result) == []


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("street/0001.jpg", "street/0001.jpg"),
        ("写真 1.jpg", "写真 1.jpg"),
        ("../../x.jpg", "x.jpg"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Users\\x.jpg", "C_/Users/x.jpg"),
        ("a\\b.jpg", "a/b.jpg"),
        ("", "_"),
        (".", "_"),
        ("..", "_"),
        ("x.jpg. ", "x.jpg"),
        ("x.jpg\n", "x.jpg"),
        ("a\0b\tc.jpg", "a_b_c.jpg"),
        ("a:b?.jpg", "a_b_.jpg"),
        ("CON.jpg", "_CON.jpg"),
        ("lpt1/x.jpg", "_lpt1/x.jpg"),
        ("console.jpg", "console.jpg"),
        (".hidden.jpg", "_hidden.jpg"),
        (".a.0123456789ab.partial", "_a.0123456789ab.partial"),
        ("e\u0301.jpg", "\u00e9.jpg"),
        ("index.parquet", "_index.parquet"),
        ("photo\u202egpj.exe", "photo_gpj.exe"),
        ("写" * 100 + ".jpeg", "写" * 78 + ".jpeg"),
    ],
)
def test_single_names(name: str, path: str) -> None:
    assert disk_names([name], ["k"]) == [path]
    assert renamed([name], [path]) == ([] if name == path else [(name, path)])


def test_the_first_keeps_its_name_and_the_extension_stays() -> None:
    names = ["a.jpg", "../a.jpg", "A.JPG", "a.png", "a.jpg/b.jpg", "a.jpg/c.jpg"]
    result = disk_names(names, keys_for(names))
    assert result[0] == "a.jpg"
    assert result[3] == "a.png"
    assert [PurePosixPath(path).suffix for path in result[1:3]] == [".jpg", ".JPG"]
    assert PurePosixPath(result[4]).parent == PurePosixPath(result[5]).parent
    stems = disk_names(names, keys_for(names), unique_stem=True)
    assert stems[3] != "a.png"
    assert stems[3].endswith(".png")


def test_the_digest_is_that_of_the_key() -> None:
    from hashlib import blake2b

    expected = blake2b(b"task-2", digest_size=16).hexdigest()[:8]
    assert disk_names(["a.jpg", "a.jpg"], ["task-1", "task-2"]) == ["a.jpg", f"a-{expected}.jpg"]
    taken = disk_names(["a.jpg", f"a-{expected}.jpg", "a.jpg"], ["task-1", "x", "task-2"])
    assert taken[:2] == ["a.jpg", f"a-{expected}.jpg"]
    assert len(set(taken)) == 3


def test_the_same_name_and_key_many_times() -> None:
    result = disk_names(["a.jpg"] * 20_000, ["k"] * 20_000)
    assert len(set(result)) == 20_000


def test_as_many_keys_as_names() -> None:
    with pytest.raises(ValueError, match="1 names but 2 keys"):
        disk_names(["a"], ["1", "2"])


plain_names = st.lists(
    st.sampled_from(
        [
            "a.jpg",
            "A.jpg",
            "a.png",
            "a",
            "b.tar.gz",
            "b.tar",
            "con",
            "CON.jpg",
            "com1.x",
            "index.parquet",
            "x" * 241,
            "c",
        ]
    ),
    max_size=6,
)


@pytest.mark.parametrize("unique_stem", [False, True])
@given(names=plain_names)
@settings(max_examples=200, deadline=None)
def test_plain_names_are_those_they_are_among_others(names: list[str], unique_stem: bool) -> None:
    """A list of plain names is looked at as a whole; one in a folder has each of them placed by itself."""
    together = disk_names(names, keys_for(names), unique_stem=unique_stem)
    among = disk_names(["folder/other.jpg", *names], ["other", *keys_for(names)], unique_stem=unique_stem)
    assert together == among[1:]
