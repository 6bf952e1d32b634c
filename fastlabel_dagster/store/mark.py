"""The mark a folder writer leaves: which files it wrote, so that the next writer takes nothing else for its own."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from fastlabel_dagster.store.errors import StoreError
from fastlabel_dagster.store.paths import FOLDER_MARK

__all__ = ["FOLDER_MARK", "FolderMark", "files_of_others"]

_MADE_BY = "fastlabel-dagster"


@dataclass(frozen=True)
class FolderMark:
    """The content of the hidden file ``.fastlabel-folder``.

    The same files give the same bytes on every store; there is no time and no place in it.

    Attributes:
        last: the index files of the folder, which tell one kind of folder from another.
        files: the paths the writer put into the folder, in the order of their UTF-8 bytes.
    """

    last: tuple[str, ...]
    files: tuple[str, ...]

    def to_json(self) -> bytes:
        content = {"made_by": _MADE_BY, "last": self.last, "files": self.files}
        return json.dumps(content, ensure_ascii=False, indent=0).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> FolderMark | None:
        """None when ``data`` is no such mark: whatever it is, it proves nothing."""
        try:
            content = json.loads(data)
            if content["made_by"] != _MADE_BY:
                return None
            mark = cls(tuple(content["last"]), tuple(content["files"]))
        except (ValueError, TypeError, KeyError):
            return None
        return mark if all(isinstance(path, str) for path in (*mark.last, *mark.files)) else None


def files_of_others(
    found: Iterable[str],
    mark: FolderMark | None,
    *,
    uri: str,
    last: Collection[str],
    derived: Collection[str] = (),
) -> list[str]:
    """The files of a folder that the writer before did not write, in the order of ``found``.

    They stay in place. Files that match a pattern of ``derived`` are left out: tools made them of the writer's own
    files, and they are stale when those change.

    Raises:
        StoreError: when the folder has files and no mark, or the mark of another kind of folder.
    """
    paths = list(found)
    if not paths:
        return []
    if mark is None:
        raise StoreError(
            f"{uri} holds files already, such as {paths[0]}, and nothing proves that an export wrote them: it is not "
            "replaced; name an empty folder, remove it yourself, or say replace=True (--replace)",
            uri,
        )
    if set(mark.last) != set(last):
        kind = mark.last[0] if mark.last else "no index"
        raise StoreError(
            f"{uri} holds files already, an export of another kind ({kind}): it is not replaced; name another folder, "
            "remove it yourself, or say replace=True (--replace)",
            uri,
        )
    known = frozenset(mark.files)
    return [path for path in paths if path not in known and not any(fnmatchcase(path, pattern) for pattern in derived)]
