"""``comments``: places in tasks and what people say there."""

from __future__ import annotations

from typing import Any

from fastlabel_dagster.sandbox.call import Call, Endpoint


def _of_task(call: Call) -> Any:
    return call.state.comments.of_task(call.text("project") or "", call.text("taskId") or "", **call.page(100, 1000))


def _of_project(call: Call) -> Any:
    return call.state.comments.of_project(
        call.text("project") or "",
        category=call.text("issueCategoryId"),
        status=call.text("taskStatus"),
        external_status=call.text("taskExternalStatus"),
        tags=call.texts("taskTags"),
        **call.page(100, 1000),
    )


def _create(call: Call) -> Any:
    return call.state.comments.create(dict(call.body))


def _reply(call: Call) -> Any:
    return call.state.comments.reply(call.path["comment_id"], call.body.get("text"))


def _update(call: Call) -> Any:
    return call.state.comments.update_thread(call.path["thread_id"], call.body.get("text"))


def _delete(call: Call) -> Any:
    call.state.comments.delete_thread(call.path["thread_id"])


ENDPOINTS = (
    Endpoint("GET", "comments", _of_task),
    Endpoint("POST", "comments", _create),
    Endpoint("GET", "comments/threads", _of_project),
    Endpoint("PUT", "comments/threads/{thread_id}", _update),
    Endpoint("DELETE", "comments/threads/{thread_id}", _delete),
    Endpoint("POST", "comments/{comment_id}/threads", _reply),
)
