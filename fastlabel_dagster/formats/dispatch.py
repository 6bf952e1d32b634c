"""``write`` and ``read`` for every format by its name; what they share lies here: the folder, the report, the
digest."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from fastlabel_dagster.formats import registry
from fastlabel_dagster.formats.archive import SHARD_BYTES, ArchiveFolder, ArchiveKind
from fastlabel_dagster.formats.errors import FormatError, LossError
from fastlabel_dagster.formats.report import IMAGE, REPORT_FILE, ExportReport, Tally
from fastlabel_dagster.formats.sources import (
    SOURCE,
    PictureSource,
    opened_images,
    pictures_of_dataset,
    pictures_of_folder,
    refuse_own_source,
    refuse_source,
)
from fastlabel_dagster.formats.taken_apart import pictures_of_single, taken_apart, tell_of_parts
from fastlabel_dagster.formats.unpack import ArchiveLimits, Unpacked, is_archive, unpacked
from fastlabel_dagster.labels.heap import keep_freed_memory
from fastlabel_dagster.labels.report import FATES, ReadReport, ReadTally
from fastlabel_dagster.labels.single_pictures import TakenApart
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import ImageFolder, S3Options, Store, StoreError, open_store


def write(
    labels: Labels,
    *,
    format: str,
    target: str | Path | Store,
    images: ImageFolder | str | Path | None = None,
    s3: S3Options | None = None,
    status: str | Sequence[str] | None = None,
    skip_unchanged: bool = False,
    pictures: bool = True,
    replace: bool = False,
    strict: bool = False,
    archive: ArchiveKind | None = None,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int], object] | None = None,
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
        images: pictures to put beside the labels (hard links or server-side copies where possible): an image folder, or
            where one lies. Without it, labels that :func:`read` has read from a local dataset bring the pictures of
            that dataset.
        s3: how to reach S3, where the environment should not decide.
        status: only tasks in this status (or these).
        skip_unchanged: when the folder holds this very export already (see :func:`is_current`), write nothing and
            return its report with ``unchanged`` set.
        pictures: off: no pictures, even if the labels know where they lie.
        replace: replace the folder whatever it holds, and whoever wrote it.
        strict: anything that would be left out is an error, and the folder stays as it was.
        archive: ``"zip"`` or ``"tar"``: all files but the index and the report go into ``data-00000.zip``, … , where a
            hundred thousand small files would take hours (S3). :func:`read` takes the folder as it is.
        shard_bytes: an archive is closed when it has so many bytes, and another begins.
        progress: called with the number of tasks (pictures, where videos are taken apart) done since it was called
            last; :func:`steps_of` says how many it will be.
        options: of the format, see ``registry.find(format).options`` and docs/formats.md.

    Raises:
        ValueError: for an unknown format or option.
        LossError: something would be left out, and ``strict`` is on.
        StoreError: when the target cannot be written, holds files of somebody else, or is (or contains, or lies in) the
            dataset the labels or their pictures are read from.
        FileNotFoundError: when no image folder lies where ``images`` says.
    """
    chosen = _written(format)
    assert chosen.write is not None
    keep_freed_memory()
    registry.check_options(format, options)
    settings = {**chosen.options, **options}
    store = open_store(target, s3)
    images = opened_images(images, s3) if pictures else None
    refuse_own_source(labels, store, images, with_pictures=pictures)
    packing = None if archive is None else (archive, shard_bytes)
    digest = _digest(labels, format, images, status, settings, packing=packing)
    if skip_unchanged and digest:
        before = _report_in(store)
        if before is not None and before.digest == digest and _is_whole(store, before):
            return dataclasses.replace(before, unchanged=True)
    chosen_labels = labels if status is None else labels.with_status(*([status] if isinstance(status, str) else status))
    parts = TakenApart()
    single = taken_apart(chosen_labels, parts) if chosen.per_picture else chosen_labels
    source: PictureSource | None = None
    if pictures:
        if images is not None:
            source = pictures_of_folder(images)
        elif chosen.per_picture:
            source = pictures_of_single(chosen_labels, single, parts)
        else:
            source = pictures_of_dataset(chosen_labels)
    if source is not None:
        source = source.only(chosen.files or ("picture" if chosen.per_picture else "any"))
    tally = Tally(progress)
    _tell_of_reading(labels, tally)
    last = [chosen.index, REPORT_FILE]
    with store.new_folder("", last=last, replace=replace, derived=chosen.derived) as folder:
        packed: dict[str, Any] = {}
        if archive is None:
            written = chosen.write(single, folder, source, tally, **settings)
        else:
            into = ArchiveFolder(folder, archive, outside=last, shard_bytes=shard_bytes)
            with into:
                written = chosen.write(single, into, source, tally, **settings)
            packed = {"kind": archive, "shards": into.shards, "files": into.packed}
            written = written._replace(files=len(folder.files), bytes=folder.bytes_written)
        tell_of_parts(parts, tally)
        if pictures and source is None and chosen.per_picture and SOURCE in labels.origin:
            tally.note(
                "noticed", "no pictures lie beside the labels that were read, so none are here", IMAGE, tally.tasks
            )
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
                archive=packed,
                digest=digest,
            )
        )
        if strict and report.dropped:
            raise LossError(f"writing {format} to {store.uri}", report.dropped)
        folder.write_bytes(REPORT_FILE, report.to_json())
    return report


