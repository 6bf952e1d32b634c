"""What state a project or a dataset is in at FastLabel, told by a few cheap requests, as one word that changes with it.

The API has no version of a project and no "changed since". What it answers cheaply is hashed instead:

- the project's own date of change, its annotation classes (one request), its tasks in each status (one request each);
- of a project whose tasks fit on one page, the id, date and status of every task (one request, in place of the counts).

So in a small project every edit is seen, also of a task whose status stays. In a large one, an annotation that somebody
redraws in a task that keeps its status moves no count: the state stays, and the next sync of the mirror finds it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.api import Invalid
from fastlabel_dagster.api.task_statuses import TASK_STATUSES
from fastlabel_dagster.workspace.records import text

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

#: Projects up to this many tasks are looked at task by task, when one page of their kind holds so many.
_LOOKED_AT = 1000
_OBJECTS_PAGE = 1000
_CLASSES = 1000
#: Pages of a dataset's objects that are read; what lies beyond shows in the dataset's own date only.
_OBJECT_PAGES = 5


@dataclass(frozen=True)
class ProjectState:
    """A project as a few requests show it.

    Attributes:
        version: changes when anything else here does, and with what the requests have shown beside it.
        tasks, classes: how many there are. statuses: tasks by status, without those that have none.
        every_task: whether each task was looked at, so that every edit shows.
    """

    version: str
    slug: str
    id: str = ""
    name: str = ""
    type: str = ""
    status: str = ""
    tasks: int = 0
    classes: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)
    every_task: bool = False


@dataclass(frozen=True)
class DatasetState:
    """A dataset as a few requests show it.

    Attributes:
        version: changes with its objects, their annotations and splits, and its own date of change.
        objects: how many there are; of more than 5,000, how many were looked at (``whole`` is False then).
        splits: objects by type: train, valid, test, none. Objects listed without a type count as none.
    """

    version: str
    name: str
    id: str = ""
    objects: int = 0
    whole: bool = True
    splits: Mapping[str, int] = field(default_factory=dict)


def project_state(client: FastLabelClient, slug: str) -> ProjectState:
    """Look at a project: four requests for one whose tasks fit on a page, else eleven.

    Raises:
        NotFound: this token sees no project of this slug; the hint names similar ones.
        FastLabelError: it cannot be looked at.
    """
    from fastlabel_dagster.sync.project_sync import find_project

    project = find_project(client, slug)
    classes = client.annotation_classes.list(slug, limit=_CLASSES)
    tasks = client.tasks.count(slug)
    listed = _every_task(client, slug, project, tasks)
    if listed is not None:
        statuses: Mapping[str, int] = Counter(status for _, _, status in listed)
    else:
        counted = {status: client.tasks.count(slug, status=status) for status in TASK_STATUSES}
        statuses = {status: count for status, count in counted.items() if count}
    seen = {
        "project": [text(project.get(key)) for key in ("id", "type", "status", "updatedAt")],
        "classes": sorted(_digest(one) for one in classes),
        "tasks": tasks,
        "statuses": sorted(statuses.items()),
        "listed": listed,
    }
    return ProjectState(
        version=_digest(seen),
        slug=slug,
        id=text(project.get("id")),
        name=text(project.get("name")),
        type=text(project.get("type")),
        status=text(project.get("status")),
        tasks=tasks,
        classes=len(classes),
        statuses=dict(statuses),
        every_task=listed is not None,
    )


def dataset_state(client: FastLabelClient, name: str) -> DatasetState | None:
    """Look at a dataset: one request, and one for each thousand of its first 5,000 objects. None: there is none such.

    Raises:
        FastLabelError: it cannot be looked at.
    """
    dataset = client.datasets.by_name(name)
    if dataset is None:
        return None
    objects: list[str] = []
    splits: Counter[str] = Counter()
    whole = False
    for page in range(_OBJECT_PAGES):
        answers = client.dataset_objects.list(name, offset=page * _OBJECTS_PAGE, limit=_OBJECTS_PAGE)
        objects += [_digest(_without_links(one)) for one in answers]
        splits.update(text(one.get("type")) or "none" for one in answers)
        if len(answers) < _OBJECTS_PAGE:
            whole = True
            break
    about = [text(dataset.get(key)) for key in ("id", "updatedAt", "visibility", "license")]
    return DatasetState(
        version=_digest([about, dataset.get("tags"), sorted(objects)]),
        name=name,
        id=text(dataset.get("id")),
        objects=len(objects),
        whole=whole,
        splits=dict(splits),
    )


def _every_task(
    client: FastLabelClient, slug: str, project: Mapping[str, Any], tasks: int
) -> list[tuple[str, str, str]] | None:
    """Id, date and status of every task by id; None when they are on more than one page, or of an unknown kind."""
    from fastlabel_dagster.sync.project_kind import modality_of, tasks_of

    try:
        modality = modality_of(dict(project))
    except Invalid:
        return None  # a kind of project that no list of tasks is known for: its counts are all one can have
    if tasks > min(modality.page_maximum, _LOOKED_AT):
        return None
    page = tasks_of(client, modality).list(slug) if tasks else []
    found = [
        (text(task.get("id")), text(task.get("updatedAt")), text(task.get("status")))
        for task in page
        if isinstance(task, Mapping)
    ]
    return sorted(found) if found or not tasks else None


def _without_links(thing: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in thing.items() if key not in ("url", "signedUrl")}


def _digest(thing: Any) -> str:
    told = json.dumps(thing, sort_keys=True, ensure_ascii=True, default=str, separators=(",", ":"))
    return blake2b(told.encode(), digest_size=16).hexdigest()
