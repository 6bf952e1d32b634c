"""What 300 projects cost ``dg check defs``: ``python -m benchmarks.load [projects] [rounds]``.

Small ``dg`` projects are made in a temporary folder: an empty one, one for each form a workspace of 300 FastLabel
projects can take in ``FastLabelWorkspaceComponent`` (its state file is written there too), and bare Dagster: a
component with the same number of definitions and nothing of this package in it, which is what Dagster takes for them
whoever makes them. ``dg check defs`` runs in all of them, in turns, each time in a fresh process and with the network
shut. The difference of a median to the empty project's is what the assets cost.

Judged is the time of the processor, in which other work on the machine counts less; the clock is shown beside it.
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
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fastlabel_dagster.workspace import FastLabelWorkspace

BUDGET_SECONDS = 1.0
#: The forms that have to keep it, or the command fails. 300 steps with 2,700 checks exceed it in bare Dagster too.
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
_WORKSPACE = "fastlabel_dagster.components.FastLabelWorkspaceComponent"


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
        "bare Dagster: as many steps (multi_asset) of 8 AssetSpecs and 9 checks, and 2 AssetSpecs beside each",
        "place.bare.Bare",
        {"form": "steps"},
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
        steps = [self.step(number, specs[:8]) for number, specs in enumerate(of_each)]
        return dg.Definitions(assets=[*steps, *(spec for specs in of_each for spec in specs[8:])])

    def step(self, number, specs):
        checks = [dg.AssetCheckSpec(f"check_{n}", asset=specs[n % 8].key) for n in range(9)]
        @dg.multi_asset(name=f"step_{number}", specs=specs, check_specs=checks, can_subset=True)
        def step():
            yield from ()
        return step
"""
_SHUT = """\
import socket, sys, time
def refuse(*args, **kwargs):
    raise RuntimeError("the network was touched while a code location loaded")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
start = time.perf_counter()
"""
_CHECKED = """\
from dagster_dg_cli.cli import main
sys.argv = ["dg", "check", "defs"]
try:
    main()
except SystemExit as ended:
    if ended.code:
        raise
"""
_COUNTED = """\
import place.definitions
clock, processor = time.perf_counter() - start, time.process_time()
repository = place.definitions.defs.get_repository_def()
graph, checks = repository.asset_graph, repository.asset_checks_defs_by_key
print(
    clock, processor, len(graph.get_all_asset_keys()), len(graph.materializable_asset_keys),
    len(graph.asset_check_keys), len(set(checks.values())),
)
"""
#: What a fresh process does: all of ``dg check defs``, or nothing but loading the definitions.
PROBES = {"check": _SHUT + _CHECKED + _COUNTED, "load": _SHUT + _COUNTED}


class Loaded(NamedTuple):
    """What a process found: seconds by the clock and of the processor, assets, those that can be made here, checks, and
    the definitions of checks alone."""

    clock: float
    processor: float
    assets: int
    made: int
    checks: int
    check_definitions: int


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


def run(folder: Path, probe: str = "check") -> Loaded:
    """Run one of ``PROBES`` on a project in a fresh process. Raises RuntimeError with what it said if it fails."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}
    for name in [name for name in environment if name.startswith("FASTLABEL_")]:
        del environment[name]
    environment["VIRTUAL_ENV"] = sys.prefix
    command = [sys.executable, "-W", "ignore", "-c", PROBES[probe]]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    clock, processor, *counts = done.stdout.split()[-6:]
    return Loaded(float(clock), float(processor), *map(int, counts))


def main() -> int:
    projects = int(sys.argv[1]) if len(sys.argv) > 1 else PROJECTS
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    with tempfile.TemporaryDirectory() as name:
        folders = {form: make(Path(name) / form, projects, form) for form in FORMS}
        for folder in folders.values():
            run(folder)  # compiled files and the disk's cache
        runs = [{form: run(folder) for form, folder in folders.items()} for _ in range(rounds)]
    clock = {form: statistics.median(one[form].clock for one in runs) for form in FORMS}
    processor = {form: statistics.median(one[form].processor for one in runs) for form in FORMS}
    added = {form: processor[form] - processor["empty"] for form in FORMS}
    print(f"dg check defs, medians of {rounds} fresh processes each, in turns, network shut; seconds")
    heads = f"{'clock':>6} {'processor':>9} {'added':>6} {'assets':>7} {'made':>6} {'checks':>6}"
    print(f"{heads}   form, of {projects} projects")
    for form, what in FORMS.items():
        found = runs[0][form]
        more = "" if form == "empty" else f"{added[form]:.2f}"
        print(
            f"{clock[form]:6.2f} {processor[form]:9.2f} {more:>6} {found.assets:7,} {found.made:6,} {found.checks:6,}"
            f"   {what.label}"
        )
    if projects != PROJECTS:
        return 0
    print(f"budget: {BUDGET_SECONDS} s added; bare Dagster is no form of ours, but what Dagster takes by itself")
    kept = True
    for form, what in FORMS.items():
        within = added[form] <= BUDGET_SECONDS
        kept = kept and (within or form not in WITHIN_BUDGET)
        if form != "empty":
            print(f"  {what.label}: {'kept' if within else 'EXCEEDED'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
