"""Users, permissions, metadata definitions, model endpoints and monitoring: what belongs to no task."""

from __future__ import annotations

import base64
import uuid
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from fastlabel_dagster.sandbox.call import Call, Endpoint
from fastlabel_dagster.sandbox.errors import invalid
from fastlabel_dagster.sandbox.modalities import BY_NAME

#: Pictures for inference are smaller than those for tasks.
MOST_INFERENCE_BYTES = 6 << 20


def _users(call: Call) -> Any:
    return call.state.people.listed(keyword=call.text("keyword"), **call.page(20, 1000))


def _create_user(call: Call) -> Any:
    return call.state.people.create(*(call.required(key) for key in ("name", "email", "language", "role")))


def _set_role(call: Call) -> Any:
    return call.state.people.set_role(call.required("email"), call.required("role"))


def _allow(call: Call, *, module: str) -> Any:
    return call.state.people.allow(call.required("email"), module, True)


def _forbid(call: Call) -> Any:
    call.state.people.allow(call.required("email"), call.required("resource"), False)


def _set_project_role(call: Call) -> Any:
    return call.state.people.set_project_role(call.body.get("project"), call.required("email"), call.required("role"))


def _metadatas(call: Call) -> Any:
    return call.state.metadatas.listed(call.text("project"), **call.page(100, 1000))


def _execute(call: Call) -> Any:
    """The sandbox's own detection, which finds things by their colour, whatever the endpoint is called."""
    name = call.required("modelEndpointName")
    content = call.file("file")
    if len(content) > MOST_INFERENCE_BYTES:
        raise invalid("Supported image size is under 6 MB.")
    BY_NAME["image"].measure(content)
    from fastlabel_dagster.sandbox.detect import detect_and_draw

    found, drawn = detect_and_draw(content)
    picture = "data:image/png;base64," + base64.b64encode(drawn).decode()
    return {"json": {"modelEndpointName": name, "result": found}, "file": picture}


def _monitor(call: Call) -> Any:
    name, results = call.required("name"), call.required("results")
    if not isinstance(name, str) or not isinstance(results, list):
        raise invalid("name must be a text and results a list")
    for one in results:
        _check_result(one)
    request_id = str(uuid.uuid4())
    with call.state.database.write() as connection:
        connection.execute(
            "INSERT INTO monitorings (id, name, results) VALUES (?, ?, ?)",
            (request_id, name, orjson.dumps(results).decode()),
        )
    return request_id


def _check_result(one: Any) -> None:
    if not isinstance(one, dict) or one.get("status") not in {"success", "failed"}:
        raise invalid("a result has the status success or failed")
    for found in one.get("result") or []:
        score = found.get("confidenceScore") if isinstance(found, dict) else None
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1:
            raise invalid("confidenceScore must be a number from 0 to 1")
    try:
        datetime.fromisoformat(str(one.get("requestAt")).replace("Z", "+00:00"))
    except ValueError as error:
        raise invalid("requestAt must be a time in ISO 8601") from error


_MODULE_PATHS = {"annotation": "annotation", "dataset": "dataset", "model-dev": "modelDev"}

ENDPOINTS = (
    Endpoint("GET", "workspaces-users", _users),
    Endpoint("POST", "workspaces-users/internal-users", _create_user),
    Endpoint("PUT", "workspaces-users/internal-users", _set_role),
    *(
        Endpoint("POST", f"function-resource-permissions/{path}/internal-users", partial(_allow, module=module))
        for path, module in _MODULE_PATHS.items()
    ),
    Endpoint("DELETE", "function-resource-permissions", _forbid),
    Endpoint("PUT", "projects-users", _set_project_role),
    Endpoint("GET", "metadatas", _metadatas),
    Endpoint("POST", "model-endpoints/execute", _execute),
    Endpoint("POST", "model-monitorings/create", _monitor),
)
