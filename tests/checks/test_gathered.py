"""The remote checks of many projects together: each is answered for itself, and blocks only its own project."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster.assets.gathered_checks import CheckedProject, gathered_checks
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.translator import DagsterFastLabelTranslator

SLUGS = ("a", "gone", "z")


@pytest.fixture
def run(fastlabel_sandbox):
    """Run the gathered checks of three projects, of which one is not there, and an asset made from each."""
    for slug in SLUGS:
        if slug != "gone":
            fastlabel_sandbox.state.create_project(slug, type="image_all")
    good = FastLabelResource(access_token=fastlabel_sandbox.token, base_url=fastlabel_sandbox.url, request_attempts=1)

    def run(checks, *, trained=False, resource=good):
        projects = [CheckedProject(slug, DagsterFastLabelTranslator(), trained) for slug in SLUGS]
        made = gathered_checks("remote", projects, resource_key="fastlabel", checks=checks)
        assets = [dg.AssetsDefinition(specs=[dg.AssetSpec(one.key("model"))]) for one in projects] if trained else []
        for project in projects:
            source = _asset(project.key("project"))
            assets += [source, _asset(dg.AssetKey([project.slug, "made"]), source.key)]
            if trained:
                assets.append(_asset(project.key("training"), training_job_id=f"job-of-{project.slug}"))
        definitions = dg.Definitions(assets=assets, asset_checks=made, resources={"fastlabel": resource})
        with dg.DagsterInstance.ephemeral() as instance:
            job = definitions.resolve_implicit_global_asset_job_def()
            if trained:
                job.execute_in_process(instance=instance, raise_on_error=False)
            result = job.execute_in_process(instance=instance, raise_on_error=False)
        found = {
            (one.asset_key.path[0 if one.check_name == "training_succeeded" else -1], one.check_name): one
            for one in result.get_asset_check_evaluations()
        }
        return result, found

    return run


def _asset(key, *deps, **metadata):
    @dg.asset(key=key, deps=deps)
    def made():
        return dg.MaterializeResult(metadata=metadata)

    return made


def made(result):
    keys = {event.materialization.asset_key for event in result.get_asset_materialization_events()}
    return {key.path[0] for key in keys if key.path[-1] == "made"}


def test_a_project_that_is_gone_silences_no_other(run, values):
    result, found = run(None)
    assert result.success
    assert len(found) == 9
    assert {slug for (slug, _), one in found.items() if not one.passed} == {"gone"}
    for name in ("connection", "imports_succeeded", "polling_healthy"):
        assert not found["gone", name].passed
        assert values(found["gone", name])["error"] == "NotFound"
    assert found["gone", "imports_succeeded"].severity is dg.AssetCheckSeverity.WARN


def test_a_training_that_is_gone_is_a_failed_check(run, values):
    result, found = run(None, trained=True)
    assert result.success
    trainings = [one for (_, name), one in found.items() if name == "training_succeeded"]
    assert len(trainings) == 3
    assert not any(one.passed for one in trainings)
    assert {values(one)["error"] for one in trainings} == {"NotFound"}


@pytest.mark.parametrize("blocking", [True, False])
def test_a_check_that_blocks_stops_its_own_project_alone(run, blocking):
    result, found = run({"connection": {"blocking": blocking}})
    assert len(found) == 9
    assert made(result) == ({"a", "z"} if blocking else set(SLUGS))
    assert {one.blocking for (_, name), one in found.items() if name == "connection"} == {blocking}
    assert result.success is not blocking


def test_what_nobody_foresaw_is_answered_too(run):
    class Odd(FastLabelResource):
        @property
        def client(self):
            raise RuntimeError("no idea")

    result, found = run(None, resource=Odd(access_token="x"))
    assert result.success
    assert len(found) == 9
    assert not any(one.passed for one in found.values())
    assert all("RuntimeError: no idea" in one.description for one in found.values())
