"""What an image folder holds and what it should hold, kept so that a kill at any moment can be told later."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from fastlabel_dagster.store import ImageFolder, S3Options, Store, StoreError, open_store
from fastlabel_dagster.store.images import INDEX, images_schema
from fastlabel_dagster.store.local import remove_abandoned_files
from fastlabel_dagster.sync.pictures import check_size
from fastlabel_dagster.sync.wanted_files import WantedFile

#: Which file was being fetched for which task, while a download runs; hidden, so no file of a task can be called so.
JOURNAL = ".pending.json"
_SAVE_EVERY = 1000


class FolderState:
    """What the image folder holds against what it should hold, kept so that a kill at any moment can be told later.

    A file counts as a task's only when the index says so, or when the journal, written before the first download, says
    that it was being fetched for that very task. Anything else in the place of a wanted file is cleared away before the
    journal is written: it may be the picture of a task that had the name before. That this is a download's own folder
    and nobody else's, :func:`refuse_foreign_images` has made sure of.
    """

    def __init__(self, folder: ImageFolder, wanted: Mapping[str, WantedFile]) -> None:
        self._folder = folder
        self._wanted = wanted
        self._files = {found.path: found.size for found in folder.store.list()}
        self._journal = _read_journal(folder.store) if JOURNAL in self._files else {}
        try:
            self._before: dict[str, dict[str, Any]] = {row["task_id"]: row for row in folder.table.to_pylist()}
        except pa.ArrowInvalid:
            self._before = {}  # somebody damaged the index; without it every file is fetched again
        self.rows = {key: row for key, row in self._before.items() if self._is_kept(row)}
        self.adoptable = frozenset(
            each.file
            for each in wanted.values()
            if each.key not in self.rows and each.file in self._files and self._journal.get(each.file) == each.key
        )
        self._saved: dict[str, dict[str, Any]] | None = self._before if INDEX in self._files else None
        self._unsaved = 0
        self._journal_written = False

    def _is_kept(self, row: Mapping[str, Any]) -> bool:
        wanted = self._wanted.get(row["task_id"])
        if wanted is None or wanted.file != row["file"] or self._files.get(row["file"], -1) != row["bytes"]:
            return False
        try:
            check_size((row["width"], row["height"]), wanted.width, wanted.height)
        except ValueError:
            return False
        return True

    def clear_away(self) -> int:
        """Delete the files that are nobody's any more, and return how many."""
        mine = {row["file"] for row in self.rows.values()} | self.adoptable
        known = {row["file"] for row in self._before.values()} | set(self._journal)
        known.update(each.file for each in self._wanted.values())
        gone = sorted(path for path in known if path in self._files and path not in mine)
        if gone:
            # Index first, so that it never names a file that is not there; the journal remembers what to delete.
            self._write_journal({**self._journal, **dict.fromkeys(gone)})
            self._save()
            self._folder.store.delete(gone)
        return len(gone)

    def missing(self) -> list[WantedFile]:
        """The files to be had."""
        return [each for key, each in self._wanted.items() if key not in self.rows]

    def begin(self, missing: Iterable[WantedFile]) -> None:
        """Note what is about to be fetched."""
        planned: dict[str, str | None] = {each.file: each.key for each in missing}
        if planned:
            self._write_journal(planned)

    def add(self, row: dict[str, Any]) -> None:
        """Keep a file that is in place; the index is saved now and then."""
        self.rows[row["task_id"]] = row
        self._unsaved += 1
        if self._unsaved >= max(_SAVE_EVERY, len(self.rows) // 10):
            self._save()

    def finish(self) -> None:
        """Save the index, when it says something new, and put the journal away."""
        if self.rows != self._saved:
            self._save()
        if self._journal_written or JOURNAL in self._files:
            self._folder.store.delete([JOURNAL])

    def _save(self) -> None:
        self._folder.save(pa.Table.from_pylist(list(self.rows.values()), schema=images_schema()))
        self._saved, self._unsaved = dict(self.rows), 0

    def _write_journal(self, entries: Mapping[str, str | None]) -> None:
        self._journal_written = True
        self._folder.store.write_bytes(JOURNAL, json.dumps(entries, sort_keys=True).encode())


def _read_journal(store: Store) -> dict[str, str | None]:
    try:
        entries = json.loads(store.read_bytes(JOURNAL))
    except (FileNotFoundError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def refuse_foreign_images(store: str | Path | Store, *, s3: S3Options | None = None) -> None:
    """Make sure that a download may write to ``<store>/images``: it is empty, or a download made it.

    A download gives files the names of the tasks and deletes files whose task is gone, so in a folder of somebody's own
    files it would replace them. Its own folder it knows by the index, or by the journal of a run that was killed.
    Hidden files do not count: no file of a task is ever called so. Costs one request or two; nothing is written.

    Raises:
        StoreError: the folder holds files, and neither the index nor the journal.
    """
    folder = open_store(store, s3).at("images")
    if _is_ours(folder):
        return
    visible = (each.path for each in folder.list() if not any(part.startswith(".") for part in each.path.split("/")))
    found = next(visible, None)
    # Asked once more, because another process may have begun its download meanwhile, and that is its file.
    if found is not None and not _is_ours(folder):
        raise StoreError(
            f"{folder.uri} holds files that no sync put there, such as {found!r}: nothing is downloaded into it, "
            "as that could replace them; name another store, or move the folder away",
            folder.uri,
        )


def _is_ours(folder: Store) -> bool:
    # In this order: a download saves the index before it puts the journal away.
    return folder.exists(JOURNAL) or folder.exists(INDEX)


def remove_leftovers(store: Store) -> None:
    """Remove the unfinished files of killed runs; elsewhere than on a local disk there are none."""
    if store.is_local:
        for folder, _, _ in os.walk(store.local_path):
            with suppress(OSError):  # tidying up is a courtesy; what is wrong with the folder comes out when it is used
                remove_abandoned_files(Path(folder))
