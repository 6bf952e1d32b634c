"""Exports of task JSON to the places where the official SDK puts them.

A folder that is there stays, and files of the same name in it are replaced, as by the SDK. Each file comes into its
place whole; a report is handed back rather than written, so that nothing lies among the files that the SDK would not
have written.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import orjson

from fastlabel_dagster.formats.dispatch import write
from fastlabel_dagster.formats.overlays.write import INDEX_FILE
from fastlabel_dagster.formats.report import REPORT_FILE, ExportReport
from fastlabel_dagster.formats.sources import SOURCE
from fastlabel_dagster.labels.fastlabel import from_fastlabel
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import disk_names

Json: TypeAlias = Mapping[str, Any]
#: Stores what lies at a URL as a file.
Fetch: TypeAlias = Callable[[str, Path], object]
_OUTLINED = ("polygon", "segmentation")


def export_coco(
    tasks: Sequence[Json],
    annotations: Iterable[Json] | None,
    output_dir: str | Path,
    file_name: str,
    *,
    video: bool = False,
    fetch: Fetch | None = None,
) -> ExportReport:
    """``<output_dir>/<file_name>``; of a video project, its frames in ``images/`` beside it.

    ``annotations`` are annotation classes: they give the categories their order, keypoints, skeletons and colours.
    Without them, categories are those the tasks use, sorted by value.
    """

    def place(path: str) -> str | None:
        return file_name if path == "annotations.json" else path

    labels = _labels(tasks, annotations or (), without=("line", "classification"))
    options = {"bbox_segmentation": "rectangle", "every_key": True}
    return _export_any(labels, "coco", output_dir, place, video=video, fetch=fetch, **options)


def export_yolo(
    tasks: Sequence[Json],
    classes: Iterable[str] | None,
    output_dir: str | Path,
    *,
    outlines: bool = False,
    video: bool = False,
    fetch: Fetch | None = None,
) -> ExportReport:
    """``annotations/<name>.txt`` and ``classes.txt``, whose lines are the class numbers in their order.

    Args:
        tasks: as the API answers them.
        classes: class values in the order of their numbers; others are left out. Without them, those the tasks use,
            sorted by value.
        output_dir: where to.
        outlines: write outlines rather than boxes also when no ``classes`` are given (a segmentation project). With
            ``classes``, outlines are written unless there are boxes only.
        video: a video project: its frames are cut out into ``images/``.
        fetch: how to get at the videos.
    """
    order = _values(classes)
    labels = _labels(tasks, (), without=("line", "classification", "keypoint"))
    drawn = set(labels.classes["type"].to_pylist())
    outlined = bool(drawn & set(_OUTLINED)) if order else outlines
    options: dict[str, Any] = {"layout": "darknet", "split": None, "task": "segment" if outlined else "detect"}
    options["classes"] = order or None

    def place(path: str) -> str | None:
        return path if path == "classes.txt" or path.startswith(("annotations/", "images/")) else None

    return _export_any(labels, "yolo", output_dir, place, video=video, fetch=fetch, **options)


def export_pascal_voc(
    tasks: Sequence[Json], output_dir: str | Path, *, video: bool = False, fetch: Fetch | None = None
) -> ExportReport:
    """``annotations/<name>.xml`` with corners in whole pixels; of a video project, its frames in ``images/``."""
    folders = {"Annotations": "annotations", "JPEGImages": "images"}

    def place(path: str) -> str | None:
        folder, _, name = path.partition("/")
        return f"{folders[folder]}/{name}" if folder in folders else None

    labels = _labels(tasks, ())
    return _export_any(labels, "pascal_voc", output_dir, place, video=video, fetch=fetch, coordinates="integer")


def export_labelme(tasks: Sequence[Json], output_dir: str | Path) -> ExportReport:
    """``<name>.json`` for each task."""
    return _export_images(_labels(tasks, ()), "labelme", output_dir, lambda path: _below(path, "images"))


def export_masks(
    tasks: Sequence[Json],
    output_dir: str | Path,
    *,
    instances: bool,
    palette: Sequence[int] | None = None,
    classes: Iterable[str] | None = (),
    start_index: int = 1,
) -> ExportReport:
    """``<name>.png`` for each task: an index per annotation (``instances``) or per class.

    Args:
        tasks: as the API answers them.
        output_dir: where to.
        instances: number annotations rather than classes.
        palette: red, green, blue of index 0, 1, …; None for the usual one.
        classes: class values in the order of their indices; without them, those the tasks use, sorted by value.
        start_index: the first index; 0 leaves none for the background.
    """
    options: dict[str, Any] = {"start_index": start_index, "pixels": "sdk"}
    if palette is not None:
        options["palette"] = np.asarray(palette).tolist()
    if not instances and (order := _values(classes)):
        options["classes"] = order
    format = "instance_masks" if instances else "semantic_masks"
    return _export_images(_labels(tasks, ()), format, output_dir, lambda path: _below(path, "masks"), **options)


def export_drawn(tasks: Sequence[Json], image_dir: str | Path, output_dir: str | Path) -> ExportReport:
    """The pictures of ``image_dir`` with their annotations drawn, under the names of their tasks.

    Raises:
        FileNotFoundError: when there is no picture of any task.
        ValueError: when ``output_dir`` is ``image_dir``: the pictures would be replaced by their drawings.
    """
    pictures, target = Path(image_dir).resolve(), Path(output_dir).resolve()
    if pictures == target:
        raise ValueError(f"{image_dir} holds the pictures; name another folder for the drawings")
    rows = _rows(tasks)
    found: list[Path | None] = []
    for row in rows:
        path = (pictures / str(row.get("name"))).resolve()
        found.append(path if path.is_relative_to(pictures) and path.is_file() else None)
    if rows and not any(found):
        raise FileNotFoundError(f"{image_dir} has no picture of these tasks; pictures are found by the tasks' names")
    with _working_folder(target) as made:
        source = pictures
        if target.is_relative_to(pictures):  # an export does not go where its source is
            source = made / "pictures"
            found = [path and _beside(path, source / path.relative_to(pictures)) for path in found]
        drawn = _from_here(_labels(rows, ()), [None if path is None else path.as_uri() for path in found], source)
        return _export(drawn, "overlays", made, target, lambda path: None if path == INDEX_FILE else path)


def _beside(path: Path, copy: Path) -> Path:
    """``path`` as the file ``copy``: the same file where the disk can do that."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    if not copy.exists():
        try:
            os.link(path, copy)
        except OSError:
            shutil.copyfile(path, copy)
    return copy


