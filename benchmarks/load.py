"""What 300 projects cost when a code location loads: ``python -m benchmarks.load [projects] [rounds]``.

Small ``dg`` projects are made in a temporary folder: an empty one, one for each form a workspace of 300 FastLabel
projects can take in ``FastLabelWorkspaceComponent`` (its state file is written there too), and two of bare Dagster, a
component of the same number of definitions with nothing of this package: what Dagster takes for them whoever makes
them. All are loaded in fresh processes, in turns, as ``dg check defs`` loads them; the network is shut in all of them.
The difference of a median to the empty project's is what the assets cost.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastlabel_dagster.workspace import FastLabelWorkspace

BUDGET_SECONDS = 1.0
#: The forms that have to keep it, or the command fails. What 300 steps with their checks take is mostly Dagster's own.
WITHIN_BUDGET = frozenset({"shown", "partitioned"})
PROJECTS = 300
ROUNDS = 7

DEFINITIONS = """\
from pathlib import Path
import dagster as dg
defs = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
SETTINGS = """\
[tool.dg]
directory_type = "project"
[tool.dg.project]
root_module = "place"
"""
_WORKSPACE = "fastlabel_dagster.FastLabelWorkspaceComponent"


@dataclass(frozen=True)
class Form:
    """One way to have the workspace in a code location: a component and its attributes."""

    label: str
    type: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it is a workspace; else it is bare Dagster, or nothing."""
        return self.type == _WORKSPACE


#: The first is what the others are measured by.
FORMS = {
    "empty": Form("nothing"),
    "shown": Form("workspace shown as external assets", _WORKSPACE),
    "partitioned": Form(
        "mirrored and exported, one set of assets partitioned by project",
        _WORKSPACE,
        {"store": "data", "exports": ["coco", "yolo"], "partitions": "project"},
    ),
    "gathered": Form(
        "mirrored, exported and published, one step for each project",
        _WORKSPACE,
        {"store": "data", "exports": ["coco", "yolo"], "dataset": "{slug}"},
    ),
    "bare_specs": Form("bare Dagster: as many AssetSpecs", "place.bare.Bare", {"form": "specs"}),
    "bare_steps": Form(
        "bare Dagster: as many steps (multi_asset) of 10 AssetSpecs", "place.bare.Bare", {"form": "steps"}
    ),
}
BARE = """\
import dagster as dg

class Bare(dg.Component, dg.Model, dg.Resolvable):
    form: str
    projects: int

    def build_defs(self, context):
        of_each = [[dg.AssetSpec(dg.AssetKey([f"p{p}", f"a{a}"])) for a in range(10)] for p in range(self.projects)]
        if self.form == "specs":
            return dg.Definitions(assets=[spec for specs in of_each for spec in specs])
        return dg.Definitions(assets=[self.step(number, specs) for number, specs in enumerate(of_each)])

    def step(self, number, specs):
        @dg.multi_asset(name=f"step_{number}", specs=specs, can_subset=True)
        def step():
            yield from ()
        return step
"""
PROBE = """\
import socket, sys, time
def refuse(*args, **kwargs):
    raise RuntimeError("the network was touched while a code location loaded")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
