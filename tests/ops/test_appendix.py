"""Calibrations go in as a zip and come out as JSON lines, without the signatures of their links."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import cv2
import dagster as dg
import numpy as np
import pytest

from fastlabel_dagster import ops
from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.api.groups.appendix import Appendix


@pytest.fixture
def drives(sandbox, tmp_path):
    sandbox.state.create_project("drives", type="sequential_pcd_cuboid")
    cloud = tmp_path / "drive" / "1.pcd"
    cloud.parent.mkdir()
    cloud.write_bytes(b"# .PCD")
    with FastLabelClient(sandbox.token, sandbox.url) as client:
        client.sequential_pcd_tasks.create("drives", "drive", cloud.parent)
    archive = tmp_path / "calibration.zip"
    picture = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("drive/1.pcd/000001.png", picture)
        zipped.writestr("drive/1.pcd/000001.yaml", "fx: 1.5\n")
    return archive


def test_calibrations_in_and_out(run, drives, store):
    done = run(ops.import_appendix_op, {"project": "drives", "file": str(drives), "poll_seconds": 0.05})
    assert done["job_id"] and done["status"] == "completed"
    report = run(ops.export_appendix_op, {"project": "drives", "store": store})
    assert report["count"] == 1 and report["uri"].endswith("appendix.jsonl")
    (line,) = (Path(store) / "appendix.jsonl").read_text(encoding="utf-8").splitlines()
    told = json.loads(line)
    assert (told["calibration"], told["format"]) == ("fx: 1.5\n", "yml")
    assert told["url"].startswith("http") and "?" not in told["url"]


def test_an_import_can_be_left_alone(run, drives):
    done = run(ops.import_appendix_op, {"project": "drives", "file": str(drives), "wait": False})
    assert done["job_id"] and done["status"] in {"running", "completed"}


def test_an_answer_that_names_no_import_is_no_success_when_its_end_was_asked_for(run, drives, monkeypatch):
    """The documentation shows no answer of this call; the sandbox's always has an id, so one is given here."""
    monkeypatch.setattr(Appendix, "import_file", lambda self, project, file_path: {})
    config = {"project": "drives", "file": str(drives)}
    with pytest.raises(dg.Failure, match="names no import to wait for"):
        run(ops.import_appendix_op, config)
    assert run(ops.import_appendix_op, {**config, "wait": False}) == {"job_id": "", "status": ""}
