"""Dataset objects saved into a folder: names checked before anything is written, downloads that fail say so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from fastlabel_dagster.api.download import download
from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.transport import Transport
from fastlabel_dagster.api.wire import Json

DOWNLOADS_AT_A_TIME = 4


def save_objects(transport: Transport, objects: Sequence[Json], folder: Path, types: Sequence[str]) -> list[Json]:
    """Download objects into a folder, or into one folder per type, and list them in `annotations.json`.

    Returns:
        The objects that were saved, type by type.

    Raises:
        Invalid: when a name leads out of the folder, or two objects would be the same file; nothing is written then.
        FastLabelError: when a download fails; files that are complete stay, no `annotations.json` is written.
    """
    groups = {kind: [one for one in objects if one.get("type") == kind] for kind in types} or {"": list(objects)}
    places = {kind: _places(folder / kind, found) for kind, found in groups.items()}
    folder.mkdir(exist_ok=True)
    for kind, found in groups.items():
        (folder / kind).mkdir(exist_ok=True)
        with ThreadPoolExecutor(max_workers=DOWNLOADS_AT_A_TIME, thread_name_prefix="fastlabel-objects") as pool:
            for _ in pool.map(_save, [transport] * len(found), [str(o["signedUrl"]) for o in found], places[kind]):
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
        (folder / kind / "annotations.json").write_text(text, encoding="utf-8")
    return [one for found in groups.values() for one in found]


def _places(folder: Path, objects: Sequence[Json]) -> list[Path]:
    places = [folder / _inside(str(one.get("name") or "")) for one in objects]
    if len({str(place).casefold() for place in places}) < len(places):
        raise Invalid("two dataset objects would be saved to the same file", hint="download them type by type")
    return places


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    unsafe = not path.parts or path.is_absolute() or ".." in path.parts or any(c in name for c in "\\:\0")
    if unsafe or name.casefold() == "annotations.json":
        raise Invalid(f"the object name {name!r} cannot be a file in the folder")
    return path


def _save(transport: Transport, url: str, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(place.name + ".part")
    try:
        with partial.open("wb") as file:
            download(transport, url, file.write)
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
