"""What lies beside the label files of recordings: the list of tasks, the classes, and the recordings themselves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from fastlabel_dagster.formats.class_words import CLASS_FILE, ClassWords
from fastlabel_dagster.formats.pictures import Pictures, link_pictures
from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.formats.sound.audio_segments import AUDIO
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.task_list import ListedTask, list_lines, read_list
from fastlabel_dagster.formats.text_files import FoundFiles, find_files
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.store import FolderWriter

TASK_LIST = "tasks.jsonl"
LABELS = "labels"


class Beside(NamedTuple):
    """What was written."""

    files: int
    bytes: int


def write_beside(
    folder: FolderWriter,
    recordings: Pictures,
    *,
    keys: Iterable[str],
    classes: ClassWords,
    images: PictureSource | None,
    tally: Tally,
) -> Beside:
    """Write ``classes.json``, ``tasks.jsonl``, and the recordings into ``audio/`` where ``images`` has them.

    ``keys``: what the label files know each recording by.
    """
    rows = zip(keys, recordings.task_ids, recordings.names, recordings.tags, strict=True)
    contents = {CLASS_FILE: classes.to_json(), TASK_LIST: list_lines(ListedTask(*row) for row in rows)}
    for name, content in contents.items():
        folder.write_bytes(name, content)
    files, size = len(contents), sum(map(len, contents.values()))
    if images is not None:
        paths = [f"{AUDIO}/{file}" for file in recordings.files]
        linked, linked_bytes = link_pictures(folder, recordings, paths, images, tally)
        files, size = files + linked, size + linked_bytes
    return Beside(files, size)


def find_beside(source: Path, ending: str, told: ReadTally) -> tuple[dict[str, ListedTask], FoundFiles]:
    """The listed tasks by what the label files know them by, and the label files. A list alone is a dataset without
    labels.

    Raises:
        FileNotFoundError: when there is neither.
    """
    root = source if source.is_dir() else source.parent
    listed = read_list(root / TASK_LIST, told)
    try:
        return listed, find_files(source, {ending}, told, index=TASK_LIST)
    except FileNotFoundError:
        if not (root / TASK_LIST).is_file():
            raise
        return listed, FoundFiles(root, [])
