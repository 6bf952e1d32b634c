"""``publish_dataset``: approved tasks become objects of a FastLabel dataset, the input of a training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from fastlabel_dagster.api import FastLabelError, NotFound, ServerError, TransportError, Unauthorized
from fastlabel_dagster.labels.digest import combined_digest, task_digest
from fastlabel_dagster.labels.fastlabel import to_fastlabel
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import ImageFolder
from fastlabel_dagster.sync.inflight import Outage, in_flight
from fastlabel_dagster.sync.progress import progress_bar
from fastlabel_dagster.sync.quarantine import Quarantined

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

# What we note in an object's custom metadata, texts all: by these it is known again, whatever its name.
_TASK = "fastlabelTaskId"
_DIGEST = "labelsDigest"
_VERSION = "labelsVersion"

#: Keys of a task's annotation that mean nothing in a dataset, where an object's annotations have ids of their own.
_LEFT_OUT = frozenset({"id", "content", "contentId"})


@dataclass(frozen=True)
class PublishReport:
    """What a publication found and did.

    Attributes:
        dataset, dataset_id: the dataset's name and id; ``created`` whether it was made now.
        total: tasks that should be in it.
        added, updated, unchanged: objects made now, given new labels, as they were.
        removed: objects deleted because their task should not be in it any more (only with ``prune``).
        left_over: objects of such tasks that were left alone.
        quarantined: tasks that could not be published, each with the reason.
        digest: of the published tasks and their labels; the data version of the dataset.
        labels_version: the version of the mirror the labels came from, where they came from one.
        seconds: in all. requests, retries, waited_seconds, bytes_sent: what it cost at the API.
    """

    dataset: str
    dataset_id: str
    created: bool
    total: int
    added: int
    updated: int
    unchanged: int
    removed: int
    left_over: int
    quarantined: list[Quarantined]
    digest: str
    labels_version: int | None
    seconds: float
    requests: int
    retries: int
    waited_seconds: float
    bytes_sent: int

    @property
    def changed(self) -> bool:
        """Whether the dataset is not what it was."""
        return bool(self.added or self.updated or self.removed)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        parts = [f"dataset {self.dataset}: +{self.added:,} ~{self.updated:,} ={self.unchanged:,} -{self.removed:,}"]
        if not self.changed:
            parts = [f"dataset {self.dataset}: {self.unchanged:,} objects, nothing changed"]
        parts += [f"{self.left_over:,} left over"] if self.left_over else []
        parts += [f"{len(self.quarantined):,} could not be published"] if self.quarantined else []
        return " · ".join(parts)


class _Object(NamedTuple):
    """An object of ours that is in the dataset already."""

    name: str
    digest: str
    custom_metadata: Mapping[str, Any]


class _Job(NamedTuple):
    """One task to publish: its object's name, its labels, and the object there is already, if any."""

    task_id: str
    name: str
    file: str
    annotations: list[dict[str, Any]]
    digest: str
    existing: _Object | None


class _Published(NamedTuple):
    """What became of one task: ``added``, ``updated``, ``unchanged`` or ``quarantined``."""

    outcome: str
    digest: str
    problem: Quarantined | None = None
    error: FastLabelError | None = None


