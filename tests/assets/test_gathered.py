"""A gathered step whose parts fail in different ways: what it asks of Dagster."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster.assets.gathered import Part, gathered_step
from fastlabel_dagster.assets.steps import StepOptions

PERMANENT = dg.Failure("for good", allow_retries=False)
AGAIN = dg.RetryRequested(max_retries=1, seconds_to_wait=0)
REFUSED = "a blocking check fails"


def step(*outcomes, retry_policy=None):
    """A step of one part for each outcome, and which parts ran. What follows a part with a check is made from it."""
    ran = []

    def part(number, outcome, before):
        key = dg.AssetKey(["street", f"part{number}"])
        checks = [dg.AssetCheckSpec("gate", asset=key, blocking=True)] if outcome is REFUSED else []

        def run(context):
            ran.append(number)
            if isinstance(outcome, Exception) and ran.count(number) == 1:
                raise outcome
            results = [dg.AssetCheckResult(asset_key=key, check_name=one.name, passed=False) for one in checks]
            yield dg.MaterializeResult(asset_key=key, check_results=results)

        deps = [spec.key for spec in before.specs] if before is not None and before.checks else []
        return Part(f"part{number}", run, (dg.AssetSpec(key, deps=deps),), tuple(checks))

    parts = []
    for number, outcome in enumerate(outcomes):
        parts.append(part(number, outcome, parts[-1] if parts else None))
    options = {"resource_key": "fastlabel", "steps": StepOptions(), "retry_policy": retry_policy}
    return gathered_step("street_project", parts, **options), ran


def executed(assets, instance):
    defs = dg.Definitions(assets=[assets], resources={"fastlabel": dg.ResourceDefinition.none_resource()})
    job = defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, raise_on_error=False)


@pytest.mark.parametrize(
    ("outcomes", "parts"),
    [
        ((PERMANENT, AGAIN, None), [0, 1, 2, 0, 1]),
        ((AGAIN, PERMANENT, None), [0, 1, 2, 0, 1]),
        ((PERMANENT, None), [0, 1]),
        ((None, AGAIN), [0, 1, 1]),
    ],
)
def test_it_is_tried_again_when_any_part_asks_for_it(outcomes, parts, instance):
    assets, ran = step(*outcomes)
    result = executed(assets, instance)
    assert ran == parts
    assert result.success is (AGAIN in outcomes)


@pytest.mark.parametrize(
    ("outcomes", "policy", "parts"),
    [
        ((AGAIN, REFUSED, None), None, [0, 1, 0, 1]),
        ((REFUSED, None, AGAIN), None, [0, 2, 0, 2]),
        ((REFUSED, None, RuntimeError("once")), dg.RetryPolicy(max_retries=1), [0, 2, 0, 2]),
    ],
)
def test_what_a_check_has_refused_is_refused_again_when_the_step_is_tried_again(outcomes, policy, parts, instance):
    assets, ran = step(*outcomes, retry_policy=policy)
    result = executed(assets, instance)
    assert ran == parts, "what is made of the refused asset never runs, and what is made is not made again"
    assert not result.success
