"""The token is in nothing that Dagster stores or shows: snapshots, GraphQL answers, events, logs, cursors."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

TOKEN = "s3cr3t-Tok3n-0f-A-P3rs0n"

pytestmark = pytest.mark.fastlabel_sandbox(token=TOKEN)

WITH_A_LITERAL = """
from fastlabel_dagster import FastLabelResource, build_fastlabel_project
defs = build_fastlabel_project(
    "street-scenes", store={store!r}, exports=["coco"],
    resource=FastLabelResource(access_token={token!r}, base_url={url!r}, request_attempts=1, step_retries=0),
)
"""
WITH_A_VARIABLE = """
import dagster as dg
from fastlabel_dagster import FastLabelResource, build_fastlabel_project
defs = build_fastlabel_project(
    "street-scenes", store={store!r}, exports=["coco"],
    resource=FastLabelResource(access_token=dg.EnvVar("A_VARIABLE"), base_url={url!r}, request_attempts=1,
                               step_retries=0),
)
"""
WITH_THE_COMPONENT = """
import dagster as dg
from fastlabel_dagster import FastLabelProjectComponent
defs = dg.build_defs_for_component(FastLabelProjectComponent.from_attributes_dict(attributes=dict(
    project="street-scenes", store={store!r}, exports=["coco"],
    fastlabel=dict(access_token_env="A_VARIABLE", base_url={url!r}, request_attempts=1, step_retries=0),
)))
"""

EVERYTHING = """
query {
  workspaceOrError { __typename ... on Workspace { locationEntries { name displayMetadata { key value }
    locationOrLoadError { __typename ... on RepositoryLocation { repositories {
      allTopLevelResourceDetails { name description resourceType configuredValues { key value type }
        configFields { name description defaultValueAsJson } }
      sensors { name description metadata { assetKeys { path } } } schedules { name cronSchedule }
      jobs { name description tags { key value } presets { name runConfigYaml }
        modes { resources { name configField { name defaultValueAsJson } } } }
      displayMetadata { key value }
    } } ... on PythonError { message stack } } } } }
  assetNodes { assetKey { path } description metadataEntries { label description
      ... on TextMetadataEntry { text } ... on JsonMetadataEntry { jsonString } ... on MarkdownMetadataEntry { mdStr } }
    requiredResources { resourceKey } configField { name defaultValueAsJson } }
  runsOrError { ... on Runs { results { id runConfigYaml tags { key value } assets { key { path } }
    eventConnection { events { __typename ... on MessageEvent { message eventType }
      ... on ExecutionStepFailureEvent { error { message stack causes { message stack } } }
      ... on EngineEvent { metadataEntries { label description } } } } } } }
}
"""


def written(place: Path) -> bytes:
    """All bytes below a folder: databases, write-ahead logs, compute logs."""
    return b"".join(path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file())


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "instance").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "instance")) as instance:
        yield instance


@pytest.fixture(params=[WITH_A_LITERAL, WITH_A_VARIABLE, WITH_THE_COMPONENT], ids=["literal", "variable", "component"])
def location(request, fastlabel_sandbox, tmp_path, monkeypatch) -> Path:
    """A code location's file, in one of the ways a token can be named; the sandbox takes that token and no other."""
    fastlabel_sandbox.seed(tasks=3)
    monkeypatch.delenv("FASTLABEL_ACCESS_TOKEN")
    monkeypatch.setenv("A_VARIABLE", TOKEN)
    text = request.param.format(store=str(tmp_path / "store"), token=TOKEN, url=fastlabel_sandbox.url)
    place = tmp_path / "location.py"
    place.write_text(text, encoding="utf-8")
    return place


def loaded(place: Path) -> dg.Definitions:
    names: dict[str, Any] = {}
    exec(compile(place.read_text(encoding="utf-8"), str(place), "exec"), names)
    return names["defs"]


