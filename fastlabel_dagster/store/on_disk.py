"""An object of a store as a file on the local disk, for programs that want a path."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from fastlabel_dagster.store.errors import missing, said_plainly
from fastlabel_dagster.store.interface import Store
from fastlabel_dagster.store.paths import checked_path

_PIECE_BYTES = 1 << 20


@contextmanager
def on_disk(store: Store, path: str) -> Iterator[Path]:
    """The object's own file where the store is local, and a copy that goes with the ``with`` block elsewhere. Little of
    it is in memory at any time; the ending of its name stays.

    Raises:
        FileNotFoundError: there is no such object.
        StoreError: it cannot be had.
    """
    if store.is_local:
        file = store.local_path / checked_path(path)
        if not file.is_file():
            raise missing(store.uri_of(path))
        yield file
        return
    with TemporaryDirectory(prefix="fastlabel-") as place:
        copy = Path(place) / f"copy{PurePosixPath(path).suffix}"
        with store.open_read(path) as source, said_plainly(str(copy)), copy.open("wb") as target:
            shutil.copyfileobj(source, target, _PIECE_BYTES)
        yield copy