def _values(classes: Iterable[str] | None) -> list[str]:
    """The values of classes, which may be an array of NumPy or a column of a data frame. Raises ValueError for a
    text, whose letters are no classes."""
    if isinstance(classes, str):
        raise ValueError(f"classes is a list of class values, not {classes!r}")
    return [] if classes is None else [str(value) if isinstance(value, str) else value for value in classes]


def _below(path: str, folder: str) -> str | None:
    return path.removeprefix(f"{folder}/") if path.startswith(f"{folder}/") else None


def _rows(tasks: Iterable[Json]) -> list[dict[str, Any]]:
    """The tasks with an id each: those of other making have none, and a list of pages may hold one twice."""
    rows: list[dict[str, Any]] = []
    ids: set[str] = set()
    for number, task in enumerate(tasks):
        if not isinstance(task, Mapping):
            raise TypeError(f"task {number} (counting from 0) is not a JSON object but {task!r:.80}")
        identity = task.get("id")
        if not isinstance(identity, str) or identity in ids:
            identity = next(made for made in (f"{number}{'-' * more}" for more in count()) if made not in ids)
        ids.add(identity)
        rows.append({**task, "id": identity})
    return rows


def _labels(tasks: Iterable[Json], classes: Iterable[Json], *, without: Iterable[str] = ()) -> Labels:
    """Labels whose classes have the SDK's order: that of ``classes``, or else of the values.

    Only classes of annotations are listed, of other types than ``without``.
    """
    rows = _rows(tasks)
    left_out = frozenset(without)
    found: dict[tuple[str, str], Json] = {}
    for row in rows:
        for annotation in row.get("annotations") or []:
            if isinstance(annotation, Mapping) and isinstance(annotation.get("value"), str):
                kind = str(annotation.get("type"))
                if kind not in left_out:
                    found.setdefault((annotation["value"], kind), annotation)
    used = {value for value, _ in found}
    given = [
        {**row, "order": place} for place, row in enumerate((row for row in classes if row.get("value") in used), 1)
    ]
    if not given:
        places = {value: place for place, value in enumerate(sorted(used), start=1)}
        given = [
            {
                "id": f"{value}-{kind}",
                "type": kind,
                "value": value,
                "title": annotation.get("title") or value,
                "color": annotation.get("color"),
                "order": places[value],
                "attributes": [],
            }
            for (value, kind), annotation in sorted(found.items(), key=itemgetter(0))
        ]
    # Computed shapes are numbers of NumPy, arrays and tuples; to look for them first would cost all others time.
    try:
        labels = from_fastlabel(rows, given)
    except (TypeError, ValueError):
        computed = True
    else:
        computed = _has_unread_geometry(labels)
    return from_fastlabel([_as_json(*one) for one in enumerate(rows)], given) if computed else labels


