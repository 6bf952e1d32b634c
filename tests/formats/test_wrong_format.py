"""An export read as another format than its own is refused by name, as an empty dataset would be silent."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from fastlabel_dagster import formats
from fastlabel_dagster.formats import registry
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.report import REPORT_FILE
from fastlabel_dagster.labels import Labels, to_fastlabel
from fastlabel_dagster.store.mark import FOLDER_MARK

WRITTEN = registry.written_names()
READ = [name for name in registry.names() if registry.find(name).read]


@pytest.fixture
def project(bench: Any) -> Labels:
    content: Labels = bench.labels(bench.task("a.jpg", bench.shape("bbox", [1, 2, 30, 40])))
    return content


@pytest.mark.parametrize("own", WRITTEN)
def test_every_other_reader_names_the_right_one(tmp_path: Path, project: Labels, pictures: Any, own: str) -> None:
    folder = tmp_path / "out"
    formats.write(project, format=own, target=folder, images=pictures(project, tmp_path / "pictures"))
    for other in READ:
        if other == own:
            formats.read(folder, format=own)
            continue
        with pytest.raises(FormatError, match=f"out: it is a dataset of the format '{own}', not '{other}'"):
            formats.read(folder, format=other)


@pytest.mark.parametrize(("own", "other"), [("kitti", "pascal_voc"), ("yolo", "coco"), ("rttm", "audacity")])
@pytest.mark.parametrize("prefix", ["", "dataset"])
def test_in_archives_too(tmp_path: Path, project: Labels, own: str, other: str, prefix: str) -> None:
    for archive in (None, "zip"):
        formats.write(project, format=own, target=tmp_path / f"{archive}" / prefix, archive=archive, replace=True)
        packed = shutil.make_archive(str(tmp_path / f"packed {archive}"), "zip", tmp_path / f"{archive}")
        for source in (Path(packed), tmp_path / f"{archive}" / prefix):
            with pytest.raises(FormatError, match=f"format '{own}', not '{other}'") as caught:
                formats.read(source, format=other)
            assert caught.value.path == str(source)


def test_what_somebody_else_put_beside_an_export(tmp_path: Path, project: Labels) -> None:
    """A dataset that lies in the folder of an export, with an index of its own, is read as it is."""
    formats.write(project, format="coco", target=tmp_path / "coco")
    formats.write(project, format="yolo", target=tmp_path / "yolo")
    index = registry.find("coco").index
    shutil.copyfile(tmp_path / "coco" / index, tmp_path / "yolo" / index)
    assert formats.read(tmp_path / "yolo", format="coco").report.annotations == 1
    (tmp_path / "yolo" / index).unlink()
    with pytest.raises(FormatError, match="'yolo'"):
        formats.read(tmp_path / "yolo", format="coco")


@pytest.mark.parametrize("report", [b"", b"[]", b'{"format": "kitti"}', b"\xff", b'{"format": ["kitti"]}'])
def test_reports_of_other_tools_say_nothing(tmp_path: Path, project: Labels, report: bytes) -> None:
    formats.write(project, format="kitti", target=tmp_path)
    expected = list(to_fastlabel(formats.read(tmp_path, format="kitti")))
    (tmp_path / "report.json").write_bytes(report)
    assert list(to_fastlabel(formats.read(tmp_path, format="kitti"))) == expected
    formats.read(tmp_path, format="dota")


@pytest.mark.parametrize("name", [REPORT_FILE, FOLDER_MARK])
@pytest.mark.parametrize("kind", ["a folder", "a link to itself"])
def test_what_says_whose_an_export_is_need_not_be_readable(
    tmp_path: Path, project: Labels, name: str, kind: str
) -> None:
    formats.write(project, format="coco", target=tmp_path / "coco")
    (tmp_path / "coco" / name).unlink()
    if kind == "a folder":
        (tmp_path / "coco" / name).mkdir()
    else:
        (tmp_path / "coco" / name).symlink_to(name)
    assert formats.read(tmp_path / "coco", format="coco").report.annotations == 1


@pytest.mark.parametrize("format", ["yolo", "labelme", "pascal_voc", "kitti", "dota"])
def test_a_file_named_by_mistake_does_not_stand_for_what_lies_around_it(tmp_path, format):
    for name in ("notes.docx", "classes.txt", "a.json", "a.xml", "label_2/a.txt", "labelTxt/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    with pytest.raises(formats.FormatError, match="name one, or the dataset's folder") as raised:
        formats.read(tmp_path / "notes.docx", format=format)
    assert raised.value.path == str(tmp_path / "notes.docx")
