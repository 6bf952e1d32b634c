"""A folder for temporary files that is full is said to be full; nothing that is read or written is less for it.

A limit on the size of files stands in for a full disk: both fail in the middle of a write.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from fastlabel_dagster import formats

LIMIT = 200_000


def with_little_room(script: str, folder: Path, *arguments: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nfrom fastlabel_dagster import formats\n{script}", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={"TMPDIR": str(folder), "PYTHONPATH": str(Path(formats.__file__).parents[2])},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT)),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(folder.iterdir())
    return done.stdout


TRY = """
from fastlabel_dagster.store import StoreError
try:
    {}
    print("done")
except StoreError as error:
    print(error)
"""


@pytest.fixture
def room(tmp_path: Path) -> Path:
    folder = tmp_path / "room"
    folder.mkdir()
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """One COCO file beyond the limit."""
    path = tmp_path / "coco" / "instances.json"
    path.parent.mkdir()
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 100} for n in range(5_000)]
    annotations = [{"id": n + 1, "image_id": n, "category_id": 1, "bbox": [1, 2, 3, 4]} for n in range(5_000)]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "a"}]}
    path.write_text(json.dumps(content))
    assert path.stat().st_size > LIMIT
    return path


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_archives_are_not_read_in_part(tmp_path: Path, dataset: Path, room: Path, kind: str) -> None:
    archive = tmp_path / f"packed.{kind}"
    if kind == "zip":
        import zipfile

        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.write(dataset, "instances_train.json")
    else:
        with tarfile.open(archive, "w:gz" if kind.endswith("gz") else "w") as packed:
            small = tmp_path / "small.json"
            small.write_text('{"images": [], "annotations": [], "categories": []}')
            packed.add(small, "instances_val.json")
            packed.add(dataset, "instances_train.json")
    said = with_little_room(TRY.format('formats.read(sys.argv[1], format="coco")'), room, archive)
    assert str(archive) in said and str(room) in said and "TMPDIR" in said


def test_many_tasks_on_their_way(tmp_path: Path, dataset: Path, room: Path) -> None:
    formats.write(formats.read(dataset, format="coco"), format="fastlabel", target=tmp_path / "fl")
    script = f"""
from fastlabel_dagster.formats.fastlabel import spool
spool.Spool.__init__.__kwdefaults__["in_memory"] = 0
{TRY.format('formats.read(sys.argv[1], format="fastlabel")')}"""
    said = with_little_room(script, room, tmp_path / "fl")
    assert str(room) in said and "TMPDIR" in said


def test_xml_that_waits_for_its_beginning(tmp_path: Path, dataset: Path, room: Path) -> None:
    script = f"""
from fastlabel_dagster.formats.cvat import write
write._IN_MEMORY = 1_000
{TRY.format('formats.write(formats.read(sys.argv[1], format="coco"), format="cvat", target=sys.argv[2])')}"""
    said = with_little_room(script, room, dataset, tmp_path / "out")
    assert str(room) in said and not (tmp_path / "out").exists()


def test_a_file_on_its_way_into_an_archive(tmp_path: Path, room: Path) -> None:
    script = f"""
from fastlabel_dagster.formats import archive
from fastlabel_dagster.store import open_store
archive._IN_MEMORY = 1_000
def write():
    with open_store(sys.argv[1]).new_folder("", last=["index"]) as folder:
        with archive.ArchiveFolder(folder, "tar", outside=["index"]) as into, into.open("a/large") as file:
            for _ in range(100):
                file.write(b"x" * 10_000)
{TRY.format("write()")}"""
    said = with_little_room(script, room, tmp_path / "out")
    assert str(room) in said and "a/large" in said and not (tmp_path / "out").exists()
