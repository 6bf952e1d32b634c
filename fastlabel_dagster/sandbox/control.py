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
- ``POST jobs/next-metrics`` with ``{"mAP", "recall", "precision", "f1"}`` (any of them, 0 to 1) and/or
  ``confusionMatrix`` (any JSON): what the next evaluation measures; each call is for one more.
- ``POST datasets/object-type`` with ``{"datasetId", "objectName", "type"}``.
- ``POST faults`` with ``{"route", "times", "kind" or "status", "after", "skip", "retryAfter", "seconds"}`` for a
  script, or with ``{"probability", "seed", "kinds", "route", "after", "retryAfter", "silenceSeconds", "slowSeconds"}``
  for chance: what :class:`~fastlabel_dagster.sandbox.faults.Faults` takes. ``GET faults``: the counts.
  ``DELETE faults``: no more of them.

A field of another type than its own is a 422 with a sentence, see :data:`_FIELDS`. The token is the API's; none of it
counts against the request budget.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from fastlabel_dagster.sandbox.call import Call, Endpoint
from fastlabel_dagster.sandbox.errors import invalid
from fastlabel_dagster.sandbox.jobs import METRICS
from fastlabel_dagster.sandbox.modalities import PEOPLE

_MOST = 1_000_000_000


class _Kind(NamedTuple):
    """A type of fields: what to call it, and whether a value is of it."""

    words: str
    takes: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST


_TEXT = _Kind("a text", lambda value: isinstance(value, str))
_NUMBER = _Kind(f"a number from 0 to {_MOST:,}", _is_number)
_WHOLE = _Kind(f"a whole number of at most {_MOST:,}", _is_whole)
_COUNT = _Kind(f"a whole number from 0 to {_MOST:,}", lambda value: _is_whole(value) and value >= 0)
_YES_OR_NO = _Kind("true or false", lambda value: isinstance(value, bool))
_OBJECT = _Kind("an object", lambda value: isinstance(value, dict))
_OBJECTS = _Kind("a list of objects", lambda value: isinstance(value, list) and all(map(_OBJECT.takes, value)))
_IDS = _Kind("a list of task ids", lambda value: isinstance(value, list) and all(map(_TEXT.takes, value)))
_KINDS = _Kind(
    "a list of kinds and statuses",
    lambda value: isinstance(value, list) and all(_TEXT.takes(one) or _is_whole(one) for one in value),
)
_WAIT = _Kind(
    "a number of seconds or an HTTP date", lambda value: _TEXT.takes(value) or (_is_number(value) and value <= _MOST)
)

_WHICH = {"ids": _IDS, "project": _TEXT, "count": _COUNT, "from": _TEXT}
_STATES = {"status": _TEXT, "externalStatus": _TEXT, "priority": _WHOLE} | dict.fromkeys(PEOPLE, _TEXT)

#: What the fields of every body are, by path. null stands for a field that is left out, and takes a person off a task.
_FIELDS: dict[str, dict[str, _Kind]] = {
    "clock": {"speed": _NUMBER, "advance": _NUMBER},
    "tasks/status": _WHICH | _STATES,
    "tasks/update": {"id": _TEXT, "changes": _OBJECT},
    "tasks/delete": _WHICH | {"status": _TEXT},
    "imports": {"project": _TEXT, "outcome": _TEXT, "seconds": _NUMBER, "tasks": _COUNT},
    "jobs/fail-next": {"kind": _TEXT, "times": _COUNT},
    "jobs/next-metrics": dict.fromkeys(METRICS, _NUMBER),
    "datasets/object-type": {"datasetId": _TEXT, "objectName": _TEXT, "type": _TEXT},
    "faults": {
        **{"route": _TEXT, "times": _WHOLE, "kind": _TEXT, "status": _WHOLE, "after": _YES_OR_NO, "skip": _WHOLE},
        **{"retryAfter": _WAIT, "seconds": _NUMBER, "probability": _NUMBER, "seed": _WHOLE, "kinds": _KINDS},
        **{"silenceSeconds": _NUMBER, "slowSeconds": _NUMBER},
    },
}
#: A change is not checked against the rules of the API, but it has to fit where it is kept.
_CHANGES = (
    _STATES
    | dict.fromkeys(("name", "createdAt", "updatedAt", "operator"), _TEXT)
    | {"annotations": _OBJECTS, "attributes": _OBJECTS, "width": _NUMBER, "height": _NUMBER}
)


