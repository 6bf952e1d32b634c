"""Names from a web tool become paths on a disk: safe, unique everywhere, and as they were where that is possible."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

LONGEST_PART = 240  # bytes; file systems end at 255, and what is derived from a name (".txt", a hidden copy) needs some
LONGEST_PATH = 700  # bytes; S3 ends at 1,024 for prefix and path together
_LONGEST_EXTENSION = 64  # bytes; only looked at when a name has to be cut

# Nothing to do for such a name but look whether it is taken; most names are like this, so it decides the speed.
_WORD = r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*"
_PLAIN = re.compile(rf"{_WORD}(?:/{_WORD})*")
_DEVICES = r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³])"
_RESERVED = re.compile(rf"(?:^|/){_DEVICES}(?=[./]|$)|^index\.parquet(?=/|$)", re.IGNORECASE)
_DEVICE_LINE = re.compile(rf"^{_DEVICES}(?=[.]|$)|^index\.parquet$", re.MULTILINE)
_RESERVED_PART = re.compile(rf"{_DEVICES}\s*(?:\..*)?", re.IGNORECASE | re.DOTALL)
_INDEX = "index.parquet"  # the index of an image folder lies beside the images; no image may take its place
_SEPARATORS = re.compile(r"[/\\]+")
_ENDS = re.compile(r"^[\s\x00-\x1f\x7f-\x9f]+|[\s.\x00-\x1f\x7f-\x9f]+$")
# What other systems refuse in a name, and what a terminal or an editor would not show as it is: control characters,
# line and paragraph separators, marks that turn the direction of writing, the byte order mark, lone surrogates.
_UNFIT = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]')


def disk_names(names: Sequence[str], keys: Sequence[str], *, unique_stem: bool = False) -> list[str]:
    """A safe relative POSIX path for every name, in the same order; no two the same on any file system.

    Sub-folders are kept. What a name may not hold is replaced by ``_`` or left out: ``..``, a leading slash, drive
    letters, control characters, ``<>:"|?*``, a dot at the start, dots and spaces at the end, names Windows reserves.
    Text becomes NFC. A part is at most 240 bytes of UTF-8, a path at most 700; the extension survives.

    Two results never differ only in case or Unicode form, and none is a folder of another. The first to come keeps
    its name; a later one gets ``-`` and the first 8 hex digits of the 16-byte blake2b of its key before the extension
    (more digits where that is taken too). A folder in the place of an earlier file gets those of its own path, so that
    its files stay together. The result for the first n names does not depend on those that follow.

    Args:
        names: as the web tool has them, hostile or not.
        keys: one per name, such as the task id: what makes the names of two tasks differ when nothing else does.
        unique_stem: also unique when extensions are left out, for formats that write ``a.txt`` beside ``a.jpg``.

    Raises:
        ValueError: when there are not as many keys as names.

    Example:
        >>> disk_names(["a.jpg", "../../a.jpg", "A.png"], ["task-1", "task-2", "task-3"])
        ['a.jpg', 'a-281743ec.jpg', 'A.png']
    """
    if len(names) != len(keys):
        raise ValueError(f"{len(names)} names but {len(keys)} keys")
    if _are_fit(names, unique_stem=unique_stem):
        return list(names)
    taken = _Taken(unique_stem=unique_stem)
    return [taken.place(name, key) for name, key in zip(names, keys, strict=True)]


def _are_fit(names: Sequence[str], *, unique_stem: bool) -> bool:
    """Whether all names are plain, in no folder, and different: then they stay as they are. Most lists are like this,
    and looking at the whole list takes a quarter of the time of placing each."""
    if not all(map(_PLAIN.fullmatch, names)):
        return False
    folded = "\n".join(names).lower()
    if "/" in folded or _DEVICE_LINE.search(folded):
        return False
    stems = folded.split("\n")
    if max(map(len, stems), default=0) > LONGEST_PART:
        return False
    if unique_stem:
        stems = [name.rpartition(".")[0] or name for name in stems]
    return len(set(stems)) == len(names)


def renamed(names: Sequence[str], result: Sequence[str]) -> list[tuple[str, str]]:
    """The (name, path) pairs that `disk_names` had to alter, in the order of the names."""
    return [(name, path) for name, path in zip(names, result, strict=True) if name != path]


class _Taken:
    """The paths given so far, folded so that equal means "the same file on some file system"."""

    def __init__(self, *, unique_stem: bool) -> None:
        self._unique_stem = unique_stem
        self._files: set[str] = set()
        self._stems: set[str] = set()  # of files, when stems are to be unique
        self._folders: set[str] = set()
        self._folder_stems: set[str] = set()  # "a" of a folder "a.txt", which the derived file of "a.jpg" would hit
        self._placed: dict[str, str] = {}  # a folder as it was asked for -> as it is
        self._numbers: dict[str, int] = {}

    def place(self, name: str, key: str) -> str:
        plain = len(name) <= LONGEST_PART and _PLAIN.fullmatch(name) and not _RESERVED.search(name)
        path = name if plain else _safe(name)
        if "/" in path:
            folder, _, last = path.rpartition("/")
            above = self._folder(folder) if len(path.encode()) <= LONGEST_PATH else ""
            path = f"{above}/{last}"
            if not above or len(path.encode()) > LONGEST_PATH:
                path = f"{self._folder('_' + _digest(folder))}/{last}"
        folded = _folded(path)
        if not self._file_fits(folded):
            path = self._beside(path, key, self._file_fits)
            folded = _folded(path)
        self._files.add(folded)
        if self._unique_stem:
            self._stems.add(_split(folded)[0])
        return path

    def _file_fits(self, folded: str) -> bool:
        if folded in self._folders:
            return False
        if not self._unique_stem:
            return folded not in self._files
        stem = _split(folded)[0]
        return stem not in self._stems and stem not in self._folder_stems

    def _folder_fits(self, folded: str) -> bool:
        if folded in self._files:
            return False
        stem, extension = _split(folded)
        return not (self._unique_stem and extension and stem in self._stems)

    def _folder(self, folder: str) -> str:
        """The folder, under another name when an earlier file has this one."""
        placed = self._placed.get(folder)
        if placed is not None:
            return placed
        above, slash, part = folder.rpartition("/")
        placed = f"{self._folder(above)}/{part}" if slash else part
        folded = _folded(placed)
        if not self._folder_fits(folded):
            placed = self._beside(placed, folder, self._folder_fits)
            folded = _folded(placed)
        self._folders.add(folded)
        stem, extension = _split(folded)
        if self._unique_stem and extension:
            self._folder_stems.add(stem)
        self._placed[folder] = placed
        return placed

    def _beside(self, path: str, key: str, fits: Callable[[str], bool]) -> str:
        """The path with something of the key's digest before its extension: the first such that is not taken."""
        above, slash, part = path.rpartition("/")
        stem, extension = _split(part)
        for suffix in self._suffixes(_folded(path), _digest(key)):
            candidate = above + slash + _fitted(stem, suffix, extension)
            if fits(_folded(candidate)):
                return candidate
        raise AssertionError("the numbers never end")

    def _suffixes(self, folded: str, digest: str) -> Iterator[str]:
        yield f"-{digest[:8]}"
        yield f"-{digest[:16]}"
        yield f"-{digest}"
        counted = f"{folded}\0{digest}"  # the same name and key again and again must not count from the start each time
        while True:
            number = self._numbers[counted] = self._numbers.get(counted, 1) + 1
            yield f"-{digest}-{number}"


