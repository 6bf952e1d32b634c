"""What was measured, as a table on the terminal and as docs/benchmarks.md."""

from __future__ import annotations

import math
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple


class Measured(NamedTuple):
    seconds: float
    peak_mb: float
    runs: int
    problem: str = ""


class Case(NamedTuple):
    name: str
    kind: str
    tasks: int
    goal: str
    results: dict[str, Measured]
    """By step; ours is the first."""


def print_case(case: Case) -> None:
    print(f"\n{case.name}, {case.tasks:,} x {case.kind}" + (f"   (goal: {case.goal})" if case.goal else ""), flush=True)
    for step, found in case.results.items():
        if found.problem:
            print(f"  {_who(step):30} {found.problem}", flush=True)
        else:
            print(
                f"  {_who(step):30} {found.seconds:>9.3f} s  {_ratio(case, step):>9}  {found.peak_mb:>7.0f} MB",
                flush=True,
            )


def write_document(path: Path, cases: list[Case], runs: int) -> None:
    """The same as Markdown, with what it was measured on."""
    lines = [_HEAD.format(machine=_machine(), versions=_versions(), runs=runs)]
    for name in dict.fromkeys(case.name for case in cases):
        of_name = [case for case in cases if case.name == name]
        goal = next((case.goal for case in of_name if case.goal), "")
        lines.append(f"\n## {name[:1].upper() + name[1:]}\n" + (f"\nAsked for: {goal}.\n" if goal else ""))
        lines.append("| input | who | seconds | beside ours | peak MB |\n|---|---|---:|---:|---:|")
        for case in of_name:
            for step, found in case.results.items():
                what = f"{case.tasks:,} x {case.kind}"
                if found.problem:
                    lines.append(f"| {what} | {_who(step)} | {found.problem} | | |")
                else:
                    ratio = _ratio(case, step)
                    lines.append(f"| {what} | {_who(step)} | {found.seconds:.3f} | {ratio} | {found.peak_mb:,.0f} |")
    path.write_text("\n".join(lines) + "\n")


def _ratio(case: Case, step: str) -> str:
    ours = next(iter(case.results.values())).seconds
    theirs = case.results[step].seconds
    if math.isnan(ours) or math.isnan(theirs) or theirs == ours:
        return ""
    return f"{theirs / ours:.2f}x" if theirs < 10 * ours else f"{theirs / ours:.0f}x"


def _who(step: str) -> str:
    who = step.partition(" ")[0]
    return {"ours": "fastlabel-dagster", "mirror": "fastlabel-dagster, from the mirror", "sdk": "fastlabel SDK",
            "limit": "the physical limit", "paused": "the same, no garbage collection"}.get(who, who)  # fmt: skip


def _machine() -> str:
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"


def _versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("fastlabel", "pyarrow", "numpy", "orjson", "opencv-python"))


_HEAD = """# Benchmarks

Written by `make bench`: one run, the same input for everybody, from files to files in memory (tmpfs).
Machine: {machine}. Versions: {versions}; the other converters are those of `benchmarks/peers.txt`.

Each figure is the median of {runs} processes (seven for what takes less than 0.4 seconds, one for what takes longer
than forty); every process has done the step on a small input before its clock starts. "Beside ours" is how many
times our time somebody needs: above 1 is slower. The peak is the largest resident size of the process, libraries
and input included.

Who starts from what: we and the SDK start from FastLabel's JSON (`json.load` and the public export method of the SDK),
other converters from the COCO file, for they do not know FastLabel. The physical limits convert nothing:
for COCO, orjson reads the FastLabel JSON and writes the COCO document; for label files, the finished bytes are written
one file after the other (no pictures: neither do we); for masks, OpenCV fills the outlines (not exactly: borders too)
and encodes a PNG; for reading COCO, orjson parses the file. Python searches for garbage while orjson makes its objects,
which takes most of that time; ours pauses the search, so the limit is given with and without it."""
