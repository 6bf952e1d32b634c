"""The code location: loads without network, works against the sandbox, and Dagster itself finds nothing stale."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import dagster as dg
import numpy as np
import pytest

from fastlabel_dagster.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
LOCATION = ROOT / "dagster_project" / "definitions.py"

FORBID_SOCKETS = """
import socket

def refuse(*args, **kwargs):
    raise RuntimeError("a socket was opened while the code location loaded")

socket.socket.connect = socket.socket.connect_ex = refuse
socket.create_connection = socket.getaddrinfo = refuse
import sys
import dagster_project.definitions as location
repository = location.defs.get_repository_def()
repository.load_all_definitions()
print("jobs", sorted(job.name for job in repository.get_all_jobs() if not job.name.startswith("__")))
print("heavy", sorted({"pyarrow", "numpy", "cv2", "boto3", "deltalake", "pandas", "matplotlib"} & set(sys.modules)))
"""


def clean_environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FASTLABEL_", "AWS_"))}
    return {**kept, **more}


@pytest.mark.parametrize("token", [{}, {"FASTLABEL_ACCESS_TOKEN": "a-real-token"}])
def test_loading_makes_no_network_call_and_loads_nothing_heavy(token):
    command = [sys.executable, "-c", FORBID_SOCKETS]
    result = subprocess.run(
        command, cwd=ROOT, env=clean_environment(**token), capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert (
        "jobs ['street_scenes_evaluate', 'street_scenes_observation', 'street_scenes_retrain', 'street_scenes_sync']"
        in result.stdout
    )
    assert "heavy []" in result.stdout


@pytest.fixture
def location(tmp_path, monkeypatch):
    """The code location's file in a process of its own, beside a filled sandbox; and an instance on disk."""
    for name in [name for name in os.environ if name.startswith("FASTLABEL_")]:
        monkeypatch.delenv(name)
    with Sandbox(tmp_path / "sandbox") as sandbox, dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        state = sandbox.state
        state.create_project("street-scenes", type="image_all")
        state.create_class("street-scenes", "bbox", "car", "乗用車", color="#d62728")
        box = {"type": "bbox", "value": "car", "points": [1, 2, 30, 20]}
        tasks = [{"name": f"{n}.jpg", "status": "approved", "annotations": [box]} for n in range(4)]
        jpeg = cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))[1].tobytes()
        state.add_tasks("street-scenes", tasks, {task["name"]: jpeg for task in tasks})
        monkeypatch.setenv("FASTLABEL_SANDBOX_URL", sandbox.url)
        monkeypatch.setenv("FASTLABEL_STORE", str(tmp_path / "store"))
        yield sandbox, instance


STALE = """
query { assetNodes { assetKey { path } staleStatus staleCauses { reason } isMaterializable } }
"""


def test_dagster_shows_nothing_stale_after_a_run_and_after_a_second(location):
    from dagster_graphql.test.utils import define_out_of_process_context, execute_dagster_graphql

    _, instance = location
    run = [sys.executable, "-c", RUN_BOTH_JOBS]
    seen = []
    with define_out_of_process_context(str(LOCATION), None, instance) as context:
        for _ in range(2):
            environment = {**os.environ, "INSTANCE_FOLDER": instance.root_directory}
            done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-3000:]
            nodes = execute_dagster_graphql(context, STALE).data
            seen.append({"/".join(n["assetKey"]["path"]): n["staleStatus"] for n in nodes["assetNodes"]})
    assert len(seen[0]) == 13
    not_made_yet = dict.fromkeys(("street-scenes/evaluation", "street-scenes/auto_annotation"), "MISSING")
    for statuses in seen:
        assert {key: status for key, status in statuses.items() if status != "FRESH"} == not_made_yet, statuses


RUN_BOTH_JOBS = """
import os
import dagster as dg
import dagster_project.definitions as location
with dg.DagsterInstance.local_temp(os.environ["INSTANCE_FOLDER"]) as instance:
    for job in ("street_scenes_sync", "street_scenes_retrain"):
        assert location.defs.resolve_job_def(job).execute_in_process(instance=instance).success
"""


def test_the_workspace_file_is_valid(tmp_path):
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "--workspace", "workspace.yaml"]
    environment = clean_environment(DAGSTER_HOME=str(tmp_path))
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=180
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_real_token_goes_to_the_real_service_by_name_only():
    code = (
        "import dagster_project.definitions as d; "
        "from dagster._serdes import serialize_value; "
        "from dagster._core.remote_representation.external_data import RepositorySnap; "
        "text = serialize_value(RepositorySnap.from_def(d.defs.get_repository_def())); "
        "resource = d.defs.resources['fastlabel']; "
        "print('literal' if 'a-real-token' in text + repr(resource) else 'name only', repr(resource.base_url))"
    )
    environment = clean_environment(FASTLABEL_ACCESS_TOKEN="a-real-token")
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert result.stdout.strip() == "name only ''"


def dg_command(*words: str, **more: str) -> str:
    """What ``dg`` says in this repository, which is a ``dg`` project."""
    environment = {**os.environ, "COLUMNS": "200", "DAGSTER_DISABLE_TELEMETRY": "true", **more}
    command = [str(Path(sys.executable).parent / "dg"), *words]
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_dg_checks_lists_and_launches(location, tmp_path):
    _, instance = location
    home = {"DAGSTER_HOME": instance.root_directory}
    said = dg_command("check", "defs", **home)
    assert "All component YAML validated successfully" in said
    assert "All definitions loaded successfully" in said
    listed = dg_command("list", "defs", "--json", **home)
    for name in ("street-scenes/labels", "street-scenes/evaluation", "street_scenes_imports", "street_scenes_nightly"):
        assert f'"{name}"' in listed
    assert "dagster_project/defs/project/defs.yaml" in listed, "where a definition stands is told"
    assert "RUN_SUCCESS" in dg_command("launch", "--assets", "street-scenes/labels", **home)
    assert (tmp_path / "store" / "labels").is_dir()
