"""``publish_dataset``: approved tasks become objects of a FastLabel dataset, the input of a training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from fastlabel_dagster.api import FastLabelError, NotFound, ServerError, TransportError, Unauthorized
from fastlabel_dagster.labels.digest import combined_digest, task_digest
from fastlabel_dagster.labels.fastlabel import to_fastlabel
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import ImageFolder
from fastlabel_dagster.store.on_disk import on_disk
from fastlabel_dagster.sync.inflight import Outage, in_flight
from fastlabel_dagster.sync.progress import progress_bar
from fastlabel_dagster.sync.quarantine import Quarantined

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

# What we note in an object's custom metadata, texts all: by these it is known again, whatever its name.
_TASK = "fastlabelTaskId"
_DIGEST = "labelsDigest"
_VERSION = "labelsVersion"
_PROJECT = "fastlabelProject"
_IMAGE = "imageSha256"

#: Keys of a task's annotation that mean nothing in a dataset, where an object's annotations have ids of their own.
_LEFT_OUT = frozenset({"id", "content", "contentId"})


@dataclass(frozen=True)
class PublishReport:
    """What a publication found and did.

    Attributes:
        dataset, dataset_id: the dataset's name and id; ``created`` whether it was made now.
        total: tasks that should be in it.
        added, updated, unchanged: objects made now, given new labels, as they were.
        pictures_replaced: those of the updated objects whose picture is another than the one they were published with.
            Labels can be those of an earlier version of the mirror; pictures are always those of the folder as it is.
        removed: objects deleted because their task should not be in it any more (only with ``prune``).
        left_over: objects of such tasks that were left alone, and are trained on like all others.
        others: objects that somebody else put there, or another project; they are never touched.
        objects: how many objects the dataset holds now, ours and others'. It is read once more at the end, where
            anything was done: another publication at the same time counts too, as far as it has come.
        quarantined: tasks that could not be published, each with the reason.
        digest: of all objects the dataset holds now, left over ones and others' included: of our own the task, its
            labels and its image as they were sent, of others' what the API lists. The data version of the dataset.
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
    others: int
    objects: int
    quarantined: list[Quarantined]
    digest: str
    labels_version: int | None
    seconds: float
    requests: int
    retries: int
    waited_seconds: float
    bytes_sent: int
    pictures_replaced: int = 0

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
        parts += [f"{self.pictures_replaced:,} with another picture than before"] if self.pictures_replaced else []
        parts += [f"{self.left_over:,} left over"] if self.left_over else []
        parts += [f"{self.others:,} of others"] if self.others else []
        parts += [f"{len(self.quarantined):,} could not be published"] if self.quarantined else []
        return " · ".join(parts)


class _Object(NamedTuple):
    """An object of ours that is in the dataset already."""

    name: str
    task_id: str
    digest: str
    image: str
    custom_metadata: Mapping[str, Any]

    @property
    def content(self) -> bytes:
        """What a training sees of it, as a digest; the name it has is no part of that."""
        return task_digest({"task": self.task_id, "labels": self.digest, "image": self.image})


class _Found(NamedTuple):
    """A dataset as it was found: our objects by task, further objects of ours for the same tasks, digests of what
    belongs to others, and all names."""

    ours: dict[str, _Object]
    doubles: list[_Object]
    others: list[bytes]
    names: set[str]

    @property
    def digest(self) -> str:
        """Of everything that is in it."""
        return combined_digest([*(each.content for each in (*self.ours.values(), *self.doubles)), *self.others])


class _Job(NamedTuple):
    """One task to publish: its object's name, its labels, and the object there is already, if any."""

    task_id: str
    name: str
    file: str
    image: str
    annotations: list[dict[str, Any]]
    digest: str
    existing: _Object | None


