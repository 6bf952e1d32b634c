"""``write`` and ``read`` for every format by its name; what they share lies here: the folder, the report, the
digest."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from fastlabel_dagster.formats.report import READ, REPORT_FILE, ExportReport, Tally
from fastlabel_dagster.formats.sources import (
    SOURCE,
    PictureSource,
    pictures_of_dataset,
    pictures_of_folder,
    refuse_own_source,
)
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import S3Options, Store, open_store

if TYPE_CHECKING:
    from fastlabel_dagster.store import ImageFolder


@dataclass(frozen=True)
class Format:
    """One format: where its functions live (loaded when used), the file a reader starts from, its options."""

    module_of_write: str
    write: str
    module_of_read: str
    read: str
    index: str
    rules: int = 1
    """Raised when the same labels would be written differently, so that a folder of the old rules is not kept."""
    derived: tuple[str, ...] = ()
    """Patterns of files that tools make of an export: they go with it."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the writer and their defaults."""


_PLACE = "fastlabel_dagster.formats"
_FORMATS: dict[str, Format] = {
    "coco": Format(
        f"{_PLACE}.coco_write",
        "write_coco",
        f"{_PLACE}.coco_read",
        "read_coco",
        "annotations.json",
        options={"bbox_segmentation": "none"},
    ),
    "coco_parquet": Format(
        f"{_PLACE}.coco_write",
        "write_coco_parquet",
        f"{_PLACE}.coco_read",
        "read_coco_parquet",
        "images.parquet",
        options={"bbox_segmentation": "none"},
    ),
    "yolo": Format(
        f"{_PLACE}.yolo_write",
        "write_yolo",
        f"{_PLACE}.yolo_read",
        "read_yolo",
        "data.yaml",
        derived=("labels/*.cache",),  # of ultralytics: it would not always notice that labels have changed
        options={"task": "detect", "split": {"train": 0.9, "val": 0.1}, "pose_boxes": False},
    ),
    "parquet": Format(
        f"{_PLACE}.parquet", "write_parquet", f"{_PLACE}.parquet", "read_parquet", "classes/part-00000.parquet"
    ),
}
#: The names ``write`` and ``read`` know.
FORMATS: tuple[str, ...] = tuple(_FORMATS)


def write(
    labels: Labels,
    *,
    format: str,
    target: str | Path | Store,
    images: ImageFolder | None = None,
    s3: S3Options | None = None,
    status: str | Sequence[str] | None = None,
    skip_unchanged: bool = False,
    pictures: bool = True,
    replace: bool = False,
    **options: Any,
) -> ExportReport:
    """Write ``labels`` as a folder of ``format``, which appears whole or not at all and replaces the export before it.

    Only what an export of the same format has written is replaced, as proven by the hidden file ``.fastlabel-folder``;
    files somebody else put into the folder since stay there (but for the ``labels/*.cache`` ultralytics makes).

    The labels are streamed: memory is needed for a batch of tasks and the list of image names.

    Args:
        labels: what to write.
        format: one of :data:`FORMATS`.
        target: a local folder, ``s3://bucket/prefix``, or a store.
        images: pictures to put beside the labels (hard links or server-side copies where possible). Without it, labels
            that :func:`read` has read from a local dataset bring the pictures of that dataset.
        s3: how to reach S3, where the environment should not decide.
        status: only tasks in this status (or these).
        skip_unchanged: when the folder holds this very export already (see :func:`is_current`), write nothing and
            return its report with ``unchanged`` set.
        pictures: off: no pictures, even if the labels know where they lie.
        replace: replace the folder whatever it holds, and whoever wrote it.
        options: of the format. coco and coco_parquet: ``bbox_segmentation`` ("none" or "rectangle"). yolo:
            ``task`` ("detect" or "segment" or "pose"), ``split`` (shares by name, or "tags"),
            ``pose_boxes`` (detect: poses become the box around their keypoints).

    Raises:
        ValueError: for an unknown format or option.
        StoreError: when the target cannot be written, holds files of somebody else, or is (or contains, or lies in) the
            dataset the labels or their pictures are read from.
    """
    chosen = _format(format)
    settings = _settings(format, options)
    store = open_store(target, s3)
    images = images if pictures else None
    refuse_own_source(labels, store, images, with_pictures=pictures)
    digest = _digest(labels, format, images, status, settings)
    if skip_unchanged and digest:
        before = _report_in(store)
        if before is not None and before.digest == digest and _is_whole(store, before):
            return dataclasses.replace(before, unchanged=True)
    chosen_labels = labels if status is None else labels.with_status(*([status] if isinstance(status, str) else status))
    source: PictureSource | None = None
    if pictures:
        source = pictures_of_dataset(chosen_labels) if images is None else pictures_of_folder(images)
    tally = Tally()
    _tell_of_reading(labels, tally)
    writer: Callable[..., Any] = getattr(import_module(chosen.module_of_write), chosen.write)
    last = [chosen.index, REPORT_FILE]
    with store.new_folder("", last=last, replace=replace, derived=chosen.derived) as folder:
        written = writer(chosen_labels, folder, source, tally, **settings)
        origin = {name: labels.origin[name] for name in _LASTING if name in labels.origin}
        report = tally.report(
            ExportReport(
                format,
                store.uri,
                images=written.images,
                files=written.files,
                bytes=written.bytes,
                splits=written.splits,
                origin=origin,
                digest=digest,
            )
        )
        folder.write_bytes(REPORT_FILE, report.to_json())
    return report


