"""``/_sandbox/…``: what no account lets one do — turn the clock, move many tasks on, let a job fail."""

from __future__ import annotations

from typing import Any

from fastlabel_dagster.sandbox.call import Call, Endpoint
from fastlabel_dagster.sandbox.errors import invalid
from fastlabel_dagster.sandbox.modalities import PEOPLE


def _health(call: Call) -> Any:
    return call.state.summary()


def _clock(call: Call) -> Any:
    return {"time": call.state.clock.now(), "speed": call.state.clock.speed}


def _turn_clock(call: Call) -> Any:
    try:
        if call.body.get("speed") is not None:
            call.state.clock.set_speed(float(call.body["speed"]))
        if call.body.get("advance") is not None:
            call.state.clock.advance(float(call.body["advance"]))
    except (TypeError, ValueError) as error:
        raise invalid(str(error)) from error
    call.state.settle()
    return _clock(call)


def _chosen(call: Call) -> list[str]:
    """Task ids: ``ids``, or the first ``count`` of a ``project`` (those in ``from``, if it is given)."""
    if call.body.get("ids") is not None:
        return [str(task_id) for task_id in call.body["ids"]]
    project, count = call.required("project"), int(call.required("count"))
    if call.body.get("from") is None and call.body.get("status") is not None:
        return call.state.tasks.next_ids(project, call.body["status"], count)
    return call.state.tasks.ids(project, status=call.body.get("from"), limit=count)


def _set_status(call: Call) -> Any:
    changes = {key: call.body[key] for key in ("status", "externalStatus", "priority", *PEOPLE) if key in call.body}
    if not changes:
        raise invalid("nothing to set: give status, externalStatus, priority or a person")
    ids = _chosen(call)
    with call.state.database.write():
        for task_id in ids:
            call.state.tasks.update(task_id, changes)
    return {"updated": ids}


def _update(call: Call) -> Any:
    call.state.update_task(call.required("id"), **dict(call.required("changes")))
    return {"updated": [call.body["id"]]}


def _delete(call: Call) -> Any:
    ids = _chosen(call)
    with call.state.database.write():
        for task_id in ids:
            call.state.delete_task(task_id)
    return {"deleted": ids}


def _import(call: Call) -> Any:
    history = call.state.start_import(
        call.required("project"),
        outcome=call.body.get("outcome", "completed"),
        seconds=call.body.get("seconds"),
        tasks=int(call.body.get("tasks", 0)),
    )
    call.state.settle()
    return call.state.jobs.find("import", history)


def _fail_next(call: Call) -> Any:
    call.state.fail_next(call.body.get("kind", "training"), int(call.body.get("times", 1)))
    return {}


def _object_type(call: Call) -> Any:
    call.state.datasets.set_object_type(call.required("datasetId"), call.required("objectName"), call.required("type"))
    return {}


ENDPOINTS = (
    Endpoint("GET", "health", _health),
    Endpoint("GET", "clock", _clock),
    Endpoint("POST", "clock", _turn_clock),
    Endpoint("POST", "tasks/status", _set_status),
    Endpoint("POST", "tasks/update", _update),
    Endpoint("POST", "tasks/delete", _delete),
    Endpoint("POST", "imports", _import),
    Endpoint("POST", "jobs/fail-next", _fail_next),
    Endpoint("POST", "datasets/object-type", _object_type),
)