def test_a_token_that_works_is_stored_and_shown_nowhere(location, instance, fastlabel_sandbox, caplog, capfd):
    from dagster_graphql.test.utils import define_out_of_process_context, execute_dagster_graphql

    caplog.set_level(logging.DEBUG)
    defs = loaded(location)
    job = defs.resolve_job_def("street_scenes_sync")
    assert job.execute_in_process(instance=instance).success, "the token is the right one"
    for refused in (False, True):
        if refused:
            fastlabel_sandbox.fail("GET projects", times=50, status=401)
            assert not job.execute_in_process(instance=instance, raise_on_error=False).success
        for sensor in defs.sensors or ():
            with dg.build_sensor_context(
                instance=instance, definitions=defs, resources=dict(defs.resources or {})
            ) as context:
                tick = defs.resolve_sensor_def(sensor.name).evaluate_tick(context)
            assert TOKEN not in repr(tick)
    with define_out_of_process_context(str(location), None, instance) as context:
        answer = execute_dagster_graphql(context, EVERYTHING)
    assert not answer.errors, answer.errors
    shown = json.dumps(answer.data)
    assert "street_scenes_sync" in shown
    assert "RUN_FAILURE" in shown
    assert TOKEN not in shown
    kept = written(Path(instance.root_directory))
    assert b"street_scenes_labels" in kept, "this is where Dagster has written"
    assert TOKEN.encode() not in kept
    out, err = capfd.readouterr()
    assert TOKEN not in caplog.text + out + err
    assert TOKEN not in repr(defs.resources)


def test_snapshots_hold_the_name_of_the_variable_at_most(location):
    from dagster._core.remote_representation.external_data import RepositorySnap
    from dagster._serdes import serialize_value

    repository = loaded(location).get_repository_def()
    text = serialize_value(RepositorySnap.from_def(repository))
    text += "".join(serialize_value(job.get_job_snapshot()) for job in repository.get_all_jobs())
    assert "fastlabel" in text
    assert TOKEN not in text
    assert ("A_VARIABLE" in text) == ("A_VARIABLE" in location.read_text(encoding="utf-8"))


def test_everything_loads_with_the_variable_unset_and_a_run_says_what_is_missing(location, monkeypatch, instance):
    monkeypatch.delenv("A_VARIABLE")
    defs = loaded(location)
    defs.get_repository_def().load_all_definitions()
    if "A_VARIABLE" not in location.read_text(encoding="utf-8"):
        return
    with pytest.raises(Exception, match="A_VARIABLE"):
        defs.resolve_job_def("street_scenes_sync").execute_in_process(instance=instance)


@pytest.mark.parametrize(
    "connection",
    [
        {"access_token": TOKEN},
        {"access_token_env": TOKEN},
        {"access_token_env": "{{ env.A_VARIABLE }}"},
        {"access_token_env": "0123456789ABCDEF0123456789ABCDEF"},
    ],
)
@pytest.mark.parametrize("kind", ["FastLabelProjectComponent", "FastLabelWorkspaceComponent"])
def test_a_token_in_yaml_is_refused_in_words_that_do_not_repeat_it(connection, kind, tmp_path):
    import yaml

    root = tmp_path / "place"
    (root / "place" / "defs" / "one").mkdir(parents=True)
    (root / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "place"\n', encoding="utf-8"
    )
    for folder in (root / "place", root / "place" / "defs"):
        (folder / "__init__.py").touch()
    (root / "place" / "definitions.py").write_text(
        "from pathlib import Path\nimport dagster as dg\n"
        "defs = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)\n",
        encoding="utf-8",
    )
    attributes = {"fastlabel": connection, "store": "store"}
    if kind == "FastLabelProjectComponent":
        attributes["project"] = "street-scenes"
    (root / "place" / "defs" / "one" / "defs.yaml").write_text(
        yaml.safe_dump({"type": f"fastlabel_dagster.{kind}", "attributes": attributes}), encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import place.definitions"],
        cwd=root,
        env={**os.environ, "A_VARIABLE": TOKEN, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "environment variable" in said
    secret = next(iter(connection.values()))
    assert TOKEN not in said
    assert secret.startswith("{{") or secret not in said


@pytest.mark.parametrize("kind", ["FastLabelProjectComponent", "FastLabelWorkspaceComponent"])
@pytest.mark.parametrize("name", ["access_token", "access_token_env", "token", "project"])
def test_a_token_in_the_wrong_place_of_yaml_is_not_repeated(kind, name):
    from pydantic import ValidationError

    import fastlabel_dagster

    attributes = {"project": "a", "store": "b", name: [TOKEN] if name == "project" else TOKEN}
    with pytest.raises(ValidationError) as told:
        getattr(fastlabel_dagster, kind).model()(**attributes)
    assert name in str(told.value) and TOKEN not in str(told.value)
