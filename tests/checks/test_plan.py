"""What one may say about checks, and what is refused when the code location loads."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster import checks as face
from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.checks import CHECKS, CheckPlan, build_image_checks, build_label_checks

DEFAULTS = {"connection", "parity", "quarantine", "class_changes", "geometry", "classes_known", "empty_tasks"}


def test_every_check_has_a_constant_a_place_and_defaults_that_fit():
    constants = {getattr(face, name) for name in face.__all__ if name.endswith("_CHECK")}
    assert set(CHECKS) <= constants
    assert len(constants) == len([name for name in face.__all__ if name.endswith("_CHECK")]), "no name twice"
    for name, kind in CHECKS.items():
        assert kind.name == name
        assert kind.severity in {"warn", "error"}
        for option, about in kind.options.items():
            assert about.takes(about.default), f"{name}.{option}"
            assert about.meaning.endswith(".")
            assert about.words


def test_nothing_said_is_the_usual_set():
    assert (
        set(CheckPlan.of().settings) == set(CheckPlan.of({}).settings) == set(CheckPlan.of(True).settings) == DEFAULTS
    )
    assert CheckPlan.of(False).settings == {}


def test_checks_are_switched_on_and_off_and_told_things():
    plan = CheckPlan.of({"geometry": {"at_most": 0.1}, "duplicates": True, "freshness": None, "parity": False})
    assert set(plan.settings) == DEFAULTS - {"parity"} | {"duplicates", "freshness"}
    geometry = plan.get("geometry")
    assert geometry["at_most"] == 0.1
    assert geometry["tolerance_pixels"] == 0.5
    assert geometry.severity is dg.AssetCheckSeverity.WARN
    assert not geometry.blocking
    assert CheckPlan.of(plan) is plan


def test_a_blocking_check_is_an_error():
    plan = CheckPlan.of({"geometry": {"blocking": True}, "images": {"severity": "WARN"}})
    assert plan.get("geometry").severity is dg.AssetCheckSeverity.ERROR
    assert plan.blocks("annotations")
    assert not plan.blocks("images")
    assert plan.get("images").severity is dg.AssetCheckSeverity.WARN
    spec = plan.get("geometry").spec(dg.AssetKey("a"))
    assert spec.blocking
    assert spec.metadata["problems"] == ["unreadable", "outside", "zero_area", "self_intersecting"]


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ({"geometri": True}, "there is no check 'geometri' (did you mean 'geometry'?)"),
        ({"geometry": {"tolerance": 1}}, "has no option 'tolerance' (did you mean 'tolerance_pixels'?)"),
        ({"geometry": {"severity": "fatal"}}, "severity of the check 'geometry' is \"warn\" or \"error\", not 'fatal'"),
        ({"geometry": {"blocking": "yes"}}, "blocking of the check 'geometry' is true or false"),
        ({"geometry": {"blocking": True, "severity": "warn"}}, "cannot be blocking and only warn"),
        ({"geometry": {"problems": ["outsite"]}}, "a list of any of unreadable, outside, zero_area"),
        ({"geometry": {"problems": []}}, "a list of any of"),
        ({"geometry": {"tolerance_pixels": -1}}, "a number from 0 on"),
        ({"geometry": 3}, "takes true, false or a mapping of options, not 3"),
        ({"class_drift": {"threshold": 1.5}}, "a share from 0 to 1, not 1.5"),
        ({"class_drift": {"threshold": True}}, "a share from 0 to 1, not True"),
        ({"approval_share": {"at_least": "80%"}}, "a share from 0 to 1"),
        ({"approval_share": {"statuses": "approved"}}, "a list of names"),
        ({"quarantine": {"at_most": 0.5}}, "a whole number from 0 on"),
        ({"duplicates": {"iou": 0.2}}, "a number from 0.5 to 1"),
        ({"freshness": {"changed_within_hours": 0}}, "a number of hours above 0, or null"),
        ({"images": {"sample": 0}}, 'a whole number from 1 on, or "all"'),
        ({"images": {"decode": 1}}, "true or false"),
        (["geometry"], "checks is a mapping of a check's name"),
    ],
)
def test_what_makes_no_sense_is_said_at_load(checks, words, tmp_path):
    with pytest.raises(ValueError, match="check") as refused:
        build_fastlabel_project_assets("street", store=tmp_path, checks=checks)
    assert words in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_leakage_needs_something_with_parts(tmp_path):
    with pytest.raises(ValueError, match="'leakage' needs something with parts"):
        build_fastlabel_project_assets("street", store=tmp_path, exports=["coco"], checks={"leakage": True})


def test_builders_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="give either mirror= "):
        build_label_checks("a")
    with pytest.raises(ValueError, match="parity cannot be checked by labels alone"):
        build_label_checks("a", mirror="x", checks={"parity": True})
    with pytest.raises(ValueError, match="every check of labels is switched off"):
        build_label_checks("a", mirror="x", checks=dict.fromkeys(DEFAULTS, False))
    with pytest.raises(ValueError, match="'images' is switched off"):
        build_image_checks("a", store="x", checks={"images": False})


def test_the_checks_are_on_the_assets_they_are_about(tmp_path):
    everything = dict.fromkeys(CHECKS, True)
    assets = build_fastlabel_project_assets(
        "street", store=tmp_path, exports=["coco", "yolo"], dataset="street", checks=everything
    )
    keys = {
        (key.asset_key.to_user_string(), key.name)
        for one in assets
        if isinstance(one, dg.AssetsDefinition)
        for key in one.check_keys
    }
    places = {"project": ["fastlabel/street"], "splits": ["street/yolo", "street/dataset"]}
    expected = {
        (place, kind.name) for kind in CHECKS.values() for place in places.get(kind.part, [f"street/{kind.part}"])
    }
    assert keys == expected | {("fastlabel/street", name) for name in ("imports_succeeded", "polling_healthy")}