import dagster, dagster.components, dagster.components.core.load_defs
start = time.perf_counter()
import place.definitions
repository = place.definitions.defs.get_repository_def()
repository.load_all_definitions()
seconds = time.perf_counter() - start
materializable = len(repository.asset_graph.materializable_asset_keys)
print(seconds, len(repository.asset_graph.get_all_asset_keys()), materializable)
"""


def make(folder: Path, projects: int, form: str = "gathered") -> Path:
    """A ``dg`` project below ``folder`` that holds one of ``FORMS`` with so many FastLabel projects in its state."""
    what = FORMS[form]
    place = folder / "place"
    (place / "defs").mkdir(parents=True)
    for one in (place, place / "defs"):
        (one / "__init__.py").touch()
    (place / "definitions.py").write_text(DEFINITIONS, encoding="utf-8")
    (place / "bare.py").write_text(BARE, encoding="utf-8")
    (folder / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    if what.type:
        attributes = {**what.attributes, **({} if what.ours else {"projects": projects})}
        (place / "defs" / "workspace").mkdir()
        text = json.dumps({"type": what.type, "attributes": attributes})  # which is YAML too
        (place / "defs" / "workspace" / "defs.yaml").write_text(text, encoding="utf-8")
        if what.ours:
            _write_state(place, attributes, workspace_of(projects, whole=form == "shown"))
    return folder


def workspace_of(projects: int, *, whole: bool) -> FastLabelWorkspace:
    """A made-up workspace. Of a ``whole`` one 10 assets for each project can be shown.

    That is: itself, its classes, imports and auto-annotations; and for each project 3 datasets and 3 models of the
    workspace, less 2 in all for its trainings and its evaluations. One that is not ``whole`` has projects and classes.
    """
    from fastlabel_dagster.workspace import (
        AnnotationClass,
        AutoAnnotationJob,
        Dataset,
        FastLabelWorkspace,
        ImportHistory,
        Model,
        Project,
        TrainingJob,
    )

    day = "2026-01-01T00:00:00.000Z"
    classes = tuple(AnnotationClass(id=str(n), value=f"class-{n}", type="bbox") for n in range(10))
    imports = tuple(ImportHistory(id=f"i{n}", status="completed", created_at=day) for n in range(3))
    annotated = (AutoAnnotationJob(id="a", status="completed", model="detector", created_at=day),)
    models = [
        Model(id=f"m{n}", name=f"model-{n:04d}", classes=("car", "person"), training_job=f"t{n}")
        for n in range(max(3 * projects - 2, 0))
    ]
    return FastLabelWorkspace(
        base_url="https://api.fastlabel.ai/v1/",
        fetched_at=day,
        projects=tuple(
            Project(
                id=str(n),
                slug=f"project-{n:03d}",
                name=f"Project {n}",
                type="image_bbox",
                status="active",
                tasks=n,
                classes=classes,
                imports=imports if whole else (),
                auto_annotations=annotated if whole else (),
            )
            for n in range(projects)
        ),
        datasets=tuple(Dataset(id=f"d{n}", name=f"dataset-{n:04d}", objects=n) for n in range(3 * projects * whole)),
        trainings=tuple(TrainingJob(id=one.training_job, status="completed", model=one) for one in models)
        if whole
        else None,
        evaluations=() if whole else None,
    )


def _write_state(place: Path, attributes: Mapping[str, Any], workspace: FastLabelWorkspace) -> None:
    """The state file where Dagster looks for it, as ``dg utils refresh-defs-state`` would leave it."""
    from fastlabel_dagster import FastLabelWorkspaceComponent

    key = FastLabelWorkspaceComponent.from_attributes_dict(attributes=dict(attributes)).defs_state_config.key
    state = place / "defs" / ".local_defs_state" / key / "state"
    state.parent.mkdir(parents=True)
    state.write_text(workspace.to_json(), encoding="utf-8")


def load(folder: Path) -> tuple[float, int, int]:
    """Seconds it took a fresh process to load the project after Dagster itself, its assets, and those it can make."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}
    for name in [name for name in environment if name.startswith("FASTLABEL_")]:
        del environment[name]
    command = [sys.executable, "-W", "ignore", "-c", PROBE]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    seconds, assets, materializable = done.stdout.split()[-3:]
    return float(seconds), int(assets), int(materializable)


def main() -> int:
    projects = int(sys.argv[1]) if len(sys.argv) > 1 else PROJECTS
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    with tempfile.TemporaryDirectory() as name:
        folders = {form: make(Path(name) / form, projects, form) for form in FORMS}
        for folder in folders.values():
            load(folder)  # compiled files and the disk's cache
        runs = [{form: load(folder) for form, folder in folders.items()} for _ in range(rounds)]
    seconds = {form: statistics.median(run[form][0] for run in runs) for form in FORMS}
    print(f"loading a code location, medians of {rounds} fresh processes each, in turns, network shut")
    print(f"{'seconds':>8} {'added':>6} {'assets':>7} {'made here':>10}   form, of {projects} projects")
    for form, what in FORMS.items():
        _, assets, made = runs[0][form]
        added = "" if form == "empty" else f"{seconds[form] - seconds['empty']:.2f}"
        print(f"{seconds[form]:8.2f} {added:>6} {assets:7,} {made:10,}   {what.label}")
    if projects != PROJECTS:
        return 0
    print(f"budget: {BUDGET_SECONDS} s added; bare Dagster is no form of ours, but what Dagster takes by itself")
    kept = True
    for form, what in FORMS.items():
        if what.ours:
            within = seconds[form] - seconds["empty"] <= BUDGET_SECONDS
            kept = kept and (within or form not in WITHIN_BUDGET)
            print(f"  {what.label}: {'kept' if within else 'EXCEEDED'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
