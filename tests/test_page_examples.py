"""What README and the pages show can be typed as it stands. Tutorial and docs/testing.md have tests of their own."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner
from dagster.components.testing import create_defs_folder_sandbox

import fastlabel_dagster
from fastlabel_dagster.cli import main
from fastlabel_dagster.loop import LoopPlan
from fastlabel_dagster.sync import sync_project

ROOT = Path(__file__).parent.parent
PROJECT = "street-scenes"


def shown(page: str, kind: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


def loaded(defs: dg.Definitions) -> set[str]:
    """The assets and checks of definitions that load as a code location does."""
    defs.get_repository_def().load_all_definitions()
    graph = defs.resolve_asset_graph()
    return {str(key.to_user_string()) for key in graph.get_all_asset_keys()} | {
        check.name for check in graph.asset_check_keys
    }


@pytest.fixture
def bucket(fastlabel_sandbox: Any, fastlabel_client: Any, moto_s3: Any, tmp_path: Path, monkeypatch: Any) -> str:
    """The README's bucket with the first version of its mirror; the second is of the README's own sync."""
    monkeypatch.chdir(tmp_path)
    fastlabel_sandbox.seed(tasks=4, project=PROJECT)
    sync_project(fastlabel_client, PROJECT, f"s3://{moto_s3.bucket}/street")
    state = fastlabel_sandbox.state
    state.set_status(state.task_ids(PROJECT, status="completed")[0], "approved")
    return str(moto_s3.bucket)


def test_the_code_location_of_the_readme_loads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FASTLABEL_ACCESS_TOKEN", raising=False)
    names: dict[str, Any] = {}
    exec(shown("README.md", "python")[0], names)
    assert loaded(names["defs"]) >= {"street-scenes/labels", "street-scenes/coco", "street-scenes/yolo", "parity"}


def test_the_yaml_of_the_readme_loads(monkeypatch):
    monkeypatch.delenv("FASTLABEL_ACCESS_TOKEN", raising=False)
    (text,) = shown("README.md", "yaml")
    with create_defs_folder_sandbox() as folder:
        place = folder.defs_folder_path / "street"
        place.mkdir(parents=True)
        (place / "defs.yaml").write_text(text, encoding="utf-8")
        with folder.build_all_defs() as defs:
            assert loaded(defs) >= {"street-scenes/yolo", "street-scenes/auto_annotation", "gate"}
            assert yaml.safe_load(text)["attributes"]["loop"]["retrain_after"] == {"approved": 200}


def test_the_loop_as_it_is_shown_is_made_of_its_defaults():
    loop = yaml.safe_load(shown("docs/dagster.md", "yaml")[0])["loop"]
    needed = {name: loop[name] for name in ("retrain_after", "dataset", "base_model", "epoch")}
    assert LoopPlan.of(loop) == LoopPlan.of({**needed, "auto_annotate": True})


def test_the_readme_without_dagster_runs(bucket, capsys):
    code, console = shown("README.md", "python")[1], shown("README.md", "console")[-1]
    assert "s3://acme-labels/" in code and "s3://acme-labels/" in console
    code, console = code.replace("acme-labels", bucket), console.replace("acme-labels", bucket)
    exec(code.replace("diff(12, 15)", "diff(0, 1)").replace("version=12", "version=0"), {})
    said = capsys.readouterr().out
    assert "1 task completed → approved" in said and "coco" in said
    assert Path("out/coco/annotations.json").is_file() and len(list(Path("out/coco/images").rglob("*.jpg"))) == 4
    (code,) = shown("docs/formats.md", "python")
    exec(code.replace("data/street", f"s3://{bucket}/street"), {})
    commands = [line.removeprefix("$ fastlabel-dagster ") for line in console.splitlines()]
    assert len(commands) >= 6
    for command in commands:
        if command.startswith("sandbox"):  # it serves until it is stopped; the tutorial's test starts it
            continue
        arguments = shlex.split(command.replace("path/to/coco", "out/coco").replace(" 12 15", " 0 1"))
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, f"{command}: {done.output}"
    assert Path("out/yolo/data.yaml").is_file()
    convert, formats = (
        line.partition("#")[0].removeprefix("$ fastlabel-dagster ")
        for line in shown("docs/formats.md", "console")[0].splitlines()
    )
    for command in (convert.replace("SRC DST", "out/coco out/split"), formats):
        done = CliRunner().invoke(main, shlex.split(command))
        assert done.exit_code == 0, f"{command}: {done.output}"


def test_the_checks_of_their_page_load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FASTLABEL_ACCESS_TOKEN", raising=False)
    names: dict[str, Any] = {**vars(dg), "dg": dg, "my_labels": dg.AssetSpec("my_labels")}
    names |= {name: getattr(fastlabel_dagster, name) for name in fastlabel_dagster.__all__}
    first, own = shown("docs/checks.md", "python")
    assets = eval(first, names)
    resources = {"fastlabel": fastlabel_dagster.FastLabelResource(access_token=dg.EnvVar("FASTLABEL_ACCESS_TOKEN"))}
    told = loaded(dg.Definitions(assets=[*assets], resources=resources))
    assert told >= {"geometry", "class_drift", "approval_share", "duplicates"} and "quarantine" not in told
    exec(own, names)
    assert loaded(names["defs"]) >= {"my_labels", "duplicates", "images", "connection"}