class _Published(NamedTuple):
    """What became of one task: ``added``, ``updated``, ``unchanged`` or ``quarantined``; and whether its object has
    another picture now."""

    outcome: str
    another_picture: bool = False
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
    nothing twice. Object names are the file names of ``images``. An object of one of the project's tasks that carries
    another project's name is of the time before the project was renamed, and is ours; it gets the name of now.

    Labels of an earlier version of the mirror meet the pictures as they are now: the mirror holds no pictures, and no
    checksums of them. A picture that is another than the one its object was published with is told in
    ``pictures_replaced``, and a task of that version whose picture is not there any more is quarantined.

    Args:
        labels: of the whole project; ``images`` as ``download_images`` left them.
        dataset: its name: lower-case letters, digits and hyphens.
        status: publish the tasks in this state (or these; None: all).
        prune: delete our objects whose task is gone or in another state. Off, they stay, are trained on with the rest,
            and count in the digest. Objects of others, and of other projects, are never touched.
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
    project = labels.origin.get("project")

    @cache
    def task_ids() -> frozenset[str]:
        return frozenset(id for batch in labels.batches(["task_id"]) for id in batch["task_id"].to_pylist())

    there = _Found({}, [], [], set())
    if not created:
        there = _objects(client, dataset, project, renamed=lambda task_id: task_id in task_ids())
    table = images.table.select(["task_id", "file", "sha256"])
    files = {row["task_id"]: (row["file"], row["sha256"] or "") for row in table.to_pylist()}
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
                existing = there.ours.get(task_id)
                file, image = files.get(task_id, ("", existing.image if existing else ""))
                if not file and existing is None:
                    quarantined.append(Quarantined("no image in the image folder", task_id, name))
                    continue
                annotations = _annotations(task)
                digest = task_digest({"annotations": annotations}).hex()
                object_name = existing.name if existing else _free_name(file or name, task_id, there.names)
                yield _Job(task_id, object_name, file, image, annotations, digest, existing)

    def publish(job: _Job) -> _Published:
        before = job.existing
        metadata = {_TASK: job.task_id, _DIGEST: job.digest, _IMAGE: job.image}
        if version is not None:
            metadata[_VERSION] = str(version)
        if project is not None:
            metadata[_PROJECT] = str(project)
        try:
            if before is None:
                create(job, metadata)
                return _Published("added")
            if before.image and before.image != job.image:
                # an object's image cannot be replaced: it is made anew, without what others noted on the old one
                client.dataset_objects.delete(dataset_id, job.name)
                create(job, metadata)
                return _Published("updated", another_picture=True)
            if before.digest == job.digest and before.custom_metadata.get(_PROJECT, project) == project:
                return _Published("unchanged")
            metadata = {**before.custom_metadata, **metadata, _IMAGE: before.image}  # without the mark, nobody knows
            client.dataset_objects.update(dataset_id, job.name, annotations=job.annotations, custom_metadata=metadata)
            return _Published("updated")
        except Unauthorized:
            raise  # of the token: it will be refused for every other object too
        except FileNotFoundError:
            problem = Quarantined("its image is not in the image folder any more", job.task_id, job.name)
            return _Published("quarantined", problem=problem)
        except FastLabelError as error:
            problem = Quarantined(str(error), job.task_id, job.name)
            return _Published("quarantined", problem=problem, error=error)

    def create(job: _Job, metadata: Mapping[str, str]) -> None:
        """Make an object, once: when the answer is lost, look whether it was made before calling it a failure."""
        with on_disk(images.store, job.file) as path:  # sent in pieces as it is read
            try:
                client.dataset_objects.create(
                    dataset, job.name, path, tags=tags, annotations=job.annotations, custom_metadata=metadata
                )
            except (TransportError, ServerError):
                if not _is_there(client, dataset_id, job):
                    raise

    counts = dict.fromkeys(("added", "updated", "unchanged", "quarantined"), 0)
    pictures_replaced = 0
    outage = Outage()
    with progress_bar(progress, "objects", unit="object") as advance:
        for result in in_flight(publish, jobs(), workers=workers):
            if advance is not None:
                advance(1)
            outage.note(result.error)
            counts[result.outcome] += 1
            pictures_replaced += result.another_picture
            if result.problem is not None:
                quarantined.append(result.problem)
    unwanted = [each for task_id, each in there.ours.items() if task_id not in wanted_ids] + there.doubles
    if prune:
        for each in sorted(unwanted, key=lambda each: each.name):
            with suppress(NotFound):  # somebody else was quicker
                client.dataset_objects.delete(dataset_id, each.name)
    touched = counts["added"] or counts["updated"] or counts["quarantined"] or (prune and unwanted)
    holds = _objects(client, dataset, project) if touched else there  # somebody else may have published meanwhile
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
        removed=len(unwanted) if prune else 0,
        left_over=0 if prune else len(unwanted),
        others=len(holds.others),
        objects=len(holds.ours) + len(holds.doubles) + len(holds.others),
        quarantined=quarantined,
        digest=holds.digest,
        labels_version=int(version) if version is not None else None,
        seconds=time.monotonic() - started,
        requests=used.requests,
        retries=used.retries,
        waited_seconds=used.waited_seconds,
        bytes_sent=used.bytes_sent,
        pictures_replaced=pictures_replaced,
    )
    if log is not None:
        log(str(report))
    return report


def dataset_digest(
    client: FastLabelClient, dataset: str, project: str | None, *, revision_id: str | None = None
) -> str:
    """The :attr:`PublishReport.digest` of a dataset as it is now, or was at a revision: what a publication of
    ``project`` that finds nothing to do would report.

    Raises:
        FastLabelError: there is no such dataset or revision, or the API cannot be reached.
    """
    return _objects(client, dataset, project, revision_id).digest


def _objects(
    client: FastLabelClient,
    dataset: str,
    project: object,
    revision_id: str | None = None,
    *,
    renamed: Callable[[str], bool] = lambda task_id: False,
) -> _Found:
    """All objects of a dataset. Ours are those that carry a task's id and, where both say one, our project's name; and
    those under another name of whose task ``renamed`` says that it is ours."""
    there = _Found({}, [], [], set())
    for listed in client.dataset_objects.iter(dataset, revision_id=revision_id):
        name = str(listed.get("name"))
        there.names.add(name)
        metadata = listed.get("customMetadata")
        noted: Mapping[str, Any] = metadata if isinstance(metadata, Mapping) else {}
        task_id = noted.get(_TASK)
        of_another = project is not None and noted.get(_PROJECT, project) != project
        if not isinstance(task_id, str) or (of_another and not renamed(task_id)):
            seen = {key: listed.get(key) for key in ("name", "size", "width", "height")}
            there.others.append(task_digest({**seen, "annotations": _annotations(listed)}))
            continue
        found = _Object(name, task_id, str(noted.get(_DIGEST)), str(noted.get(_IMAGE) or ""), noted)
        if task_id in there.ours:
            there.doubles.append(found)
        else:
            there.ours[task_id] = found
    return there


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
