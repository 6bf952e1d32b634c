"""A slip of the pen in a status is told when a code location loads: no task would ever be in it."""

from __future__ import annotations

import pytest

from fastlabel_dagster import build_fastlabel_project, build_fastlabel_project_assets
from fastlabel_dagster.api.task_statuses import TASK_STATUSES, in_order, mistyped
from fastlabel_dagster.sensors import build_approval_sensor

LOOP = {"retrain_after": {"approved": 3}, "dataset": "d", "base_model": "m", "epoch": 3}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("aproved", "approved"),
        ("Approved", "approved"),
        ("sent-back", "sent_back"),
        ("registred", "registered"),
        ("workflow_1_completed", None),
        ("customer_declined", None),
        ("下書き", None),
        *((status, None) for status in TASK_STATUSES),
    ],
)
def test_a_slip_is_told_from_a_status_of_ones_own(written, meant):
    assert mistyped(written) == meant


def test_statuses_stand_in_the_order_a_task_goes_through_them():
    counts = {"下書き": 1, "approved": 9, "registered": 2, "a": 3, "declined": 1, "b": 3, "completed": 5}
    expected = ["registered", "completed", "approved", "declined", "a", "b", "下書き"]
    assert list(in_order(counts).items()) == [(status, counts[status]) for status in expected]
    assert in_order({}) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"exports": [{"format": "coco", "status": "aproved"}]},
        {"exports": [{"format": "coco", "status": ["approved", "reviewd"]}]},
        {"dataset": "d", "publish_status": "aproved"},
        {"loop": {**LOOP, "auto_annotate": {"status": "registred"}}},
        {"checks": {"approval_share": {"statuses": ["aproved"]}}},
        {"checks": {"empty_tasks": {"statuses": ["complete"]}}},
        {"quality": {"statuses": ["sentback"]}},
    ],
    ids=str,
)
def test_whatever_takes_a_status_refuses_a_slip(wrong):
    build = build_fastlabel_project if {"loop", "quality"} & set(wrong) else build_fastlabel_project_assets
    with pytest.raises(ValueError, match=r"did you mean|a list of names of statuses"):
        build("street", store="data", **wrong)


def test_so_does_the_approvals_sensor():
    with pytest.raises(ValueError, match="did you mean 'approved'"):
        build_approval_sensor("street", every=5, status="aproved")
    with pytest.raises(ValueError, match="did you mean 'completed'"):
        build_approval_sensor("street", every=5, external_status="complete")
