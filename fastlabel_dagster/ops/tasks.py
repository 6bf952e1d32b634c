"""Ops on many tasks: create them from a dataset folder, move them to another status."""

# Annotations are not postponed here: Dagster reads them from the functions as they are.
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from fastlabel_dagster._compat import add_run_tags
from fastlabel_dagster.ops.bulk import BulkReport, NotUsable, do_all
from fastlabel_dagster.ops.places import AFTER
from fastlabel_dagster.resource import FastLabelResource

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.formats.sources import PictureSource
    from fastlabel_dagster.labels import Labels

_MOST_FAILURES = Field(
    default=None, ge=0, description="Fail when more than this many could not be done; null: only when none could."
)
#: How many ids of tasks one tag of a run holds: some 40 kB.
_IDS_OF_A_TAG = 1000
#: How many generations of re-executed runs are searched for what was chosen.
_ANCESTORS = 20
_WORKERS = Field(default=4, ge=1, le=16, description="How many requests are under way at a time.")
#: The API makes these classes as they are; a pose's keypoints and a task's classification it has other ways for.
_PLAIN_CLASSES = ("bbox", "polygon", "keypoint", "line", "circle", "segmentation")


class CreateTasksConfig(dg.Config):
    """Which dataset becomes tasks of which project."""

    project: str = Field(description="Slug of an image project.")
    source: str = Field(description="A dataset folder, its index file, or an archive of it.")
    format: str = Field(description="Name of a format that can be read: coco, yolo, pascal_voc, labelme …")
    read_options: dict[str, Any] = Field(default_factory=dict, description="Options of the format's reader.")
    status: str | None = Field(default=None, description="Status of the tasks; null leaves it to FastLabel.")
    tags: list[str] = Field(default_factory=list, description="Tags of the tasks, besides those of the dataset.")
    keep_tags: bool = Field(default=True, description="Take over the tags of the dataset: its splits, as a rule.")
    annotations: bool = Field(default=True, description="With the annotations; false: pictures only.")
    create_classes: bool = Field(default=True, description="Make annotation classes that the project lacks.")
    workers: int = _WORKERS
    most_failures: int | None = _MOST_FAILURES


@dg.op(
    ins=AFTER, description="Create tasks with pictures and annotations from a dataset folder of any readable format."
)
def create_tasks_op(
    context: dg.OpExecutionContext, config: CreateTasksConfig, fastlabel: FastLabelResource
) -> dict[str, Any]:
    """``{"done", "skipped", "failed", "quarantined", "classes_created", "read"}``.

    A task whose name the project has already is skipped, so a run that was cut off is simply started again. A picture
    that is missing, too large or refused is quarantined with the reason; the others go on.
    """
    from fastlabel_dagster.formats import read

    try:
        labels = read(config.source, format=config.format, **config.read_options)
    except (ValueError, FileNotFoundError) as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    report = BulkReport()
    with fastlabel.dagster_errors(context) as client:
        made = _create_classes(client, config.project, labels) if config.create_classes and config.annotations else []
        _create_tasks(client, config, labels, report)
    assert labels.report is not None
    found = {"tasks": labels.report.tasks, "annotations": labels.report.annotations, "notes": labels.report.sentences()}
    return {**report.tell(context, "tasks created", config.most_failures), "classes_created": made, "read": found}


def _create_classes(client: "FastLabelClient", project: str, labels: "Labels") -> list[str]:
    """Make the classes that the dataset has and the project lacks; their values."""
    from fastlabel_dagster.labels.fastlabel import classes_to_fastlabel

    there = {(one.get("type"), one.get("value")) for one in client.annotation_classes.iter(project)}
    colours = {
        one.get("value"): (one.get("title"), one.get("color"), one.get("attributes"))
        for one in classes_to_fastlabel(labels.classes)
        if one.get("value")
    }
    made = []
    for kind, value in _used_classes(labels):
        if kind not in _PLAIN_CLASSES or (kind, value) in there:
            continue
        title, colour, attributes = colours.get(value, (None, None, None))
        client.annotation_classes.create(
            project, kind, value, title or value, color=colour, attributes=attributes or None
        )
        made.append(value)
    return made


