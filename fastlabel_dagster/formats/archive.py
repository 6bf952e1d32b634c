"""A folder whose many small files lie in a few archives: ``data-00000.zip``, ``data-00001.zip``, …

A dataset of a hundred thousand files takes hours to copy to S3, and every reader of it as long. :class:`ArchiveFolder`
stands between a format's writer and the folder: the format writes files as ever, and all but the few that readers look
for first go into archives. The same files in the same order give the same bytes.
"""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any, BinaryIO, Literal, TypeAlias, cast

from fastlabel_dagster.formats.scratch import close_scratch, in_scratch
from fastlabel_dagster.store import FolderWriter, Store

ArchiveKind: TypeAlias = Literal["zip", "tar"]
KINDS: tuple[ArchiveKind, ...] = ("zip", "tar")
#: An archive is closed when it has so many bytes, and another begins.
SHARD_BYTES = 2**30
#: Content that is compressed already.
_PACKED = frozenset(
    (".jpg", ".jpeg", ".png", ".gif", ".webp", ".heic", ".avif", ".mp4", ".mov", ".avi", ".webm", ".mkv", ".mp3")
) | frozenset((".m4a", ".flac", ".ogg", ".parquet", ".gz", ".zip", ".xz", ".bz2", ".zst", ".npz", ".7z"))
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first day a zip knows
_IN_MEMORY = 8 * 2**20
_FETCHED_AHEAD = 32
_THREADS = 16


def shard_name(number: int, kind: ArchiveKind) -> str:
    """What the archive of this number is called, from 0."""
    return f"data-{number:05}.{kind}"


