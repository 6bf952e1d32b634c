"""All pages: in order, several at a time, no further ahead than promised, and not a request too many."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from fastlabel_dagster.api import FastLabelClient, Invalid, NotFound
from fastlabel_dagster.api.paging import iter_pages


def listing(total: int, reply: Any) -> Any:
    """A server's list of so many entries."""

    def answer(seen: Any) -> Any:
        offset, limit = int(dict(seen.params).get("offset", 0)), int(seen["limit"])
        return reply([{"id": n} for n in range(total)][offset : offset + limit])

    return answer


@pytest.mark.parametrize("total", [0, 1, 9, 10, 11, 40, 95, 100])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_everything_in_order(total: int, in_flight: int, client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = listing(total, reply)
    found = list(client.image_tasks.iter("p", status="approved", tags=["a"], page_size=10, in_flight=in_flight))
    assert [task["id"] for task in found] == list(range(total))
    assert {(s["project"], s["status"], s["tags"]) for s in server.seen} == {("p", "approved", "a")}
    assert len(server.seen) <= total // 10 + 1 + in_flight


def test_a_list_that_fits_a_page_costs_one_request(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = listing(9, reply)
    assert [len(page) for page in client.image_tasks.pages("p", page_size=10)] == [9]
    assert len(server.seen) == 1
    server.answer = listing(0, reply)
    assert list(client.image_tasks.pages("p")) == []


class Gate:
    """A source of pages that counts who is inside and lets pages through when told."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.lock = threading.Lock()
        self.open = threading.Event()
        self.all_asked = threading.Semaphore(0)

    def fetch(self, offset: int, limit: int) -> list[int]:
        with self.lock:
            self.asked.append(offset)
        self.all_asked.release()
        if offset:
            assert self.open.wait(10)
        return list(range(offset, offset + limit)) if offset < 1000 else []


def test_several_pages_are_in_flight_and_no_more() -> None:
    gate = Gate()
    pages = iter_pages(gate.fetch, page_size=10, in_flight=3)
    assert gate.asked == []  # nothing is asked before somebody reads
    assert next(pages) == list(range(10))
    for _ in range(4):
        assert gate.all_asked.acquire(timeout=10)
    assert sorted(gate.asked) == [0, 10, 20, 30]  # three ahead of the reader, at the same time
    gate.open.set()
    assert next(pages) == list(range(10, 20))
    assert gate.all_asked.acquire(timeout=10)
    assert sorted(gate.asked) == [0, 10, 20, 30, 40]
    pages.close()  # type: ignore[attr-defined]
    assert sorted(gate.asked) == [0, 10, 20, 30, 40]


def test_pages_do_not_pile_up_before_a_slow_reader() -> None:
    gate = Gate()
    gate.open.set()
    pages = iter_pages(gate.fetch, page_size=10, in_flight=3)
    next(pages)
    for _ in range(4):
        assert gate.all_asked.acquire(timeout=10)
    assert not gate.all_asked.acquire(timeout=0.2)  # all have arrived, and yet no further one is asked for
    assert sorted(gate.asked) == [0, 10, 20, 30]


def test_pages_that_arrive_out_of_order_are_handed_on_in_order() -> None:
    later_is_here = threading.Event()

    def fetch(offset: int, limit: int) -> list[int]:
        if offset == 10:
            assert later_is_here.wait(10)
        if offset == 20:
            later_is_here.set()
        return list(range(offset, min(offset + limit, 35)))

    assert [n for page in iter_pages(fetch, page_size=10) for n in page] == list(range(35))


def test_an_error_comes_when_its_page_is_due(client: FastLabelClient, server: Any, reply: Any) -> None:
    def answer(seen: Any) -> Any:
        offset = int(seen["offset"])
        return reply({"message": "gone"}, 404) if offset >= 20 else reply([{"id": offset + n} for n in range(10)])

    server.answer = answer
    found = []
    with pytest.raises(NotFound):
        for task in client.image_tasks.iter("p", page_size=10):
            found.append(task["id"])
    assert found == list(range(20))


def test_what_makes_no_sense_is_refused_at_once(client: FastLabelClient, server: Any) -> None:
    for arguments in ({"page_size": 0}, {"page_size": 1001}, {"in_flight": 0}):
        with pytest.raises(Invalid):
            client.image_tasks.pages("p", **arguments)
    assert not server.seen


def test_maps_have_pages_too(client: FastLabelClient, server: Any, reply: Any) -> None:
    names = {f"id{n}": f"{n}.jpg" for n in range(2500)}

    def answer(seen: Any) -> Any:
        offset, limit = int(seen["offset"]), int(seen["limit"])
        return reply(dict(list(names.items())[offset : offset + limit]))

    server.answer = answer
    assert client.tasks.id_name_map("p") == names
    assert [len(page) for page in client.tasks.id_name_pages("p")] == [1000, 1000, 500]
    assert client.projects.id_slug_map() == names


def test_every_group_iterates(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = listing(1001, reply)
    calls: dict[str, Any] = {
        "projects": client.projects.iter,
        "tags": lambda: client.tags.iter("p"),
        "annotations": lambda: client.annotation_classes.iter("p"),
        "tasks/import/histories": lambda: client.import_histories.iter("p"),
        "dataset-revision-objects": lambda: client.dataset_objects.iter("d", types=["train"]),
        "dataset-revision-objects/signed-urls": lambda: client.dataset_objects.iter_signed_urls("d"),
        "trainings": client.training_jobs.iter,
        "evaluations": client.evaluation_jobs.iter,
        "auto-annotations": lambda: client.auto_annotation_jobs.iter("p"),
    }
    for path, call in calls.items():
        server.seen.clear()
        assert [one["id"] for one in call()] == list(range(1001))
        # Pages asked for beyond the end of the list before may still arrive, so others can be among them.
        assert f"/v1/{path}" in {seen.path for seen in server.seen}
