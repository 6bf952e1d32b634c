"""The store that is a local folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from fastlabel_dagster.store.errors import StoreError, missing, said_plainly
from fastlabel_dagster.store.interface import FolderWriter, Store, StoredObject
from fastlabel_dagster.store.locks import is_abandoned, try_lock
from fastlabel_dagster.store.mark import FOLDER_MARK, FolderMark
from fastlabel_dagster.store.paths import checked_path, is_reserved, is_safe_path, is_temporary, joined, temporary_name
from fastlabel_dagster.store.staging import Staged

_COPY_BYTES = 1 << 20
_QUIET_SECONDS = 60.0  # a hidden file may be seen before its writer has locked it, but not for this long


class LocalStore(Store):
    """A local folder. It need not exist before something is written to it.

    A write goes to a hidden file beside its target and takes its place by ``os.replace``. Content is handed to the
    operating system, not forced to the disk: a killed process loses nothing that was written, a power cut may.
    """

    is_local = True

    def __init__(self, folder: Path, _tidied: set[Path] | None = None) -> None:
        self._folder = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100 - resolves "..", keeps symlinks
        self._tidied = set() if _tidied is None else _tidied

    def __repr__(self) -> str:
        return f"LocalStore({self.uri!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalStore) and other._folder == self._folder

    def __hash__(self) -> int:
        return hash(self._folder)

    def __reduce__(self) -> tuple[object, ...]:
        return (LocalStore, (self._folder,))

    @property
    def uri(self) -> str:
        return str(self._folder)

    @property
    def local_path(self) -> Path:
        return self._folder

    def at(self, *parts: str) -> LocalStore:
        below = joined(*parts)
        return LocalStore(self._folder / below, self._tidied) if below else self

    def path_of(self, path: str) -> Path:
        """The file of an object of this path, there or not. Raises ValueError for an unsafe path."""
        return self._folder / checked_path(path)

    def uri_of(self, path: str) -> str:
        return str(self.path_of(path)) if path else self.uri

    def storage_options(self) -> dict[str, str]:
        return {}

    def exists(self, path: str) -> bool:
        file = self.path_of(path)
        with said_plainly(str(file)):
            return file.is_file()

    def read_bytes(self, path: str) -> bytes:
        with self.open_read(path) as file:
            return file.read()

    def open_read(self, path: str) -> BinaryIO:
        file = self.path_of(path)
        with said_plainly(str(file)):
            try:
                return file.open("rb")
            except (IsADirectoryError, NotADirectoryError) as error:  # a folder is not an object, here as on S3
                raise missing(str(file)) from error

    def write_bytes(self, path: str, data: bytes) -> None:
        target = self.path_of(path)
        with said_plainly(str(target)), self._replacing(target) as file:
            file.write(data)

    def write_new(self, path: str, data: bytes) -> bool:
        target = self.path_of(path)
        with said_plainly(str(target)):
            try:
                with self._replacing(target, new=True) as file:
                    file.write(data)
            except FileExistsError:
                return False
        return True

    def write_file(self, path: str, local: Path) -> None:
        target = self.path_of(path)
        with said_plainly(str(local)):
            source = local.open("rb")
        with source, said_plainly(str(target)), self._replacing(target) as file:
            shutil.copyfileobj(source, file, _COPY_BYTES)

    @contextmanager
    def staged(self, path: str) -> Iterator[Staged]:
        target = self.path_of(path)
        with said_plainly(str(target)):
            replacing = self._replacing(target)
            with replacing as file:
                yield Staged(file, replacing.temporary)

    def delete(self, paths: Iterable[str]) -> None:
        folders = set()
        for path in paths:
            file = self.path_of(path)
            with said_plainly(str(file)):
                try:
                    file.unlink()
                except (FileNotFoundError, NotADirectoryError):
                    continue
                except IsADirectoryError:
                    continue  # a folder is not an object, here as on S3
                except PermissionError:
                    if file.is_dir():  # macOS answers so for a folder
                        continue
                    raise
            folders.add(file.parent)
        for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
            self._prune(folder)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        if prefix:
            checked_path(prefix.rstrip("/") if prefix.endswith("/") and not prefix.endswith("//") else prefix)
        above = prefix.rpartition("/")[0]
        root = self._folder / above if above else self._folder
        for found in _walk(root, f"{above}/" if above else "", ()):
            if found.path.startswith(prefix):
                yield found

    def new_folder(
        self,
        path: str = "",
        *,
        last: Collection[str] = (),
        replace: bool = False,
        derived: Collection[str] = (),
    ) -> FolderWriter:
        from fastlabel_dagster.store.local_folder import LocalFolderWriter

        return LocalFolderWriter(self.at(path), last, replace=replace, derived=derived)

    def read_mark(self) -> FolderMark | None:
        file = self._folder / FOLDER_MARK
        with said_plainly(str(file)):
            try:
                return FolderMark.from_json(file.read_bytes())
            except (FileNotFoundError, NotADirectoryError):
                return None

    def _replacing(self, target: Path, *, new: bool = False) -> _Replacement:
        if target.parent not in self._tidied:
            target.parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned_files(target.parent)
            self._tidied.add(target.parent)
        return _Replacement(target, new=new)

    def _prune(self, folder: Path) -> None:
        """Remove folders left empty, up to the store's own, which stays."""
        while folder != self._folder:
            try:
                folder.rmdir()
            except OSError:  # not empty, or somebody else was quicker: either way it is not ours to remove
                return
            folder = folder.parent