def _used_classes(labels: "Labels") -> list[tuple[str, str]]:
    import pyarrow as pa

    from fastlabel_dagster.labels.tables import annotations_of

    used: dict[tuple[str, str], None] = {}
    for table in labels.batches(["task_id", "name", "status", "width", "height", "annotations"]):
        annotations = annotations_of(table).select(["type", "value"])
        pairs = pa.Table.from_arrays(annotations.columns, names=["type", "value"]).group_by(["type", "value"])
        for row in pairs.aggregate([]).to_pylist():
            if row["type"] and row["value"]:
                used[row["type"], row["value"]] = None
    return sorted(used)


def _create_tasks(client: "FastLabelClient", config: CreateTasksConfig, labels: "Labels", report: BulkReport) -> None:
    from fastlabel_dagster.formats.sources import pictures_of_dataset

    there = set(client.tasks.id_name_map(config.project).values())
    pictures = pictures_of_dataset(labels)

    def create(task: dict[str, Any]) -> None:
        tags = list(dict.fromkeys([*config.tags, *(task.get("tags") or [] if config.keep_tags else [])]))
        client.image_tasks.create(
            config.project,
            str(task["name"]),
            content=_picture(task, pictures),
            status=config.status,
            tags=tags or None,
            annotations=task.get("annotations") or None if config.annotations else None,
        )

    do_all(
        create,
        _new_tasks(labels, there, report),
        report,
        about=lambda task: (None, str(task.get("name"))),
        workers=config.workers,
    )


def _new_tasks(labels: "Labels", there: set[str], report: BulkReport) -> Iterator[dict[str, Any]]:
    from fastlabel_dagster.labels.fastlabel import to_fastlabel

    seen: set[str] = set()
    for task in to_fastlabel(labels):
        name = task.get("name")
        if not name:
            report.set_aside("it has no name", task_id=str(task.get("id") or "") or None)
        elif name in there:
            report.skip("a task of this name is there")
        elif name in seen:
            report.set_aside("two pictures of the dataset have this name", name=str(name))
        else:
            seen.add(str(name))
            yield task


def _picture(task: dict[str, Any], pictures: "PictureSource | None") -> bytes:
    from fastlabel_dagster.store import StoreError

    id = str(task.get("id") or "")
    held = pictures.held.get(id) if pictures is not None else None
    if held is None:
        raise NotUsable("its picture is not in the dataset folder" if pictures is None else pictures.why_absent(id))
    try:
        return held.store.read_bytes(held.path)
    except (OSError, StoreError) as error:
        raise NotUsable(f"its picture cannot be read: {error}") from error


class UpdateStatusesConfig(dg.Config):
    """Which tasks get which status."""

    project: str = Field(description="Slug of the project.")
    status: str | None = Field(default=None, description="New status.")
    external_status: str | None = Field(default=None, description="New external status.")
    from_status: str | None = Field(default=None, description="Only tasks in this status.")
    from_external_status: str | None = Field(default=None, description="Only tasks in this external status.")
    tags: list[str] = Field(default_factory=list, description="Only tasks with these tags.")
    task_ids: list[str] = Field(default_factory=list, description="These tasks, whatever their status is.")
    limit: int | None = Field(
        default=None,
        ge=1,
        description="At most this many tasks; null: all of them. A retry or re-execution goes on with the same ones.",
    )
    workers: int = _WORKERS
    most_failures: int | None = _MOST_FAILURES


