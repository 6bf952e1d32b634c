"""Archives of datasets, unpacked into a temporary folder with no trust in what they say."""

from __future__ import annotations

import errno
import gzip
import io
import lzma
import os
import re
import shutil
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

import orjson

from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.report import REPORT_FILE
from fastlabel_dagster.formats.scratch import in_scratch
from fastlabel_dagster.labels.json_text import encodable
from fastlabel_dagster.labels.report import FILE, ReadTally
from fastlabel_dagster.store import StoreError
from fastlabel_dagster.store.paths import FOLDER_MARK, is_safe_path

_ZIP = (".zip",)
_TAR = (".tar", ".tar.gz", ".tgz")
_SHARD = re.compile(r"data-\d{5}\.(zip|tar)")
_SAYS_UTF8 = 0x800
_CHUNK = 1 << 20
#: What a damaged archive makes the parsers raise.
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,  # an encrypted member
)
#: Errors of making a file that have nothing to do with its name.
_OF_THE_MACHINE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
}


@dataclass(frozen=True)
class ArchiveLimits:
    """How much an archive may unpack to before it is taken for a bomb.

    Attributes:
        bytes: all files together.
        ratio: bytes unpacked for each byte of the archive (the first ``slack`` bytes are free).
        members: files and folders in it.
        slack: bytes that are never too many.
    """

    bytes: int = 200 * 2**30
    ratio: float = 250.0
    members: int = 5_000_000
    slack: int = 64 * 2**20


def is_archive(source: Path) -> bool:
    """Whether :func:`unpacked` has something to unpack: an archive, or a folder of the archives we write."""
    if source.is_dir():
        return bool(_shards(source))
    return source.is_file() and source.name.lower().endswith((*_ZIP, *_TAR))


class Unpacked:
    """A temporary folder with what was in an archive. It goes when nobody refers to this object any more."""

    def __init__(self) -> None:
        with in_scratch("an archive"):
            self.folder = Path(tempfile.mkdtemp(prefix="fastlabel-"))
        self.remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def roots(self, index: str) -> list[Path]:
        """Where the dataset may begin, the likeliest first: people pack the folder as often as what is in it."""
        inside = self.only_folder()
        if inside is None:
            return [self.folder]
        if (inside / index).exists() and not (self.folder / index).exists():
            return [inside, self.folder]
        return [self.folder, inside]

    def only_folder(self) -> Path | None:
        """The folder that is all there is, if there is one."""
        inside = [path for path in self.folder.iterdir() if path.name != "__MACOSX" and not path.name.startswith(".")]
        return inside[0] if len(inside) == 1 and inside[0].is_dir() else None


def unpacked(source: Path, told: ReadTally, limits: ArchiveLimits | None = None) -> Unpacked:
    """Unpack an archive (``.zip``, ``.tar``, ``.tar.gz``, ``.tgz``), or a folder of the archives we write, or an
    archive of such a folder, which has the limits of the outer archive for everything in it.

    Members that lie outside of the folder, are links or devices, come twice or are damaged are left out and told. What
    is behind the place where an archive breaks off is one such thing.

    Raises:
        FormatError: when nothing can be read, or the archive unpacks to more than ``limits``; it names the member.
    """
    limits = limits or ArchiveLimits()
    result = Unpacked()
    try:
        if source.is_dir():
            shards = _shards(source)
            for path in shards:
                _unpack(path, _Sieve(path, result.folder, told, limits, f"{path.name}, "))
            for path in sorted(source.rglob("*")):
                if path.is_file() and not path.is_symlink() and path not in shards:
                    _beside(path, result.folder / path.relative_to(source))
        else:
            sieve = _Sieve(source, result.folder, told, limits, "")
            _unpack(source, sieve)
            for root in (result.folder, result.only_folder()):
                for path in _shards(root) if root is not None else ():
                    _unpack_shard(source, path, sieve)
    except BaseException:  # whatever ends it, a cancelled run among it: half an archive is of no use to anybody
        result.remove()
        raise
    return result


