"""``tasks`` and ``tags``: what all modalities share, and a set of rows for each modality of the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fastlabel_dagster.sandbox.call import Call, Endpoint, JsonText
from fastlabel_dagster.sandbox.errors import invalid
from fastlabel_dagster.sandbox.modalities import MODALITIES, Modality


def filters(call: Call) -> dict[str, Any]:
    """The filters of a task list that most lists share."""
    return {
        "status": call.text("status"),
        "external_status": call.text("externalStatus"),
        "tags": call.texts("tags"),
    }


def _rows(modality: Modality) -> Iterator[Endpoint]:
    """The endpoints of a modality: list and find, and create and update where the API has them."""
    read = {"file": _read_file, "contents": _read_contents}.get(modality.source, _read_nothing)

    def listed(call: Call) -> Any:
        return JsonText(
            call.state.tasks.page(
                call.text("project") or "",
                modality.name,
                call.link,
                task_name=call.text("taskName"),
                **filters(call),
                **call.page(modality.page, modality.most_per_page),
            )
        )

    def create(call: Call) -> Any:
        call.state.projects.seq(call.body.get("project"))
        files, measured = read(call, modality)
        return call.state.tasks.create(modality, request_of(call), files, measured)

    def start(call: Call) -> Any:
        call.state.projects.check_modality(call.body.get("project"), modality.name)
        return call.state.jobs.start_archive("dicom", call.required("fileKey"), request_of(call))

    def find(call: Call) -> Any:
        return JsonText(call.state.tasks.find_text(call.path["task_id"], modality.name, call.link))

    def update(call: Call) -> Any:
        return call.state.tasks.update(call.path["task_id"], dict(call.body), modality=modality.name)

    yield Endpoint("GET", f"tasks/{modality.path}", listed)
    yield Endpoint("GET", f"tasks/{modality.path}/{{task_id}}", find)
    if modality.source != "nowhere":
        yield Endpoint("POST", f"tasks/{modality.path}", start if modality.source == "archive" else create)
        yield Endpoint("PUT", f"tasks/{modality.path}/{{task_id}}", update)


#: Keys that :meth:`Tasks.add` honours for seeding and that a caller of the API has no say in.
_NOT_FROM_REQUESTS = frozenset(
    {"file", "contents", "id", "createdAt", "updatedAt", *(key for one in MODALITIES for key in one.fields)}
)


def request_of(call: Call) -> dict[str, Any]:
    """What a caller has a say in of the body of a create request."""
    return {key: value for key, value in call.body.items() if key not in _NOT_FROM_REQUESTS}


def _read_file(call: Call, modality: Modality) -> tuple[str, dict[str, Any]]:
    """The key of the one file of a request, and what it measures."""
    content = call.file("file")
    modality.check_file(str(call.required("name")), content)
    return call.state.files.add(content, call.body["name"]), modality.measure(content)


def _read_contents(call: Call, modality: Modality) -> tuple[str, dict[str, Any]]:
    """The keys of the several files of a request, a line each, and the contents of the task."""
    sent = call.required("contents")
    if not isinstance(sent, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in sent
    ):
        raise invalid("contents must be a list of objects with a name and a file")
    if not sent:
        raise invalid("contents should not be empty")
    if len(sent) > modality.most_files:
        raise invalid(f"The count of files should be under {modality.most_files}")
    if len({one["name"] for one in sent}) < len(sent):
        raise invalid("The names of contents must differ.")
    keys, contents = [], []
    for one in sent:
        content = replace(call, body=one).file("file")
        modality.check_file(one["name"], content)
        keys.append(call.state.files.add(content, one["name"]))
        contents.append({"name": one["name"], "url": None, **modality.measure(content)})
    return "\n".join(keys) if modality.place == "contents" else "", {"contents": contents}


def _read_nothing(call: Call, modality: Modality) -> tuple[str, dict[str, Any]]:
    return "", {}


def _count(call: Call) -> Any:
    return call.state.tasks.count(call.text("project") or "", **filters(call))


def _map(call: Call) -> Any:
    return call.state.tasks.id_name_map(call.text("project") or "", **call.page(1000, 1000))


def _update(call: Call) -> Any:
    return call.state.tasks.update(call.path["task_id"], dict(call.body))


def _delete(call: Call) -> Any:
    call.state.tasks.delete(call.path["task_id"])


def _clear(call: Call) -> Any:
    call.state.tasks.clear(call.path["task_id"])


def _change_tags(call: Call, *, remove: bool) -> Any:
    ids = call.required("taskIds")
    if not isinstance(ids, list) or not 0 < len(ids) <= 5000 or not all(isinstance(one, str) for one in ids):
        raise invalid("taskIds must be a list of 1 to 5000 ids")
    changed = call.state.tasks.change_tags(call.required("project"), ids, call.required("tags"), remove=remove)
    return {"updatedTaskCount": changed}


def _tags(call: Call) -> Any:
    return call.state.tags.listed(call.text("project") or "", keyword=call.text("keyword"), **call.page(100, 1000))


def _delete_tags(call: Call) -> Any:
    ids = call.required("tagIds")
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise invalid("tagIds must be a list of ids")
    call.state.tasks.delete_tags(ids)
    return {}


ENDPOINTS = (
    Endpoint("GET", "tags", _tags),
    Endpoint("POST", "tags/delete/multi", _delete_tags),
    Endpoint("GET", "tasks/count", _count),
    Endpoint("GET", "tasks/map/id-name", _map),
    Endpoint("POST", "tasks/tags/add", lambda call: _change_tags(call, remove=False)),
    Endpoint("POST", "tasks/tags/remove", lambda call: _change_tags(call, remove=True)),
    # longer paths first: tasks/image/classification is not the task "classification"
    *(row for modality in sorted(MODALITIES, key=lambda one: -len(one.path)) for row in _rows(modality)),
    Endpoint("PUT", "tasks/{task_id}", _update),
    Endpoint("DELETE", "tasks/{task_id}", _delete),
    Endpoint("DELETE", "tasks/{task_id}/task-annotations", _clear),
)
