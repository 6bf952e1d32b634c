"""Pictures and previews are a courtesy: when one cannot be made, the log says why and the run goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.api import FastLabelError, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.metadata.summary import LabelSummary
    from fastlabel_dagster.store import ImageFolder

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
    classes: pa.Table,
    images: ImageFolder,
    client: FastLabelClient | None = None,
    *,
    pictured: bool = True,
) -> dict[str, Any]:
    """The class histogram and the contact sheet as metadata. A picture that is not in ``images`` yet is fetched through
    ``client``, one task at a time, a dozen at most. A project whose tasks are not ``pictured``, one picture each, has
    no sheet."""
    from fastlabel_dagster.metadata.pictures import class_histogram, picture_markdown
    from fastlabel_dagster.metadata.sheet import contact_sheet

    metadata: dict[str, Any] = {}
    counts = summary.classes(classes)
    with enrichment(log, "The class histogram"):
        metadata["class_histogram"] = dg.MetadataValue.md(
            picture_markdown(class_histogram(counts), "annotations per class")
        )
    with enrichment(log, "The contact sheet"):
        sample = summary.sample() if pictured else None
        if sample is not None:
            read = _Pictures(images, client)
            svg = contact_sheet(sample, counts, read, lambda problem: log.info("Contact sheet: %s", problem))
            metadata["contact_sheet"] = dg.MetadataValue.md(picture_markdown(svg, "tasks with their annotations"))
    return metadata


class _Pictures:
    """Reads a task's picture from the image folder, or else from FastLabel, until FastLabel does not answer once: a
    server that is down is not asked a dozen times, each with all its retries."""

    def __init__(self, images: ImageFolder, client: FastLabelClient | None) -> None:
        self._images, self._files, self._client = images, images.files(), client

    def __call__(self, task_id: str, name: str) -> bytes | None:
        if task_id in self._files:
            return self._images.store.read_bytes(self._files[task_id])
        if self._client is None:
            return None
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
