"""The JSON of a workspace: back as it was, and readable with keys too many, too few, and of other types."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster.workspace import (
    AnnotationClass,
    AutoAnnotationJob,
    Dataset,
    EvaluationJob,
    FastLabelWorkspace,
    ImportHistory,
    Model,
    Project,
    TrainingJob,
)

WORKSPACE = FastLabelWorkspace(
    base_url="https://api.example/v1/",
    fetched_at="2025-01-31T10:00:00+00:00",
    projects=(
        Project(
            slug="street",
            id="p1",
            name="通り",
            type="image_bbox",
            status="active",
            tasks=3,
            statuses={"approved": 2},
            classes=(AnnotationClass("c1", "bbox", "car", "乗用車", "#ff0000"),),
            imports=(ImportHistory("i1", "zip", "running", "2025", "2025"),),
            auto_annotations=(AutoAnnotationJob("a1", "completed", "m", 5, 9, "2025", "2025"),),
            errors={"tasks": "ServerError: broken"},
            left_out=("statuses",),
        ),
        Project(slug="bare"),
    ),
    datasets=(Dataset(id="d1", name="street", tags=("a",), objects=None, objects_at_least=1000, revisions=("r2",)),),
    trainings=(TrainingJob("t1", "completed", "base", 3, 9, "2025", "2026", Model("m1", "street-1", ("car",))),),
    evaluations=(EvaluationJob("e1", "completed", "street-1", "street", "d1", "r2", 0.5, 0.6, 0.7, 0.65),),
    problems={"project gone": "no project"},
    requests=12,
)


def test_a_workspace_comes_back_as_it_was():
    assert FastLabelWorkspace.from_json(WORKSPACE.to_json()) == WORKSPACE
    assert FastLabelWorkspace.from_json(json.loads(WORKSPACE.to_json())) == WORKSPACE
    assert FastLabelWorkspace.from_json(FastLabelWorkspace().to_json()) == FastLabelWorkspace()


def test_what_was_not_fetched_differs_from_what_is_empty():
    empty = FastLabelWorkspace(datasets=(), projects=(Project(slug="a", classes=()),))
    read = FastLabelWorkspace.from_json(empty.to_json())
    assert read.datasets == () and read.trainings is None
    assert read.projects[0].classes == () and read.projects[0].imports is None


def test_unknown_keys_are_passed_over_missing_ones_have_their_default_and_unknown_words_stay():
    told = {
        "kind": "fastlabel_workspace",
        "v": 1,
        "colour": "blue",
        "projects": [
            {"slug": "a", "status": "hibernating", "type": "hologram", "mood": 7, "tasks": "many"},
            "nonsense",
        ],
        "trainings": [{"id": "t", "status": "dreaming", "model": {"name": "m", "weights": []}}],
        "evaluations": {"not": "a list"},
    }
    read = FastLabelWorkspace.from_json(told)
    assert read.projects == (Project(slug="a", status="hibernating", type="hologram"),)
    assert read.trainings == (TrainingJob(id="t", status="dreaming", model=Model(name="m")),)
    assert read.evaluations is None
    assert [model.name for model in read.models] == ["m"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[]", "not a saved FastLabel workspace"),
        ('{"kind": "dbt_manifest", "v": 1}', "not a saved FastLabel workspace"),
        ('{"kind": "fastlabel_workspace", "v": 2}', "format 2"),
        ('{"kind": "fastlabel_workspace"}', "format None"),
    ],
)
def test_what_is_no_workspace_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        FastLabelWorkspace.from_json(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = sorted({*json.loads(WORKSPACE.to_json()), *json.loads(WORKSPACE.to_json())["projects"][0]})


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON), st.dictionaries(st.sampled_from(_FIELDS), _JSON))
def test_a_state_of_any_content_is_read(above, below):
    told = {**json.loads(WORKSPACE.to_json()), **above, "kind": "fastlabel_workspace", "v": 1}
    told["projects"] = [{**json.loads(WORKSPACE.to_json())["projects"][0], **below}]
    read = FastLabelWorkspace.from_json(told)
    assert FastLabelWorkspace.from_json(read.to_json()) == read


def test_records_are_found_by_slug_and_narrowed():
    assert WORKSPACE.project("street").name == "通り"
    with pytest.raises(KeyError):
        WORKSPACE.project("gone")
    assert WORKSPACE.select("bare").slugs == ("bare",)
    assert WORKSPACE.select(None) == WORKSPACE