@dg.op(ins=AFTER, description="Move many tasks to another status.")
def update_statuses_op(
    context: dg.OpExecutionContext, config: UpdateStatusesConfig, fastlabel: FastLabelResource
) -> dict[str, Any]:
    """``{"done", "skipped", "failed", "quarantined"}``.

    Setting a status a second time changes nothing, and tasks that have it already are skipped, so a run that was cut
    off is simply started again. The API takes one task a request.

    With a ``limit``, which tasks were chosen stands in the run's tags before the first is moved: a retried step and a
    re-executed run move these, and no others besides.
    """
    if config.status is None and config.external_status is None:
        raise dg.Failure(description="say which status or external_status the tasks get", allow_retries=False)
    if not (config.task_ids or config.from_status or config.from_external_status or config.tags):
        raise dg.Failure(
            description="say which tasks: task_ids, from_status, from_external_status or tags", allow_retries=False
        )
    report = BulkReport()
    with fastlabel.dagster_errors(context) as client:
        # all of them are known before the first is changed: a list that shrinks while it is paged skips some
        wanted = _chosen_before(context) if config.limit is not None else None
        if wanted is None:
            wanted = list(_chosen(client, config, report))
            if config.limit is not None:
                _remember(context, wanted)

        def update(task: tuple[str, str | None]) -> None:
            client.tasks.update(task[0], status=config.status, external_status=config.external_status)

        do_all(update, wanted, report, about=lambda task: task, workers=config.workers)
    return report.tell(context, "tasks updated", config.most_failures)


def _chosen_tag(context: dg.OpExecutionContext) -> str:
    mapped = context.get_mapping_key()
    # Dagster's UI shows no tags of this prefix: these are long
    return f".dagster/fastlabel_chosen/{context.op_handle}{'' if mapped is None else f'[{mapped}]'}/"


def _remember(context: dg.OpExecutionContext, chosen: list[tuple[str, str | None]]) -> None:
    """Write down which tasks were chosen, a thousand to a tag; the first says how many tags there are."""
    ids = [id for id, _ in chosen]
    parts = [ids[start : start + _IDS_OF_A_TAG] for start in range(0, len(ids), _IDS_OF_A_TAG)] or [[]]
    tag = _chosen_tag(context)
    tags = {f"{tag}{number}": json.dumps([len(parts), *part]) for number, part in enumerate(parts)}
    add_run_tags(context.instance, context.run.run_id, tags)


def _chosen_before(context: dg.OpExecutionContext) -> list[tuple[str, str | None]] | None:
    """What an earlier attempt of this step has chosen, or the run that this one re-executes; None when nothing was."""
    tag, run_id = _chosen_tag(context), context.run.run_id
    for _ in range(_ANCESTORS):
        run = context.instance.get_run_by_id(run_id)
        if run is None:
            return None
        if f"{tag}0" in run.tags:
            count = json.loads(run.tags[f"{tag}0"])[0]
            texts = [run.tags.get(f"{tag}{number}") for number in range(count)]
            if None not in texts:  # else it was cut off while it wrote them down, before it moved any
                return [(id, None) for text in texts if text for id in json.loads(text)[1:]]
        if run.parent_run_id is None:
            return None
        run_id = run.parent_run_id
    return None


def _chosen(
    client: "FastLabelClient", config: UpdateStatusesConfig, report: BulkReport
) -> Iterator[tuple[str, str | None]]:
    """Ids and names."""
    if config.task_ids:
        for number, id in enumerate(dict.fromkeys(config.task_ids)):
            if config.limit is None or number < config.limit:
                yield id, None
        return
    from fastlabel_dagster.sync.project_kind import modality_of, tasks_of

    tasks = tasks_of(client, modality_of(client.projects.by_slug(config.project)))
    found = 0
    for task in tasks.iter(
        config.project,
        status=config.from_status,
        external_status=config.from_external_status,
        tags=config.tags or None,
    ):
        there = (config.status in (None, task.get("status"))) and (
            config.external_status in (None, task.get("externalStatus"))
        )
        if there:
            report.skip("it has this status")
            continue
        if config.limit is not None and found >= config.limit:
            return
        found += 1
        yield str(task["id"]), str(task.get("name") or "")
