"""A gathered step whose parts fail in different ways: what it asks of Dagster."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster.assets.gathered import Part, gathered_step
from fastlabel_dagster.assets.steps import StepOptions

PERMANENT = dg.Failure("for good", allow_retries=False)
AGAIN = dg.RetryRequested(max_retries=1, seconds_to_wait=0)


def step(*outcomes):
    """A step of one part for each outcome, and which parts ran."""
    ran = []

    def part(number, outcome):
        key = dg.AssetKey(["street", f"part{number}"])

        def run(context):
            ran.append(number)
            if isinstance(outcome, Exception) and ran.count(number) == 1:
                raise outcome
            yield dg.MaterializeResult(asset_key=key)

        return Part(f"part{number}", run, (dg.AssetSpec(key),))

    parts = [part(number, outcome) for number, outcome in enumerate(outcomes)]
    return gathered_step("street_project", parts, resource_key="fastlabel", steps=StepOptions()), ran


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
    defs = dg.Definitions(assets=[assets], resources={"fastlabel": dg.ResourceDefinition.none_resource()})
    job = defs.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert ran == parts
    assert result.success is (AGAIN in outcomes)