class _Replacement:
    """A hidden file that takes the place of ``target`` when the ``with`` block ends well, and vanishes when not.

    With ``new`` it takes no one's place: FileExistsError when there is a target by then.
    """

    def __init__(self, target: Path, *, new: bool = False) -> None:
        self._target = target
        self._new = new
        self.temporary = target.parent / temporary_name(target.name)

    def __enter__(self) -> BinaryIO:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            descriptor = os.open(self.temporary, flags, 0o666)
        except FileNotFoundError:  # the folder was there once, and somebody removed it since
            self._target.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.temporary, flags, 0o666)
        try_lock(descriptor)  # tells a process that tidies up that this one is alive
        self._file = cast(BinaryIO, os.fdopen(descriptor, "wb"))
        return self._file

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        replaced = False
        try:
            if kind is None:
                self._file.flush()  # errors such as a full disk come out here, before anything is replaced
                if self._new:
                    self._link()
                else:
                    self.temporary.replace(self._target)
                    replaced = True
        finally:
            with suppress(OSError):  # after a full disk, close() tries to write once more and fails again
                self._file.close()
            if not replaced:
                with suppress(OSError):  # whatever brought us here is the error to report
                    self.temporary.unlink()

    def _link(self) -> None:
        """Give the file its name only where no other has it. A hard link does both in one step, content included."""
        try:
            os.link(self.temporary, self._target)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links: the name is taken in one step, the content follows
            content = self.temporary.read_bytes()
            descriptor = os.open(self._target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)


def remove_abandoned_files(folder: Path) -> None:
    """Remove the hidden files that writers left in ``folder`` when they were killed. Living writers keep theirs."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(".") and is_temporary(entry.name)]
    for name in names:
        file = folder / name
        if is_abandoned(file, _QUIET_SECONDS):
            file.unlink(missing_ok=True)


def _walk(folder: Path, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[StoredObject]:
    """The files below ``folder`` in the order of their whole paths, which is S3's order too."""
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not is_reserved(entry.name)]
        status = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise StoreError(
            f"cannot list {folder}: {error.strerror}; check who owns it and its mode", str(folder)
        ) from error
    here = (status.st_dev, status.st_ino)
    if here in above:  # a symbolic link that leads back up
        return
    # "a-b" sorts before "a/x", as '-' comes before '/'; so a folder takes part with its slash
    names = [(f"{entry.name}/" if entry.is_dir() else entry.name, entry) for entry in found]
    for name, entry in sorted(names, key=lambda pair: pair[0]):
        if not is_safe_path(entry.name):
            continue  # a name no object can have, such as one with a backslash; nothing of ours
        if name.endswith("/"):
            yield from _walk(folder / entry.name, prefix + name, (*above, here))
            continue
        try:
            if entry.is_file():
                yield StoredObject(prefix + name, entry.stat().st_size)
        except FileNotFoundError:  # removed since the folder was read
            continue