def _has_unread_geometry(labels: Labels) -> bool:
    """Whether some geometry is none as JSON has it, so that no column took it."""
    import pyarrow.compute as pc

    annotations = pc.list_flatten(labels.tasks["annotations"])
    places = [(annotations, "points")]
    places += [(pc.list_flatten(pc.struct_field(annotations, of)), "value") for of in ("keypoints", "frames")]
    extras = ((pc.struct_field(rows, "extra"), f'"{key}":') for rows, key in places)
    return any(pc.any(pc.match_substring(extra, key)).as_py() for extra, key in extras)


def _as_json(number: int, row: dict[str, Any]) -> Any:
    """A task as it would come back from JSON. Raises TypeError, naming the task, when it is none."""
    try:
        return orjson.loads(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY, default=_number))
    except (TypeError, ValueError) as error:
        raise TypeError(f"task {number} (counting from 0), {row.get('name')!r}, is not JSON: {error}") from error


def _number(value: Any) -> float:
    """What is one without being Python's or NumPy's own: a Decimal, a fraction."""
    if isinstance(value, str | bytes):
        raise TypeError
    return float(value)


@contextmanager
def _working_folder(target: Path) -> Iterator[Path]:
    """A hidden folder in ``target``, which is made, for what is not finished; it goes away."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fastlabel-", dir=target) as made:
        yield Path(made)


def _export_images(
    labels: Labels, format: str, output_dir: str | Path, place: Callable[[str], str | None], **options: Any
) -> ExportReport:
    target = Path(output_dir)
    with _working_folder(target) as made:
        return _export(labels, format, made, target, place, **options)


def _export_any(
    labels: Labels,
    format: str,
    output_dir: str | Path,
    place: Callable[[str], str | None],
    *,
    video: bool,
    fetch: Fetch | None,
    **options: Any,
) -> ExportReport:
    target = Path(output_dir)
    with _working_folder(target) as made:
        if video:
            labels = _with_videos(labels, made / "videos", fetch)
        return _export(labels, format, made, target, place, **options)


def _export(
    labels: Labels, format: str, made: Path, target: Path, place: Callable[[str], str | None], **options: Any
) -> ExportReport:
    """Write a folder of ``format`` into ``made``, and move each file to its ``place`` in ``target``."""
    folder = made / "export"
    report = write(labels, format=format, target=folder, **options)
    for parent, _, names in os.walk(folder):
        inside = os.path.relpath(parent, folder).replace(os.sep, "/")
        there: set[str] = set()
        for name in sorted(names):
            relative = name if inside == "." else f"{inside}/{name}"
            wanted = None if relative.startswith(".") or relative == REPORT_FILE else place(relative)
            if wanted is None:
                continue
            to = f"{target}/{wanted}"
            above = to.rpartition("/")[0]
            if above not in there:
                Path(above).mkdir(parents=True, exist_ok=True)
                there.add(above)
            os.replace(f"{parent}/{name}", to)  # noqa: PTH105 - thousands of files, and a Path costs more than the move
    return report


def _with_videos(labels: Labels, folder: Path, fetch: Fetch | None) -> Labels:
    """The same labels with their videos as local files, for frames are cut out of them."""
    folder.mkdir(parents=True)
    tasks = labels.tasks
    urls: list[str | None] = []
    for number, (name, url) in enumerate(zip(tasks["name"].to_pylist(), tasks["url"].to_pylist(), strict=True)):
        if not url or fetch is None:
            urls.append(None)
            continue
        (safe,) = disk_names([str(name)], [str(number)])
        path = folder / f"{number}{Path(safe).suffix}"
        fetch(url, path)
        urls.append(path.resolve().as_uri())
    return _from_here(labels, urls, folder.resolve())


def _from_here(labels: Labels, urls: Sequence[str | None], folder: Path) -> Labels:
    """The same labels, with the files at ``urls`` (of each task, or None) in ``folder``, and no other of this machine:
    what their own URLs name, the API has said."""
    import pyarrow as pa

    from fastlabel_dagster.formats.local_urls import without_local_urls

    tasks, _ = without_local_urls(labels.tasks)
    column = tasks.schema.get_field_index("url")
    placed = tasks.set_column(column, "url", pa.array(urls, pa.string()))
    return Labels(placed, labels.classes, origin={**labels.origin, SOURCE: str(folder)})
