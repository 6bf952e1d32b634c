"""``tasks`` and ``tags``: what all modalities share, and a set of rows for each modality of the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastlabel_dagster.sandbox.call import Call, Endpoint, JsonText
from fastlabel_dagster.sandbox.errors import invalid
from fastlabel_dagster.sandbox.modalities import MODALITIES, Modality


def _filters(call: Call) -> dict[str, Any]:
    return {
        "status": call.text("status"),
        "external_status": call.text("externalStatus"),
        "tags": call.texts("tags"),
    }


def _rows(modality: Modality) -> Iterator[Endpoint]:
    """The four endpoints every modality has."""

    def listed(call: Call) -> Any:
        return JsonText(
            call.state.tasks.page(
                call.text("project") or "",
                modality.name,
                call.link,
                task_name=call.text("taskName"),
                **_filters(call),
                **call.page(100, modality.most_per_page),
            )
        )

    def create(call: Call) -> Any:
        call.state.projects.seq(call.body.get("project"))
        content = call.file("file")
        modality.check_file(str(call.required("name")), content)
        measured = modality.measure(content)
        request = {key: value for key, value in call.body.items() if key not in _NOT_FROM_REQUESTS}
        return call.state.tasks.create(modality, request, call.state.files.add(content, call.body["name"]), measured)

    def find(call: Call) -> Any:
        return JsonText(call.state.tasks.find_text(call.path["task_id"], modality.name, call.link))

    def update(call: Call) -> Any:
        return call.state.tasks.update(call.path["task_id"], dict(call.body), modality=modality.name)

    yield Endpoint("GET", f"tasks/{modality.path}", listed)
    yield Endpoint("POST", f"tasks/{modality.path}", create)
    yield Endpoint("GET", f"tasks/{modality.path}/{{task_id}}", find)
    yield Endpoint("PUT", f"tasks/{modality.path}/{{task_id}}", update)


#: Keys that :meth:`Tasks.add` honours for seeding and that a caller of the API has no say in.
_NOT_FROM_REQUESTS = frozenset({"file", "id", "width", "height", "createdAt", "updatedAt"})


def _count(call: Call) -> Any:
    return call.state.tasks.count(call.text("project") or "", **_filters(call))


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
