"""Fill a sandbox: with drawn street scenes, with a dataset folder from the disk, or with very many tasks."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from fastlabel_dagster.sandbox.clock import timestamp
from fastlabel_dagster.sandbox.errors import Refused, SandboxError
from fastlabel_dagster.sandbox.state import SandboxState

_NAMESPACE = uuid.UUID("6f1c2a0e-5d0b-4a57-9c64-6b3a2f3f9d11")
_FIRST_DAY = datetime(2025, 4, 1, tzinfo=timezone.utc)
_PEOPLE = ("sato", "suzuki", "tanaka", "garcia", "smith")

#: Shares of the statuses in a seeded project, the approved ones first (61 of 240); the rest is ``registered``.
STATUS_SHARES = (
    ("approved", 0.254),
    ("completed", 0.3),
    ("reviewed", 0.08),
    ("sent_back", 0.07),
    ("declined", 0.02),
    ("skipped", 0.02),
)


@dataclass(frozen=True)
class SeedReport:
    """What seeding left in ``project``. ``created`` is False when the project was there already and was left as it
    is."""

    project: str
    created: bool
    tasks: int
    annotations: int
    classes: int
    approved: int
    seconds: float
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        labels = f"{self.annotations:,} annotations · {self.classes} classes"
        counts = f"{self.tasks:,} tasks · {labels} · {self.approved:,} approved"
        state = "" if self.created else " · already there, left as it is"
        return "\n".join([f"{self.project} · {counts}{state}", *(f"  {note}" for note in self.notes)])


def seed_drawn(
    state: SandboxState, project: str = "street-scenes", *, tasks: int = 240, seed: int = 0, name: str | None = None
) -> SeedReport:
    """Street scenes the sandbox draws: annotations of seven types, classes with Japanese titles and attributes.

    The same ``seed`` gives the same pixels, annotations, ids and dates. A project that is there already is left as it
    is.
    """
    from fastlabel_dagster.sandbox.drawing import HEIGHT, WIDTH, draw_scene, encode
    from fastlabel_dagster.sandbox.scene_classes import CLASSES

    started = time.monotonic()
    if _exists(state, project):
        return _report(state, project, started, created=False)
    plan = _Plan(project, tasks, seed)
    images: dict[str, bytes] = {}
    bodies = []
    for index in range(tasks):
        scene = draw_scene(seed * 1_000_003 + index)
        task_name = _scene_name(index)
        images[task_name] = encode(scene.pixels)
        empty = index % 40 == 17  # some pictures nobody has looked at yet
        bodies.append(
            plan.task(index, task_name, [] if empty else scene.annotations, untouched=empty)
            | {"width": WIDTH, "height": HEIGHT}
        )
    with state.database.write():
        state.create_project(project, type="image_all", name=name or "街並み / Street scenes", id=plan.id_of("project"))
        for one in CLASSES:
            more = {key: one[key] for key in ("color", "attributes", "keypoints") if key in one}
            state.create_class(
                project, one["type"], one["value"], one["title"], id=plan.id_of(f"class {one['value']}"), **more
            )
        state.add_tasks(project, bodies, images)
    return _report(state, project, started, created=True)


def seed_bulk(state: SandboxState, project: str, *, tasks: int = 20_000, boxes: int = 8, seed: int = 0) -> SeedReport:
    """Very many tasks of ``boxes`` boxes each, over ten classes; all share one small grey picture. For benches and
    tests."""
    import cv2

    started = time.monotonic()
    if _exists(state, project):
        return _report(state, project, started, created=False)
    plan = _Plan(project, tasks, seed)
    rng = np.random.default_rng(seed)
    done, picture = cv2.imencode(".jpg", np.full((360, 640, 3), 127, np.uint8))
    assert done
    key = state.files.add(picture.tobytes(), "grey.jpg")
    corners = rng.uniform(0, 1, (tasks, boxes, 4)).round(4)
    corners[..., 0::2] *= 320
    corners[..., 1::2] *= 180
    corners[..., 2:] += corners[..., :2] + 1
    corners = corners.clip(0, [640, 360, 640, 360]).round(2)
    kinds = rng.integers(0, 10, (tasks, boxes))

    def bodies() -> Iterator[dict[str, Any]]:
        for index in range(tasks):
            annotations = [
                {"type": "bbox", "value": f"class-{kind}", "points": points}
                for kind, points in zip(kinds[index].tolist(), corners[index].tolist(), strict=True)
            ]
            yield plan.task(index, f"image_{index:06}.jpg", annotations) | {"width": 640, "height": 360}

    with state.database.write():
        state.create_project(project, type="image_bbox", id=plan.id_of("project"))
        for number in range(10):
            state.create_class(project, "bbox", f"class-{number}", f"Class {number}", id=plan.id_of(f"class {number}"))
        state.tasks.add(state.projects.seq(project), bodies(), files=(key for _ in range(tasks)), strict=True)
    return _report(state, project, started, created=True)


def seed_dataset(
    state: SandboxState, folder: Path, project: str | None = None, *, tasks: int | None = None, seed: int = 0
) -> SeedReport:
    """The pictures and annotations of a COCO or YOLO dataset folder.

    COCO: every annotation JSON below ``folder`` with the pictures it names, wherever below they lie; YOLO: its
    ``data.yaml``. Each split becomes a tag of its tasks, category ids become the classes' ``order``; ``tasks`` takes
    the first so many. Pictures are hard links where the disk allows. Raises :class:`SandboxError` when there is nothing
    to seed from. A project that is there already is left as it is.
    """
    from fastlabel_dagster.sandbox.dataset_folder import project_name, read_folder

    started = time.monotonic()
    slug = project or project_name(folder)
    if _exists(state, slug):
        return _report(state, slug, started, created=False)
    content = read_folder(folder, most=tasks)
    plan = _Plan(slug, len(content), seed)
    with state.database.write():
        state.create_project(slug, type="image_all", name=slug, id=plan.id_of("project"))
        class_ids: dict[str, list[str]] = {}
        for one in content.classes:
            more = {key: one[key] for key in ("color", "order", "attributes", "keypoints") if one.get(key) is not None}
            class_id = plan.id_of(f"class {one['type']} {one['value']}")
            state.create_class(slug, one["type"], one["value"], one.get("title"), id=class_id, **more)
            class_ids.setdefault(one["value"], []).append(class_id)
        files: list[str | None] = []

        def bodies() -> Iterator[dict[str, Any]]:
            for index, (task, picture) in enumerate(content.tasks()):
                files.append(state.files.add_file(picture))
                planned = plan.task(index, task["name"], task.get("annotations") or [])
                yield planned | {key: task[key] for key in ("width", "height", "tags") if task.get(key) is not None}

        # zip asks for the task first, then for its file, which is the last one added by then
        state.tasks.add(
            state.projects.seq(slug), bodies(), files=(files[-1] for _ in range(len(content))), strict=False
        )
        for value, attributes in content.attributes.items():
            for class_id in class_ids.get(value, []):
                state.classes.update(class_id, {"attributes": list(attributes.values())})
    return _report(state, slug, started, created=True, notes=content.notes)


class _Plan:
    """Who does what with the n-th task of a seeded project, and when: random to look at, the same every time."""

    def __init__(self, project: str, tasks: int, seed: int) -> None:
        self._project = project
        rng = np.random.default_rng([seed, tasks, 7])
        statuses: list[str] = []
        for status, share in STATUS_SHARES:
            statuses += [status] * round(share * tasks)
        statuses = (statuses + ["registered"] * tasks)[:tasks]
        self._statuses = [statuses[at] for at in rng.permutation(tasks)]
        self._people = rng.integers(0, len(_PEOPLE), (tasks, 2)).tolist()
        self._hours = rng.uniform(1, 200, tasks).tolist()
        self._priorities = rng.choice([0, 10, 20, 30], tasks, p=[0.7, 0.1, 0.1, 0.1]).tolist()

    def id_of(self, thing: str) -> str:
        """An id that is the same every time this project is seeded."""
        return str(uuid.uuid5(_NAMESPACE, f"{self._project}\n{thing}"))

    def task(
        self, index: int, name: str, annotations: list[dict[str, Any]], *, untouched: bool = False
    ) -> dict[str, Any]:
        """The task with a status and people that fit together; nobody approves a picture that is ``untouched``."""
        status = self._statuses[index]
        if untouched and status == "approved":
            # the share of approved tasks stays: a neighbour that is not approved takes this one's place
            other = next((at for at in range(index + 1, len(self._statuses)) if self._statuses[at] != "approved"), None)
            status = "registered"
            if other is not None:
                self._statuses[other] = "approved"
        elif untouched:
            status = "registered"
        created = _FIRST_DAY + timedelta(minutes=7 * index)
        changed = created if status == "registered" else created + timedelta(hours=self._hours[index])
        worker, checker = (_PEOPLE[at] for at in self._people[index])
        checked = status in {"approved", "reviewed", "sent_back", "declined"}
        return {
            "id": self.id_of(f"task {name}"),
            "name": name,
            "status": status,
            "priority": self._priorities[index],
            "assignee": worker if status != "registered" or index % 3 == 0 else None,
            "reviewer": checker if checked else None,
            "annotations": annotations,
            "createdAt": timestamp(created.timestamp()),
            "updatedAt": timestamp(changed.timestamp()),
        }


def _scene_name(index: int) -> str:
    if index % 12 == 5:
        return f"morning/scene_{index + 1:04}.jpg"
    if index % 12 == 9:
        return f"夕方/交差点_{index + 1:04}.jpg"
    return f"scene_{index + 1:04}.jpg"


def _exists(state: SandboxState, project: str) -> bool:
    try:
        state.projects.by_slug(project)
    except Refused:
        return False
    return True


def _report(
    state: SandboxState, project: str, started: float, *, created: bool, notes: tuple[str, ...] = ()
) -> SeedReport:
    with state.database.read() as connection:
        seq = state.projects.seq(project)
        tasks, annotations, approved = connection.execute(
            "SELECT COUNT(*), TOTAL(annotations), COUNT(CASE WHEN status = 'approved' THEN 1 END) FROM tasks "
            "WHERE project = ?",
            (seq,),
        ).fetchone()
        (classes,) = connection.execute("SELECT COUNT(*) FROM classes WHERE project = ?", (seq,)).fetchone()
    return SeedReport(project, created, tasks, int(annotations), classes, approved, time.monotonic() - started, notes)


def seed(
    state: SandboxState,
    folder: Path | None = None,
    project: str | None = None,
    *,
    tasks: int | None = None,
    seed: int = 0,
) -> SeedReport:
    """:func:`seed_dataset` when there is a folder, :func:`seed_drawn` without one."""
    if folder is not None:
        return seed_dataset(state, folder, project, tasks=tasks, seed=seed)
    if tasks is not None and tasks < 0:
        raise SandboxError("the number of tasks cannot be negative")
    return seed_drawn(state, project or "street-scenes", tasks=240 if tasks is None else tasks, seed=seed)
