"""Dataset objects saved into a folder: names checked before anything is written, downloads that fail say so."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from fastlabel_dagster.api.download import download
from fastlabel_dagster.api.errors import Invalid, ServerError
from fastlabel_dagster.api.transport import Transport
from fastlabel_dagster.api.wire import Json

DOWNLOADS_AT_A_TIME = 4
LISTING = "annotations.json"
MOST_BYTES_PER_PART = 255
"""Bytes of one file or folder name that file systems in use take, in UTF-8."""
MOST_BYTES = 3_000
"""Bytes of a whole name; Linux takes 4,096 with the folder that it lies in."""


def save_objects(transport: Transport, objects: Sequence[Json], folder: Path, types: Sequence[str]) -> list[Json]:
    """Download objects into a folder, or into one folder per type, and list them in `annotations.json`.

    Returns:
        The objects that were saved, type by type.

    Raises:
        Invalid: when a name leads out of the folder or is longer than file systems take, or two objects would be the
            same file, also where case does not count, or one the folder of another; nothing is written then.
        ServerError: when the list holds something else than objects with a signed URL.
        FastLabelError: when a download fails; files that are complete stay, no `annotations.json` is written.
    """
    if not isinstance(objects, list) or not all(
        isinstance(one, dict) and isinstance(one.get("signedUrl"), str) for one in objects
    ):
        raise ServerError("the list of objects holds something else than objects with a signed URL")
    groups = {kind: [one for one in objects if one.get("type") == kind] for kind in types} or {"": list(objects)}
    places = {kind: _places(folder / kind, found) for kind, found in groups.items()}
    folder.mkdir(exist_ok=True)
    # On the same disk as the objects, so that a file that is complete moves to its place in one step.
    with TemporaryDirectory(prefix=".unfinished-", dir=folder) as unfinished:
        _save_all(transport, groups, places, folder, Path(unfinished))
    return [one for found in groups.values() for one in found]


def _save_all(
    transport: Transport,
    groups: dict[str, list[Json]],
    places: dict[str, list[Path]],
    folder: Path,
    unfinished: Path,
) -> None:
    for kind, found in groups.items():
        (folder / kind).mkdir(exist_ok=True)
        urls = [str(one["signedUrl"]) for one in found]
        partials = [unfinished / str(number) for number in range(len(found))]
        with ThreadPoolExecutor(max_workers=DOWNLOADS_AT_A_TIME, thread_name_prefix="fastlabel-objects") as pool:
            for _ in pool.map(_save, [transport] * len(found), urls, partials, places[kind]):
                pass  # map raises here what a download raised
        listing = [
            {
                "name": one.get("name"),
                "annotations": one.get("annotations"),
                "customMetadata": one.get("customMetadata"),
                "tags": one.get("tags"),
                "object_type": one.get("type"),
            }
            for one in found
        ]
        text = json.dumps(listing, ensure_ascii=False, indent=4)
        (folder / kind / LISTING).write_text(text, encoding="utf-8")


def _places(folder: Path, objects: Sequence[Json]) -> list[Path]:
    names = [_inside(str(one.get("name") or "")) for one in objects]
    alike: dict[str, PurePosixPath] = {}
    for name in names:
        if (other := alike.setdefault(_folded(name), name)) is not name:
            raise Invalid(
                f"the dataset objects {str(other)!r} and {str(name)!r} would be saved to the same file",
                hint="download them type by type",
            )
    for name in names:
        for parent in name.parents:
            if (file := alike.get(_folded(parent))) is not None:
                raise Invalid(f"the dataset object {str(file)!r} would be the folder of {str(name)!r}")
    return [folder / name for name in names]


def _folded(name: PurePosixPath) -> str:
    """The name as file systems compare it that tell neither case nor Unicode forms apart."""
    return unicodedata.normalize("NFC", str(name)).casefold()


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    unsafe = not path.parts or path.is_absolute() or ".." in path.parts or any(c in name for c in "\\:\0")
    try:
        too_long = len(name.encode()) > MOST_BYTES or any(
            len(part.encode()) > MOST_BYTES_PER_PART for part in path.parts
        )
    except UnicodeEncodeError:
        unsafe, too_long = True, False
    if unsafe or path.parts[0].casefold() == LISTING:
        raise Invalid(f"the object name {name!r} cannot be a file in the folder")
    if too_long:
        raise Invalid(f"the object name {name[:40] + '…'!r} is longer than file systems take")
    return path


def _save(transport: Transport, url: str, partial: Path, place: Path) -> None:
    with partial.open("wb") as file:
        download(transport, url, file.write)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(place)