def check_write(
    target: str | Path | Store,
    *,
    format: str,
    source: str | Path | None = None,
    s3: S3Options | None = None,
    replace: bool = False,
    **options: Any,
) -> None:
    """Refuse at once what :func:`write` would refuse after its labels were read, which may take minutes: an unknown
    format or option, a target that is not replaced, or one that is (or contains, or lies in) the ``source`` of the
    labels.

    Raises:
        ValueError: for an unknown format or option.
        StoreError: when the target cannot be written.
    """
    chosen = _written(format)
    registry.check_options(format, options)
    store = open_store(target, s3)
    if source is not None:
        refuse_source(source, store)
    store.new_folder("", last=[chosen.index, REPORT_FILE], replace=replace, derived=chosen.derived).check()


def steps_of(labels: Labels, *, format: str) -> int:
    """How many steps ``progress`` will be told of when these labels are written: their tasks, or, where the format is
    one of single pictures, the frames and contents those are taken apart into. Looks at no annotation."""
    if not registry.find(format).per_picture:
        return sum(table.num_rows for table in labels.batches(["task_id"]))
    return sum(table.num_rows for table in taken_apart(labels, TakenApart()).batches(["task_id"]))


def _written(format: str) -> registry.Format:
    """The format, which can be written. Raises ValueError."""
    chosen = registry.find(format)
    if chosen.write is None:
        raise ValueError(f"the format {format!r} is only read, not written")
    return chosen


def read(
    source: str | Path,
    *,
    format: str,
    strict: bool = False,
    limits: ArchiveLimits | None = None,
    progress: Callable[[int], object] | None = None,
    **options: Any,
) -> Labels:
    """Read a dataset of ``format`` as labels. ``labels.report`` says what was left out or changed on the way, and
    ``labels.origin["source"]`` is where it lies.

    Args:
        source: a local dataset folder, or the format's own index file (COCO: a JSON; YOLO: ``data.yaml``); or such a
            folder packed as ``.zip``, ``.tar``, ``.tar.gz`` or by ``write(archive=…)``. An archive is unpacked into a
            temporary folder that goes when the labels do.
        format: one of :data:`FORMATS`.
        strict: anything that would be left out is an error.
        limits: what an archive may unpack to before it is taken for a bomb.
        progress: called with the number of images done since it was called last.
        options: of the format's reader, see ``registry.find(format).read_options``.

    Raises:
        ValueError: for an unknown format or option.
        FormatError: (a ValueError) for a file that is not what it should be; the message names it.
        LossError: something would be left out, and ``strict`` is on.
        FileNotFoundError: when there is nothing to read.
    """
    chosen = registry.find(format)
    if chosen.read is None:
        raise ValueError(f"the format {format!r} is only written, not read")
    settings = registry.settings(chosen.read_options, options, f"the reader of {format!r}")
    keep_freed_memory()
    told = ReadTally(progress)
    path = Path(source)
    if is_archive(path):
        labels = _read_unpacked(chosen, path, unpacked(path, told, limits), told, settings)
    else:
        labels = _read_folder(chosen, path, path, told, settings)
    labels.origin[SOURCE] = os.path.realpath(source)
    labels.report = ReadReport(
        format,
        str(source),
        told.tasks,
        told.annotations,
        dropped=told.notes("dropped"),
        altered=told.notes("altered"),
        noticed=told.notes("noticed"),
    )
    if strict and labels.report.dropped:
        raise LossError(f"reading {source} as {format}", labels.report.dropped)
    return labels


def _read_unpacked(
    chosen: registry.Format, source: Path, content: Unpacked, told: ReadTally, settings: Mapping[str, Any]
) -> Labels:
    """The labels of an unpacked dataset; the files stay as long as they do."""
    *likely, last = content.roots(chosen.index)
    labels: Labels | None = None
    try:
        for root in likely:
            with suppress(FileNotFoundError):
                labels = _read_folder(chosen, root, source, told, settings)
                break
        if labels is None:
            labels = _read_folder(chosen, last, source, told, settings)
    except BaseException as error:  # a run that is cancelled must not leave gigabytes of unpacked files behind either
        content.remove()
        if isinstance(error, FormatError | FileNotFoundError):
            raise _as_in_archive(error, content.folder, source) from error
        raise
    labels.files = content
    return labels


