"""The annotated sensor: each auto-annotation that has landed is synced once, in whichever project, in whatever time."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

import dagster as dg
import pytest

from fastlabel_dagster.sensors import build_annotated_sensor

SLUGS = ["harbour", "airport", "番号"]


@dg.job
def sync() -> None: ...


def land(instance: dg.DagsterInstance, slug: str, job: str) -> None:
    from fastlabel_dagster.translator import asset_key

    instance.report_runless_asset_event(
        dg.AssetMaterialization(asset_key(slug, "auto_annotation"), metadata={"job_id": job})
    )


def tick(
    instance: dg.DagsterInstance, cursor: str | None = None, clock: Iterable[float] = ()
) -> tuple[list[tuple[str, str]], str | None]:
    steps = iter(clock)
    sensor = build_annotated_sensor(SLUGS, job=sync, name="landed", clock=lambda: next(steps, 0.0))
    with dg.build_sensor_context(instance, cursor=cursor) as context:
        result = sensor.evaluate_tick(context)
    requests = result.run_requests or []
    return [(one.tags["fastlabel/project"], str(one.run_key).rsplit("/", 1)[-1]) for one in requests], result.cursor


def test_what_lands_between_two_looks_is_synced_once_each(instance):
    land(instance, "harbour", "old")
    land(instance, "harbour", "newest")
    first, cursor = tick(instance)
    assert first == [("harbour", "newest")], "of what was there before, the newest"
    assert tick(instance, cursor)[0] == []
    for job in ("one", "two"):
        land(instance, "harbour", job)
    land(instance, "番号", "three")
    land(instance, "airport", "")  # no task was untouched, so that none was started
    again, after = tick(instance, cursor)
    assert again == [("harbour", "one"), ("harbour", "two"), ("番号", "three")]
    assert tick(instance, cursor)[0] == again, "the same cursor gives the same run keys"
    assert tick(instance, after)[0] == []


@pytest.mark.parametrize("cursor", ["17", "{", '{"kind": "annotated", "v": 2, "seen": 3}'])
def test_a_cursor_it_cannot_read_is_a_first_tick(instance, cursor):
    land(instance, "harbour", "one")
    assert tick(instance, cursor)[0] == [("harbour", "one")]


def test_a_tick_that_runs_out_of_time_is_gone_on_with_where_it_stopped(instance):
    for slug in SLUGS:
        land(instance, slug, f"of {slug}")
    found: list[str] = []
    cursor = None
    for _ in SLUGS:
        requests, cursor = tick(instance, cursor, clock=(6.0 * one for one in count()))  # ten seconds are one look
        found += [slug for slug, _ in requests]
    assert found == SLUGS
