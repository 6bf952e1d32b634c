"""Everything the sandbox knows, kept in a data folder; what the HTTP server answers from, and open to tests
directly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from fastlabel_dagster.sandbox.appendix import Appendix
from fastlabel_dagster.sandbox.classes import Classes
from fastlabel_dagster.sandbox.clock import Clock
from fastlabel_dagster.sandbox.comments import Comments
from fastlabel_dagster.sandbox.database import Database
from fastlabel_dagster.sandbox.datasets import Datasets
from fastlabel_dagster.sandbox.errors import SandboxError, invalid
from fastlabel_dagster.sandbox.faults import Faults
from fastlabel_dagster.sandbox.files import Files
from fastlabel_dagster.sandbox.jobs import Jobs
from fastlabel_dagster.sandbox.metadatas import Metadatas
from fastlabel_dagster.sandbox.modalities import BY_NAME, measure_picture, modality_of, probe_video
from fastlabel_dagster.sandbox.people import People
from fastlabel_dagster.sandbox.projects import Projects
from fastlabel_dagster.sandbox.tags import Tags
from fastlabel_dagster.sandbox.tasks import Tasks


class SandboxState:
    """The content of a data folder: ``projects``, ``classes``, ``tasks``, ``tags``, ``comments``, ``appendix``,
    ``people``, ``metadatas``, ``datasets``, ``jobs``, ``files``, the ``clock`` and the ``faults``. Safe for threads;
    several processes may have the same folder open.

    The methods below are the ones tests, demos and ``/_sandbox`` use; they raise :class:`Refused` like the API does.
    """

    def __init__(self, data: Path, *, speed: float | None = None, wall: Callable[[], float] = time.time) -> None:
        data = Path(data)
        try:
            data.mkdir(parents=True, exist_ok=True)
            probe = data / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise SandboxError(
                f"cannot write to the sandbox's data folder {data}: {error.strerror or error}"
            ) from error
        self.data = data
        self.database = Database(data / "sandbox.sqlite")
        self.clock = Clock(self.database, speed=speed, wall=wall)
        self.files = Files(data / "files", self.database, self.clock)
        self.projects = Projects(self.database, self.clock)
        self.classes = Classes(self.database, self.clock, self.projects)
        self.tags = Tags(self.database, self.clock, self.projects)
        self.tasks = Tasks(self.database, self.clock, self.projects, self.classes, self.tags)
        self.comments = Comments(self.database, self.clock, self.tasks)
        self.appendix = Appendix(self.database, self.tasks)
        self.people = People(self.database, self.projects)
        self.metadatas = Metadatas(self.database, self.clock, self.projects)
        self.datasets = Datasets(self.database, self.clock, self.files)
        self.jobs = Jobs(self)
        self.faults = Faults()

    def __enter__(self) -> SandboxState:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def settle(self) -> None:
        """Apply the effects of the jobs that have ended by the clock. The server does this before every answer."""
        self.jobs.settle()

    # -- a project and its tasks -------------------------------------------------------------------------------------

    def create_project(self, slug: str, *, type: str = "image_all", name: str | None = None, **more: Any) -> str:
        """Make a project; answers its id."""
        return self.projects.create(slug, type, name, **more)

    def find_project(self, slug: str) -> dict[str, Any] | None:
        """The project with this slug, None when there is none."""
        return next(iter(self.projects.listed(slug=slug, limit=1)), None)

    def create_class(self, project: str, type: str, value: str, title: str | None = None, **more: Any) -> str:
        """Make an annotation class; answers its id. See :meth:`Classes.create` for ``more``."""
        return self.classes.create(project, type, value, title, **more)

    def update_class(self, class_id: str, changes: dict[str, Any]) -> str:
        """Change a class, and with it the annotations made with it; answers its id."""
        with self.database.write():
            project, before, after = self.classes.update(class_id, changes)
            self.tasks.follow_class(project, before, after)
        return class_id

    def add_tasks(
        self,
        project: str,
        tasks: Iterable[dict[str, Any]],
        images: Mapping[str, bytes | Path] | None = None,
        *,
        validate: bool = True,
    ) -> list[str]:
        """Insert tasks in one transaction; answers their ids in order.

        ``tasks`` are API objects: ``name`` and whatever else is wanted of ``id``, ``status``, ``annotations``,
        ``tags``, ``assignee``, ``width``, ``height``, ``createdAt``, … ``images`` gives bytes or a file by task name;
        ``width`` and ``height`` are read from it where the task names none (``"width": None`` keeps a task without a
        size). A task of several pictures names them in ``contents`` (``[{"name": "01.jpg"}]``); they are looked for
        in ``images`` as ``"task/01.jpg"``. ``validate=False`` stores annotations as they are, for trying bad data.
        """
        given = [dict(task) for task in tasks]
        keys: list[str | None] = []
        modality = BY_NAME[modality_of(self.projects.by_slug(project)["type"])]
        for task in given:
            if modality.place == "contents" and images:
                keys.append(self._add_contents(task, images))
                continue
            image = (images or {}).get(task.get("name", ""))
            if image is None:
                keys.append(None)
                continue
            keys.append(self.files.add_file(image) if isinstance(image, Path) else self.files.add(image, task["name"]))
            if not set(modality.fields) <= set(task):
                task.update(modality.measure(image.read_bytes() if isinstance(image, Path) else image))
        return self.tasks.add(self.projects.seq(project), given, files=keys, strict=validate)

    def _add_contents(self, task: dict[str, Any], images: Mapping[str, bytes | Path]) -> str:
        """Keep the files of a task's contents and fill in their sizes; answers the files' keys, a line each."""
        keys, contents = [], []
        for one in task.get("contents") or []:
            name = f"{task.get('name')}/{one['name']}"
            if name not in images:
                raise invalid(f"There is no image {name}")
            image = images[name]
            content = image.read_bytes() if isinstance(image, Path) else image
            keys.append(self.files.add(content, name))
            measured = probe_video(content)[0] if name.lower().endswith(".mp4") else measure_picture(content)
            contents.append({"name": one["name"], "url": None} | {key: measured[key] for key in ("width", "height")})
        task["contents"] = contents
        return "\n".join(keys)

    def update_task(self, task_id: str, **changes: Any) -> None:
        """Change any key of a task, unchecked: ``annotations=[...]``, ``name=...``, ``tags=[...]``, ``width=None``."""
        self.tasks.update(task_id, changes, strict=False)

    def delete_task(self, task_id: str) -> None:
        """Delete one task."""
        self.tasks.delete(task_id)

    def set_status(
        self, tasks: str | Iterable[str], status: str | None = None, *, assignee: str | None = None, **more: Any
    ) -> list[str]:
        """Set the status and/or people (``assignee``, ``reviewer``, ``externalStatus``, …) of tasks by id; answers the
        ids."""
        ids = [tasks] if isinstance(tasks, str) else list(tasks)
        changes = {**more, **({"status": status} if status else {}), **({"assignee": assignee} if assignee else {})}
        with self.database.write():
            for task_id in ids:
                self.tasks.update(task_id, changes)
        return ids

    def approve(self, project: str, count: int, *, status: str = "approved") -> list[str]:
        """Give the status to the first ``count`` tasks that do not have it yet, those with annotations first; answers
        ids."""
        return self.set_status(self.tasks.next_ids(project, status, count), status)

    def task_ids(self, project: str, *, status: str | None = None) -> list[str]:
        """The ids of a project's tasks in the order of their creation."""
        return self.tasks.ids(project, status=status)

    # -- things that take a while ------------------------------------------------------------------------------------

    def start_import(
        self, project: str, *, outcome: str = "completed", seconds: float | None = None, tasks: int = 0
    ) -> str:
        """Start an import history; answers its id. It runs for ``seconds`` of the clock and ends with ``outcome``
        (``completed`` or ``failed``); a completed one brings ``tasks`` new pictures."""
        return self.jobs.start_import(project, outcome=outcome, seconds=seconds, tasks=tasks)

    def fail_next(self, kind: str = "training", times: int = 1) -> None:
        """Let the next ``times`` jobs of a kind (import, training, evaluation, auto_annotation) fail."""
        self.jobs.fail_next(kind, times)

    def next_metrics(self, **metrics: Any) -> None:
        """Let the next evaluation measure ``mAP``, ``recall``, ``precision``, ``f1`` as said, and show a
        ``confusionMatrix``; each call is for one more evaluation."""
        self.jobs.next_metrics(metrics)

    def summary(self) -> dict[str, Any]:
        """Counts of what is there, the clock and the faults so far; for people and health checks."""
        with self.database.read() as connection:
            counts = {
                table: connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]  # noqa: S608 - constant parts
                for table in ("projects", "tasks", "datasets", "objects", "jobs")
            }
        return {
            "status": "ok",
            **counts,
            "time": self.clock.now(),
            "speed": self.clock.speed,
            "faults": self.faults.summary(),
        }
