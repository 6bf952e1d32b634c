"""What every store can do, wherever its bytes lie. The two that exist are in `local` and `s3`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from urllib.parse import urlsplit

from fastlabel_dagster.store.errors import StoreError
from fastlabel_dagster.store.mark import FolderMark
from fastlabel_dagster.store.paths import checked_path
from fastlabel_dagster.store.staging import Staged


@dataclass(frozen=True)
class StoredObject:
    """One object of a listing: its path inside the store and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True)
class S3Options:
    """How to reach S3 where boto3's own configuration (environment, profile, instance role) should not decide.

    Credentials are never given here; boto3's credential chain finds them.

    Attributes:
        endpoint_url: of an S3-compatible server, such as ``http://127.0.0.1:9000``; None leaves it to boto3, which
            knows ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL`` and the profile.
        region: such as ``ap-northeast-1``; None leaves it to boto3.
        profile: a profile of the shared AWS configuration files; None leaves it to boto3.

    Raises:
        ValueError: when the endpoint is no http(s) URL, or carries a user name or password.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None

    def __post_init__(self) -> None:
        if self.endpoint_url is None:
            return
        try:
            parts = urlsplit(self.endpoint_url)
            named = bool(parts.hostname) and parts.scheme in {"http", "https"}
        except ValueError:
            named = False
        if "@" in self.endpoint_url:  # not repeated in the message: it would show the password
            raise ValueError("endpoint_url carries a user name or password; give credentials through boto3's own chain")
        if not named:
            raise ValueError(f"endpoint_url is no http(s) URL: {self.endpoint_url!r}")


class Store(ABC):
    """A place for bytes: a local folder or an ``s3://bucket/prefix``. Made by `open_store`.

    Paths are relative and POSIX (``images/a.jpg``). An absolute path, ``..``, a drive letter, a backslash or NUL is a
    ``ValueError``; a missing object is a ``FileNotFoundError``; whatever else goes wrong is a `StoreError` that names
    the place. A store holds no connection until it is used, is safe to share between threads, and may be pickled.
    """

    is_local: bool

    @property
    @abstractmethod
    def uri(self) -> str:
        """The place itself: an absolute local path, or ``s3://bucket/prefix`` without a slash at the end."""

    @property
    @abstractmethod
    def local_path(self) -> Path:
        """The folder. Raises `StoreError` when the store is not local."""

    @abstractmethod
    def at(self, *parts: str) -> Store:
        """The store that begins in a sub-folder of this one; it shares this one's connection."""

    @abstractmethod
    def read_bytes(self, path: str) -> bytes:
        """The whole object. Raises FileNotFoundError, StoreError."""

    @abstractmethod
    def open_read(self, path: str) -> BinaryIO:
        """The object as a seekable binary file, read in pieces as needed. Raises FileNotFoundError, StoreError."""

    @abstractmethod
    def write_bytes(self, path: str, data: bytes) -> None:
        """Put the object in place whole: a reader sees the old content or the new one. Folders are made as needed."""

    @abstractmethod
    def write_new(self, path: str, data: bytes) -> bool:
        """Put a small object in place whole, unless there is one of this path; of several who try, one succeeds.

        Returns:
            Whether this call made it. False leaves what is there untouched. On S3 a request whose answer was lost is
            sent again by boto3 and then finds its own object: where that matters, put something unique into ``data``
            and read it back after a False.

        Raises:
            StoreError: the place cannot be used, or an S3 server that does not know conditional writes refused one.
        """

    @abstractmethod
    def write_file(self, path: str, local: Path) -> None:
        """Put a copy of a local file in place, as `write_bytes` does, without holding it in memory."""

    @abstractmethod
    def staged(self, path: str) -> AbstractContextManager[Staged]:
        """A file on the local disk to write in pieces and to look at; it takes its place when the ``with`` block ends.

        An exception inside the block leaves what was there. However large the file is, little of it is in memory. A
        local store keeps it, hidden, beside its place; for S3 it lies in the system's folder for temporary files.
        """

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether there is an object of exactly this path; a folder is not one."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """The objects whose path begins with ``prefix`` (``"coco/"``, or ``"coco/im"``).

        In the order of their UTF-8 bytes: the same order and the same paths locally and on S3. Unfinished work is left
        out. A place that does not exist yet has no objects.
        """

    @abstractmethod
    def delete(self, paths: Iterable[str]) -> None:
        """Remove objects; one that is gone already is no error. Locally, folders left empty go too."""

    @abstractmethod
    def uri_of(self, path: str) -> str:
        """Where an object of this path lies, for a person or another program to open."""

    @abstractmethod
    def storage_options(self) -> dict[str, str]:
        """What ``deltalake`` needs to reach the same place; empty when local. **Holds credentials: never log it.**"""

    @abstractmethod
    def new_folder(
        self,
        path: str = "",
        *,
        last: Collection[str] = (),
        replace: bool = False,
        derived: Collection[str] = (),
    ) -> FolderWriter:
        """A writer for a folder that appears whole, in the place of the one before. Use it in a ``with`` statement.

        Args:
            path: the folder, ``""`` for the store's own.
            last: the files (relative to the folder) that tell a reader the folder is there, such as its index and its
                report. On S3 they are written after all else, in this order. They also tell one kind of folder from
                another: one whose ``last`` were others is not replaced.
            replace: replace the folder whatever it holds.
            derived: patterns (as ``fnmatch`` knows them, ``*`` crosses slashes) of files that tools make of the
                folder's own, such as caches: they go with the old folder.

        Raises:
            StoreError: on entering, when the folder holds files and no mark of a writer of this kind, and ``replace``
                is off.
        """

    @abstractmethod
    def read_mark(self) -> FolderMark | None:
        """What the last folder writer of this very folder wrote; None when there was none. Raises StoreError."""


class FolderWriter(ABC):
    """Writes a folder that appears whole or not at all. Made by `Store.new_folder`; a context manager.

    Leaving the ``with`` block normally puts the folder in place; leaving it by an exception leaves what was there.

    - Local: everything goes to a hidden folder beside the target; the two change places in one step.
    - S3 has no such step. Data goes first, then the files named in ``last``, then the objects that are no longer part
      are deleted: who starts from the index sees the old folder or the new one, as long as files of different content
      have different names. Objects that are already there with the same content are not sent again. Work is done by a
      bounded number of threads; an error of one comes out of a later call, or of leaving the block.

    What is replaced is what the writer before has written, proven by the hidden file ``.fastlabel-folder`` it left:
    a list of its files. Files that others put into the folder since stay where they are; a path that one of them has
    is refused (`StoreError`). A folder with files and without that mark is refused as a whole.

    Several writers of one folder do not disturb each other locally: the last to finish wins. On S3 let one write at a
    time: of two, a file of the same name is that of the one who sent it last. What one has published the other does not
    take away when it fails, and nobody publishes an index whose data is gone. Call one writer from one thread.
    """

    def __init__(self, last: Collection[str] = (), *, replace: bool = False, derived: Collection[str] = ()) -> None:
        self._replace = replace
        self._derived = tuple(derived)
        self._others: frozenset[str] = frozenset()
        self._folders_of_others: frozenset[str] = frozenset()
        self._last = [checked_path(path) for path in ([last] if isinstance(last, str) else last)]
        self._files: dict[str, None] = {}
        self._folders: set[str] = set()
        self._bytes = 0
        self._state = "new"

    @property
    def files(self) -> list[str]:
        """The paths written so far, in the order of their UTF-8 bytes."""
        return sorted(self._files)

    @property
    def bytes_written(self) -> int:
        """Bytes given to `write_bytes`, `write_many` and streams closed by now. Linked files are not counted."""
        return self._bytes

    @abstractmethod
    def check(self) -> None:
        """Refuse now, before anything is made, what entering the ``with`` block would refuse.

        Raises:
            StoreError: the folder holds what this writer does not replace, or cannot be looked at.
        """

    @abstractmethod
    def write_bytes(self, path: str, data: bytes) -> None:
        """Write one file. Raises ValueError for an unsafe path, or one that was written before."""

    def write_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Write many files, as they come; on S3 several at once, with a bounded number in memory."""
        for path, data in items:
            self.write_bytes(path, data)

    @abstractmethod
    def open(self, path: str) -> BinaryIO:
        """A file to write in pieces, never whole in memory. Not seekable, ``tell`` works; close it when done.

        A ``with`` block around it that ends in an exception throws the file away.
        """

    @abstractmethod
    def link(self, source: Store, source_path: str, path: str) -> None:
        """Put an object of a store into the folder without reading it where that is possible.

        Local to local is a hard link (a copy where links are impossible), S3 to S3 a server-side copy; otherwise it is
        uploaded or downloaded. Raises FileNotFoundError when the source is missing, now or when leaving the block.
        """

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    def _commit(self) -> None: ...

    @abstractmethod
    def _abandon(self) -> None: ...

    def __enter__(self) -> FolderWriter:
        if self._state != "new":
            raise RuntimeError("a folder writer writes one folder; ask the store for another")
        self._begin()
        self._state = "open"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state = "closed"
        if error is not None:
            self._abandon()
            return
        try:
            self._commit()
        except BaseException:  # a folder appears whole or not at all, even when the process is being interrupted
            self._abandon()
            raise

    def _claim(self, path: str) -> str:
        """The path, now taken. Refuses what a local folder could not hold, so that both kinds of store refuse alike."""
        if self._state != "open":
            raise RuntimeError("a folder writer is used inside its with statement")
        checked_path(path)
        if path in self._files:
            raise ValueError(f"{path!r} is written twice to one folder")
        if path in self._folders:
            raise ValueError(f"{path!r} is a folder already, it cannot be a file too")
        self._refuse_taken(path)
        above = path.rpartition("/")[0]
        while above and above not in self._folders:
            self._refuse_taken(above, folder=True)
            if above in self._files:
                raise ValueError(f"{path!r} lies below {above!r}, which is a file")
            self._folders.add(above)
            above = above.rpartition("/")[0]
        self._files[path] = None
        return path

    def _keep(self, others: Collection[str]) -> None:
        """These files stay in the folder: they are not the writer's."""
        self._others = frozenset(others)
        folders: set[str] = set()
        for path in others:
            above = path.rpartition("/")[0]
            while above and above not in folders:
                folders.add(above)
                above = above.rpartition("/")[0]
        self._folders_of_others = frozenset(folders)

    def _refuse_taken(self, path: str, *, folder: bool = False) -> None:
        if path in self._others or (path in self._folders_of_others and not folder):
            uri = self._uri()
            raise StoreError(
                f"{uri} has {path}, which no export wrote, in the way of a file of this one: it is not replaced; "
                "move it away, name another folder, or say replace=True (--replace)",
                uri,
            )

    @abstractmethod
    def _uri(self) -> str: ...

    def _mark(self) -> FolderMark:
        return FolderMark(tuple(self._last), tuple(self.files))

    def _forget(self, path: str) -> None:
        """Take back a claim: the file was abandoned."""
        self._files.pop(path, None)

    def _count(self, size: int) -> None:
        self._bytes += size