def publish_dataset(
    client: FastLabelClient,
    labels: Labels,
    images: ImageFolder,
    dataset: str,
    *,
    status: str | Sequence[str] | None = "approved",
    prune: bool = False,
    tags: Sequence[str] | None = None,
    visibility: str | None = None,
    workers: int = 4,
    log: Callable[[str], object] | None = None,
    progress: bool = False,
) -> PublishReport:
    """Bring a FastLabel dataset up to date with a project's labels, task by task.

    The dataset is made when there is none of this name. A task without an object gets one, with its image and labels;
    an object whose labels differ from its task's gets the new ones; everything else is left as it is, objects somebody
    else put there above all. An object is known again by the task id in its custom metadata, so doing this twice does
    nothing twice. Object names are the file names of ``images``.

    Args:
        labels: of the whole project; ``images`` as ``download_images`` left them.
        dataset: its name: lower-case letters, digits and hyphens.
        status: publish the tasks in this state (or these; None: all).
        prune: delete our objects whose task is gone or in another state. Off, nothing is ever deleted.
        tags, visibility: of a new dataset and, the tags, of new objects; at most 5 tags.
        workers: uploads at a time.

    Raises:
        FastLabelError: the API refused, or uploads fail one after the other; what was published stays, and the next
            call goes on from there. One bad object alone is quarantined instead.
    """
    started, used_before = time.monotonic(), client.statistics.snapshot()
    found = client.datasets.by_name(dataset)
    created = found is None
    if found is None:
        found = client.datasets.create(dataset, tags=tags, visibility=visibility)
    dataset_id = str(found["id"])
    ours, taken = ({}, set()) if created else _objects(client, dataset)
    files = images.files()
    statuses = [status] if isinstance(status, str) else status
    wanted = labels if statuses is None else labels.with_status(*statuses)
    version = labels.origin.get("version")
    wanted_ids: set[str] = set()
    quarantined: list[Quarantined] = []

    def jobs() -> Iterator[_Job]:
        for batch in wanted.batches():
            for task in to_fastlabel(batch):
                task_id, name = str(task["id"]), str(task.get("name"))
                wanted_ids.add(task_id)
                existing = ours.get(task_id)
                file = files.get(task_id)
                if file is None and existing is None:
                    quarantined.append(Quarantined("no image in the image folder", task_id, name))
                    continue
                annotations = _annotations(task)
                digest = task_digest({"annotations": annotations}).hex()
                object_name = existing.name if existing else _free_name(file or name, task_id, taken)
                yield _Job(task_id, object_name, file or "", annotations, digest, existing)

    def publish(job: _Job) -> _Published:
        metadata = {_TASK: job.task_id, _DIGEST: job.digest}
        if version is not None:
            metadata[_VERSION] = str(version)
        try:
            if job.existing is not None and job.existing.digest == job.digest:
                return _Published("unchanged", job.digest)
            if job.existing is not None:
                metadata = {**job.existing.custom_metadata, **metadata}
                client.dataset_objects.update(
                    dataset_id, job.name, annotations=job.annotations, custom_metadata=metadata
                )
                return _Published("updated", job.digest)
            create(job, metadata)
            return _Published("added", job.digest)
        except Unauthorized:
            raise  # of the token: it will be refused for every other object too
        except FileNotFoundError:
            problem = Quarantined("its image is not in the image folder any more", job.task_id, job.name)
            return _Published("quarantined", job.digest, problem)
        except FastLabelError as error:
            return _Published("quarantined", job.digest, Quarantined(str(error), job.task_id, job.name), error)

    def create(job: _Job, metadata: Mapping[str, str]) -> None:
        """Make an object, once: when the answer is lost, look whether it was made before calling it a failure."""
        content = images.store.read_bytes(job.file)
        try:
            client.dataset_objects.create(
                dataset, job.name, content=content, tags=tags, annotations=job.annotations, custom_metadata=metadata
            )
        except (TransportError, ServerError):
            if not _is_there(client, dataset_id, job):
                raise

    counts = dict.fromkeys(("added", "updated", "unchanged", "quarantined"), 0)
    digests: list[bytes] = []
    outage = Outage()
    with progress_bar(progress, "objects", unit="object") as advance:
        for result in in_flight(publish, jobs(), workers=workers):
            if advance is not None:
                advance(1)
            outage.note(result.error)
            counts[result.outcome] += 1
            if result.problem is None:
                digests.append(bytes.fromhex(result.digest))
            else:
                quarantined.append(result.problem)
    left_over = sorted(each.name for task_id, each in ours.items() if task_id not in wanted_ids)
    if prune:
        for name in left_over:
            client.dataset_objects.delete(dataset_id, name)
    quarantined.sort(key=lambda entry: (entry.name or "", entry.task_id or ""))
    used = client.statistics.snapshot() - used_before
    report = PublishReport(
        dataset=dataset,
        dataset_id=dataset_id,
        created=created,
        total=len(wanted_ids),
        added=counts["added"],
        updated=counts["updated"],
        unchanged=counts["unchanged"],
        removed=len(left_over) if prune else 0,
        left_over=0 if prune else len(left_over),
        quarantined=quarantined,
        digest=combined_digest(digests),
        labels_version=int(version) if version is not None else None,
        seconds=time.monotonic() - started,
        requests=used.requests,
        retries=used.retries,
        waited_seconds=used.waited_seconds,
        bytes_sent=used.bytes_sent,
    )
    if log is not None:
        log(str(report))
    return report


def _objects(client: FastLabelClient, dataset: str) -> tuple[dict[str, _Object], set[str]]:
    """Our objects by task id, and the names of all objects there are."""
    ours: dict[str, _Object] = {}
    names: set[str] = set()
    for found in client.dataset_objects.iter(dataset):
        name = str(found.get("name"))
        names.add(name)
        metadata = found.get("customMetadata")
        if isinstance(metadata, Mapping) and isinstance(metadata.get(_TASK), str):
            ours.setdefault(metadata[_TASK], _Object(name, str(metadata.get(_DIGEST)), metadata))
    return ours, names


def _free_name(file: str, task_id: str, taken: set[str]) -> str:
    """The file's name, or one beside it when an object that is not ours has that; taken from now on."""
    name = file
    if name in taken:
        path = PurePosixPath(file)
        suffix = blake2b(task_id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()[:8]
        name = str(path.with_name(f"{path.stem}-{suffix}{path.suffix}"))
    taken.add(name)
    return name


def _annotations(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A task's annotations as a dataset object has them; a classification task's attributes become one annotation."""
    annotations = task.get("annotations")
    if isinstance(annotations, list):
        return [
            {key: value for key, value in annotation.items() if key not in _LEFT_OUT}
            for annotation in annotations
            if isinstance(annotation, Mapping)
        ]
    attributes = task.get("attributes")
    if isinstance(attributes, list) and attributes:
        return [{"type": "classification", "value": "classification", "points": [], "attributes": attributes}]
    return []


def _is_there(client: FastLabelClient, dataset_id: str, job: _Job) -> bool:
    try:
        made = client.dataset_objects.find(dataset_id, job.name).get("customMetadata")
    except NotFound:
        return False
    return isinstance(made, Mapping) and made.get(_TASK) == job.task_id and made.get(_DIGEST) == job.digest
