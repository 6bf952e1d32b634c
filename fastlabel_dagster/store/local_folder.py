"""A local folder that appears whole: written beside its place, then swapped in."""

from __future__ import annotations

import errno
import io
import os
import shutil
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from fastlabel_dagster.store.errors import StoreError, local_error, said_plainly
from fastlabel_dagster.store.interface import FolderWriter, Store
from fastlabel_dagster.store.local import LocalStore
from fastlabel_dagster.store.locks import exchange, is_abandoned, locked, try_lock
from fastlabel_dagster.store.mark import FOLDER_MARK, files_of_others
from fastlabel_dagster.store.paths import is_reserved, is_temporary, temporary_name, temporary_stem
from fastlabel_dagster.store.shared_work import SharedWork
from fastlabel_dagster.store.streams import OutputStream
from fastlabel_dagster.store.transfers import Transfers

_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
#: Errors of a copy that are its target's, whatever the source: nothing can be written there.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
_COPY_BYTES = 1 << 20
#: Files of one piece of work, at most, and about how many bytes they have. How many pieces wait to be done, and how
#: many bytes of more than one piece: of pictures of a hundred megabytes two wait.
_FILES_TOGETHER = 256
_BYTES_TOGETHER = 1 << 20
_MOST_WAITING = 16
_MOST_BYTES_WAITING = 16 << 20
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class LocalFolderWriter(FolderWriter):
    """Writes to a hidden sibling and swaps it with the target.

    Where the file system can exchange two folders in one step there is always a whole folder in place. Where it cannot,
    the old one is put aside first; a process killed between the two renames leaves it there, and the next writer of
    the same folder puts it back before it begins.
    """

    def __init__(
        self,
        store: LocalStore,
        last: Collection[str] = (),
        *,
        replace: bool = False,
        derived: Collection[str] = (),
    ) -> None:
        super().__init__(last, replace=replace, derived=derived)
        # A target that is a symbolic link stays one: the folder it leads to is what is replaced.
        self._target = Path(os.path.realpath(store.local_path))
        self._partial = self._target
        self._descriptor = -1
        self._made = {""}
        self._streams: list[OutputStream] = []
        self._transfers: Transfers | None = None

    def write_bytes(self, path: str, data: bytes) -> None:
        self._prepare(path)
        self._count(self._written([(path, data)]))

    def write_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Write many files, as they come. This thread and another share them, some hundred at a time: a small file is
        three system calls and little else, and for each one alone they would only take turns."""
        waiting: deque[SharedWork[int]] = deque()
        held = 0
        other = ThreadPoolExecutor(1, thread_name_prefix="store-files")
        try:
            for some in _bundles(items):
                for path, _ in some:
                    self._prepare(path)
                waiting.append(SharedWork(other, partial(self._written, some)))
                held += sum(len(data) for _, data in some)
                while len(waiting) > _MOST_WAITING or (held > _MOST_BYTES_WAITING and len(waiting) > 1):
                    held -= self._finish_first(waiting)
            while waiting:
                self._finish_first(waiting)
        finally:  # after an error, or when somebody interrupts, nobody wants what still waits
            other.shutdown(cancel_futures=True)

    def _finish_first(self, waiting: deque[SharedWork[int]]) -> int:
        """Wait until the first of these is written, or write it and others; how many bytes it has."""
        size = waiting.popleft().result(behind=waiting)
        self._count(size)
        return size

    def _prepare(self, path: str) -> None:
        """Claim the path of a file, and make the folder it lies in."""
        above = self._claim(path).rpartition("/")[0]
        if above not in self._made:
            with said_plainly(str(self._target / path)):
                (self._partial / above).mkdir(parents=True, exist_ok=True)
            self._made.add(above)

    def _written(self, some: Iterable[tuple[str, bytes]]) -> int:
        """Write these files; how many bytes they have."""
        # Plain strings: for a small file, making a Path takes longer than writing it.
        base = f"{self._partial}/"
        size = 0
        for path, data in some:
            try:
                _write_new(base + path, data)
            except OSError as error:
                raise local_error(error, str(self._target / path)) from error
            size += len(data)
        return size

    def open(self, path: str) -> BinaryIO:
        self._prepare(path)
        with said_plainly(str(self._target / path)):
            sink = _CountedFile(self._partial / path, self._target / path, self._count)
        stream = OutputStream(sink, lambda: self._forget(path))
        self._streams.append(stream)
        return cast(BinaryIO, stream)

    def link(self, source: Store, source_path: str, path: str) -> None:
        self._prepare(path)
        file = self._partial / path
        if isinstance(source, LocalStore):
            try:
                _link_or_copy(source.path_of(source_path), file)
            except OSError as error:
                blamed = str(self._target / path) if error.errno in _NO_ROOM else source.uri_of(source_path)
                raise local_error(error, blamed) from error
            return
        if self._transfers is None:
            self._transfers = Transfers()
        place = str(self._target / path)  # where it will lie, for errors
        self._transfers.submit(lambda: _download(source, source_path, file, place))

    def check(self) -> None:
        self._refuse_root()
        with said_plainly(str(self._target)):
            self._find_others()

    def _refuse_root(self) -> None:
        target = str(self._target)
        if self._target.parent == self._target:
            raise StoreError(f"cannot replace {target}: it is the root of the file system; name a folder in it", target)

    def _begin(self) -> None:
        target, parent = self._target, self._target.parent
        self._refuse_root()
        with said_plainly(str(target)):
            parent.mkdir(parents=True, exist_ok=True)
            with locked(parent):
                _tidy(target)
                self._keep(self._find_others())
                self._partial = parent / temporary_name(target.name)
                self._partial.mkdir()
                if target.is_dir():
                    shutil.copymode(target, self._partial)
                self._descriptor = os.open(self._partial, os.O_RDONLY | os.O_CLOEXEC)
                try_lock(self._descriptor)  # tells a process that tidies up that this one is alive

    def _uri(self) -> str:
        return str(self._target)

    def _find_others(self) -> list[str]:
        """The files of the target that stay, as they are now. Raises rather than replace what nobody proves ours."""
        target = self._target
        if target.exists() and not target.is_dir():
            raise StoreError(f"cannot write the folder {target}: there is a file of that name; remove it", str(target))
        if self._replace or not target.is_dir():
            return []
        mark = LocalStore(target).read_mark()
        return files_of_others(_all_files(target), mark, uri=str(target), last=self._last, derived=self._derived)

    def _commit(self) -> None:
        for stream in self._streams:
            with said_plainly(str(self._target)):
                stream.close()
        if self._transfers is not None:
            self._transfers.finish()
        with said_plainly(str(self._target)):
            (self._partial / FOLDER_MARK).write_bytes(self._mark().to_json())
            with locked(self._target.parent):
                others = self._find_others()  # once more: hours may have passed, or another writer has finished
                self._keep(others)
                for path in self.files:
                    self._refuse_taken(path)
                _carry(others, self._target, self._partial)
                aside = _swap_in(self._partial, self._target)
            self._release()
            if aside is not None:
                _remove_tree(aside)

    def _abandon(self) -> None:
        if self._transfers is not None:
            self._transfers.abandon()
        for stream in self._streams:
            stream.abandon()
        self._release()
        if self._partial != self._target:
            _remove_tree(self._partial)

    def _release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _bundles(items: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """The files, some at a time: many enough to be worth another thread's while, few enough for memory."""
    some: list[tuple[str, bytes]] = []
    size = 0
    for item in items:
        some.append(item)
        size += len(item[1])
        if len(some) == _FILES_TOGETHER or size >= _BYTES_TOGETHER:
            yield some
            some, size = [], 0
    if some:
        yield some