class ArchiveFolder(FolderWriter):
    """Writes files into archives of ``folder``, but those named ``outside``. Use it in a ``with`` statement.

    ``write_bytes``, ``open`` and ``link`` are those of any folder. A file that is opened is put into an archive when it
    is closed; till then it waits in memory or, when it is large, in a temporary file. Linked objects are read; those
    of S3 some at a time ahead of their turn.
    """

    def __init__(
        self,
        folder: FolderWriter,
        kind: ArchiveKind,
        *,
        outside: Collection[str] = (),
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"archive is {' or '.join(map(repr, KINDS))}, not {kind!r}")
        if shard_bytes < 1:
            raise ValueError(f"shard_bytes is a number of bytes from 1 on, not {shard_bytes}")
        super().__init__()
        self._folder, self._kind, self._outside, self._limit = folder, kind, frozenset(outside), shard_bytes
        self._shard: _Zip | _Tar | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[tuple[str, Future[bytes]]] = deque()
        self.shards: list[str] = []
        """The archives so far."""
        self.packed = 0
        """Files in them."""

    def check(self) -> None:
        self._folder.check()

    def write_bytes(self, path: str, data: bytes) -> None:
        if path in self._outside:
            self._folder.write_bytes(path, data)
        else:
            self._settle()
            self._current(path).add(path, data)
            self.packed += 1
        self._count(len(data))

    def open(self, path: str) -> BinaryIO:
        if path in self._outside:
            return self._folder.open(path)
        self._claim(path)
        return cast(BinaryIO, _Held(path, lambda file, size: self._take(path, file, size), lambda: self._forget(path)))

    def link(self, source: Store, source_path: str, path: str) -> None:
        if path in self._outside:
            self._folder.link(source, source_path, path)
            return
        self._claim(path)
        if source.is_local:
            self._settle()
            with source.open_read(source_path) as file:
                size = file.seek(0, 2)
                file.seek(0)
                self._put(path, file, size)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="fetch")
        self._waiting.append((path, self._pool.submit(source.read_bytes, source_path)))
        self._settle(_FETCHED_AHEAD)

    def _settle(self, leave: int = 0) -> None:
        """Put what was fetched into the archive, in the order it was asked for."""
        while len(self._waiting) > leave:
            path, future = self._waiting.popleft()
            self._put_bytes(path, future.result())

    def _take(self, path: str, file: BinaryIO, size: int) -> None:
        self._settle()
        self._put(path, file, size)
        self._count(size)

    def _put(self, path: str, file: BinaryIO, size: int) -> None:
        self._current().copy(path, file, size)
        self.packed += 1

    def _put_bytes(self, path: str, data: bytes) -> None:
        self._current().add(path, data)
        self.packed += 1

    def _current(self, claimed: str | None = None) -> _Zip | _Tar:
        """The archive to add to."""
        if claimed is not None:
            self._claim(claimed)
        if self._shard is not None and self._shard.size >= self._limit:
            self._shard.close()
            self._shard = None
        if self._shard is None:
            name = shard_name(len(self.shards), self._kind)
            self.shards.append(name)
            self._shard = (_Zip if self._kind == "zip" else _Tar)(self._folder.open(name))
        return self._shard

    def _begin(self) -> None: ...

    def _commit(self) -> None:
        self._settle()
        if self._pool is not None:
            self._pool.shutdown()
        if self._shard is not None:
            self._shard.close()

    def _abandon(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        if self._shard is not None:
            self._shard.abandon()

    def _uri(self) -> str:
        return self._folder._uri()


class _Archive(ABC):
    """One archive being written to a stream that cannot be seeked."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._abandoned = stream, False
        self.size = 0

    @abstractmethod
    def copy(self, path: str, file: BinaryIO, size: int) -> None:
        """Add a file."""

    def add(self, path: str, data: bytes) -> None:
        """Add a file of this content."""
        self.copy(path, io.BytesIO(data), len(data))

    @abstractmethod
    def _end(self) -> None: ...

    def close(self) -> None:
        """The archive is whole."""
        self._end()
        self._stream.close()

    def abandon(self) -> None:
        """It is not wanted. The stream is thrown away by the folder it belongs to; nothing more is written to it."""
        self._abandoned = True
        self._end()

    # What zipfile and tarfile ask of a file.

    def write(self, data: bytes) -> int:
        if not self._abandoned:
            self._stream.write(data)
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """Nothing waits here; the stream below decides itself when to write."""
        return


class _Zip(_Archive):
    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._zip = zipfile.ZipFile(cast(BinaryIO, self), "w")

    def add(self, path: str, data: bytes) -> None:
        self._zip.writestr(self._member(path, len(data)), data)

    def copy(self, path: str, file: BinaryIO, size: int) -> None:
        with self._zip.open(self._member(path, size), "w") as member:
            shutil.copyfileobj(file, member, 1 << 20)

    def _end(self) -> None:
        self._zip.close()

    @staticmethod
    def _member(path: str, size: int) -> zipfile.ZipInfo:
        member = zipfile.ZipInfo(path, _EPOCH)
        member.create_system = 3  # Unix, wherever this runs
        member.external_attr = 0o100644 << 16
        member.file_size = size
        packed = PurePosixPath(path).suffix.lower() in _PACKED
        member.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
        return member


class _Tar(_Archive):
    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._tar = tarfile.open(fileobj=cast(BinaryIO, self), mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed in _end

    def copy(self, path: str, file: BinaryIO, size: int) -> None:
        member = tarfile.TarInfo(path)  # time, user and group are 0
        member.size = size
        member.mode = 0o644
        self._tar.addfile(member, file)

    def _end(self) -> None:
        self._tar.close()


class _Held:
    """A file being written that goes into an archive when it is whole."""

    def __init__(self, what: str, take: Callable[[BinaryIO, int], object], forget: Callable[[], object]) -> None:
        self._what, self._take, self._forget = what, take, forget
        self._file: Any = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed in close and abandon
        self.closed = False

    def write(self, data: bytes) -> int:
        with in_scratch(self._what):
            written: int = self._file.write(data)
        return written

    def writelines(self, lines: Any) -> None:
        with in_scratch(self._what):
            self._file.writelines(lines)

    def tell(self) -> int:
        position: int = self._file.tell()
        return position

    def flush(self) -> None:
        with in_scratch(self._what):
            self._file.flush()

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        try:
            size = self._file.tell()
            with in_scratch(self._what):
                self._file.seek(0)
            self._take(self._file, size)
        finally:
            close_scratch(self._file)

    def abandon(self) -> None:
        if not self.closed:
            self.closed = True
            close_scratch(self._file)
            self._forget()

    def __enter__(self) -> _Held:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abandon()
