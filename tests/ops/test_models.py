"""Endpoints over folders of pictures, monitoring, appendixes."""

from __future__ import annotations

import json

import dagster as dg
import pytest

from fastlabel_dagster import ops
from fastlabel_dagster.sandbox.drawing import draw_scene, encode


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(["a.jpg", "deep/a.jpg", "深い.jpg"]):
        (folder / name).write_bytes(encode(draw_scene(number).pixels))
    (folder / "notes.txt").write_text("no picture")
    (folder / "broken.png").write_bytes(b"no png")
    return folder


def test_every_picture_is_looked_at_once(run, sandbox, pictures, store):
    config = {"endpoint": "my-endpoint", "images": str(pictures), "store": store, "keep_drawn": True}
    first = run(ops.execute_endpoint_op, config)
    assert (first["done"], first["failed"]) == (3, 1) and first["quarantined"][0]["name"] == "broken.png"
    answers = sorted((pictures.parent / "store" / "predictions").rglob("*.json"))
    assert len(answers) == 3
    said = [json.loads(path.read_text(encoding="utf-8")) for path in answers]
    assert {one["image"] for one in said} == {"a.jpg", "deep/a.jpg", "深い.jpg"}
    assert all("json" in one and "file" not in one for one in said)
    drawn = list((pictures.parent / "store" / "predictions").rglob("*.drawn.png"))
    assert len(drawn) == 3 and all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    second = run(ops.execute_endpoint_op, config)
    assert (second["done"], second["skipped"]) == (0, {"it has an answer": 3})
    assert run(ops.execute_endpoint_op, {**config, "force": True})["done"] == 3


def test_a_link_out_of_the_folder_is_not_followed(run, pictures, store, tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(encode(draw_scene(9).pixels))
    (pictures / "link.jpg").symlink_to(secret)
    result = run(ops.execute_endpoint_op, {"endpoint": "e", "images": str(pictures), "store": store})
    assert {one["name"]: one["reason"] for one in result["quarantined"]}["link.jpg"] == "it is a link out of the folder"


def test_no_folder(run, store):
    with pytest.raises(dg.Failure, match="is no folder"):
        run(ops.execute_endpoint_op, {"endpoint": "e", "images": "/nowhere/at/all", "store": store})


def test_results_are_reported(run, tmp_path, sandbox):
    file = tmp_path / "results.jsonl"
    one = {
        "status": "success",
        "predictions": [{"value": "car", "confidenceScore": 0.9}],
        "requestAt": "2026-01-02T03:04:05Z",
    }
    file.write_text(f"{json.dumps(one)}\n{json.dumps({**one, 'status': 'failed'})}\n")
    report = run(ops.report_results_op, {"name": "m", "results": [one], "file": str(file)})
    assert report["reported"] == 3
    assert run(ops.report_results_op, {"name": "m"})["reported"] == 0
    with pytest.raises(dg.Failure, match="1 of 1 results"):
        run(ops.report_results_op, {"name": "m", "results": [{"status": "fine"}]})
    file.write_text("{")
    with pytest.raises(dg.Failure, match="cannot be read"):
        run(ops.report_results_op, {"name": "m", "file": str(file)})


def test_each_endpoint_and_each_picture_has_its_own_answer(run, pictures, store):
    (pictures / "broken.png").unlink()
    config = {"images": str(pictures), "store": store}
    assert run(ops.execute_endpoint_op, {**config, "endpoint": "model-a"})["done"] == 3
    assert run(ops.execute_endpoint_op, {**config, "endpoint": "model-b"})["done"] == 3
    assert run(ops.execute_endpoint_op, {**config, "endpoint": "model-a"})["done"] == 0
    (pictures / "a.jpg").write_bytes(encode(draw_scene(7).pixels))
    assert run(ops.execute_endpoint_op, {**config, "endpoint": "model-a"})["done"] == 1
    shared = {**config, "folder": "answers"}
    assert [run(ops.execute_endpoint_op, {**shared, "endpoint": name})["done"] for name in "aab"] == [3, 0, 3]