def _check(given: Mapping[str, Any], fields: Mapping[str, _Kind]) -> None:
    """A 422 for a field of another type than its own."""
    for name, kind in fields.items():
        if given.get(name) is not None and not kind.takes(given[name]):
            raise invalid(f"{name} must be {kind.words}")


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
        ids: list[str] = call.body["ids"]
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
    changes = call.required("changes")
    _check(changes, _CHANGES)
    if "name" in changes and not changes["name"]:
        raise invalid("name should not be empty")
    try:
        call.state.tasks.update(call.required("id"), changes, strict=False)
    except sqlite3.IntegrityError as error:
        raise invalid("There is a task of this name already.") from error
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
        outcome=call.body.get("outcome") or "completed",
        seconds=None if call.body.get("seconds") is None else call.number("seconds"),
        tasks=int(call.number("tasks", 0)),
    )
    call.state.settle()
    return call.state.jobs.find("import", history)


def _fail_next(call: Call) -> Any:
    call.state.fail_next(call.body.get("kind") or "training", int(call.number("times", 1)))
    return {}


def _next_metrics(call: Call) -> Any:
    call.state.jobs.next_metrics({name: value for name, value in call.body.items() if value is not None})
    return {}


_SCRIPT_KEYS = {"times": "times", "kind": "kind", "status": "status", "after": "after", "skip": "skip"}
_SCRIPT_KEYS |= {"route": "route", "retryAfter": "retry_after", "seconds": "seconds"}
_CHANCE_KEYS = {"probability": "probability", "seed": "seed", "kinds": "kinds", "route": "route", "after": "after"}
_CHANCE_KEYS |= {"retryAfter": "retry_after", "silenceSeconds": "silence_seconds", "slowSeconds": "slow_seconds"}


def _faults(call: Call) -> Any:
    return call.state.faults.summary()


def _add_faults(call: Call) -> Any:
    by_chance = call.body.get("probability") is not None
    names = _CHANCE_KEYS if by_chance else _SCRIPT_KEYS
    unknown = sorted(set(call.body) - set(names))
    if unknown:
        raise invalid(f"unknown: {', '.join(unknown)}; a fault is made of {', '.join(names)}")
    if not by_chance:
        call.required("route")
    # null is a field left out, but for times, where it means every request from now on
    given = {names[key]: value for key, value in call.body.items() if value is not None or key == "times"}
    try:
        (call.state.faults.chance if by_chance else call.state.faults.script)(**given)
    except ValueError as error:
        raise invalid(str(error)) from error
    return call.state.faults.summary()


def _clear_faults(call: Call) -> Any:
    call.state.faults.clear()
    return call.state.faults.summary()


def _object_type(call: Call) -> Any:
    call.state.datasets.set_object_type(call.required("datasetId"), call.required("objectName"), call.required("type"))
    return {}


def _checked(handler: Callable[[Call], Any], fields: Mapping[str, _Kind], call: Call) -> Any:
    _check(call.body, fields)
    return handler(call)


def _endpoint(method: str, path: str, handler: Callable[[Call], Any]) -> Endpoint:
    """A row of the table; a body is checked before its handler sees it."""
    return Endpoint(method, path, partial(_checked, handler, _FIELDS[path]) if method == "POST" else handler)


ENDPOINTS = (
    _endpoint("GET", "health", _health),
    _endpoint("GET", "clock", _clock),
    _endpoint("POST", "clock", _turn_clock),
    _endpoint("POST", "tasks/status", _set_status),
    _endpoint("POST", "tasks/update", _update),
    _endpoint("POST", "tasks/delete", _delete),
    _endpoint("POST", "imports", _import),
    _endpoint("POST", "jobs/fail-next", _fail_next),
    _endpoint("POST", "jobs/next-metrics", _next_metrics),
    _endpoint("POST", "datasets/object-type", _object_type),
    _endpoint("GET", "faults", _faults),
    _endpoint("POST", "faults", _add_faults),
    _endpoint("DELETE", "faults", _clear_faults),
)
