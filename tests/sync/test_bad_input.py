"""What a sync does when the API answers with something else than it should."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from fastlabel_dagster import formats
from fastlabel_dagster.api import FastLabelClient, RetryPolicy, ServerError, TransportError, Unauthorized
from fastlabel_dagster.labels import to_fastlabel
from fastlabel_dagster.store import open_store
from fastlabel_dagster.sync import LabelMirror, sync_project
from fastlabel_dagster.sync.quarantine import Quarantined, write_quarantine

PROJECT = "street"


@pytest.fixture
def answering() -> Iterator[Callable[[dict[str, Any]], FastLabelClient]]:
    """A client of a server that answers each path with a fixed body: bytes as they are, anything else as JSON.

    Lists are cut by ``offset`` and ``limit`` like the API's.
    """
    running = []

    def start(bodies: dict[str, Any]) -> FastLabelClient:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                body = bodies[url.path.removeprefix("/v1/")]
                begin, size = int(query.get("offset", 0)), int(query.get("limit", 1000))
                if isinstance(body, list):
                    body = body[begin : begin + size]
                if isinstance(body, dict) and "map" in url.path:
                    body = dict(list(body.items())[begin : begin + size])
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1/"
        client = FastLabelClient("token", url, retry=RetryPolicy(attempts=2, backoff_seconds=0.01), budget=None)
        running.append((server, client))
        return client

    yield start
    for server, client in running:
        client.close()
        server.shutdown()
        server.server_close()


def a_project(tasks: Any, ids: dict[str, str], count: int) -> dict[str, Any]:
    return {
        "projects": [{"id": "p", "slug": PROJECT, "type": "image_all"}],
        "tasks/image": tasks,
        "tasks/map/id-name": ids,
        "tasks/count": count,
        "annotations": [],
    }


def test_truncated_json_is_an_error_and_the_mirror_stays(answering, sandbox, client, box_tasks, tmp_path):
    sandbox.state.add_tasks(PROJECT, box_tasks(5))
    before = sync_project(client, PROJECT, tmp_path)
    whole = json.dumps([{"id": "a", "name": "a.jpg"}]).encode()
    broken = answering(a_project(whole[:-7], {"a": "a.jpg"}, 1))
    with pytest.raises(ServerError, match="not JSON"):
        sync_project(broken, PROJECT, tmp_path, take_over=True)
    assert LabelMirror(tmp_path / "labels").digest == before.digest


def test_what_is_no_task_is_quarantined_and_the_rest_goes_on(answering, tmp_path):
    good = [{"id": f"task-{number}", "name": f"{number}.jpg"} for number in range(5)]
    bad = ["not a task", None, {"name": "no id.jpg"}, {"id": 7, "name": "number.jpg"}, {"id": "a\nb", "name": "c"}]
    client = answering(a_project([*good, *bad], {task["id"]: task["name"] for task in good}, 10))
    report = sync_project(client, PROJECT, tmp_path)
    assert (report.tasks, len(report.quarantined), report.settled) == (5, 5, True)
    lines = [json.loads(line) for line in (tmp_path / "quarantine" / "street.jsonl").read_text().splitlines()]
    assert [line["reason"] for line in lines] == [
        "not a JSON object but str",
        "not a JSON object but NoneType",
        "a task without an id",
        "the id is a int, not a string",
        "the id holds control characters",
    ]
    assert lines[2]["name"] == "no id.jpg"
    assert "5 unreadable" in str(report)
    assert not sync_project(client, PROJECT, tmp_path).changed


@pytest.mark.parametrize(
    ("bad_id", "listed"), [("a\nb", "a\nb"), ("a\x00b", "a\x00b"), (7, "7"), (2.5, "2.5"), (True, "True")]
)
def test_task_with_an_unusable_id_is_noted_once_and_costs_nothing(answering, tmp_path, bad_id, listed):
    """The listing names it, so it must be remembered as refused and not be asked for again and again."""
    good = [{"id": f"task-{number}", "name": f"{number}.jpg"} for number in range(5)]
    ids = {task["id"]: task["name"] for task in good}
    usual = sync_project(answering(a_project(good, ids, 5)), PROJECT, tmp_path / "good")
    bad = {"id": bad_id, "name": "bad.jpg"}
    bodies = a_project([*good, bad, bad], {**ids, listed: "bad.jpg"}, 6)  # deletions may make pages repeat a task
    bodies[f"tasks/image/{quote(listed)}"] = bad
    report = sync_project(answering(bodies), PROJECT, tmp_path / "bad")
    assert (report.settled, report.passes, report.looked_up) == (True, 2, 0)
    assert report.requests == usual.requests
    assert [(entry.task_id, entry.name) for entry in report.quarantined] == [(listed, "bad.jpg")]
    assert report.tasks + len(report.quarantined) == 6


def test_bad_annotation_costs_no_good_one_and_exports_count_it(answering, tmp_path):
    box = {"type": "bbox", "value": "car", "points": [1, 2, 11, 22]}
    task = {"id": "a", "name": "a.jpg", "width": 64, "height": 48, "annotations": [box, None, "x", box, 7]}
    client = answering(a_project([task], {"a": "a.jpg"}, 1))
    report = sync_project(client, PROJECT, tmp_path)
    labels = LabelMirror(tmp_path / "labels").read()
    assert report.annotations == labels.annotations.num_rows == 5
    assert list(to_fastlabel(labels)) == [task]
    assert not sync_project(client, PROJECT, tmp_path).changed
    for name in ("coco", "coco_parquet", "yolo"):
        export = formats.write(labels, format=name, target=tmp_path / name)
        assert (export.written, export.dropped_count) == (2, 3), name
        assert all(note.reason for note in export.dropped)


@pytest.mark.parametrize("depth", [300, 900])
def test_task_nested_beyond_reason_costs_no_other(answering, tmp_path, depth):
    deep = '{"id": "deep", "name": "deep.jpg", "more": ' + "[" * depth + "]" * depth + "}"
    text = f'[{{"id": "a", "name": "a.jpg"}}, {deep}, {{"id": "b", "name": "b.jpg"}}]'
    client = answering(a_project(text.encode(), {"a": "a.jpg", "b": "b.jpg", "deep": "deep.jpg"}, 3))
    report = sync_project(client, PROJECT, tmp_path)
    assert report.settled
    assert report.tasks + len(report.quarantined) == 3
    assert {"a", "b"} <= set(LabelMirror(tmp_path / "labels").read().tasks["task_id"].to_pylist())
    assert not sync_project(client, PROJECT, tmp_path).changed


def test_quarantine_file_goes_when_all_is_well_again(answering, tmp_path):
    task = {"id": "a", "name": "a.jpg"}
    sync_project(answering(a_project([task, 1], {"a": "a.jpg"}, 2)), PROJECT, tmp_path)
    assert (tmp_path / "quarantine" / "street.jsonl").exists()
    well = answering(a_project([task], {"a": "a.jpg"}, 1))  # at an address of its own
    report = sync_project(well, PROJECT, tmp_path, take_over=True)
    assert (report.quarantined, report.quarantine_file) == ([], None)
    assert not (tmp_path / "quarantine" / "street.jsonl").exists()


def test_numbers_that_json_does_not_know_and_missing_sizes_survive(answering, tmp_path):
    text = (
        '[{"id": "a", "name": "a.jpg", "width": null, "annotations": [{"type": "bbox", "value": "x",'
        ' "points": [NaN, 1, 99999, Infinity]}], "big": 123456789012345678901234567890}]'
    )
    client = answering(a_project(text.encode(), {"a": "a.jpg"}, 1))
    report = sync_project(client, PROJECT, tmp_path)
    assert (report.tasks, report.quarantined) == (1, [])
    assert not sync_project(client, PROJECT, tmp_path).changed
    (task,) = to_fastlabel(LabelMirror(tmp_path / "labels").read())
    assert repr(task["annotations"][0]["points"]) == "[nan, 1, 99999, inf]"
    assert (task["width"], task["big"]) == (None, 123456789012345678901234567890)


def test_listing_that_disagrees_for_ever_is_not_settled_and_not_endless(answering, tmp_path):
    tasks = [{"id": "a", "name": "a.jpg"}]
    client = answering(a_project(tasks, {"a": "a.jpg"}, 3))
    report = sync_project(client, PROJECT, tmp_path, max_passes=2)
    assert (report.tasks, report.passes, report.settled) == (1, 2, False)
    assert "the next sync catches up" in str(report)


def test_hostile_project_slug_stays_inside_the_store(answering, tmp_path):
    slug = "../../evil"
    bodies = a_project([1], {}, 1)
    bodies["projects"] = [{"id": "p", "slug": slug, "type": "image_all"}]
    sync_project(answering(bodies), slug, tmp_path / "inner" / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["inner"]
    assert len(list((tmp_path / "inner" / "store" / "quarantine").iterdir())) == 1


def test_a_long_slug_has_a_quarantine_for_tasks_and_one_for_images(tmp_path):
    slug = "交差点" * 40  # three bytes each: cut at the end, both would be one file
    store = open_store(tmp_path)
    labels = write_quarantine(store, slug, [Quarantined("no task")])
    images = write_quarantine(store, slug, [Quarantined("no image")], of="images")
    assert [Path(place).read_text().count("no task") for place in (labels, images)] == [1, 0]
    write_quarantine(store, slug, [])
    assert [path.name for path in (tmp_path / "quarantine").iterdir()] == [Path(images).name]


def test_server_that_is_down(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    retry = RetryPolicy(attempts=2, backoff_seconds=0.01)
    with (
        FastLabelClient("token", f"http://127.0.0.1:{port}/v1/", retry=retry) as client,
        pytest.raises(TransportError, match=r"[Rr]efused"),
    ):
        sync_project(client, PROJECT, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wrong_token(sandbox, tmp_path):
    with FastLabelClient("wrong", sandbox.url) as client, pytest.raises(Unauthorized):
        sync_project(client, PROJECT, tmp_path)
