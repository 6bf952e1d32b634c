"""The Dagster UI in a browser: what somebody who looks at the loop must see there."""

import re

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

LOOP = ["labels", "images", "dataset", "training", "model", "evaluation", "auto_annotation"]


def test_the_lineage_shows_the_whole_loop(page, shown):
    page.goto("/locations/fastlabel/asset-groups/street_scenes/lineage")
    for name in ["street-scenes", *LOOP, "classes", "tasks", "annotations", "coco", "yolo"]:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()


def test_an_asset_page_shows_counts_columns_and_what_it_was_made_from(page, shown):
    page.goto("/assets/street-scenes/annotations")
    expect(page.get_by_text("Latest materialization")).to_be_visible()
    rows = shown.loop.said("annotations")["dagster/row_count"]
    expect(page.get_by_text("Row count").locator("xpath=../..").get_by_text(f"{rows:,}").first).to_be_visible()
    for column in ("task_id", "value", "type"):
        expect(page.get_by_text(column, exact=True).first).to_be_visible()
    expect(page.get_by_text("fastlabel/project: street-scenes")).to_be_visible()


def test_a_materialization_shows_its_pictures(page, shown):
    page.goto("/assets/street-scenes/annotations?view=events")
    page.get_by_text(re.compile("show markdown", re.IGNORECASE)).first.click()
    picture = page.get_by_role("dialog").locator("img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 100


def test_the_gate_shows_its_verdict(page, shown):
    gate = shown.loop.gate()
    page.goto("/assets/street-scenes/evaluation?view=checks&checkDetail=gate")
    expect(page.get_by_text("blocking", exact=True).first).to_be_visible()
    expect(page.get_by_text("Passed", exact=True).first).to_be_visible()
    assert gate.passed
    expect(page.get_by_text(gate.words).first).to_be_visible()


def test_an_evaluation_shows_what_was_measured(page, shown):
    said = shown.loop.said("evaluation")
    page.goto("/assets/street-scenes/evaluation?view=events")
    expect(page.get_by_text("mAP", exact=True).first).to_be_visible()
    expect(page.get_by_text(str(said["mAP"]), exact=True).first).to_be_visible()
    expect(page.get_by_text(said["model_name"], exact=True).first).to_be_visible()


def test_a_sensor_page_shows_what_it_waits_for(page, shown):
    page.goto("/locations/fastlabel/sensors/street_scenes_approvals")
    expect(page.get_by_text("Requests a run for every 500 newly approved tasks of street-scenes.")).to_be_visible()
    expect(page.get_by_text("street_scenes_retrain").first).to_be_visible()
    expect(page.get_by_text("Running", exact=True).first).to_be_visible()
    expect(page.get_by_text("0 runs requested").first).to_be_visible()


def test_the_sensor_that_has_started_the_evaluation_says_so(page, shown):
    page.goto("/locations/fastlabel/sensors/street_scenes_jobs")
    expect(page.get_by_text("street_scenes_evaluate").first).to_be_visible()
    page.get_by_text("Runs", exact=True).last.click()
    expect(page.get_by_text("street_scenes_evaluate").first).to_be_visible()
