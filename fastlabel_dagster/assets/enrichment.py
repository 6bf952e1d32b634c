"""Pictures and previews are a courtesy: when one cannot be made, the log says why and the run goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.api import FastLabelError, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.metadata.spread import LabelSpread
    from fastlabel_dagster.metadata.summary import LabelSummary
    from fastlabel_dagster.store import ImageFolder
    from fastlabel_dagster.sync import LabelMirror

#: A picture of the contact sheet is fetched only up to this size.
_LARGEST_DOWNLOAD = 32 * 1024 * 1024


@contextmanager
def enrichment(log: logging.Logger, what: str) -> Iterator[None]:
    """Log whatever goes wrong inside instead of failing the step. Termination of a run is not held up."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - by design: a decoration must never fail the work it decorates
        log.warning("%s was left out: %s: %s", what, type(error).__name__, error)


def label_pictures(
    log: logging.Logger,
    summary: LabelSummary,
    spread: LabelSpread,
    classes: pa.Table,
    images: ImageFolder,
    *,
    project_type: str,
    client: FastLabelClient | None = None,
) -> dict[str, Any]:
    """What people see of the labels as metadata: charts of classes, of annotations per task, of places and sizes, and a
    preview of tasks as suits the kind of project (:func:`~fastlabel_dagster.metadata.previews.preview_of`).

    The picture of a task that is not in ``images`` yet is fetched through ``client``, one at a time, a dozen at most;
    videos, recordings and texts are shown as far as they are downloaded.
    """
    from fastlabel_dagster.metadata.previews import preview_of
    from fastlabel_dagster.metadata.spread import class_histogram

    metadata: dict[str, Any] = {}
    counts = summary.classes(classes)
    with enrichment(log, "The class histogram"):
        metadata["class_histogram"] = _picture(class_histogram(counts), "annotations per class")
    if summary.annotations:
        with enrichment(log, "The charts"):
            metadata["annotations_per_task"] = _picture(spread.per_image_chart(), "annotations per task")
            if spread.sized:
                metadata["box_centres"] = _picture(spread.centres_chart(), "where annotations lie")
                metadata["box_sizes"] = _picture(spread.sides_chart(), "how large annotations are")
    with enrichment(log, "The preview of tasks"):
        sample = summary.sample()
        if sample is not None:
            metadata |= preview_of(
                project_type,
                sample,
                counts,
                images,
                read_image=PictureReader(images, client),
                on_problem=lambda problem: log.info("Preview: %s", problem),
            )
    return metadata


def progress_picture(
    log: logging.Logger, statuses: Mapping[str, int], before: Mapping[str, int] | None
) -> dict[str, Any]:
    """The status funnel as metadata, with its change since ``before``."""
    from fastlabel_dagster.metadata.bars import status_funnel

    metadata: dict[str, Any] = {}
    with enrichment(log, "The status funnel"):
        metadata["status_funnel"] = _picture(status_funnel(statuses, before), "tasks by how far they have come")
    return metadata


def change_pictures(
    log: logging.Logger,
    mirror: LabelMirror,
    told: Mapping[str, Any],
    *,
    images: ImageFolder,
    client: FastLabelClient | None = None,
) -> dict[str, Any]:
    """Pictures of the changes that ``told``, the metadata of an asset, tells of, as ``changes_pictured`` and
    ``changes_since_model_pictured``: a few changed tasks, as they were beside what they are.

    Where both tell of the same versions they are drawn once, under the first name. Only projects of pictures have them.
    """
    from fastlabel_dagster.metadata.changes import changes_picture
    from fastlabel_dagster.metadata.summary import LabelSummary
    from fastlabel_dagster.sync.project_kind import is_of_pictures

    metadata: dict[str, Any] = {}
    drawn: set[tuple[int, int]] = set()
    reader: PictureReader | None = None
    for one in ("changes", "changes_since_model"):
        before, after = told.get(f"{one}_from"), told.get(f"{one}_to")
        if before is None or after is None or before == after or (before, after) in drawn:
            continue
        drawn.add((before, after))
        with enrichment(log, "The picture of what changed"):
            if not is_of_pictures(mirror.at(after).project_type):
                break
            reader = reader or PictureReader(images, client)
            svg = changes_picture(
                mirror,
                before,
                after,
                classes=LabelSummary().classes(mirror.classes(after)),
                read_image=reader,
                on_problem=lambda problem: log.info("What changed: %s", problem),
            )
            if svg is not None:
                metadata[f"{one}_pictured"] = _picture(svg, "changed tasks before and after")
    return metadata


def _picture(svg: str, description: str) -> dg.MarkdownMetadataValue:
    from fastlabel_dagster.metadata.pictures import picture_markdown

    return dg.MetadataValue.md(picture_markdown(svg, description))


class PictureReader:
    """Reads a task's picture from the image folder, or else from FastLabel, until FastLabel does not answer once: a
    server that is down is not asked a dozen times, each with all its retries."""

    def __init__(self, images: ImageFolder, client: FastLabelClient | None) -> None:
        from fastlabel_dagster.metadata.stills import FolderPictures

        self._folder, self._client = FolderPictures(images), client

    def __call__(self, task_id: str, name: str) -> bytes | None:
        data = self._folder(task_id, name)
        if data is not None or self._client is None:
            return data
        try:
            return _fetched(self._client, task_id)
        except NotFound:
            raise
        except FastLabelError:
            self._client = None
            raise


def _fetched(client: FastLabelClient, task_id: str) -> bytes | None:
    url = client.image_tasks.find(task_id).get("url")
    if not url:
        return None
    parts: list[bytes] = []
    size = 0

    def keep(part: bytes) -> None:
        nonlocal size
        size += len(part)
        if size > _LARGEST_DOWNLOAD:
            raise ValueError("too large for a preview")
        parts.append(part)

    client.download(str(url), keep)
    return b"".join(parts)
