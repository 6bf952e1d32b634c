"""What a sensor launches: the project's own assets, and never more than those."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster.sensors.target import Target


@dg.asset(tags={"fastlabel/project": "here", "fastlabel/part": "labels"})
def labels() -> None: ...


@dg.asset
def costly_training() -> None: ...


@pytest.mark.parametrize("projects", [["gone"], ["here", "gone"]])
def test_a_project_without_assets_starts_no_run(projects):
    definitions = dg.Definitions([labels, costly_training])
    context = dg.build_sensor_context(definitions=definitions)
    assert Target(None, projects).requests(context, "gone", "key", {}) == []


def test_a_run_is_of_the_assets_of_its_project():
    definitions = dg.Definitions([labels, costly_training])
    context = dg.build_sensor_context(definitions=definitions)
    (request,) = Target(None, ["here", "gone"]).requests(context, "here", "key", {"why": "because"})
    assert request.asset_selection == [dg.AssetKey("labels")]
    assert (request.run_key, request.tags) == ("key", {"fastlabel/project": "here", "why": "because"})
