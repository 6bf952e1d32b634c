"""What completed jobs leave behind: new tasks, a model, a score, annotations."""

from __future__ import annotations

import io
import math
import uuid
import zipfile
from typing import TYPE_CHECKING, Any

import orjson

from fastlabel_dagster.sandbox.errors import invalid
from fastlabel_dagster.sandbox.modalities import BY_NAME, modality_of

if TYPE_CHECKING:
    from fastlabel_dagster.sandbox.state import SandboxState


def apply(state: SandboxState, kind: str, project: int | None, request: dict[str, Any], body: dict[str, Any]) -> None:
    """Do what a job of this kind does when it completes and fill in its answer, ``body``.

    Runs inside the caller's transaction. Raises :class:`Refused` or OSError when the job cannot complete after all.
    """
    if kind == "import" and project is not None:
        if request.get("s3"):
            _import_bucket(state, project, request)
        if request.get("archive"):
            from fastlabel_dagster.sandbox.archives import import_archive

            import_archive(state, project, request)
        if request.get("draw"):
            _import_drawings(state, project, int(request["draw"]))
    elif kind == "training":
        _train(state, request, body)
    elif kind == "evaluation":
        _evaluate(state, request, body)
    elif kind == "auto_annotation" and project is not None:
        from fastlabel_dagster.sandbox.detect import annotate_tasks

        body["contentCount"], body["taskAnnotationCount"] = annotate_tasks(state, project, request)


def _import_bucket(state: SandboxState, project: int, request: dict[str, Any]) -> None:
    storage = orjson.loads(state.database.setting(f"storage {project}") or "{}")
    buckets = (state.data / "buckets").resolve()
    folder = (buckets / str(storage.get("bucketName")) / str(storage.get("prefix") or "")).resolve()
    if not folder.is_relative_to(buckets) or not folder.is_dir():
        raise invalid("The bucket cannot be read.")
    slug = state.projects.slug_of(project)
    modality = BY_NAME[modality_of(state.projects.type_of(project))]
    if modality.source != "file":
        raise invalid("Tasks of this project cannot be imported from AWS S3.")
    known = set(state.tasks.id_name_map(slug, limit=-1).values())
    found = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in modality.extensions and path.is_file()
    }
    common = {key: request[key] for key in ("status", "tags", "priority") if request.get(key) is not None}
    new = {name: path for name, path in found.items() if name not in known}
    state.add_tasks(slug, [{"name": name, **common} for name in new], new)


def _import_drawings(state: SandboxState, project: int, count: int) -> None:
    from fastlabel_dagster.sandbox.drawing import draw_scene, encode

    slug = state.projects.slug_of(project)
    known = set(state.tasks.id_name_map(slug, limit=-1).values())
    images: dict[str, bytes] = {}
    number = 0
    while len(images) < count:
        number += 1
        name = f"imported_{number:04}.jpg"
        if name not in known:
            images[name] = encode(draw_scene(1_000_000 + number).pixels)
    state.add_tasks(slug, [{"name": name} for name in images], images)


def _train(state: SandboxState, request: dict[str, Any], body: dict[str, Any]) -> None:
    name = request["datasetName"]
    seq, _, _ = state.datasets.by_name(name)
    with state.database.read() as connection:
        rows = connection.execute(
            "SELECT DISTINCT json_extract(a.value, '$.value') FROM objects, json_each(objects.body, '$.annotations') a "
            "WHERE dataset = ? ORDER BY 1",
            (seq,),
        ).fetchall()
        (number,) = connection.execute(
            "SELECT COUNT(*) FROM jobs WHERE kind = 'training' AND settled = 1 AND outcome = 'completed' "
            "AND json_extract(request, '$.datasetName') = ?",
            (name,),
        ).fetchone()
    classes = [value for (value,) in rows]
    model = {"modelId": str(uuid.uuid4()), "modelName": f"{name}-{number + 1}", "modelURL": "", "classes": classes}
    model["file"] = state.files.add(_model_archive(model, body), "model.zip")
    body["customModel"] = model


def _evaluate(state: SandboxState, request: dict[str, Any], body: dict[str, Any]) -> None:
    objects = state.datasets.objects(request["datasetName"], limit=-1)
    if request.get("useDatasetTest"):
        objects = [one for one in objects if one[1] == "test"] or objects
    model = state.jobs.model(body["modelName"])
    # More pictures make a better model, with ever smaller gains; enough for a quality gate to have something to
    # judge.
    learned = 0 if model is None else int(model["contentCount"])
    score = 0.35 + 0.5 * (1 - math.exp(-learned / 120))
    truths = sum(len(one["annotations"]) for one, _, _ in objects)
    recall, precision = min(1.0, score + 0.05), min(1.0, score + 0.1)
    body |= {
        "contentCount": len(objects),
        "gtCount": truths,
        "predCount": round(truths * recall / precision),
        "mAP": round(score, 4),
        "recall": round(recall, 4),
        "precision": round(precision, 4),
        "f1": round(2 * precision * recall / (precision + recall), 4),
    }
    body |= state.jobs.take_metrics()


def _model_archive(model: dict[str, Any], body: dict[str, Any]) -> bytes:
    """A small zip in place of weights: the names a real archive would carry, so that downloading it can be tried."""
    content = {
        "model.json": orjson.dumps({**model, "baseModelName": body["baseModelName"], "epoch": body["epoch"]}).decode(),
        "classes.txt": "".join(f"{value}\n" for value in model["classes"]),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()
