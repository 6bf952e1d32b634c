"""The resource: lazy, closed after use, silent about its token, and the one place where errors become Dagster's."""

import os
import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.execution.api import create_execution_plan

from fastlabel_dagster import api
from fastlabel_dagster.resource import FastLabelResource, resource_named
from fastlabel_dagster.sandbox import Sandbox


@pytest.fixture
def sandbox(tmp_path):
    with Sandbox(tmp_path / "sandbox") as sandbox:
        yield sandbox


def test_ping_asks_once(sandbox):
    with FastLabelResource(
        access_token=sandbox.token, base_url=sandbox.url
    ).process_config_and_initialize_cm() as ready:
        answer = ready.ping()
        assert answer["ok"] is True and answer["url"] == sandbox.url
        assert ready.client.statistics.requests == 1


def test_the_client_is_made_on_first_use_and_closed_at_the_end(sandbox):
    resource = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url)
    with resource.process_config_and_initialize_cm() as ready:
        assert ready._client is None
        first = ready.client
        assert ready.client is first
    assert ready._client is None


def test_an_empty_token_means_the_environment(sandbox, monkeypatch):
    monkeypatch.setenv("FASTLABEL_ACCESS_TOKEN", sandbox.token)
    monkeypatch.setenv("FASTLABEL_API_URL", sandbox.url)
    assert FastLabelResource().ping()["ok"]


def test_no_token_at_all_names_the_variable(monkeypatch):
    monkeypatch.delenv("FASTLABEL_ACCESS_TOKEN", raising=False)
    with pytest.raises(dg.Failure, match="FASTLABEL_ACCESS_TOKEN"), FastLabelResource().dagster_errors():
        pass


def test_the_knobs_reach_the_client(sandbox):
    resource = FastLabelResource(
        access_token=sandbox.token, base_url=sandbox.url, request_attempts=2, requests_per_10_minutes=7
    )
    assert resource.ping()["ok"]
    assert resource.client.base_url == sandbox.url


def test_the_token_is_in_no_repr_and_marked_secret():
    resource = FastLabelResource(access_token="very-secret")
    told = [
        repr(resource),
        str(resource),
        repr(vars(resource)),
        repr(resource.model_dump()),
        resource.model_dump_json(),
    ]
    assert not [text for text in told if "very-secret" in text]
    field = FastLabelResource.model_json_schema()["properties"]["access_token"]
    assert field["dagster__is_secret"] is True


@pytest.mark.parametrize(
    "error",
    [
        api.Unauthorized("no", status=401),
        api.NotFound("no", status=404),
        api.Invalid("no", status=422),
        api.RemoteJobFailed("no"),
    ],
)
def test_permanent_errors_are_failures_no_policy_repeats(error):
    with pytest.raises(dg.Failure) as caught, FastLabelResource(access_token="x").dagster_errors():
        raise error
    assert caught.value.allow_retries is False
    assert caught.value.__cause__ is error
    assert caught.value.metadata["error"].value == type(error).__name__


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (api.RateLimited("slow down", retry_after=90.0), 90.0),
        (api.RateLimited("slow down"), 12.0),
        (api.ServerError("oops", status=500), 12.0),
        (api.TransportError("nobody there"), 12.0),
    ],
)
def test_passing_errors_ask_for_another_attempt(error, wait):
    resource = FastLabelResource(access_token="x", step_retries=3, step_retry_seconds=12)
    with pytest.raises(dg.RetryRequested) as caught, resource.dagster_errors():
        raise error
    assert (caught.value.max_retries, caught.value.seconds_to_wait) == (3, wait)


def test_other_errors_pass_through():
    with pytest.raises(ZeroDivisionError), FastLabelResource(access_token="x").dagster_errors():
        raise ZeroDivisionError


