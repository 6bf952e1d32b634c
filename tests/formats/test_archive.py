"""Exports in archives, and archives that nobody needs to trust."""

from __future__ import annotations

import gc
import gzip
import io
import json
import os
import random
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from fastlabel_dagster import formats, labels
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.unpack import ArchiveLimits
from fastlabel_dagster.store import open_store

KINDS = ["zip", "tar"]


@pytest.fixture
def project(bench: Any) -> labels.Labels:
    tasks = [bench.task(f"dir/{n}.jpg", bench.shape("bbox", [n, 2, 30 + n, 40])) for n in range(7)]
    content = bench.labels(*tasks)
    content.origin["digest"] = "of these labels"
    return content


def members(path: Path) -> dict[str, bytes]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as opened:
            assert opened.testzip() is None
            return {name: opened.read(name) for name in opened.namelist()}
    with tarfile.open(path) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}  # type: ignore[union-attr]


def plain(content: labels.Labels) -> list[dict[str, Any]]:
    return [{k: v for k, v in task.items() if k != "url"} for task in labels.to_fastlabel(content)]


# ----------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("format", ["yolo", "coco", "fastlabel", "parquet"])
def test_what_is_packed_is_what_would_lie_there(
    tmp_path: Path, project: Any, pictures: Any, tree: Any, kind: str, format: str
) -> None:
    images = pictures(project, tmp_path / "pictures")
    formats.write(project, format=format, target=tmp_path / "plain", images=images)
    report = formats.write(
        project, format=format, target=tmp_path / "packed", images=images, archive=kind, shard_bytes=900
    )
    loose, packed = tree(tmp_path / "plain"), tree(tmp_path / "packed")
    shards = sorted(path for path in packed if path.startswith("data-"))
    found: dict[str, bytes] = {}
    for shard in shards:
        inside = members(tmp_path / "packed" / shard)
        assert not inside.keys() & found.keys()
        found |= inside
    assert report.archive == {"kind": kind, "shards": shards, "files": len(found)}
    outside = {path: data for path, data in packed.items() if path not in shards and path != "report.json"}
    assert {**found, **outside} == {path: data for path, data in loose.items() if path != "report.json"}
    assert report.files == len(packed) - 1
    assert report.bytes == sum(len(data) for path, data in packed.items() if path != "report.json")
    back, expected = (formats.read(tmp_path / name, format=format) for name in ("packed", "plain"))
    assert plain(back) == plain(expected)
    assert json.loads(packed["report.json"])["archive"] == report.archive


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_labels_give_the_same_bytes(
    tmp_path: Path, project: Any, pictures: Any, tree: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pictures(project, tmp_path / "pictures")
    trees = []
    for name, zone in (("one", "UTC"), ("two", "Asia/Tokyo")):
        monkeypatch.setenv("TZ", zone)
        formats.write(project, format="yolo", target=tmp_path / name, images=images, archive=kind, shard_bytes=900)
        trees.append(tree(tmp_path / name))
        for path in (tmp_path / "pictures").rglob("*.png"):
            os.utime(path, (1e9, 1e9))
    assert trees[0] == trees[1]
    assert len([path for path in trees[0] if path.startswith("data-")]) > 1


def test_pictures_are_stored_and_text_is_deflated(tmp_path: Path, project: Any, pictures: Any) -> None:
    images = pictures(project, tmp_path / "pictures")
    # The file names of the tasks end in .jpg, whatever is in them.
    formats.write(project, format="yolo", target=tmp_path / "out", images=images, archive="zip")
    with zipfile.ZipFile(tmp_path / "out" / "data-00000.zip") as opened:
        kinds = {Path(member.filename).suffix: member.compress_type for member in opened.infolist()}
    assert kinds == {".jpg": zipfile.ZIP_STORED, ".txt": zipfile.ZIP_DEFLATED}


def test_unchanged_exports_are_known_in_archives_too(tmp_path: Path, project: Any) -> None:
    target = tmp_path / "out"
    again: dict[str, Any] = {"format": "yolo", "target": target, "skip_unchanged": True}
    assert not formats.write(project, archive="zip", **again).unchanged
    assert formats.write(project, archive="zip", **again).unchanged
    assert formats.is_current(target, project, format="yolo", archive="zip")
    assert not formats.is_current(target, project, format="yolo")
    assert not formats.is_current(target, project, format="yolo", archive="zip", shard_bytes=77)
    (target / "data-00000.zip").unlink()
    assert not formats.is_current(target, project, format="yolo", archive="zip")
    assert not formats.write(project, **again).unchanged
    assert not list(target.glob("data-*")), "the archives of the export before are gone"


@pytest.mark.parametrize("wrong", [{"archive": "rar"}, {"archive": "zip", "shard_bytes": 0}])
def test_impossible_archives_leave_the_folder_as_it_was(tmp_path: Path, project: Any, wrong: Any) -> None:
    formats.write(project, format="yolo", target=tmp_path / "out")
    with pytest.raises(ValueError, match=r"archive|shard_bytes"):
        formats.write(project, format="yolo", target=tmp_path / "out", **wrong)
    assert (tmp_path / "out" / "data.yaml").exists()


def test_s3_to_s3(tmp_path: Path, project: Any, pictures: Any, moto_s3: Any) -> None:
    """Pictures on S3 are fetched several at a time, and lie in the archive in their order."""
    images = pictures(project, f"s3://{moto_s3.bucket}/pictures")
    options: dict[str, Any] = {"format": "yolo", "images": images, "archive": "tar"}
    formats.write(project, target=f"s3://{moto_s3.bucket}/out", **options)
    formats.write(project, target=tmp_path / "out", **options)
    store = open_store(f"s3://{moto_s3.bucket}/out")
    assert store.read_bytes("data-00000.tar") == (tmp_path / "out" / "data-00000.tar").read_bytes()
    assert formats.is_current(store, project, **options) is True


def test_a_missing_picture_leaves_nothing_behind(tmp_path: Path, project: Any, pictures: Any) -> None:
    images = pictures(project, tmp_path / "pictures")
    next((tmp_path / "pictures").rglob("3.jpg")).unlink()
    with pytest.raises(FileNotFoundError):
        formats.write(project, format="yolo", target=tmp_path / "out", images=images, archive="zip")
    assert not (tmp_path / "out").exists()


# ----------------------------------------------------------------------------------------------- reading


def packed(folder: Path, target: Path, prefix: str = "") -> Path:
    """``folder`` as an archive of the kind ``target`` is called."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w") as opened:
            for path in files:
                opened.write(path, prefix + path.relative_to(folder).as_posix())
    else:
        with tarfile.open(target, "w:gz" if target.suffix != ".tar" else "w") as opened:
            opened.add(folder, prefix or ".")
    return target


@pytest.mark.parametrize("name", ["d.zip", "d.ZIP", "d.tar", "d.tar.gz", "d.tgz"])
@pytest.mark.parametrize("prefix", ["", "dataset/"])
@pytest.mark.parametrize("format", ["yolo", "coco", "fastlabel"])
def test_packed_datasets(tmp_path: Path, project: Any, pictures: Any, name: str, prefix: str, format: str) -> None:
    images = pictures(project, tmp_path / "pictures")
    formats.write(project, format=format, target=tmp_path / "plain", images=images)
    if name == "d.ZIP":
        packed(tmp_path / "plain", tmp_path / "d.zip", prefix).rename(tmp_path / name)
    else:
        packed(tmp_path / "plain", tmp_path / name, prefix)
    content = formats.read(tmp_path / name, format=format)
    assert plain(content) == plain(formats.read(tmp_path / "plain", format=format))
    assert content.report.dropped == ()
    folders = {Path(url.removeprefix("file://")) for url in content.tasks["url"].to_pylist()}
    assert all(path.is_file() for path in folders)
    chosen = content.where(lambda table: pc.is_valid(table["name"]), needs=["name"])
    report = formats.write(chosen, format="yolo", target=tmp_path / "again")
    assert report.files == 15, "its pictures come along"
    del content
    assert all(path.is_file() for path in folders), "a part of the labels needs them still"
    del chosen
    assert not any(path.exists() for path in folders), "the temporary folder goes with the labels"


@pytest.mark.parametrize("name", ["d.zip", "d.tar", "d.tgz"])
@pytest.mark.parametrize("prefix", ["", "dataset/"])
@pytest.mark.parametrize("format", ["yolo", "coco"])
@pytest.mark.parametrize("kind", KINDS)
def test_archives_in_an_archive(
    tmp_path: Path, project: Any, pictures: Any, name: str, prefix: str, format: str, kind: str
) -> None:
    """An export in archives, downloaded as one file, is the dataset it was."""
    images = pictures(project, tmp_path / "pictures")
    formats.write(project, format=format, target=tmp_path / "plain", images=images)
    formats.write(project, format=format, target=tmp_path / "out", images=images, archive=kind, shard_bytes=900)
    content = formats.read(packed(tmp_path / "out", tmp_path / name, prefix), format=format)
    assert plain(content) == plain(formats.read(tmp_path / "plain", format=format))
    assert content.report.annotations == 7
    assert content.report.dropped == ()
    folder = content.files.folder / prefix
    assert not list(folder.glob("data-*")), "the inner archives are not kept beside their files"
    assert all(Path(url.removeprefix("file://")).is_file() for url in content.tasks["url"].to_pylist())


def test_archives_in_an_archive_share_its_limits(tmp_path: Path) -> None:
    evil_zip(tmp_path / "data-00000.zip", ("zeros.json", bytes(3 * 2**20), 0o100644), ("b.json", b"", 0o100644))
    shard = (tmp_path / "data-00000.zip").read_bytes()
    report = ("report.json", b'{"archive": {"kind": "zip"}}', 0o100644)
    evil_zip(tmp_path / "d.zip", ("data-00000.zip", shard, 0o100644), ("tasks.json", TASKS, 0o100644), report)
    before = temporary_folders()
    with pytest.raises(FormatError, match=r"d\.zip, data-00000\.zip, zeros\.json.*bomb") as caught:
        formats.read(tmp_path / "d.zip", format="fastlabel", limits=ArchiveLimits(bytes=2**20))
    assert caught.value.path == str(tmp_path / "d.zip")
    with pytest.raises(FormatError, match=r"data-00000\.zip, b\.json.*members"):
        formats.read(tmp_path / "d.zip", format="fastlabel", limits=ArchiveLimits(members=4))
    # Two times the ratio would be its square: only the outer archive counts.
    with pytest.raises(FormatError, match=r"data-00000\.zip, zeros\.json.*bomb"):
        formats.read(tmp_path / "d.zip", format="fastlabel", limits=ArchiveLimits(ratio=250, slack=0))
    evil_zip(tmp_path / "e.zip", ("data-00000.zip", b"nothing", 0o100644), ("tasks.json", TASKS, 0o100644), report)
    with pytest.raises(FormatError, match=r"e\.zip, data-00000\.zip: it is no zip"):
        formats.read(tmp_path / "e.zip", format="fastlabel")
    assert temporary_folders() == before


def test_archives_in_an_archive_of_somebody_else_stay_closed(tmp_path: Path) -> None:
    evil_zip(tmp_path / "d.zip", ("data-00000.zip", b"nothing", 0o100644), ("tasks.json", TASKS, 0o100644),
             ("data-00001.zip/x.txt", b"", 0o100644))  # fmt: skip
    assert plain(formats.read(tmp_path / "d.zip", format="fastlabel")) == json.loads(TASKS)


def evil_zip(path: Path, *entries: tuple[str, bytes, int]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(info, data)


def evil_tar(path: Path, *entries: tuple[str, bytes, bytes]) -> None:
    with tarfile.open(path, "w") as opened:
        for name, data, kind in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(data), "/etc/passwd"
            opened.addfile(info, io.BytesIO(data))


TASKS = b'[{"id": "a", "name": "a.jpg", "annotations": []}]'


def test_members_that_lead_out_are_left_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    names = ["../outside", "/outside", f"{outside}", "a/../../outside", "..\\outside", "C:\\outside", "a\x01/\n/.."]
    entries = [(name, b"x", 0o100644) for name in names]
    path = tmp_path / "d.zip"
    evil_zip(path, *entries, ("images/a.jpg", b"/etc/passwd", 0o120777), ("tasks.json", TASKS, 0o100644))
    with pytest.warns(UserWarning, match="Duplicate"):
        evil_zip(path, ("tasks.json", TASKS, 0o100644), ("tasks.json", b"[]", 0o100644), *entries,
                 ("images/a.jpg", b"/etc/passwd", 0o120777))  # fmt: skip
    before = sorted(tmp_path.iterdir())
    content = formats.read(path, format="fastlabel")
    assert plain(content) == json.loads(TASKS)
    counts = {note.reason: note.count for note in content.report.dropped}
    assert counts["it is a link or a device"] == 1
    assert counts["there was a file of the same name before it"] == 1
    assert sum(counts.values()) == 2 + len(names)
    assert {note.type for note in content.report.dropped} == {"file"}
    assert sorted(tmp_path.iterdir()) == before
    assert content.tasks["url"].to_pylist() == [None]


def test_links_and_devices_of_a_tar_are_left_out(tmp_path: Path) -> None:
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
    entries = [(f"images/{number}.jpg", b"", kind) for number, kind in enumerate(kinds)]
    evil_tar(tmp_path / "d.tar", *entries, ("../x", b"x", tarfile.REGTYPE), ("tasks.json", TASKS, tarfile.REGTYPE))
    content = formats.read(tmp_path / "d.tar", format="fastlabel")
    assert plain(content) == json.loads(TASKS)
    assert sorted(note.count for note in content.report.dropped) == [1, 5]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_bombs_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"bomb.{kind}"
    zeros = bytes(40 * 2**20)
    if kind == "zip":
        evil_zip(path, ("tasks.json", TASKS, 0o100644), ("zeros.json", zeros, 0o100644))
    else:
        evil_tar(tmp_path / "b.tar", ("tasks.json", TASKS, tarfile.REGTYPE), ("zeros.json", zeros, tarfile.REGTYPE))
        path.write_bytes(gzip.compress((tmp_path / "b.tar").read_bytes()))
    with pytest.raises(FormatError, match=r"bomb.*zeros\.json.*bomb"):
        formats.read(path, format="fastlabel", limits=ArchiveLimits(slack=2**20))
    with pytest.raises(FormatError, match=r"zeros\.json"):
        formats.read(path, format="fastlabel", limits=ArchiveLimits(bytes=2**20))
    with pytest.raises(FormatError, match="members"):
        formats.read(path, format="fastlabel", limits=ArchiveLimits(members=1))


def test_a_bomb_in_the_headers_of_a_tar(tmp_path: Path) -> None:
    name = tarfile.TarInfo("x")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 30 * 2**20
    data = name.tobuf(tarfile.GNU_FORMAT) + bytes(30 * 2**20)
    (tmp_path / "bomb.tgz").write_bytes(gzip.compress(data))
    with pytest.raises(FormatError, match="headers"):
        formats.read(tmp_path / "bomb.tgz", format="fastlabel", limits=ArchiveLimits(slack=2**20))


@pytest.fixture(autouse=True)
def _temporary_place_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests unpack archives too while these look at what is left behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))


def temporary_folders() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("fastlabel-*")}


@pytest.mark.parametrize("name", ["d.zip", "d.tar", "d.tgz"])
def test_damaged_archives(tmp_path: Path, project: Any, name: str) -> None:
    """Bytes changed, cut and doubled: labels and a report, or an error that names the archive; nothing stays."""
    formats.write(project, format="fastlabel", target=tmp_path / "plain")
    path = packed(tmp_path / "plain", tmp_path / name)
    whole = path.read_bytes()
    dice = random.Random(8)
    before = temporary_folders()
    for _ in range(120):
        data = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(data))
            change = dice.randrange(3)
            if change == 0:
                del data[at + 1 :]
            elif change == 1:
                data[at] = dice.randrange(256)
            else:
                data[at:at] = data[at : at + dice.randrange(1, 600)]
        path.write_bytes(data)
        try:
            content = formats.read(path, format="fastlabel")
        except (FormatError, FileNotFoundError) as error:
            assert "d." in str(error) or "tasks" in str(error)
            continue
        assert content.tasks.num_rows <= 7
        if content.tasks.num_rows < 7:
            assert content.report.dropped
        del content
    gc.collect()  # labels may hold on to each other until somebody looks
    assert temporary_folders() == before


def test_what_is_no_archive_at_all(tmp_path: Path) -> None:
    for name in ("d.zip", "d.tar", "d.tgz"):
        (tmp_path / name).write_bytes(b"something else")
        with pytest.raises(FormatError, match=rf"{name}.*archive"):
            formats.read(tmp_path / name, format="fastlabel")


def test_a_secret_member(tmp_path: Path) -> None:
    evil_zip(tmp_path / "d.zip", ("tasks.json", TASKS, 0o100644), ("other.json", b"[]", 0o100644))
    data = bytearray((tmp_path / "d.zip").read_bytes())
    place = data.rindex(b"PK\x01\x02")
    data[place + 8] |= 1  # the flag of an encrypted member
    (tmp_path / "d.zip").write_bytes(data)
    content = formats.read(tmp_path / "d.zip", format="fastlabel")
    assert plain(content) == json.loads(TASKS)
    assert [note.examples for note in content.report.dropped] == [("other.json",)]


CVAT = '<annotations><image id="0" name="{}" width="9" height="9"><tag label="x"/></image></annotations>'


def test_what_macos_packs_beside_a_folder_is_not_seen(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as opened:
        opened.writestr("project/annotations.xml", CVAT.format("a.jpg"))
        opened.writestr("__MACOSX/project/._annotations.xml", b"\0\5\x16\7")
        opened.writestr(".DS_Store", b"\0")
    assert formats.read(tmp_path / "mac.zip", format="cvat").tasks["name"].to_pylist() == ["a.jpg"]


def test_names_that_do_not_say_their_encoding(tmp_path: Path) -> None:
    utf8, shift_jis = "猫.jpg".encode(), "猫.jpg".encode("cp932")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr("data.yaml", "train: images\nnames: [x]")
        opened.writestr(f"images/{'A' * len(utf8)}", b"")
        opened.writestr(f"images/{'B' * len(shift_jis)}", b"")
    data = (tmp_path / "a.zip").read_bytes().replace(b"A" * len(utf8), utf8).replace(b"B" * len(shift_jis), shift_jis)
    (tmp_path / "a.zip").write_bytes(data)

    content = formats.read(tmp_path / "a.zip", format="yolo")

    strange = shift_jis.decode("cp437")
    assert sorted(content.tasks["name"].to_pylist()) == sorted(["猫.jpg", strange])
    note = next(note for note in content.report.noticed if "code page 437" in note.reason)
    assert (note.count, note.examples) == (1, (f"images/{strange}",))


def test_errors_name_the_archive_and_not_the_temporary_folder(tmp_path: Path) -> None:
    for member, content, error, text in (
        (
            "annotations.xml",
            "<annotations",
            FormatError,
            f"{tmp_path}/a.zip/annotations.xml, line 1, column 0: it is not",
        ),
        ("b/annotations.xml", "<x/>", FormatError, f"{tmp_path}/a.zip/b/annotations.xml: its root element is"),
        ("a.txt", "", FileNotFoundError, f"{tmp_path}/a.zip has no annotations.xml"),
    ):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
            opened.writestr(member, content)
        with pytest.raises(error) as raised:
            formats.read(tmp_path / "a.zip", format="cvat")
        assert str(raised.value).startswith(text)
        assert tempfile.gettempdir() + "/fastlabel-" not in str(raised.value)
