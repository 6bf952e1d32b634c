"""Conversions beside the official SDK, other converters and the physical limits, in one run on the same input.

    python -m benchmarks.conversions.run            # everything; twenty minutes
    python -m benchmarks.conversions.run --only coco --sizes 1000

Everybody starts from files and ends with files, in memory (``/dev/shm``) where there is such a place, for many disks
make writing small files slower than anything measured here. Each measurement is a process of its own which has done the
same on a small input before its clock starts. Each is the median of three runs: seven where it is quick, for then
whatever else a machine does is felt most, and one where it takes more than forty seconds. The peak is the process's
largest resident size, input included.

The table goes to docs/benchmarks.md with ``--write``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.conversions import prepared
from benchmarks.conversions.inputs import make_input
from benchmarks.conversions.report import Case, Measured, print_case, write_document

PEERS = ("labelformat", "globox", "datumaro", "supervision", "pycocotools")
_PEERS_PYTHON = Path(sys.prefix) / "peers" / "bin" / "python"
_ROOT = Path(__file__).resolve().parents[2]
_WARM = 20
#: What takes longer is run once.
_SLOW = 40.0
#: A step below so many seconds is run so often at least: what else a machine does is felt most in it.
_VERY_QUICK, _MORE_OFTEN = 0.4, 7
_MOST_SECONDS = 400


class Plan(NamedTuple):
    """One line of the comparison, at several sizes."""

    name: str
    kind: str
    sizes: tuple[int, ...]
    ours: str
    source: Callable[[Path], Path]
    others: tuple[str, ...] = ()
    most: dict[str, int] = {}  # noqa: RUF012 - a default nobody changes
    """The largest size a step is asked for: some take time by the square."""
    other_sources: dict[str, Callable[[Path], Path]] = {}  # noqa: RUF012
    prepare: tuple[Callable[[Path], object], ...] = ()
    goal: str = ""


def _json(source: Path) -> Path:
    return source


def _of(format: str, **options: object) -> Callable[[Path], Path]:
    return lambda source: prepared.dataset(source, format, **options)


_coco, _yolo = _of("coco"), _of("yolo", split=None)
_voc, _labelme = _of("pascal_voc"), _of("labelme")
_LIMITS = ("limit coco", "paused coco")
_LIMITS_READ = ("limit read coco", "paused read coco")
_PEERS_COCO = ("pycocotools", "faster-coco-eval", "labelformat", "globox", "datumaro", "supervision")

PLANS = (
    Plan("write COCO", "boxes", (1000, 5000, 20000), "coco", _json, ("mirror coco", "sdk coco", *_LIMITS),
         prepare=(prepared.mirror, _coco), goal="20x SDK, 2x limit"),
    Plan("write YOLO, classes given", "boxes", (1000, 5000, 20000), "yolo", _json,
         ("mirror yolo", "sdk yolo", "limit yolo"), prepare=(prepared.mirror, _yolo), goal="10x SDK, 3x limit"),
    Plan("write YOLO, classes found", "boxes", (1000, 5000, 20000), "yolo", _json,
         ("sdk yolo-without-classes",), {"sdk yolo-without-classes": 5000}, goal="100x SDK at 5,000"),
    Plan("write Pascal VOC", "boxes", (1000, 5000, 20000), "pascal_voc", _json,
         ("mirror pascal_voc", "sdk pascal_voc", "limit pascal_voc"), {"sdk pascal_voc": 5000},
         prepare=(prepared.mirror, _voc), goal="10x SDK"),
    Plan("write labelme", "boxes", (1000, 5000, 20000), "labelme", _json,
         ("mirror labelme", "sdk labelme", "limit labelme"), {"sdk labelme": 5000},
         prepare=(prepared.mirror, _labelme)),
    Plan("write COCO", "polygons", (5000,), "coco", _json, ("mirror coco", "sdk coco", *_LIMITS),
         prepare=(prepared.mirror, _coco), goal="20x SDK, 2x limit"),
    Plan("write YOLO segment", "polygons", (5000,), "yolo-segment", _json, ("mirror yolo-segment", "sdk yolo"),
         prepare=(prepared.mirror,)),
    Plan("write labelme", "polygons", (5000,), "labelme", _json, ("mirror labelme", "sdk labelme"),
         prepare=(prepared.mirror,)),
    Plan("write COCO keypoints", "poses", (2000,), "coco", _json, ("mirror coco", "sdk coco-pose", *_LIMITS),
         prepare=(prepared.mirror, _coco), goal="20x SDK"),
    Plan("write COCO, holes as masks", "segmentation", (300,), "coco", _json, ("mirror coco", "sdk coco"),
         prepare=(prepared.mirror,)),
    Plan("write semantic masks", "segmentation", (300,), "semantic_masks", _json,
         ("mirror semantic_masks", "sdk semantic_masks", "limit masks"), prepare=(prepared.mirror,),
         goal="15x SDK, 2x limit"),
    Plan("write instance masks", "segmentation", (300,), "instance_masks", _json,
         ("mirror instance_masks", "sdk instance_masks", "limit masks"), prepare=(prepared.mirror,),
         goal="15x SDK, 2x limit"),
    Plan("read COCO", "boxes", (1000, 5000, 20000), "read coco", _coco,
         ("sdk read coco", *(f"{peer} read coco" for peer in _PEERS_COCO), *_LIMITS_READ),
         {"sdk read coco": 5000, "datumaro read coco": 5000},
         other_sources={"sdk read coco": _of("coco", bbox_segmentation="rectangle")},  # it cannot read plain boxes
         goal="100x SDK at 5,000, faster than all"),
    Plan("read COCO", "polygons", (5000,), "read coco", _coco,
         (*(f"{peer} read coco" for peer in _PEERS_COCO[:4]), *_LIMITS_READ)),
    Plan("read YOLO", "boxes", (1000, 5000), "read yolo", _yolo,
         ("sdk read yolo", "labelformat read yolo", "supervision read yolo", "globox read yolo"),
         other_sources={"sdk read yolo": prepared.sdk_yolo}),
    Plan("read Pascal VOC", "whole", (1000, 5000), "read pascal_voc", _voc,
         ("sdk read pascal_voc", "labelformat read pascal_voc", "globox read pascal_voc")),
    Plan("read labelme", "boxes", (1000, 5000), "read labelme", _labelme, ("sdk read labelme",)),
    Plan("COCO to YOLO", "boxes", (1000, 5000), "coco>yolo", _coco,
         tuple(f"{peer} coco>yolo" for peer in ("labelformat", "globox", "datumaro", "supervision")),
         {"supervision coco>yolo": 1000, "datumaro coco>yolo": 5000}),
    Plan("COCO to Pascal VOC", "boxes", (1000, 5000), "coco>pascal_voc", _coco,
         tuple(f"{peer} coco>pascal_voc" for peer in ("labelformat", "globox", "supervision")),
         {"supervision coco>pascal_voc": 1000}),
    Plan("much: COCO", "boxes", (200_000,), "coco", _json, goal="1 GB"),
    Plan("much: YOLO", "boxes", (200_000,), "yolo", _json, goal="1 GB"),
    Plan("much: read COCO", "boxes", (200_000,), "read coco", _coco, goal="1 GB"),
)  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", default="", help="only the lines whose name has these letters")
    arguments.add_argument("--sizes", type=int, nargs="*", default=[], help="only these numbers of tasks")
    arguments.add_argument("--runs", type=int, default=3, help="runs of everything that is quick")
    arguments.add_argument("--without", default="", help="leave out steps that begin so, such as sdk")
    arguments.add_argument("--folder", type=Path, default=None, help="where to work (default: memory, if possible)")
    arguments.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    given = arguments.parse_args()
    memory = Path("/dev/shm")
    where = given.folder or (memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir()))
    cases: list[Case] = []
    with tempfile.TemporaryDirectory(dir=where) as folder:
        for plan in PLANS:
            if given.only.lower() not in plan.name.lower():
                continue
            for size in plan.sizes:
                if given.sizes and size not in given.sizes:
                    continue
                case = _measure_case(plan, size, given.runs, given.without, Path(folder))
                cases.append(case)
                print_case(case)
    if given.write:
        write_document(_ROOT / "docs" / "benchmarks.md", cases, given.runs)


def _measure_case(plan: Plan, size: int, runs: int, without: str, folder: Path) -> Case:
    warm, source = make_input(folder, plan.kind, _WARM), make_input(folder, plan.kind, size)
    for prepare in plan.prepare:
        prepare(warm)
        prepare(source)
    steps = [f"ours {plan.ours}", *plan.others]
    results: dict[str, Measured] = {}
    for step in steps:
        if size > plan.most.get(step, size) or (without and step.startswith(without)):
            continue
        place = plan.other_sources.get(step, plan.source)
        results[step] = _measure(step, place(warm), place(source), runs, folder)
    return Case(plan.name, plan.kind, size, plan.goal, results)


def _measure(step: str, warm: Path, source: Path, runs: int, folder: Path) -> Measured:
    found: list[dict[str, float]] = []
    while len(found) < (max(runs, _MORE_OFTEN) if found and found[0]["seconds"] < _VERY_QUICK else runs):
        with tempfile.TemporaryDirectory(dir=folder) as out:
            command = [str(_python_of(step)), "-m", "benchmarks.conversions.one", step, str(warm), str(source), out]
            try:
                done = subprocess.run(
                    command, check=False, capture_output=True, text=True, cwd=_ROOT, timeout=_MOST_SECONDS
                )
            except subprocess.TimeoutExpired:
                return Measured(float("nan"), float("nan"), 0, f"not done after {_MOST_SECONDS} s")
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            return Measured(float("nan"), float("nan"), 0, last[:100])
        found.append(json.loads(done.stdout.splitlines()[-1]))
        if found[-1]["seconds"] > _SLOW:
            break
    return Measured(_median(one["seconds"] for one in found), max(one["peak_mb"] for one in found), len(found))


def _python_of(step: str) -> Path:
    return _PEERS_PYTHON if step.partition(" ")[0] in PEERS else Path(sys.executable)


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    main()
