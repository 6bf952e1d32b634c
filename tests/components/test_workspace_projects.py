"""One project of a workspace beside the others: its own checks and keys, left out, misspelled."""

from __future__ import annotations

import logging

import dagster as dg

from fastlabel_dagster import FastLabelWorkspaceComponent

from .conftest import LOOP, keys, refreshed, sensor_names, tick


class Particular(FastLabelWorkspaceComponent):
    """A subclass that refuses one project and replaces all tags of the other assets."""

    def get_asset_spec(self, props):
        if props.project == "street-night":
            raise ValueError("not this one")
        return super().get_asset_spec(props).replace_attributes(tags={"team": "perception"})


def test_a_project_that_is_left_out_stops_no_sensor_of_the_others(many, tmp_path, on_disk, caplog):
    component = Particular.from_attributes_dict(
        attributes={
            "selector": "street-*",
            "store": str(tmp_path / "store"),
            "exports": [],
            "loop": LOOP,
            "sensors": {"quality": True},
            "schedule": {},
        }
    )
    defs = component.build_defs_from_state(None, refreshed(component, tmp_path))  # type: ignore[arg-type]
    assert "street-night was left out" in caplog.text
    assert sensor_names(defs) == {"imports", "approvals", "jobs_apart", "annotated", "quality"}
    cursors = {sensor.name: tick(defs, sensor.name, on_disk).cursor for sensor in defs.sensors or ()}
    many.state.start_import("street-night", outcome="failed", seconds=0)
    many.state.start_import("street-day", outcome="failed", seconds=0)
    many.state.add_tasks("street-night", [{"name": f"{n}.jpg", "status": "approved"} for n in range(2)])
    results = {name: tick(defs, name, on_disk, cursor) for name, cursor in cursors.items()}
    failed = [event for event in results["fastlabel_imports"].asset_events if not event.passed]
    assert [event.asset_key.path[-1] for event in failed] == ["street-day"]
    assert not results["fastlabel_approvals"].run_requests
    (nightly,) = defs.schedules or ()
    synced = defs.resolve_job_def(nightly.job_name).asset_layer.executable_asset_keys
    assert {key.path[0] for key in synced} == {"street-day"}, "assets are found though their tags were replaced"


def test_a_project_that_is_left_out_is_not_observed_and_the_others_are(many, tmp_path):
    component = Particular.from_attributes_dict(
        attributes={"selector": "street-*", "observe": "0 * * * *", "sensors": {"quality": True}}
    )
    defs = component.build_defs_from_state(None, refreshed(component, tmp_path))  # type: ignore[arg-type]
    look = defs.resolve_job_def("fastlabel_observation")
    assert {key.to_user_string() for key in look.asset_layer.asset_graph.observable_asset_keys} == {
        "fastlabel/street-day"
    }


def test_two_projects_of_one_name_do_not_take_the_location_down(definitions, caplog):
    defs = definitions(
        store=None, include=["tasks"], translation={"key": "streets/{{ props.part }}"}, sensors={"quality": True}
    )
    assert "a second asset called streets/project was left out" in caplog.text
    assert keys(defs) == {"streets/project"}


def test_a_slug_that_the_workspace_has_not_is_told_with_those_it_has(definitions, caplog):
    with caplog.at_level(logging.WARNING):
        definitions(projects={"street-nigth": {"exports": ["yolo"]}})
    assert "street-nigth (did you mean street-night?)" in caplog.text
    assert "street-day, street-night" in caplog.text
    assert "dg utils refresh-defs-state" in caplog.text


def test_a_token_in_place_of_a_slug_is_not_repeated(definitions, caplog, tmp_path):
    token = "s3cr3t-Tok3n-0f-A-P3rs0n"
    with caplog.at_level(logging.WARNING):
        definitions(selector={"slugs": ["street-day", token]}, projects={token: {}, "street-scenes-2024": {}})
    assert "nothing is made of not repeated here, street-scenes-2024" in caplog.text
    assert "(not repeated here: it looks like a token): this token sees no project" in caplog.text
    assert token not in caplog.text + (tmp_path / "state").read_text(encoding="utf-8")


def test_the_checks_of_one_project_reach_those_that_ask_the_api(definitions):
    own = {"street-day": {"checks": {"connection": False}}}
    defs = definitions(projects=own)
    asking = {
        (check.asset_key.to_user_string(), check.name)
        for one in defs.assets or ()
        if isinstance(one, dg.AssetsDefinition)
        for check in one.check_keys
    }
    assert ("fastlabel/street-night", "connection") in asking
    assert ("fastlabel/street-day", "connection") not in asking


def test_the_checks_of_one_project_are_those_of_all_but_for_what_it_says(definitions):
    of_all = {
        "duplicates": {"severity": "error", "blocking": True},
        "quarantine": False,
        "parity": {"severity": "warn"},
    }
    own = {"street-day": {"checks": {"duplicates": {"blocking": False}, "parity": False, "geometry": None}}}
    defs = definitions(checks=of_all, projects=own)
    made = {
        (check.asset_key.path[0], check.name): check
        for one in defs.assets or ()
        if isinstance(one, dg.AssetsDefinition)
        for check in one.check_specs
    }
    of_day, of_night = ({name for slug, name in made if slug == one} for one in ("street-day", "street-night"))
    assert of_day == of_night - {"parity"}
    assert "quarantine" not in of_night and "duplicates" in of_day
    assert [made[one, "duplicates"].blocking for one in ("street-day", "street-night")] == [False, True]


def test_sensors_know_their_assets_by_whatever_keys_translation_gives(definitions, many, on_disk):
    kind = "{{ props.project_type or 'unknown' }}/{{ 'stored' if props.store else 'unknown' }}"
    defs = definitions(translation={"key": f"{kind}/{{{{ props.project }}}}/{{{{ props.name }}}}"})
    there = {tuple(spec.key.path) for spec in defs.resolve_all_asset_specs()}
    cursor = tick(defs, "fastlabel_imports", on_disk).cursor
    many.state.start_import("street-day", outcome="failed", seconds=0)
    (event,) = tick(defs, "fastlabel_imports", on_disk, cursor).asset_events
    assert tuple(event.asset_key.path) in there
    assert event.asset_key.path[0] != "unknown"