def read(source: str | Path, *, format: str, **options: Any) -> Labels:
    """Read a dataset of ``format`` as labels. ``labels.origin["source"]`` is where it lies.

    Args:
        source: a local dataset folder, or the format's own index file (COCO: a JSON; YOLO: ``data.yaml``).
        format: one of :data:`FORMATS`.
        options: of the format's reader.

    Raises:
        ValueError: for an unknown format, or a file that is not what it should be; the message names it.
        FileNotFoundError: when there is nothing to read.
    """
    chosen = _format(format)
    reader: Callable[..., Labels] = getattr(import_module(chosen.module_of_read), chosen.read)
    labels = reader(Path(source), **options)
    labels.origin[SOURCE] = os.path.realpath(source)
    return labels


def is_current(
    target: str | Path | Store,
    labels: Labels,
    *,
    format: str,
    images: ImageFolder | None = None,
    s3: S3Options | None = None,
    status: str | Sequence[str] | None = None,
    **options: Any,
) -> bool:
    """Whether ``target`` holds the export :func:`write` would make of the same arguments.

    Cheap: compares digests, and names and sizes of the files with a listing of the folder; reads no labels. False when
    the labels carry no digest (``labels.origin``), or a file of the export is missing or has another size.
    """
    digest = _digest(labels, format, images, status, _settings(format, options))
    store = open_store(target, s3)
    before = _report_in(store) if digest else None
    return before is not None and before.digest == digest and _is_whole(store, before)


#: What of the labels' origin is the same wherever they lie.
_LASTING = ("project", "version", "digest", "filter")


def _format(name: str) -> Format:
    try:
        return _FORMATS[name]
    except KeyError:
        raise ValueError(f"unknown format {name!r}; known are {', '.join(FORMATS)}") from None


def _settings(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    known = _format(name).options
    for option in options:
        if option not in known:
            has = f"it has {', '.join(known)}" if known else "it has none of its own"
            raise ValueError(f"the format {name!r} has no option {option!r}; {has}")
    return {**known, **options}


def _digest(
    labels: Labels,
    format: str,
    images: ImageFolder | None,
    status: str | Sequence[str] | None,
    settings: Mapping[str, Any],
) -> str:
    """Of everything the export depends on; empty when the labels do not know their own digest."""
    if not labels.origin.get("digest"):
        return ""
    classes = labels.classes.drop_columns(["created_at", "updated_at"]).to_pylist()
    lasting = {name: labels.origin[name] for name in _LASTING if name in labels.origin}
    content = [
        format,
        _format(format).rules,
        dict(settings),
        None if status is None else sorted([status] if isinstance(status, str) else status),
        lasting,
        classes,
        images.digest() if images is not None else None,
    ]
    return blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _is_whole(store: Store, report: ExportReport) -> bool:
    """Whether all files of the export are there, of the size they were written with, by a listing of the folder."""
    mark = store.read_mark()
    if mark is None or len(mark.files) != report.files + 1:  # the report does not count itself
        return False
    sizes = {found.path: found.size for found in store.list()}
    data = [sizes.get(path) for path in mark.files if path != REPORT_FILE]
    return None not in data and sum(size or 0 for size in data) == report.bytes


def _tell_of_reading(labels: Labels, tally: Tally) -> None:
    """What the reader of a dataset has noted belongs into the report of what is made of it."""
    for note in str(labels.origin.get("notes", "")).split("; ") if SOURCE in labels.origin else ():
        count, _, reason = note.partition(" ")
        if count.isdecimal():
            tally.note("noticed", f"when the source was read: {reason}", READ, int(count), [])


def _report_in(store: Store) -> ExportReport | None:
    """The report of the export that lies in the folder; None when there is none, or none we can read."""
    try:
        return ExportReport.from_json(store.read_bytes(REPORT_FILE), store.uri)
    except (FileNotFoundError, ValueError):
        return None
