"""Import histories, S3 storages, trainings, evaluations, auto-annotations and upload links."""

from __future__ import annotations

from typing import Any

from fastlabel_dagster.sandbox.call import Call, Endpoint
from fastlabel_dagster.sandbox.errors import invalid, missing


def _histories(call: Call) -> Any:
    return call.state.jobs.listed("import", project=call.text("project") or "", **call.page(100, 1000))


def _history(call: Call) -> Any:
    return call.state.jobs.find("import", call.path["history_id"])


def _s3_import(call: Call) -> Any:
    return call.state.jobs.start_s3_import(dict(call.body))


def _s3_status(call: Call) -> Any:
    found = call.state.jobs.listed("import", project=call.path["project"], storage_type="awsS3", limit=1)
    if not found:
        raise missing("This project has no import from AWS S3.")
    return found[0]


def _s3_storage(call: Call) -> Any:
    return call.state.jobs.set_storage(call.path["project"], dict(call.body))


def _trainings(call: Call) -> Any:
    return call.state.jobs.listed("training", link=call.link, **call.page(100, 1000))


def _training(call: Call) -> Any:
    return call.state.jobs.find("training", call.path["job_id"], call.link)


def _train(call: Call) -> Any:
    return call.state.jobs.start_training(dict(call.body))


def _evaluations(call: Call) -> Any:
    return call.state.jobs.listed("evaluation", **call.page(1000, 1000))


def _evaluation(call: Call) -> Any:
    return call.state.jobs.find("evaluation", call.path["job_id"])


def _evaluate(call: Call) -> Any:
    return call.state.jobs.start_evaluation(dict(call.body))


def _auto_annotations(call: Call) -> Any:
    return call.state.jobs.listed("auto_annotation", project=call.text("project") or "", **call.page(1000, 1000))


def _auto_annotate(call: Call) -> Any:
    return call.state.jobs.start_auto_annotation(dict(call.body))


def _upload_link(call: Call) -> Any:
    call.state.projects.seq(call.text("project"))
    name = call.text("fileName")
    if name is None:
        raise invalid("fileName should not be empty")
    key = call.state.files.new_upload(name)
    return {"url": call.state.files.link(call.base, key, method="PUT"), "name": key}


ENDPOINTS = (
    Endpoint("GET", "tasks/import/histories", _histories),
    Endpoint("GET", "tasks/import/histories/{history_id}", _history),
    Endpoint("POST", "tasks/aws-s3", _s3_import),
    Endpoint("GET", "tasks/import/status/aws-s3/{project}", _s3_status),
    Endpoint("PUT", "storages/aws-s3/{project}", _s3_storage),
    Endpoint("GET", "trainings", _trainings),
    Endpoint("POST", "trainings", _train),
    Endpoint("GET", "trainings/{job_id}", _training),
    Endpoint("GET", "evaluations", _evaluations),
    Endpoint("POST", "evaluations", _evaluate),
    Endpoint("GET", "evaluations/{job_id}", _evaluation),
    Endpoint("GET", "auto-annotations", _auto_annotations),
    Endpoint("POST", "auto-annotations", _auto_annotate),
    Endpoint("GET", "files", _upload_link),
)