def _write_new(path: str, data: bytes) -> None:
    file = os.open(path, _NEW_FILE, 0o666)
    try:
        written = os.write(file, data)
        while written < len(data):  # the system takes at most two gigabytes at once
            written += os.write(file, memoryview(data)[written:])
    finally:
        os.close(file)


class _CountedFile(io.FileIO):
    """A new file that reports its size when it is closed. Not seekable, as a stream to S3 is not."""

    def __init__(self, path: Path, target: Path, count: Callable[[int], None]) -> None:
        super().__init__(path, "xb")
        self._path = path
        self._target = target  # where it will lie, for errors
        self._report = count

    def seekable(self) -> bool:
        return False

    def write(self, data: Any, /) -> int:
        with said_plainly(str(self._target)):
            return super().write(data)

    def abandon(self) -> None:
        self._report = lambda _size: None
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        if not self.closed:
            self._report(os.fstat(self.fileno()).st_size)
        super().close()


def _all_files(folder: Path) -> Iterator[str]:
    """Everything below ``folder`` that is no folder (links to folders among it), in a fixed order, but for what the
    store keeps for itself. Names that no object of a store can have are here too, for they can be somebody's files."""

    def fail(error: OSError) -> None:
        raise error

    for place, folders, files in os.walk(folder, onerror=fail):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]  # noqa: PTH114, PTH118
        folders[:] = sorted(name for name in folders if name not in links and not is_reserved(name))
        above = Path(place).relative_to(folder)
        for name in sorted([*files, *links]):
            if not is_reserved(name):
                yield (above / name).as_posix()


def _carry(paths: Iterable[str], old: Path, new: Path) -> None:
    """Put these files of ``old`` into ``new`` as well: links stay links, everything else becomes a hard link."""
    for path in paths:
        source, file = old / path, new / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, file, follow_symlinks=False)
        except FileNotFoundError:
            continue  # its owner has removed it meanwhile
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            shutil.copy2(source, file, follow_symlinks=False)


def _link_or_copy(source: Path, file: Path) -> None:
    try:
        source = source.resolve(strict=True)  # a hard link to a symbolic link would be a symbolic link again
        if source.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(source))
        os.link(source, file)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(source, file)


def _download(source: Store, source_path: str, file: Path, place: str) -> None:
    with source.open_read(source_path) as content, said_plainly(place), file.open("xb") as copy:
        shutil.copyfileobj(content, copy, _COPY_BYTES)


def _swap_in(partial: Path, target: Path) -> Path | None:
    """Put ``partial`` in the place of ``target``; what was there is returned, under a hidden name, for removal."""
    if not target.exists():
        partial.rename(target)
        return None
    if exchange(partial, target):
        return partial
    aside = target.parent / temporary_name(target.name, "old")
    target.rename(aside)
    try:
        partial.rename(target)
    except OSError:
        aside.rename(target)
        raise
    return aside


def _tidy(target: Path) -> None:
    """Undo what killed writers of ``target`` left beside it. The caller holds the lock of the parent folder."""
    stem = temporary_stem(target.name)
    with os.scandir(target.parent) as entries:
        leftovers = [entry.name for entry in entries if entry.name.startswith(stem) and is_temporary(entry.name)]
    for name in leftovers:
        if len(name.removeprefix(stem).split(".")) != 2:
            continue  # the temporary name of another folder, whose name begins like this one's
        path = target.parent / name
        if name.endswith(".old") and not target.exists():
            path.rename(target)
        elif path.is_dir() and is_abandoned(path):
            _remove_tree(path)


def _remove_tree(path: Path) -> None:
    """Remove a hidden folder. What cannot be removed now stays hidden, and the next writer tries again."""
    shutil.rmtree(path, ignore_errors=True)
