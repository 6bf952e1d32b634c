"""Where labels came from, when a dataset on disk was read: what must not be written over, and where its pictures are.

``read`` notes it in ``labels.origin["source"]``, and only labels with that note are trusted with file URIs: the ``url``
of a task that came from a server is never opened as a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from fastlabel_dagster.formats.batches import task_batches
from fastlabel_dagster.formats.file_kinds import STRANGE, FileKind, fits
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import ImageFolder, S3Options, Store, StoreError, open_store
from fastlabel_dagster.store.images import INDEX

SOURCE = "source"


class Picture(NamedTuple):
    """The picture of one task."""

    store: Store
    path: str
    size: int
    """In bytes."""


class PictureSource:
    """The pictures of some tasks, by task id, and what is said of a task without one."""

    def __init__(self, held: dict[str, Picture], sides: dict[str, tuple[int | None, int | None]], absent: str) -> None:
        self.held = held
        self.sides = sides
        """Width and height in pixels, where known."""
        self._absent = absent
        self._strangers: dict[str, str] = {}

    def why_absent(self, task_id: str) -> str:
        """What is said of a task that has no picture here."""
        return self._strangers.get(task_id, self._absent)

    def only(self, wanted: FileKind) -> PictureSource:
        """These pictures without the files that are something else than what is ``wanted``."""
        strangers = {task_id for task_id, one in self.held.items() if not fits(one.path, wanted)}
        if not strangers:
            return self
        held = {task_id: one for task_id, one in self.held.items() if task_id not in strangers}
        fitting = PictureSource(held, self.sides, self._absent)
        fitting._strangers = dict.fromkeys(strangers, STRANGE[wanted])
        return fitting


def opened_images(images: ImageFolder | str | Path | None, s3: S3Options | None) -> ImageFolder | None:
    """The image folder, which may be said by where it lies. Raises FileNotFoundError when none lies there."""
    if not isinstance(images, str | Path):
        return images
    store = open_store(images, s3)
    if not store.exists(INDEX):
        raise FileNotFoundError(f"{store.uri} is no image folder: it has no {INDEX}, which download_images() writes")
    return ImageFolder(store)


def pictures_of_folder(images: ImageFolder) -> PictureSource:
    """The pictures an image folder lists. Sizes its index does not know are looked up in one listing."""
    table = images.table
    rows = list(
        zip(*(table[name].to_pylist() for name in ("task_id", "file", "bytes", "width", "height")), strict=True)
    )
    listed: dict[str, int] = {}
    if any(row[2] is None for row in rows):
        listed = {found.path: found.size for found in images.store.list()}
    held = {
        task_id: Picture(images.store, file, listed.get(file, 0) if size is None else size)
        for task_id, file, size, _, _ in rows
    }
    sides = {task_id: (width, height) for task_id, _, _, width, height in rows}
    return PictureSource(held, sides, "there is no picture of it in the image folder")


def pictures_of_dataset(labels: Labels) -> PictureSource | None:
    """The pictures of labels that `read` has read from a local dataset; None when it knows of none."""
    if SOURCE not in labels.origin:
        return None
    held: dict[str, Picture] = {}
    stores: dict[Path, Store] = {}
    for task_id, path in _local_files(labels):
        try:
            store = stores.setdefault(path.parent, open_store(path.parent))
            store.uri_of(path.name)  # a name no object can have, such as one with a backslash, is a ValueError
            held[task_id] = Picture(store, path.name, path.stat().st_size)
        except (FileNotFoundError, ValueError):
            continue  # counted as missing by whoever wants the picture
    return PictureSource(held, {}, "there was no picture of it in the dataset that was read") if held else None


def refuse_own_source(labels: Labels, target: Store, images: ImageFolder | None, *, with_pictures: bool) -> None:
    """Raise StoreError when writing to ``target`` would replace what the labels, or their pictures, are read from."""
    if images is not None and _contains(target.uri, images.store.uri):
        raise StoreError(
            f"cannot write to {target.uri}: the pictures are read from {images.store.uri}, which lies there; "
            "name another folder",
            target.uri,
        )
    source = labels.origin.get(SOURCE)
    if not target.is_local or source is None:
        return
    refuse_source(str(source), target)
    place = os.path.realpath(target.local_path)
    if with_pictures:
        for _, path in _local_files(labels):
            if _contains(place, str(path)):
                raise StoreError(
                    f"cannot write to {target.uri}: the picture {path} of the labels lies there; name another folder",
                    target.uri,
                )


def refuse_source(source: str | Path, target: Store) -> None:
    """Raise StoreError when writing to ``target`` would replace the dataset at ``source``."""
    if not target.is_local:
        return
    place, source = os.path.realpath(target.local_path), os.path.realpath(source)
    if _contains(place, source) or _contains(source, place):
        raise StoreError(
            f"cannot write to {target.uri}: the labels are read from {source}; an export replaces its folder, so name "
            "one that is neither the source nor in it nor around it",
            target.uri,
        )


def _contains(folder: str, path: str) -> bool:
    folder = folder.rstrip("/")
    return path == folder or path.startswith(folder + "/")


def _local_files(labels: Labels) -> Iterator[tuple[str, Path]]:
    """Task id and resolved path of every picture the labels know as a local file."""
    for table in task_batches(labels, ["task_id", "url"]):
        for task_id, url in zip(table["task_id"].to_pylist(), table["url"].to_pylist(), strict=True):
            if url and url.startswith("file:///"):
                yield task_id, Path(unquote(urlsplit(url).path))