def _as_in_archive(error: FormatError | FileNotFoundError, folder: Path, source: Path) -> Exception:
    """``error`` about the archive and what is in it: the temporary ``folder`` is gone, and says nothing to people."""

    def told(text: str) -> str:
        for place in (os.path.realpath(folder), str(folder)):
            text = text.replace(place, str(source))
        return text

    if isinstance(error, FormatError):
        return FormatError(told(error.path), told(error.problem), place=error.place)
    return FileNotFoundError(told(str(error)))


def _read_folder(
    chosen: registry.Format, root: Path, source: Path, told: ReadTally, settings: Mapping[str, Any]
) -> Labels:
    """The labels of the dataset at ``root``. Raises FormatError, naming ``source``, when it is one of ours in another
    format: many share the name of an index or the suffix of their files, and would find nothing and say nothing."""
    assert chosen.read is not None
    said = None if registry.is_registered(chosen.name) else _format_of_export(root, chosen.index)
    if said not in (None, chosen.name):
        raise FormatError(source, f"it is a dataset of the format {said!r}, not {chosen.name!r}")
    return chosen.read(root, told, **settings)


def _format_of_export(root: Path, index: str) -> str | None:
    """The format of the export that lies in a folder; None when there is none, or when somebody else has put a dataset
    with that ``index`` beside it, or when what says so cannot be read: a folder, a link that leads to itself."""
    if not root.is_dir():
        return None
    store = open_store(root)
    try:
        report, mark = _report_in(store), store.read_mark()
    except StoreError:
        return None
    if report is None or report.format not in registry.written_names():
        return None
    if not (root / registry.find(report.format).index).exists():
        return None
    foreign = mark is not None and index not in mark.files and (root / index).is_file()
    return None if foreign else report.format


def is_current(
    target: str | Path | Store,
    labels: Labels,
    *,
    format: str,
    images: ImageFolder | str | Path | None = None,
    s3: S3Options | None = None,
    status: str | Sequence[str] | None = None,
    archive: ArchiveKind | None = None,
    shard_bytes: int = SHARD_BYTES,
    **options: Any,
) -> bool:
    """Whether ``target`` holds the export :func:`write` would make of the same arguments.

    Cheap: compares digests, and names and sizes of the files with a listing of the folder; reads no labels. False when
    the labels carry no digest (``labels.origin``), or a file of the export is missing or has another size.
    """
    settings = registry.settings(registry.find(format).options, options, f"the format {format!r}")
    packing = None if archive is None else (archive, shard_bytes)
    digest = _digest(labels, format, opened_images(images, s3), status, settings, packing=packing)
    store = open_store(target, s3)
    before = _report_in(store) if digest else None
    return before is not None and before.digest == digest and _is_whole(store, before)


#: What of the labels' origin is the same wherever they lie.
_LASTING = ("project", "version", "digest", "filter")


def _digest(
    labels: Labels,
    format: str,
    images: ImageFolder | None,
    status: str | Sequence[str] | None,
    settings: Mapping[str, Any],
    *,
    packing: tuple[str, int] | None,
) -> str:
    """Of everything the export depends on; empty when the labels do not know their own digest."""
    if not labels.origin.get("digest"):
        return ""
    classes = labels.classes.drop_columns(["created_at", "updated_at"]).to_pylist()
    lasting = {name: labels.origin[name] for name in _LASTING if name in labels.origin}
    content = [
        format,
        registry.find(format).rules,
        dict(settings),
        None if status is None else sorted([status] if isinstance(status, str) else status),
        lasting,
        classes,
        images.digest() if images is not None else None,
        *([] if packing is None else [packing]),
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
    """What the reader of a dataset left out or changed belongs into the report of what is made of it."""
    if labels.report is not None:
        for fate in FATES:
            for note in getattr(labels.report, fate):
                told = "" if fate == "noticed" else f"{fate} "
                tally.note(
                    "noticed", f"{told}when the source was read: {note.reason}", note.type, note.count, note.examples
                )


def _report_in(store: Store) -> ExportReport | None:
    """The report of the export that lies in the folder; None when there is none, or none we can read."""
    try:
        return ExportReport.from_json(store.read_bytes(REPORT_FILE), store.uri)
    except (FileNotFoundError, ValueError):
        return None
