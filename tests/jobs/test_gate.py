"""The gate, by numbers computed by hand."""

from __future__ import annotations

import math

import pytest

from fastlabel_dagster.jobs.gate import Gate

MAP = {"mAP": {"no_worse_than": 0.01}}


def passes(gate, now, *earlier):
    return Gate.of(gate).judge({"mAP": now}, [{"mAP": one} for one in earlier]).passed


@pytest.mark.parametrize(
    ("gate", "now", "earlier", "passed"),
    [
        (MAP, 0.1, [], True),  # the first model has nobody to be worse than
        (MAP, 0.6, [0.6], True),
        (MAP, 0.61 - 0.01, [0.61], True),  # decimal fractions: 0.6 is not below 0.61 - 0.01
        (MAP, 0.5999, [0.61], False),
        (MAP, 0.7, [0.61], True),
        (MAP, 0.5, [0.5, 0.9], True),  # the previous one counts, not the best
        ({**MAP, "compare_with": "best"}, 0.5, [0.5, 0.9], False),
        ({**MAP, "compare_with": "best"}, 0.89, [0.5, 0.9], True),
        ({"mAP": {"at_least": 0.2}}, 0.19, [0.1], False),
        ({"mAP": {"at_least": 0.2}}, 0.2, [0.9], True),
        ({"mAP": {"at_least": 0.2, "no_worse_than": 0.1}}, 0.15, [], False),
        ({"mAP": {"no_worse_than": 0}}, 0.5, [0.5], True),
    ],
)
def test_a_model_against_its_limits(gate, now, earlier, passed):
    assert passes(gate, now, *earlier) is passed


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "0.9", True])
def test_what_is_no_measure_does_not_pass(value):
    assert not passes({"mAP": {"at_least": 0.0}}, value)
    assert not passes(MAP, value, 0.5)
    assert not passes(MAP, value), "also of the first model"


def test_an_earlier_model_without_the_measure_is_left_out():
    assert Gate.of(MAP).judge({"mAP": 0.5}, [{"recall": 0.9}, {"mAP": 0.9}]).passed is False


@pytest.mark.parametrize(
    ("compare_with", "now", "passed", "whose"),
    [
        ("previous", 0.69, True, "the last good model's 0.7"),
        ("previous", 0.5, False, "the last good model's 0.7"),  # as good as the one that failed is not good enough
        ("best", 0.79, True, "the best model's 0.8"),  # 0.9 failed otherwise and was never in use
    ],
)
def test_a_model_that_failed_is_no_yardstick(compare_with, now, passed, whose):
    """Newest first: two that failed, one that passed, one that was evaluated without a gate."""
    earlier = [
        {"mAP": 0.5, "gate_passed": False},
        {"mAP": 0.9, "gate_passed": False},
        {"mAP": 0.7, "gate_passed": True},
        {"mAP": 0.8},
    ]
    verdict = Gate.of({**MAP, "compare_with": compare_with}).judge({"mAP": now}, earlier)
    assert verdict.passed is passed and whose in verdict.text


def test_with_nothing_to_compare_with_it_says_why():
    judge = Gate.of(MAP).judge
    assert judge({"mAP": 0.61}, []).text == "mAP 0.61: the first model, nothing to compare with"
    after_a_bad_one = judge({"mAP": 0.61}, [{"mAP": 0.1, "gate_passed": False}])
    assert after_a_bad_one.passed
    assert after_a_bad_one.text == "mAP 0.61: no earlier model has passed, nothing to compare with"
    assert judge({}, []).passed is False and "mAP was not measured" in judge({}, []).text


def test_numbers_are_shown_to_four_places_and_judged_exactly():
    verdict = Gate.of(MAP).judge({"mAP": 0.63449999999}, [{"mAP": 0.6344999999999999 + 0.01}])
    assert verdict.passed and verdict.rows[0]["needed"] == 0.6345 and verdict.rows[0]["value"] == 0.6345
    assert verdict.text == "mAP 0.6345 keeps no more than 0.01 below the previous model's 0.6445"
    assert not Gate.of(MAP).judge({"mAP": 0.634499}, [{"mAP": 0.6445}]).passed


def test_every_limit_has_its_row_and_its_words():
    gate = Gate.of({"mAP": {"at_least": 0.2, "no_worse_than": 0.01}, "recall": {"at_least": 0.5}})
    verdict = gate.judge({"mAP": 0.3, "recall": 0.4}, [{"mAP": 0.35}])
    assert [row["passed"] for row in verdict.rows] == [True, False, False]
    assert "0.3 MISSES no more than 0.01 below the previous model's 0.35" in verdict.text
    assert "recall 0.4 MISSES at least 0.5" in verdict.text


def test_a_gate_travels_as_plain_values():
    gate = Gate.of({"map": {"at_least": 0.2}, "f1": {"no_worse_than": 0.1}, "compare_with": "best"})
    assert gate.to_dict() == {"mAP": {"at_least": 0.2}, "f1": {"no_worse_than": 0.1}, "compare_with": "best"}
    assert Gate.of(gate.to_dict()) == gate


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ([], "mapping"),
        ({}, "needs a limit"),
        ({"accuracy": {"at_least": 1}}, "no measure 'accuracy'"),
        ({"mAP": 0.3}, "no_worse_than and at_least"),
        ({"mAP": {}}, "no_worse_than and at_least"),
        ({"mAP": {"above": 1}}, "no_worse_than and at_least"),
        ({"mAP": {"at_least": 40}}, "from 0 to 1"),
        ({"mAP": {"at_least": True}}, "from 0 to 1"),
        ({**MAP, "compare_with": "median"}, "'previous' or 'best'"),
    ],
)
def test_mistakes_are_named(gate, words):
    with pytest.raises(ValueError, match=words):
        Gate.of(gate)
