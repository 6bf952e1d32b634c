"""Imports, trainings, evaluations and auto-annotations: what they answer follows from the clock.

A job is stored when it starts, with the moment it will end and how. Nothing runs meanwhile: whether it is in progress
is computed when somebody asks, and its effects (new tasks, a model, annotations) are applied by :meth:`Jobs.settle`,
which the server calls before every answer. A restart therefore changes nothing.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import orjson

from fastlabel_dagster.sandbox.clock import timestamp
from fastlabel_dagster.sandbox.effects import apply
from fastlabel_dagster.sandbox.errors import Refused, invalid, missing
from fastlabel_dagster.sandbox.task_body import Linker

if TYPE_CHECKING:
    from fastlabel_dagster.sandbox.state import SandboxState

#: How long each kind of job takes, in seconds of the sandbox's clock.
SECONDS = {"import": 30.0, "training": 600.0, "evaluation": 120.0, "auto_annotation": 60.0}

#: What an evaluation measures.
METRICS = ("mAP", "recall", "precision", "f1")
_NEXT_METRICS = "next metrics"

_BUILT_IN = ("fastlabel", "FastLabel", "Computer Vision", "Segment Anything")


class Jobs:
    """Every job of the workspace, and the S3 storages that imports read from."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._database = state.database
        self._clock = state.clock

    # -- starting ----------------------------------------------------------------------------------------------------

    def start_import(
        self,
        project: str,
        *,
        outcome: str = "completed",
        seconds: float | None = None,
        tasks: int = 0,
        storage_type: str = "zip",
        request: dict[str, Any] | None = None,
    ) -> str:
        """Start an import; answers the id of its history. A completed one brings ``tasks`` pictures the sandbox
        draws."""
        if outcome not in {"completed", "failed"}:
            raise invalid("outcome must be completed or failed")
        seq = self._state.projects.seq(project)
        body = {"storageType": storage_type}
        wanted = {**(request or {}), "draw": tasks}
        return self._start("import", body, wanted, project=seq, seconds=seconds, outcome=outcome)

    def start_s3_import(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start an import from the project's S3 storage: the folder ``buckets/<bucket>/<prefix>`` of the data folder,
        where one puts pictures by hand. Answers the history. A 422 when the project has no storage."""
        project = str(request.get("project") or "")
        seq = self._state.projects.seq(project)
        if self._database.setting(f"storage {seq}") is None:
            raise invalid("AWS S3 storage is not configured for this project.")
        kept = {key: request.get(key) for key in ("status", "tags", "priority")}
        return self.find("import", self.start_import(project, storage_type="awsS3", request=kept | {"s3": True}))

    def start_archive(self, what: str, key: Any, request: dict[str, Any]) -> dict[str, Any]:
        """Start the import of an uploaded zip (``dicom``, ``appendix`` or ``robotics``); answers the history. A 422
        when nothing was uploaded under ``key``."""
        name = self._state.files.uploaded_name(key)
        wanted = {**request, "archive": what, "fileKey": key, "fileName": name}
        return self.find("import", self.start_import(str(request.get("project")), request=wanted))

    def set_storage(self, project: str, request: dict[str, Any]) -> str:
        """Keep a project's S3 storage; answers its id."""
        seq = self._state.projects.seq(project)
        if not request.get("bucketName") or not request.get("bucketRegion"):
            raise invalid("bucketName and bucketRegion should not be empty")
        storage = {"id": str(uuid.uuid4()), **{k: request.get(k) for k in ("bucketName", "bucketRegion", "prefix")}}
        self._database.set_setting(f"storage {seq}", orjson.dumps(storage).decode())
        return str(storage["id"])

    def start_training(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start a training on a dataset; answers the job. A 404 without the dataset, a 422 when it is empty."""
        seq, revision, dataset = self._state.datasets.by_name(request.get("datasetName"))
        _check_dataset_revision(request, revision)
        if not request.get("baseModelName"):
            raise invalid("baseModelName should not be empty")
        epoch = request.get("epoch")
        if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 1:
            raise invalid("epoch must be a whole number of at least 1")
        objects = self._object_count(seq)
        if objects == 0:
            raise invalid(f"Dataset has no objects: {dataset['name']}")
        body = {
            "baseModelName": request["baseModelName"],
            "instanceType": request.get("instanceType") or "ml.p3.2xlarge",
            "epoch": epoch,
            "projects": [],
            "statuses": [],
            "tags": [],
            "contentCount": objects,
            "userName": "Admin",
            "userEmail": "admin@example.com",
            "customModel": {"modelId": "", "modelName": "", "modelURL": "", "classes": []},
        }
        kept = {key: value for key, value in request.items() if key != "configFile"}
        return self.find("training", self._start("training", body, kept))

    def start_evaluation(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start an evaluation of a model on a dataset; answers the job. A 404 for a dataset or model there is not."""
        _, revision, dataset = self._state.datasets.by_name(request.get("datasetName"))
        _check_dataset_revision(request, revision)
        name = request.get("modelName")
        model = self.model(name)
        body = {
            "version": self._count("evaluation") + 1,
            "modelType": "builtin" if model is None else "custom",
            "modelName": name,
            "customModelId": None if model is None else model["modelId"],
            "iouThreshold": request.get("iouThreshold", 0.5),
            "confidenceThreshold": request.get("confidenceThreshold", 0.4),
            "contentCount": 0,
            "gtCount": 0,
            "predCount": 0,
            "mAP": 0,
            "recall": 0,
            "precision": 0,
            "f1": 0,
            "confusionMatrix": None,
            "duration": 0,
            "evaluationSource": "dataset",
            "projects": [],
            "statuses": [],
            "tags": [],
            "datasetId": dataset["id"],
            "dataset": {
                "id": dataset["id"],
                "workspaceId": "00000000-0000-4000-8000-000000000001",
                "name": dataset["name"],
                "createdAt": dataset["createdAt"],
                "updatedAt": dataset["updatedAt"],
            },
            "datasetRevisionId": request.get("datasetRevisionId") or revision,
            "useDatasetTest": bool(request.get("useDatasetTest", False)),
            "userName": "Admin",
        }
        return self.find("evaluation", self._start("evaluation", body, dict(request)))

    def start_auto_annotation(self, request: dict[str, Any]) -> str:
        """Start an auto-annotation of a project's tasks; answers the job's id. A 404 for a model there is not."""
        seq = self._state.projects.seq(request.get("project"))
        threshold = request.get("confidenceThreshold", 0.4)
        if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
            raise invalid("confidenceThreshold must be between 0 and 1")
        self.model(request.get("modelName"))
        body = {
            "version": self._count("auto_annotation") + 1,
            "autoAnnotationType": self._state.projects.type_of(seq),
            "modelName": request.get("modelName"),
            "msgCode": "none",
            "contentCount": 0,
            "taskAnnotationCount": 0,
            "audioSeconds": 0,
            "duration": 0,
            "userName": "Admin",
        }
        return self._start("auto_annotation", body, dict(request), project=seq)

    def fail_next(self, kind: str, times: int = 1) -> None:
        """Let the next ``times`` jobs of a kind end as failed."""
        if kind not in SECONDS:
            raise invalid(f"kind must be one of {', '.join(SECONDS)}")
        self._database.set_setting(f"fail {kind}", str(int(times)))

    def next_metrics(self, metrics: dict[str, Any]) -> None:
        """Let the next evaluation that completes measure these values (``mAP``, ``recall``, ``precision``, ``f1``, each
        from 0 to 1) and show this ``confusionMatrix``; what is not named is as usual. Several calls make a queue."""
        unknown = sorted(set(metrics) - {*METRICS, "confusionMatrix"})
        if unknown or not metrics:
            raise invalid(f"an evaluation measures {', '.join(METRICS)}" + (f", not {unknown[0]}" if unknown else ""))
        for name, value in metrics.items():
            if name == "confusionMatrix":
                continue  # its form is not documented, so any will do
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise invalid(f"{name} must be a number from 0 to 1")
        with self._database.write():
            queue = orjson.loads(self._database.setting(_NEXT_METRICS) or "[]")
            self._database.set_setting(_NEXT_METRICS, orjson.dumps([*queue, metrics]).decode())

    def take_metrics(self) -> dict[str, Any]:
        """The values set for the evaluation that completes now, taken out of the queue; empty without any."""
        queue = orjson.loads(self._database.setting(_NEXT_METRICS) or "[]")
        if not queue:
            return {}
        self._database.set_setting(_NEXT_METRICS, orjson.dumps(queue[1:]).decode())
        return dict(queue[0])

    def _start(
        self,
        kind: str,
        body: dict[str, Any],
        request: dict[str, Any],
        *,
        project: int | None = None,
        seconds: float | None = None,
        outcome: str = "completed",
    ) -> str:
        job_id = str(uuid.uuid4())
        length = SECONDS[kind] if seconds is None else float(seconds)
        with self._database.write() as connection:
            to_fail = int(self._database.setting(f"fail {kind}") or 0)
            if to_fail > 0:
                outcome = "failed"
                self._database.set_setting(f"fail {kind}", str(to_fail - 1))
            now = self._clock.now()
            connection.execute(
                "INSERT INTO jobs (id, kind, project, started, due, outcome, request, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job_id,
                    kind,
                    project,
                    now,
                    now + length,
                    outcome,
                    orjson.dumps(request).decode(),
                    orjson.dumps(body).decode(),
                ),
            )
        return job_id

    # -- reading -----------------------------------------------------------------------------------------------------

    def find(self, kind: str, job_id: str, link: Linker | None = None) -> dict[str, Any]:
        """One job as the API answers it; a 404 when there is none. ``link`` signs a model's download."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT id, started, due, outcome, settled, body FROM jobs WHERE kind = ? AND id = ?", (kind, job_id)
            ).fetchone()
        if row is None:
            raise missing("History is not found." if kind == "import" else "Job is not found.")
        return self._answer(kind, row, link)

    def listed(
        self,
        kind: str,
        *,
        project: str | None = None,
        storage_type: str | None = None,
        offset: int = 0,
        limit: int = 100,
        link: Linker | None = None,
    ) -> list[dict[str, Any]]:
        """Jobs of a kind, the newest first."""
        where, values = ["kind = ?"], [kind]
        if project is not None:
            where.append("project = ?")
            values.append(self._state.projects.seq(project))  # type: ignore[arg-type]
        if storage_type is not None:
            where.append("json_extract(body, '$.storageType') = ?")
            values.append(storage_type)
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT id, started, due, outcome, settled, body FROM jobs WHERE {' AND '.join(where)} "  # noqa: S608 - constant parts
                "ORDER BY seq DESC LIMIT ? OFFSET ?",
                [*values, limit, offset],
            ).fetchall()
        return [self._answer(kind, row, link) for row in rows]

    def _answer(self, kind: str, row: tuple[Any, ...], link: Linker | None) -> dict[str, Any]:
        job_id, started, due, outcome, settled, text = row
        body: dict[str, Any] = orjson.loads(text)
        status = outcome if settled else ("running" if kind == "import" else "in_progress")
        dates = {"createdAt": timestamp(started), "updatedAt": timestamp(due if settled else started)}
        completed = timestamp(due) if settled else None
        if kind == "import":
            return {"id": job_id, "storageType": body["storageType"], "status": status, **dates}
        if kind == "training":
            model = dict(body.pop("customModel"))
            file = model.pop("file", None)
            if file is not None and link is not None:
                model["modelURL"] = link(file)
            return {
                "trainingJobId": job_id,
                "status": status,
                **body,
                "createdAt": dates["createdAt"],
                "completedAt": completed,
                "customModel": model,
            }
        return {"id": job_id, "status": status, **body, "completedAt": completed, **dates}

    def _count(self, kind: str) -> int:
        with self._database.read() as connection:
            return int(connection.execute("SELECT COUNT(*) FROM jobs WHERE kind = ?", (kind,)).fetchone()[0])

    def _object_count(self, dataset: int) -> int:
        with self._database.read() as connection:
            return int(connection.execute("SELECT COUNT(*) FROM objects WHERE dataset = ?", (dataset,)).fetchone()[0])

    def model(self, name: Any) -> dict[str, Any] | None:
        """The custom model of this name with the ``contentCount`` it was trained on; None for one of the service's
        own."""
        if not isinstance(name, str) or not name:
            raise invalid("modelName should not be empty")
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT json_extract(body, '$.customModel'), json_extract(body, '$.contentCount') FROM jobs "
                "WHERE kind = 'training' AND settled = 1 AND json_extract(body, '$.customModel.modelName') = ?",
                (name,),
            ).fetchone()
        if row is not None:
            return {**orjson.loads(row[0]), "contentCount": row[1]}
        if not name.startswith(_BUILT_IN):
            raise missing(f"Model is not found: {name}")
        return None

    # -- ending ------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Apply the effects of the jobs whose time is over, each once and in the order of their ends."""
        now = self._clock.now()
        query = "SELECT id FROM jobs WHERE settled = 0 AND due <= ? ORDER BY due, seq"
        with self._database.read() as connection:
            due = connection.execute(query, (now,)).fetchall()
        for (job_id,) in due:
            with self._database.write() as connection:
                row = connection.execute(
                    "SELECT kind, project, due - started, outcome, request, body FROM jobs "
                    "WHERE id = ? AND settled = 0",
                    (job_id,),
                ).fetchone()
                if row is None:
                    continue  # another thread was first
                kind, project, length, outcome, request, text = row
                body = orjson.loads(text)
                if outcome == "completed":
                    connection.execute("SAVEPOINT effect")
                    try:
                        apply(self._state, kind, project, orjson.loads(request), body)
                    except (Refused, OSError):  # an effect that is refused is a job that failed; nothing of it stays
                        connection.execute("ROLLBACK TO effect")
                        body, outcome = orjson.loads(text), "failed"
                    connection.execute("RELEASE effect")
                if "duration" in body:
                    body["duration"] = round(length)
                connection.execute(
                    "UPDATE jobs SET settled = 1, outcome = ?, body = ? WHERE id = ?",
                    (outcome, orjson.dumps(body).decode(), job_id),
                )


def _check_dataset_revision(request: dict[str, Any], revision: str) -> None:
    wanted = request.get("datasetRevisionId")
    if wanted and not (len(wanted) >= 8 and revision.startswith(wanted)):
        raise missing(f"Dataset revision is not found: {wanted}")