def _shards(folder: Path) -> list[Path]:
    """The archives in a folder that says itself that it has some."""
    found = sorted(path for path in folder.iterdir() if _SHARD.fullmatch(path.name) and path.is_file())
    if not found:
        return []
    try:
        report = orjson.loads((folder / REPORT_FILE).read_bytes())
        return found if report["archive"] else []
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return []


def _beside(path: Path, target: Path) -> None:
    with in_scratch(path):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:
        with path.open("rb") as content, in_scratch(path), target.open("wb") as copy:
            shutil.copyfileobj(content, copy, _CHUNK)


def _unpack(archive: Path, sieve: _Sieve) -> None:
    (_unpack_zip if archive.name.lower().endswith(_ZIP) else _unpack_tar)(archive, sieve)


def _unpack_shard(archive: Path, shard: Path, outer: _Sieve) -> None:
    """Replace an archive that was in ``archive`` by its files."""
    try:
        _unpack(shard, outer.inner(shard))
    except FormatError as error:  # the temporary folder says nothing to people
        place = f"{shard.name}, {error.place}" if error.place else shard.name
        raise FormatError(archive, error.problem, place=place) from error
    outer.forget(shard.stat().st_size)
    shard.unlink()


@dataclass
class _Spent:
    """What has come out of an archive, and of those in it."""

    bytes: int = 0
    members: int = 0


class _Sieve:
    """Lets members of an archive through into the folder, or not."""

    def __init__(self, archive: Path, folder: Path, told: ReadTally, limits: ArchiveLimits, prefix: str) -> None:
        self.archive, self.limits = archive, limits
        self._folder, self._told, self._prefix = folder, told, prefix
        self.most = min(limits.bytes, limits.slack + limits.ratio * archive.stat().st_size)
        self._spent = _Spent()

    def inner(self, shard: Path) -> _Sieve:
        """For the members of an archive that came through this one; both together have the limits of this one."""
        result = _Sieve(shard, shard.parent, self._told, self.limits, f"{self._prefix}{shard.name}, ")
        result.most, result._spent = self.most, self._spent
        return result

    def forget(self, size: int) -> None:
        """So many bytes are gone again."""
        self._spent.bytes -= size

    def count(self, member: str) -> None:
        """One more member. Raises FormatError when they are too many."""
        self._spent.members += 1
        if self._spent.members > self.limits.members:
            raise FormatError(self.archive, f"it has more than {self.limits.members:,} members", place=member)

    def weigh(self, size: int, member: str) -> None:
        """So many more bytes. Raises FormatError when they are too many."""
        self._spent.bytes += size
        if self._spent.bytes > self.most:
            raise FormatError(
                self.archive,
                f"it unpacks to more than {int(self.most):,} bytes, as bombs do; ArchiveLimits can allow it",
                place=member,
            )

    def drop(self, reason: str, member: str) -> None:
        """Leave out a member."""
        self._told.drop(reason, FILE, where=self._prefix + member.encode("utf-8", "backslashreplace").decode())

    def notice(self, reason: str, member: str) -> None:
        """Say something of a member that is not left out for it."""
        self._told.notice(reason, FILE, where=self._prefix + member)

    def place(self, member: str) -> Path | None:
        """Where a member goes; None when it goes nowhere."""
        path = member.replace("\\", "/")
        if path.rpartition("/")[2] == FOLDER_MARK:
            return None  # what a folder writer left; it proves nothing here
        while path.startswith("./"):
            path = path[2:]
        if not is_safe_path(path) or not encodable(path):
            self.drop("its name leads out of the archive, or is no name of a file", member)
            return None
        target = self._folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            taken = target.exists()
        except (OSError, ValueError) as error:
            self._drop_name(member, error)
            return None
        if taken:
            self.drop("there was a file of the same name before it", member)
            return None
        return target

    def take(self, member: str, opened: Callable[[], IO[bytes] | None]) -> bool:
        """Copy a member's content into the folder. False when it broke off."""
        target = self.place(member)
        if target is None:
            return True
        try:
            file = target.open("xb")
        except (OSError, ValueError) as error:
            self._drop_name(member, error)
            return True
        whole = False
        try:
            with in_scratch(self.archive), file:
                for chunk in self._chunks(member, opened):
                    self.weigh(len(chunk), member)
                    file.write(chunk)
                whole = True
        except _Broken as broken:
            self.drop(f"it is damaged: {broken}", member)
        finally:
            if not whole:
                target.unlink()
        return whole

    def _drop_name(self, member: str, error: OSError | ValueError) -> None:
        """Leave out a member whose name no file can have, unless it is not the name that is wrong."""
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            with in_scratch(self.archive):
                raise error
        self.drop("its name cannot be one of a file here", member)

    def _chunks(self, member: str, opened: Callable[[], IO[bytes] | None]) -> Iterator[bytes]:
        """The content; what goes wrong with reading is _Broken: a full disk is nothing to leave a member out for."""
        try:
            content = opened()
            if content is None:
                raise _Broken("it has no content")
            with content:
                while chunk := content.read(_CHUNK):
                    yield chunk
        except FormatError:
            raise
        except _DAMAGED as error:
            raise _Broken(type(error).__name__) from error


