"""What 300 projects cost when a code location loads: ``python -m benchmarks.load [projects] [rounds]``.

Two projects are made in a temporary folder: an empty one, and one with a ``FastLabelWorkspaceComponent`` whose state
file holds 300 FastLabel projects, which are 3,000 assets. Both are loaded in fresh processes, in turns, as ``dg check
defs`` loads them; the network is shut in all of them. The difference of the medians is what the assets cost.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BUDGET_SECONDS = 1.0
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
COMPONENT = """\
type: fastlabel_dagster.FastLabelWorkspaceComponent
attributes:
  store: data
  exports: [coco, yolo]
  dataset: "{slug}"
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


def make(folder: Path, projects: int) -> Path:
    """A ``dg`` project below ``folder``; with a workspace of so many projects in its state file, or without one."""
    place = folder / "place"
    (place / "defs").mkdir(parents=True)
    for one in (place, place / "defs"):
        (one / "__init__.py").touch()
    (place / "definitions.py").write_text(DEFINITIONS, encoding="utf-8")
    (folder / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    if projects:
        (place / "defs" / "workspace").mkdir()
        (place / "defs" / "workspace" / "defs.yaml").write_text(COMPONENT, encoding="utf-8")
        _write_state(place, projects)
    return folder


def _write_state(place: Path, projects: int) -> None:
    """The state file where Dagster looks for it, as ``dg utils refresh-defs-state`` would leave it."""
    import yaml

    from fastlabel_dagster import FastLabelWorkspaceComponent
    from fastlabel_dagster.workspace import AnnotationClass, FastLabelWorkspace, Project

    attributes = yaml.safe_load(COMPONENT)["attributes"]
    key = FastLabelWorkspaceComponent.from_attributes_dict(attributes=attributes).defs_state_config.key
    classes = tuple(AnnotationClass(id=str(n), value=f"class-{n}", type="bbox") for n in range(10))
    workspace = FastLabelWorkspace(
        base_url="https://api.fastlabel.ai/v1/",
        fetched_at="2026-01-01T00:00:00+00:00",
        projects=tuple(
            Project(
                id=str(n), slug=f"project-{n:03d}", name=f"Project {n}", type="image_bbox", classes=classes, tasks=n
            )
            for n in range(projects)
        ),
    )
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
        empty, full = make(Path(name) / "empty", 0), make(Path(name) / "full", projects)
        load(empty), load(full)  # compiled files and the disk's cache
        pairs = [(load(empty), load(full)) for _ in range(rounds)]
    nothing = statistics.median(pair[0][0] for pair in pairs)
    all_of_it = statistics.median(pair[1][0] for pair in pairs)
    _, assets, materializable = pairs[0][1]
    added = all_of_it - nothing
    print(f"loading a code location, medians of {rounds} fresh processes each, in turns, network shut")
    print(f"  empty                                  {nothing:6.2f} s")
    print(f"  {projects} projects, {assets:,} assets ({materializable:,} made here)  {all_of_it:6.2f} s")
    if projects == PROJECTS:
        print(f"  added {added:.2f} s; budget {BUDGET_SECONDS} s: {'kept' if added <= BUDGET_SECONDS else 'EXCEEDED'}")
    else:
        print(f"  added {added:.2f} s")
    return 0 if added <= BUDGET_SECONDS or projects != PROJECTS else 1


if __name__ == "__main__":
    sys.exit(main())