def _digest(key: str) -> str:
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _folded(path: str) -> str:
    """What two paths have in common when some file system takes them for the same."""
    if path.isascii():
        return path.lower()
    # by way of upper case, because some systems compare upper-case forms (which joins "ı" with "i")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).upper().casefold())


def _split(path: str) -> tuple[str, str]:
    """The path without its extension, and the extension with its dot, as ``pathlib`` splits them."""
    dot = path.rfind(".")
    return (path[:dot], path[dot:]) if dot > path.rfind("/") + 1 else (path, "")


def _cut(text: str, size: int) -> str:
    """The longest beginning of ``text`` that has at most ``size`` bytes and ends with a whole character."""
    return text.encode()[:size].decode("utf-8", "ignore")


def _fitted(stem: str, suffix: str, extension: str) -> str:
    """``stem + suffix + extension`` with the stem (and an endless extension) cut to what a part may have."""
    if len(extension.encode()) > _LONGEST_EXTENSION:
        extension = _cut(extension, _LONGEST_EXTENSION).rstrip() if extension[1:].strip() else extension
        extension = extension if len(extension) > 1 else "._"
    stem = _cut(stem, LONGEST_PART - len(suffix) - len(extension.encode()))
    return stem + suffix + extension if suffix or extension else stem.rstrip(" .")


def _safe(name: str) -> str:
    parts = []
    for raw in _SEPARATORS.split(unicodedata.normalize("NFC", name)):
        if raw.strip() in {"", ".", ".."}:
            continue
        part = _UNFIT.sub("_", _ENDS.sub("", raw)) or "_"
        if part.startswith("."):  # hidden files are easily overlooked, and the store's unfinished ones look so
            part = f"_{part[1:]}"
        if _RESERVED_PART.fullmatch(part):
            part = f"_{part}"
        if len(part.encode()) > LONGEST_PART:
            part = _fitted(*_with_suffix(part))
        parts.append(part)
    if parts and parts[0].lower() == _INDEX:
        parts[0] = f"_{parts[0]}"
    return "/".join(parts) or "_"


def _with_suffix(part: str) -> tuple[str, str, str]:
    stem, extension = _split(part)
    return stem, "", extension
