"""``/_sandbox/…``: what no account lets one do — turn the clock, move many tasks on, let a job fail.

- ``GET health``: counts of what is there, the clock's time and speed.
- ``GET clock``; ``POST clock`` with ``{"speed": 60}`` and/or ``{"advance": seconds}``.
- ``POST tasks/status``: ``status``, ``externalStatus``, ``priority`` and/or people, for ``ids`` or for a ``count`` of a
  ``project``'s tasks: those in the status ``from``, or else those that do not have the new status yet, annotated ones
  first. Answers ``{"updated": [ids]}``.
- ``POST tasks/update`` with ``{"id", "changes"}``: any key of a task, unchecked. ``POST tasks/delete``: ``ids``, or
  ``project`` and ``count``.
- ``POST imports`` with ``{"project", "outcome": "completed" | "failed", "seconds", "tasks"}``: an import that ends
  so after that many seconds and brings that many drawn pictures. Answers the history.
- ``POST jobs/fail-next`` with ``{"kind": "training" | "evaluation" | "auto_annotation" | "import", "times": 1}``.
- ``POST datasets/object-type`` with ``{"datasetId", "objectName", "type"}``.
- ``POST faults`` with ``{"route", "times", "kind" or "status", "after", "skip", "retryAfter", "seconds"}`` for a
  script, or with ``{"probability", "seed", "kinds", "route", "after", "retryAfter", "silenceSeconds", "slowSeconds"}``
  for chance: what :class:`~fastlabel_dagster.sandbox.faults.Faults` takes. ``GET faults``: the counts.
  ``DELETE faults``: no more of them.

The token is the API's; none of it counts against the request budget.
"""

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
    if call.body.get("speed") is not None:
        call.state.clock.set_speed(call.number("speed"))
    call.state.clock.advance(call.number("advance", 0))
    call.state.settle()
    return _clock(call)


def _chosen(call: Call) -> list[str]:
    """Task ids: ``ids``, or the first ``count`` of a ``project`` (those in ``from``, if it is given)."""
    if call.body.get("ids") is not None:
        ids = call.body["ids"]
        if not isinstance(ids, list) or not all(isinstance(task_id, str) for task_id in ids):
            raise invalid("ids must be a list of task ids")
        return ids
    project, count = call.required("project"), int(call.number("count"))
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
    if not isinstance(call.required("changes"), dict):
        raise invalid("changes must be an object")
    call.state.update_task(str(call.required("id")), **call.body["changes"])
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
        seconds=None if call.body.get("seconds") is None else call.number("seconds"),
        tasks=int(call.number("tasks", 0)),
    )
    call.state.settle()
    return call.state.jobs.find("import", history)


def _fail_next(call: Call) -> Any:
    call.state.fail_next(call.body.get("kind", "training"), int(call.number("times", 1)))
    return {}


_SCRIPT_KEYS = {"times": "times", "kind": "kind", "status": "status", "after": "after", "skip": "skip"}
_SCRIPT_KEYS |= {"route": "route", "retryAfter": "retry_after", "seconds": "seconds"}
_CHANCE_KEYS = {"probability": "probability", "seed": "seed", "kinds": "kinds", "route": "route", "after": "after"}
_CHANCE_KEYS |= {"retryAfter": "retry_after", "silenceSeconds": "silence_seconds", "slowSeconds": "slow_seconds"}


def _faults(call: Call) -> Any:
    return call.state.faults.summary()


def _add_faults(call: Call) -> Any:
    by_chance = "probability" in call.body
    names = _CHANCE_KEYS if by_chance else _SCRIPT_KEYS
    unknown = sorted(set(call.body) - set(names))
    if unknown:
        raise invalid(f"unknown: {', '.join(unknown)}; a fault is made of {', '.join(names)}")
    given = {names[key]: value for key, value in call.body.items()}
    try:
        (call.state.faults.chance if by_chance else call.state.faults.script)(**given)
    except (TypeError, ValueError) as error:  # TypeError: a field of another type than the rule book's
        raise invalid(str(error)) from error
    return call.state.faults.summary()


def _clear_faults(call: Call) -> Any:
    call.state.faults.clear()
    return call.state.faults.summary()


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
    Endpoint("GET", "faults", _faults),
    Endpoint("POST", "faults", _add_faults),
    Endpoint("DELETE", "faults", _clear_faults),
)