class _Broken(Exception):
    """A member cannot be read to its end."""


def _unpack_zip(archive: Path, sieve: _Sieve) -> None:
    try:
        opened = zipfile.ZipFile(archive)
    except _DAMAGED as error:
        raise FormatError(archive, f"it is no zip archive: {error}") from error
    with opened:
        members = opened.infolist()
        for member in members:
            sieve.count(member.filename)
            if member.is_dir():
                continue
            kind = (member.external_attr >> 28) & 0xF
            if kind not in (0, 0x8):  # 0: made where there are no such things
                sieve.drop("it is a link or a device", member.filename)
            else:
                sieve.take(_name_in_zip(member, sieve), partial(opened.open, member))


def _name_in_zip(member: zipfile.ZipInfo, sieve: _Sieve) -> str:
    """The name of a member. One that does not say it is UTF-8 is of code page 437, says the format; but macOS and many
    others write UTF-8 without saying so, and Windows the code page of its country, which nobody can know."""
    name = member.filename
    if member.flag_bits & _SAYS_UTF8 or name.isascii():
        return name
    try:
        return name.encode("cp437").decode()
    except UnicodeError:
        sieve.notice("its name is not UTF-8: it was read as the code page 437 of the zip format", name)
        return name


def _unpack_tar(archive: Path, sieve: _Sieve) -> None:
    with archive.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream: BinaryIO = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
        weighed = _Weighed(stream, sieve)
        some = False
        try:
            with tarfile.open(fileobj=weighed, mode="r|") as opened:
                for member in opened:
                    some = True
                    sieve.count(member.name)
                    if member.isdir():
                        continue
                    if not member.isreg():
                        sieve.drop("it is a link or a device", member.name)
                    elif not sieve.take(member.name, partial(opened.extractfile, member)):
                        return
        except (FormatError, StoreError):
            raise
        except _DAMAGED as error:
            if not some:
                raise FormatError(archive, f"it is no tar archive: {error}") from error
            sieve.drop("the archive is damaged behind it; the rest is not read", "the end")


class _Weighed(io.RawIOBase):
    """A stream whose bytes are weighed as they come: headers of a tar may be bombs as well as files."""

    def __init__(self, stream: BinaryIO, sieve: _Sieve) -> None:
        self._stream, self._sieve, self._read = stream, sieve, 0

    def read(self, size: int | None = -1) -> bytes:
        data = self._stream.read(-1 if size is None else size)
        self._read += len(data)
        if self._read > 2 * self._sieve.limits.slack + self._sieve.most:
            raise FormatError(self._sieve.archive, "its headers unpack to more than its files may", place="the end")
        return data
