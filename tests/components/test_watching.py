"""What a YAML says of its sensors reaches them, and they look at nothing that nobody asks for."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster import FastLabelProjectComponent

from .conftest import refreshed, tick, workspace_component

IMPATIENT = {"stuck_after": 0.00001, "severity": {"imports_succeeded": "error", "few_sent_back": "error"}}


def project(tmp_path, **attributes):
    made = FastLabelProjectComponent.from_attributes_dict(
        attributes={"project": "street-day", "store": str(tmp_path / "store"), "exports": [], **attributes}
    )
    return dg.build_defs_for_component(made), "street_day"


def workspace(tmp_path, **attributes):
    made = workspace_component(
        **{"selector": "street-day", "store": str(tmp_path / "store"), "exports": [], **attributes}
    )
    return made.build_defs_from_state(None, refreshed(made, tmp_path)), "fastlabel"


def partitioned(tmp_path, **attributes):
    return workspace(tmp_path, partitions="project", **attributes)


@pytest.mark.parametrize("made", [project, workspace])
def test_patience_and_severity_are_those_of_the_yaml(made, many, on_disk, tmp_path):
    many.state.add_tasks("street-day", [{"name": "back.jpg", "status": "sent_back"}])
    quality = {"comments": False, "statuses": ["sent_back"], "most_sent_back": 0}
    hanging = many.state.start_import("street-day", seconds=10_000)
    for sensors, stuck, severity in (({}, [], "WARN"), (IMPATIENT, [hanging], "ERROR")):
        defs, name = made(tmp_path, sensors={**sensors, "quality": quality})
        first = tick(defs, f"{name}_imports", on_disk)
        failed = many.state.start_import("street-day", outcome="failed", seconds=0)
        events = [*first.asset_events, *tick(defs, f"{name}_imports", on_disk, first.cursor).asset_events]
        told = [one for one in events if one.check_name == "imports_succeeded"]
        assert [one.metadata["import_histories"].value for one in told if "imports_running" in one.metadata] == stuck
        (failure,) = [one for one in told if "import_history" in one.metadata]
        assert (failure.metadata["import_history"].value, failure.severity.value) == (failed, severity)
        (back,) = [
            one for one in tick(defs, f"{name}_quality", on_disk).asset_events if one.check_name == "few_sent_back"
        ]
        assert back.severity.value == severity
        assert by_hand(defs, on_disk, "fastlabel/street-day", "few_sent_back", "imports_succeeded") == {
            ("few_sent_back", False, severity),
            ("imports_succeeded", False, severity),
        }


def by_hand(defs, instance, asset, *names):
    """What these checks say when they are executed: name, whether it passed, and how bad it is."""
    key = dg.AssetKey.from_user_string(asset)
    checks = dg.AssetSelection.checks(*(dg.AssetCheckKey(key, name) for name in names))
    ran = (
        dg.Definitions.merge(defs, dg.Definitions(jobs=[dg.define_asset_job("by_hand", checks)]))
        .resolve_job_def("by_hand")
        .execute_in_process(instance=instance)
    )
    return {(one.check_name, one.passed, one.severity.value) for one in ran.get_asset_check_evaluations()}


def test_a_check_of_jobs_that_is_run_by_hand_is_as_bad_as_the_yaml_says(many, on_disk, tmp_path):
    own = {"street-day": {"imports": {"s3": True}}}
    defs, _ = workspace(tmp_path, projects=own, sensors={"severity": "warn"})
    told = by_hand(defs, on_disk, "street-day/s3_import", "s3_import_succeeded")
    assert told == {("s3_import_succeeded", True, "WARN")}


def test_patience_reaches_the_imports_of_partitions(many, on_disk, tmp_path, capfd):
    many.state.start_import("street-day", seconds=10_000)
    for sensors, is_told in (({}, False), (IMPATIENT, True)):
        defs, name = partitioned(tmp_path, sensors=sensors)
        tick(defs, f"{name}_workspace", on_disk)
        capfd.readouterr()
        tick(defs, f"{name}_imports", on_disk)
        assert ("Not finished after" in capfd.readouterr().err) is is_told


@pytest.mark.parametrize(
    ("sensors", "words"),
    [
        ({"stuck_after": -1}, "stuck_after is longer than nothing"),
        ({"severity": "bad"}, "severity is warn or error"),
        ({"severity": {"geometry": "warn"}}, "no sensor reports geometry"),
    ],
)
@pytest.mark.parametrize("made", [project, workspace])
def test_what_cannot_be_is_told_at_load(made, many, tmp_path, sensors, words):
    with pytest.raises(ValueError, match=words):
        made(tmp_path, sensors=sensors)


def test_only_jobs_that_a_project_asks_for_are_looked_up(many, on_disk, tmp_path, monkeypatch):
    read = set()

    def noted(fetch):
        def note(wanted, *given, **more):
            read.add(tuple(wanted.asset_key.path))
            return fetch(wanted, *given, **more)

        return note

    for what in ("fetch_materializations", "fetch_observations"):
        monkeypatch.setattr(on_disk, what, noted(getattr(on_disk, what)))
    training = {"dataset": "street", "training": {"base_model": "fastlabel_object_detection_light", "epoch": 3}}
    own = {"street-day": training, "street-night": {"imports": {"s3": True}}}
    defs, _ = workspace(tmp_path, selector="street-*", projects=own)
    tick(defs, "fastlabel_jobs_only", on_disk)
    assert read == {("street-day", "training"), ("street-night", "s3_import")}
