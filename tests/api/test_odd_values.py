"""Whatever is passed in and whatever is answered: an error of the client's own tree, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fastlabel_dagster.api import FastLabelClient, Invalid, ServerError

BAD_INPUT: dict[str, Callable[[FastLabelClient], Any]] = {
    "surrogate in a query": lambda client: client.projects.list(slug="\ud800"),
    "surrogate in a list in a query": lambda client: client.get_image_tasks("p", tags=["\ud800"]),
    "keypoints": lambda client: client.image_tasks.update("t", annotations=[{"keypoints": "abc"}]),
    "attributes": lambda client: client.image_tasks.update("t", annotations=[{"attributes": ["x"]}]),
    "attributes of a class": lambda client: client.update_image_classification_task("t", attributes=["x"]),
    "annotations": lambda client: client.image_tasks.update("t", annotations=5),
    "one annotation": lambda client: client.image_tasks.update("t", annotations={"type": "bbox"}),
    "limit": lambda client: client.projects.list(limit="abc"),  # type: ignore[arg-type]
    "limit, SDK": lambda client: client.get_projects(limit="abc"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_refused_before_sending(call: Any, client: FastLabelClient, server: Any) -> None:
    with pytest.raises(Invalid):
        call(client)
    assert not server.seen


@pytest.mark.parametrize("answer", [["x"], [None], [[]], {"a": 1}, "x", 5], ids=str)
def test_lists_of_something_else(answer: Any, client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply(answer)
    for call in (
        lambda: client.image_tasks.by_name("p", "n"),
        client.training_jobs.known_ids,
        lambda: client.auto_annotation_jobs.known_ids("p"),
        lambda: client.datasets.by_name("n"),
        lambda: client.projects.by_slug("s"),
        lambda: list(client.annotation_classes.iter("p")),
    ):
        with pytest.raises(ServerError):
            call()
    if not isinstance(answer, list):
        with pytest.raises(ServerError):
            client.find_project_by_slug("s")


def test_one_bad_task_does_not_cost_its_page(client: FastLabelClient, server: Any, reply: Any) -> None:
    page = [{"id": "a"}, None, "x", {"id": "b"}]
    server.answer = lambda seen: reply(page)
    assert list(client.image_tasks.iter("p")) == page
    assert client.get_image_tasks(project="p") == page


def test_the_count_of_tagged_tasks(client: FastLabelClient, server: Any, reply: Any) -> None:
    calls = (client.tasks.add_tags, client.tasks.remove_tags, client.add_task_tags, client.remove_task_tags)
    server.answer = lambda seen: reply(status=204)
    assert [call("p", ["a"], ["t"]) for call in calls] == [0, 0, 0, 0]
    for answer in (["x"], "x", 7, {"updatedTaskCount": "many"}):
        server.answer = lambda seen, answer=answer: reply(answer)
        for call in calls:
            with pytest.raises(ServerError):
                call("p", ["a"], ["t"])
