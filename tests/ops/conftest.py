"""A sandbox with a project of pictures, and a way to run one op."""

from __future__ import annotations

import cv2
import dagster as dg
import numpy as np
import pytest

from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sandbox import Sandbox


def picture(value: int = 0, width: int = 60, height: int = 40) -> bytes:
    return cv2.imencode(".jpg", np.full((height, width, 3), value, np.uint8))[1].tobytes()


@pytest.fixture
def sandbox(tmp_path):
    with Sandbox(tmp_path / "sandbox", speed=2000.0) as sandbox:
        state = sandbox.state
        state.create_project("street", type="image_all")
        state.create_class("street", "bbox", "car", "乗用車", color="#d62728")
        box = {"type": "bbox", "value": "car", "points": [1, 2, 30, 20]}
        tasks = [{"name": f"{n}.jpg", "status": "approved", "annotations": [box]} for n in range(3)]
        state.add_tasks("street", tasks, {task["name"]: picture(n) for n, task in enumerate(tasks)})
        yield sandbox


@pytest.fixture
def run(sandbox, tmp_path):
    """``run(op, config)``: what the op returns. Config of ops with a store gets ``store``."""

    def run(op, config=None, *, raise_on_error=True, resource=None, **more):
        here = resource or FastLabelResource(
            access_token=sandbox.token, base_url=sandbox.url, step_retries=0, request_attempts=1
        )
        graph = dg.GraphDefinition(name="one", node_defs=[op])
        job = graph.to_job(resource_defs={"fastlabel": here})
        result = job.execute_in_process(
            run_config={"ops": {op.name: {"config": {**(config or {}), **more}}}}, raise_on_error=raise_on_error
        )
        return result.output_for_node(op.name) if result.success else result

    return run


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")
