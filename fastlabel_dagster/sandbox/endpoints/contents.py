"""What comes as a zip or lies in a storage: appendices, robotics contents, integrated and split tasks."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson

from fastlabel_dagster.sandbox.call import Call, Endpoint
from fastlabel_dagster.sandbox.endpoints.tasks import filters, request_of
from fastlabel_dagster.sandbox.errors import invalid
from fastlabel_dagster.sandbox.merging import in_order, merge
from fastlabel_dagster.sandbox.modalities import BY_NAME, Modality, family, modality_of


def _import(call: Call, *, what: str, families: tuple[str, ...]) -> Any:
    seq = call.state.projects.seq(call.body.get("project"))
    kind = call.state.projects.type_of(seq)
    if family(kind) not in families:
        raise invalid(f"Project type {kind} is not supported.")
    return call.state.jobs.start_archive(what, call.required("fileKey"), {"project": call.body["project"]})


def _export_appendix(call: Call) -> Any:
    return call.state.appendix.exported(
        call.text("project") or "",
        call.link,
        task_name=call.text("taskName"),
        **filters(call),
        **call.page(10_000, 10_000),
    )


def _list_appendix(call: Call) -> Any:
    return call.state.appendix.listed(
        call.text("project") or "", call.link, task_name=call.text("taskName"), **call.page(10_000, 10_000)
    )


def _create_integrated(call: Call, *, modality: Modality) -> Any:
    """A task from a picture of the project's storage: ``buckets/<bucket>/<filePath>`` of the data folder."""
    call.required("storageType")
    path = call.required("filePath")
    seq = call.state.projects.check_modality(call.body.get("project"), modality.name)
    storage = call.state.database.setting(f"storage {seq}")
    if storage is None:
        raise invalid("The storage of this project is not configured.")
    if not isinstance(path, str):
        raise invalid("filePath must be a text")
    modality.check_name(path)
    buckets = (call.state.data / "buckets").resolve()
    file = (buckets / str(orjson.loads(storage)["bucketName"]) / path).resolve()
    if not file.is_relative_to(buckets) or not file.is_file():
        raise invalid(f"The storage has no such file: {path}")
    content = file.read_bytes()
    modality.check_file(path, content)
    request = {**request_of(call), "name": path}
    return call.state.tasks.create(modality, request, call.state.files.add_file(file), modality.measure(content))


def _merged(call: Call, *, modality: str) -> Any:
    project, prefix = call.text("project") or "", call.text("prefix")
    seq = call.state.projects.seq(project)
    if prefix is None:
        raise invalid("prefix should not be empty")
    if modality_of(call.state.projects.type_of(seq)) != modality:
        raise invalid(f"This project has no {modality} tasks.")
    ids = {name: task_id for task_id, name in call.state.tasks.id_name_map(project, limit=-1).items()}
    tasks = call.state.tasks
    parts = [orjson.loads(tasks.find_text(ids[name], modality, call.link)) for name in in_order(list(ids), prefix)]
    return merge(modality, prefix, parts)


ENDPOINTS = (
    Endpoint(
        "POST",
        "contents/imports/appendix/batch",
        partial(_import, what="appendix", families=("pcd", "sequential_pcd")),
    ),
    Endpoint(
        "POST",
        "contents/imports/robotics-contents/batch",
        partial(_import, what="robotics", families=("robotics",)),
    ),
    Endpoint("GET", "contents/export/appendix", _export_appendix),
    Endpoint("GET", "tasks/appendix", _list_appendix),
    Endpoint(
        "POST",
        "tasks/integrated-image/classification",
        partial(_create_integrated, modality=BY_NAME["image_classification"]),
    ),
    Endpoint("POST", "tasks/integrated-image", partial(_create_integrated, modality=BY_NAME["image"])),
    Endpoint("GET", "tasks/integrate/images", partial(_merged, modality="image")),
    Endpoint("GET", "tasks/integrate/videos", partial(_merged, modality="video")),
    Endpoint("GET", "tasks/integrate/audios", partial(_merged, modality="audio")),
)
