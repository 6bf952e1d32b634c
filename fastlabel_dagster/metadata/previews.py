"""A few tasks with their labels, shown in the way that suits the kind of project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from fastlabel_dagster.metadata.pictures import picture_markdown
from fastlabel_dagster.metadata.stills import FolderPictures
from fastlabel_dagster.sync.project_kind import modality_of

if TYPE_CHECKING:
    import pyarrow as pa

    from fastlabel_dagster.metadata.sheet import ReadImage
    from fastlabel_dagster.metadata.summary import ClassCount
    from fastlabel_dagster.store import ImageFolder

#: A recording that does not lie on the local disk is brought there up to this many bytes.
_LARGEST_RECORDING = 128 * 1024 * 1024
#: A text, a point cloud is read up to this many bytes.
_LARGEST_TEXT = 8 * 1024 * 1024
_LARGEST_CLOUD = 32 * 1024 * 1024


def preview_of(
    project_type: str,
    tasks: pa.Table,
    classes: Sequence[ClassCount],
    images: ImageFolder,
    *,
    read_image: ReadImage,
    on_problem: Callable[[str], object] = lambda _: None,
) -> dict[str, dg.MarkdownMetadataValue]:
    """A preview of ``tasks`` (schema ``TASKS``) as metadata; empty for kinds that have none, or nothing to show.

    ==================================== ==========================================================================
    ``contact_sheet``                    pictures; frames of videos; pictures of tasks that have several
    ``text_preview``                     texts, their spans marked
    ``sound_preview``                    recordings as timelines
    ``space_preview``                    points and cuboids of point clouds from above
    ==================================== ==========================================================================

    Args:
        project_type: what the API calls the kind of project.
        images: where the tasks' files lie; what is not downloaded is shown without it.
        read_image: how the picture of a task is had in projects of single pictures.
    """
    kind = modality_of({"type": project_type}).key
    folder = FolderPictures(images)
    if kind == "image":
        from fastlabel_dagster.metadata.sheet import contact_sheet

        return _picture("contact_sheet", contact_sheet(tasks, classes, read_image, on_problem), "tasks")
    if kind in ("video", "sequential_image"):
        from fastlabel_dagster.metadata.film import film_sheet

        return _picture("contact_sheet", film_sheet(tasks, classes, folder, on_problem), "pictures of tasks")
    if kind == "text":
        from fastlabel_dagster.metadata.texts import text_preview

        read = _no_larger(folder, _LARGEST_TEXT)

        def text_of(task_id: str, name: str) -> str | None:
            data = read(task_id, name)
            return None if data is None else data.decode("utf-8", "replace")

        words = text_preview(tasks, text_of, on_problem)
        return {"text_preview": dg.MetadataValue.md(words)} if words else {}
    if kind == "audio":
        from fastlabel_dagster.metadata.sound import sound_sheet

        return _picture("sound_preview", sound_sheet(tasks, classes, _on_disk(folder), on_problem), "recordings")
    if kind in ("pcd", "sequential_pcd"):
        from fastlabel_dagster.metadata.space import space_sheet

        shown = space_sheet(tasks, classes, _no_larger(folder, _LARGEST_CLOUD), on_problem)
        return _picture("space_preview", shown, "point clouds from above")
    return {}


def _picture(name: str, svg: str | None, what: str) -> dict[str, dg.MarkdownMetadataValue]:
    shown = f"{what} with their annotations"
    return {} if svg is None else {name: dg.MetadataValue.md(picture_markdown(svg, shown))}


def _no_larger(folder: FolderPictures, most: int) -> ReadImage:
    def read(task_id: str, name: str) -> bytes | None:
        held = folder.held.get(task_id)
        return None if held is None or held.size > most else folder(task_id, name)

    return read


def _on_disk(folder: FolderPictures) -> Callable[[str], AbstractContextManager[Path] | None]:
    def open_file(task_id: str) -> AbstractContextManager[Path] | None:
        from fastlabel_dagster.store.on_disk import on_disk

        held = folder.held.get(task_id)
        if held is None or (not held.store.is_local and held.size > _LARGEST_RECORDING):
            return None
        return on_disk(held.store, held.path)

    return open_file
