"""What an uploaded zip becomes when its import completes: a DICOM task, calibrations, videos of a robot's episode."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.sandbox.errors import invalid
from fastlabel_dagster.sandbox.modalities import probe_video

if TYPE_CHECKING:
    from fastlabel_dagster.sandbox.state import SandboxState

_IMAGES = (".png", ".jpg", ".jpeg")
#: Formats of calibrations by the extension of their files.
_CALIBRATIONS = {".yml": "yml", ".yaml": "yml", ".txt": "kitti"}
_HEADER_BYTES = 1 << 20
_MOST_TEXT = 1 << 20

# Rows and Columns of a DICOM header: the tag, then a 16-bit number, with the value representation spelt out or not.
_ROWS, _COLUMNS = b"\x28\x00\x10\x00", b"\x28\x00\x11\x00"
_EXPLICIT, _IMPLICIT = b"US\x02\x00", b"\x02\x00\x00\x00"


def import_archive(state: SandboxState, project: int, request: dict[str, Any]) -> None:
    """Do what the import of an uploaded zip does. Raises :class:`Refused` or OSError when it cannot complete.

    - ``dicom``: one task, named like the zip, as wide and high as its first picture.
    - ``appendix``: ``task/content/picture.png`` with ``task/content/picture.yaml`` (or ``.yml``, ``.txt`` for KITTI)
      beside it, for the tasks of these names.
    - ``robotics``: the videos in it become contents of the task that is named like the zip.
    """
    path = state.files.path(request["fileKey"])
    try:
        with zipfile.ZipFile(path) as archive:
            if request["archive"] == "dicom":
                _import_dicom(state, project, request, archive, path)
            elif request["archive"] == "appendix":
                _import_appendix(state, project, archive)
            else:
                _import_robotics(state, project, request, archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # all that zipfile raises for a damaged archive, an unknown compression and a password
        raise invalid(f"The zip cannot be read: {error}") from error


def _import_dicom(
    state: SandboxState, project: int, request: dict[str, Any], archive: zipfile.ZipFile, path: Path
) -> None:
    size = None
    for entry in sorted(archive.namelist()):
        with archive.open(entry) as file:
            size = dicom_size(file.read(_HEADER_BYTES))
        if size is not None:
            break
    if size is None:
        raise invalid("The zip has no DICOM file.")
    task = {**request, **size, "name": request["fileName"]}
    state.tasks.add(project, [task], files=[state.files.add_file(path)], strict=True)


def dicom_size(header: bytes) -> dict[str, int] | None:
    """``width`` and ``height`` of the picture whose DICOM file starts with ``header``, None when it is no such file."""
    if header[128:132] != b"DICM":
        return None
    found = {}
    for name, tag in (("width", _COLUMNS), ("height", _ROWS)):
        at = next((header.find(tag + how) for how in (_EXPLICIT, _IMPLICIT) if tag + how in header), -1)
        if at < 0:
            return None
        found[name] = int.from_bytes(header[at + 8 : at + 10], "little")
    return found


def _import_appendix(state: SandboxState, project: int, archive: zipfile.ZipFile) -> None:
    entries = [entry for entry in sorted(archive.namelist()) if not entry.endswith("/")]
    texts = {str(PurePosixPath(one).with_suffix("")): one for one in entries if _suffix(one) in _CALIBRATIONS}
    ids = {
        name: task_id for task_id, name in state.tasks.id_name_map(state.projects.slug_of(project), limit=-1).items()
    }
    count = 0
    for entry in entries:
        # the task's name may hold slashes: the content and the file are the last two parts
        task = "/".join(entry.split("/")[:-2])
        if _suffix(entry) not in _IMAGES or task not in ids:
            continue
        calibration = texts.get(str(PurePosixPath(entry).with_suffix("")))
        text = None
        if calibration is not None:
            with archive.open(calibration) as file:
                text = file.read(_MOST_TEXT).decode("utf-8", "replace")
        with archive.open(entry) as file:
            key = state.files.add(_limited(file, 100 << 20), entry)
        state.appendix.add(
            ids[task],
            key,
            image=entry,
            calibration_file=calibration,
            calibration=text,
            format="none" if calibration is None else _CALIBRATIONS[_suffix(calibration)],
        )
        count += 1
    if not count:
        raise invalid("The zip has no picture of a task of this project.")


def _import_robotics(state: SandboxState, project: int, request: dict[str, Any], archive: zipfile.ZipFile) -> None:
    contents, keys = [], []
    for entry in sorted(archive.namelist()):
        if _suffix(entry) != ".mp4":
            continue
        with archive.open(entry) as file:
            content = _limited(file, 250 << 20)
        measured, _ = probe_video(content)
        name = PurePosixPath(entry).name
        contents.append({"name": name, "url": None, "width": measured["width"], "height": measured["height"]})
        keys.append(state.files.add(content, name))
    state.tasks.add_contents(project, str(PurePosixPath(request["fileName"]).with_suffix("")), contents, keys)


def _limited(file: Any, most: int) -> bytes:
    content: bytes = file.read(most + 1)
    if len(content) > most:
        raise invalid(f"Supported size of a file is under {most >> 20} MB.")
    return content


def _suffix(entry: str) -> str:
    return PurePosixPath(entry).suffix.lower()
