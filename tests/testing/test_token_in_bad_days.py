"""Whatever goes wrong, the token is nowhere in what a failing run leaves behind: every file is read byte by byte."""

from __future__ import annotations

import logging
from pathlib import Path

import dagster as dg
import pytest

from fastlabel_dagster import FastLabelResource, build_fastlabel_project
from fastlabel_dagster.api import FastLabelClient, FastLabelError, RetryPolicy
from fastlabel_dagster.sandbox import Sandbox

TOKEN = "tok-93be41f0c7d25a68"
FAULTS = ["429", "500", "502", "reset", "timeout", "truncated", "html"]

pytestmark = pytest.mark.fastlabel_sandbox(token=TOKEN)


def files_with(token: str, folder: Path) -> list[str]:
    """Every file below ``folder`` that holds the token; databases are searched as the bytes they are."""
    needles = (token.encode(), token.encode("utf-16-le"))
    return [str(f) for f in folder.rglob("*") if f.is_file() and any(needle in f.read_bytes() for needle in needles)]


@pytest.mark.parametrize("kind", [*FAULTS, "wrong token", "server down"])
def test_a_failing_run_leaves_no_token_behind(fastlabel_sandbox: Sandbox, tmp_path: Path, capfd, caplog, kind: str):
    caplog.set_level(logging.DEBUG)
    fastlabel_sandbox.seed(tasks=3)
    url = fastlabel_sandbox.url
    if kind == "server down":
        fastlabel_sandbox.stop()
    elif kind == "wrong token":
        fastlabel_sandbox.fail("* *", times=None, status=401)
    else:
        fastlabel_sandbox.fail("* *", times=None, kind=kind, retry_after=0, seconds=1.0)
    resource = FastLabelResource(
        access_token=dg.EnvVar("FASTLABEL_ACCESS_TOKEN"),
        base_url=url,
        request_attempts=2,
        read_timeout_seconds=0.3,
        step_retries=1,
        step_retry_seconds=0,
    )
    definitions = build_fastlabel_project("street-scenes", store=tmp_path / "store", resource=resource)
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        result = definitions.resolve_job_def("street_scenes_sync").execute_in_process(
            instance=instance, raise_on_error=False
        )
        assert not result.success
        sensor = definitions.resolve_sensor_def("street_scenes_imports")
        with dg.build_sensor_context(
            instance=instance, definitions=definitions, resources=dict(definitions.resources or {})
        ) as context:
            tick = sensor.evaluate_tick(context)
    assert files_with(TOKEN, tmp_path / "home") == files_with(TOKEN, tmp_path / "store") == []
    assert files_with("street-scenes", home), "the run has left its events on the disk, where the search can find them"
    told = [*capfd.readouterr(), caplog.text, str(tick), repr(resource), repr(definitions)]
    assert not [text for text in told if TOKEN in text]


@pytest.mark.parametrize("kind", FAULTS)
def test_no_error_of_the_client_says_the_token(fastlabel_sandbox: Sandbox, capfd, caplog, kind: str):
    import traceback

    caplog.set_level(logging.DEBUG)
    fastlabel_sandbox.fail("* *", times=None, kind=kind, retry_after=0, seconds=1.0)
    retry = RetryPolicy(attempts=2, backoff_seconds=0.01, backoff_max_seconds=0.02)
    with FastLabelClient(TOKEN, fastlabel_sandbox.url, timeout=(5, 0.3), retry=retry) as client:
        with pytest.raises(FastLabelError) as caught:
            client.projects.list()
        told = [repr(client), str(client), repr(client.statistics)]
    error: BaseException | None = caught.value
    while error is not None:
        told += [str(error), repr(error), str(vars(error))]
        error = error.__cause__ or error.__context__
    told += ["".join(traceback.format_exception(caught.value)), caplog.text, *capfd.readouterr()]
    assert not [text for text in told if TOKEN in text]