def test_a_step_that_uses_up_its_attempts_says_what_was_wrong():
    attempts = []

    @dg.op
    def ask(context: dg.OpExecutionContext, fastlabel: FastLabelResource):
        with fastlabel.dagster_errors(context):
            attempts.append(context.retry_number)
            raise api.ServerError("the database is asleep", status=503, method="GET", path="projects")

    @dg.job(resource_defs={"fastlabel": FastLabelResource(access_token="x", step_retries=2, step_retry_seconds=0)})
    def asking():
        ask()

    result = asking.execute_in_process(raise_on_error=False)
    assert attempts == [0, 1, 2]
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    told = failed.step_failure_data.user_failure_data
    assert "the database is asleep" in told.description and "tried 3 times" in told.description
    assert told.metadata["http_status"].value == 503


def test_two_workspaces_have_two_resources(sandbox):
    def body(context: dg.AssetExecutionContext, fastlabel: FastLabelResource) -> None:
        assert fastlabel.ping()["ok"]

    asset = dg.asset(name="asking")(resource_named("second_workspace", body))
    resources = {"second_workspace": FastLabelResource(access_token=sandbox.token, base_url=sandbox.url)}
    assert dg.materialize([asset], resources=resources).success


@pytest.mark.parametrize("how", ["literal", "variable"])
def test_the_token_is_in_nothing_that_dagster_stores_and_in_the_request_all_the_same(sandbox, monkeypatch, how):
    from dagster._core.remote_representation.external_data import RepositorySnap
    from dagster._core.snap import snapshot_from_execution_plan
    from dagster._serdes import serialize_value

    monkeypatch.setenv("TOKEN_FOR_TEST", sandbox.token)
    token = sandbox.token if how == "literal" else dg.EnvVar("TOKEN_FOR_TEST")
    inside = []

    @dg.asset
    def asking(fastlabel: FastLabelResource) -> None:
        assert fastlabel.ping()["ok"]
        inside.extend([repr(vars(fastlabel)), fastlabel.model_dump_json()])

    resource = FastLabelResource(access_token=token, base_url=sandbox.url)
    definitions = dg.Definitions(assets=[asking], resources={"fastlabel": resource})
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance)
        assert result.success
        told = [serialize_value(entry) for entry in instance.all_logs(result.run_id)]
        told.append(serialize_value(instance.get_run_by_id(result.run_id)))
    told.append(serialize_value(job.get_job_snapshot()))
    told.append(serialize_value(RepositorySnap.from_def(definitions.get_repository_def())))
    plan = create_execution_plan(job)
    told.append(serialize_value(snapshot_from_execution_plan(plan, job.get_job_snapshot_id())))
    told += [*inside, repr(vars(resource)), resource.model_dump_json()]
    assert len(told) > 10
    assert not [text for text in told if sandbox.token in text]


def test_a_literal_token_reaches_the_steps_of_other_processes(sandbox, tmp_path):
    """The multiprocess executor loads the definitions anew in a process of its own, and hands it the configuration."""
    script = tmp_path / "location.py"
    script.write_text(LOCATION.format(token=sandbox.token, url=sandbox.url))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FASTLABEL_")}
    command = [sys.executable, "-m", "dagster", "job", "execute", "-f", str(script), "-j", "__ASSET_JOB"]
    environment["DAGSTER_HOME"] = str(tmp_path)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "RUN_SUCCESS" in done.stderr + done.stdout
    assert sandbox.token not in done.stderr + done.stdout


LOCATION = """
import dagster as dg
from fastlabel_dagster import FastLabelResource

@dg.asset
def asking(fastlabel: FastLabelResource) -> None:
    assert fastlabel.ping()["ok"]

resource = FastLabelResource(access_token="{token}", base_url="{url}")
defs = dg.Definitions(assets=[asking], resources={{"fastlabel": resource}})
"""


def test_a_variable_is_read_outside_of_a_run_too(sandbox, monkeypatch):
    monkeypatch.setenv("TOKEN_FOR_TEST", sandbox.token)
    assert FastLabelResource(access_token=dg.EnvVar("TOKEN_FOR_TEST"), base_url=sandbox.url).ping()["ok"]


def test_what_stands_for_a_token_is_none():
    with pytest.raises(api.Invalid, match="copied from a run's configuration"):
        _ = FastLabelResource(access_token="token kept in memory, 0123456789abcdef").client
