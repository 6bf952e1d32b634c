"""COCO and YOLO exports beside the official SDK: time, growth and memory.

    python -m benchmarks.export --tasks 20000

Both sides start from the same thing, a list of task JSON in memory with eight boxes a task, and end with files on disk.
Ours is measured twice: from that list (which includes making the label tables), and from label tables as a mirror holds
them. The SDK runs on growing sizes until its budget of seconds is used up; what it would take for more is
extrapolated by the growth seen, and marked with ``~``. Every measurement is a process of its own; the peak is that
process's largest resident size, the task list included. Times are the median of the runs; every process exports one
task before its clock starts, so that loading libraries is not measured.

Files go to memory (``/dev/shm``) where there is such a place, for many disks make writing small files slower than
anything measured here; ``--folder`` names another. YOLO has a row for the files alone, which no converter can go below.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

BOXES = 8
CLASSES = [f"class-{number}" for number in range(10)]
FORMATS = ("coco", "yolo")


class Row(NamedTuple):
    """One measurement."""

    tool: str
    format: str
    tasks: int
    seconds: float
    peak_mb: float
    runs: int
    extrapolated: bool = False


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--tasks", type=int, default=20_000, help="tasks of the largest export")
    arguments.add_argument("--runs", type=int, default=3, help="measurements of each of our cases")
    arguments.add_argument("--sdk-budget", type=float, default=40.0, help="seconds the SDK gets per format")
    arguments.add_argument("--folder", type=Path, default=None, help="where to write (default: memory, if possible)")
    arguments.add_argument("--measure", nargs=3, metavar=("TOOL", "FORMAT", "TASKS"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.measure:
        tool, format, tasks = given.measure
        print(json.dumps(measure(tool, format, int(tasks), given.folder)))
        return
    memory = Path("/dev/shm")
    where = given.folder or (memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir()))
    print(f"files are written below {where}")
    with tempfile.TemporaryDirectory(dir=where) as folder:
        for format in FORMATS:
            compare(format, given.tasks, given.runs, given.sdk_budget, Path(folder))


def compare(format: str, tasks: int, runs: int, sdk_budget: float, folder: Path) -> None:
    """Measure one format and print its table."""
    sizes = [max(1, tasks // 20), max(1, tasks // 4), tasks]
    rows: list[Row] = []
    for tool in ("tables", "tasks"):
        rows += [run(tool, format, size, runs, folder) for size in sizes]
    rows += run_sdk(format, tasks, sdk_budget, folder)
    if format == "yolo":
        rows += [run("labelformat", format, size, 1, folder) for size in sizes]
        rows += [run("files", format, size, runs, folder) for size in sizes]

    print(f"\n{format.upper()}, {BOXES} boxes a task")
    print(f"{'':34}{'tasks':>8}{'seconds':>10}{'ms/task':>9}{'growth':>16}{'peak MB':>9}{'runs':>6}")
    before: Row | None = None
    for row in rows:
        growth = ""
        if before is not None and before.tool == row.tool and row.tasks > before.tasks:
            growth = f"x{row.seconds / before.seconds:.1f} for x{row.tasks / before.tasks:g}"
        mark = "~" if row.extrapolated else ""
        peak = "" if math.isnan(row.peak_mb) else f"{row.peak_mb:.0f}"
        time_text = f"{mark}{row.seconds:.2f}"
        each = 1000 * row.seconds / row.tasks
        print(f"{NAMES[row.tool]:34}{row.tasks:>8,}{time_text:>10}{each:>9.3f}{growth:>16}{peak:>9}{row.runs or '':>6}")
        before = row
    seconds = {(row.tool, row.tasks): row.seconds for row in rows}
    measured = max((row.tasks for row in rows if row.tool == "sdk" and not row.extrapolated), default=0)
    ours_there = run("tasks", format, measured, runs, folder).seconds if measured else math.nan
    print(
        f"  at {measured:,} tasks, both measured: {seconds[('sdk', measured)] / ours_there:.0f} times the SDK's speed"
    )
    if measured < tasks:
        ratio = seconds[("sdk", tasks)] / seconds[("tasks", tasks)]
        print(f"  at {tasks:,} tasks, the SDK extrapolated: ~{ratio:.0f} times")


NAMES = {
    "tables": "fastlabel-dagster, from tables",
    "tasks": "fastlabel-dagster, from task JSON",
    "sdk": "fastlabel SDK, from task JSON",
    "labelformat": "labelformat, from a COCO file",
    "files": "the same label files, nothing else",
}


def run_sdk(format: str, tasks: int, budget: float, folder: Path) -> list[Row]:
    """The SDK on growing sizes while its budget lasts, and what it would take for all tasks."""
    rows: list[Row] = []
    size = min(500, tasks)
    while True:
        rows.append(run("sdk", format, size, 1, folder))
        spent = sum(row.seconds for row in rows)
        following = min(2 * size, tasks)
        if following == size or spent + 2.5 * rows[-1].seconds > budget:
            break
        size = following
    last = rows[-1]
    if last.tasks < tasks:
        growth = 1.0
        if len(rows) > 1:  # over all sizes: two neighbours on a busy machine would tell tales
            growth = max(1.0, math.log(last.seconds / rows[0].seconds) / math.log(last.tasks / rows[0].tasks))
        seconds = last.seconds * (tasks / last.tasks) ** growth
        rows.append(Row("sdk", format, tasks, seconds, math.nan, 0, extrapolated=True))
    return rows


def run(tool: str, format: str, tasks: int, runs: int, folder: Path) -> Row:
    """Measure in processes of their own."""
    found = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            command = [
                sys.executable,
                "-m",
                "benchmarks.export",
                "--measure",
                tool,
                format,
                str(tasks),
                "--folder",
                place,
            ]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    seconds = statistics.median(one["seconds"] for one in found)
    return Row(tool, format, tasks, seconds, max(one["peak_mb"] for one in found), runs)


def measure(tool: str, format: str, tasks: int, folder: Path) -> dict[str, float]:
    """Run one export in this process; the task list is made before the clock starts."""
    tools = {"tables": _from_tables, "tasks": _from_tasks, "sdk": _sdk, "labelformat": _labelformat, "files": _files}
    export = tools[tool]
    export(format, make_tasks(1), folder / "warm")()
    work = export(format, make_tasks(tasks), folder)
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    shutil.rmtree(folder / "out", ignore_errors=True)
    return {"seconds": seconds, "peak_mb": peak / (2**20 if sys.platform == "darwin" else 2**10)}


def make_tasks(count: int) -> list[dict[str, Any]]:
    """Task JSON as the API sends it, the same in every process."""
    import numpy as np

    random = np.random.default_rng(7)
    corner = np.round(random.random((count, BOXES, 2)) * [1700, 900], 2)
    ends = np.round(corner + 10 + random.random((count, BOXES, 2)) * 170, 2)
    points = np.concatenate([corner, ends], axis=2).tolist()
    kinds = random.integers(0, len(CLASSES), (count, BOXES)).tolist()
    return [
        {
            "id": f"{number:032x}",
            "name": f"{number:06}.jpg",
            "width": 1920,
            "height": 1080,
            "status": "approved",
            "externalStatus": "registered",
            "tags": [],
            "annotations": [
                {
                    "id": f"{number:024x}{place:08x}",
                    "type": "bbox",
                    "title": CLASSES[kind],
                    "value": CLASSES[kind],
                    "color": "#ff0000",
                    "attributes": [],
                    "points": box,
                    "rotation": 0,
                    "keypoints": [],
                    "confidenceScore": -1,
                }
                for place, (kind, box) in enumerate(zip(kinds[number], points[number], strict=True))
            ],
            "createdAt": "2024-01-01T00:00:00.000Z",
            "updatedAt": "2024-01-01T00:00:00.000Z",
        }
        for number in range(count)
    ]


def make_classes() -> list[dict[str, Any]]:
    return [
        {
            "id": value,
            "type": "bbox",
            "value": value,
            "title": value,
            "color": "#ff0000",
            "order": order,
            "attributes": [],
        }
        for order, value in enumerate(CLASSES, start=1)
    ]


def _from_tasks(format: str, tasks: list[dict[str, Any]], folder: Path) -> Callable[[], object]:
    from fastlabel_dagster import formats, labels

    def work() -> object:
        return formats.write(labels.from_fastlabel(tasks, make_classes()), format=format, target=folder / "out")

    return work


def _from_tables(format: str, tasks: list[dict[str, Any]], folder: Path) -> Callable[[], object]:
    from fastlabel_dagster import formats, labels

    content = labels.from_fastlabel(tasks, make_classes())
    assert content.tasks.num_rows == len(tasks)
    tasks.clear()
    return lambda: formats.write(content, format=format, target=folder / "out")


def _sdk(format: str, tasks: list[dict[str, Any]], folder: Path) -> Callable[[], object]:
    """The SDK's own export methods, unchanged; only the question for the project's type is answered here."""
    import fastlabel

    client = fastlabel.Client(access_token="no-token-needed")
    client.find_project_by_slug = lambda slug: {"type": "image_bbox", "slug": slug}
    target = str(folder / "out")
    if format == "coco":
        return lambda: client.export_coco(project="bench", tasks=tasks, output_dir=target)
    return lambda: client.export_yolo(project="bench", tasks=tasks, classes=sorted(CLASSES), output_dir=target)


def _files(format: str, tasks: list[dict[str, Any]], folder: Path) -> Callable[[], object]:
    """Nothing but the system's calls for one file of a usual size per task."""
    target = folder / "out"
    line = b"0 0.123456789 0.123456789 0.123456789 0.123456789\n" * BOXES
    names = [task["name"].replace(".jpg", ".txt") for task in tasks]

    def work() -> None:
        target.mkdir(parents=True)
        for name in names:
            (target / name).write_bytes(line)

    return work


def _labelformat(format: str, tasks: list[dict[str, Any]], folder: Path) -> Callable[[], object]:
    """labelformat has no FastLabel reader, so it starts from the COCO file of the same labels; reading it is timed."""
    from labelformat.formats import COCOObjectDetectionInput, YOLOv8ObjectDetectionOutput

    from fastlabel_dagster import formats, labels

    formats.write(labels.from_fastlabel(tasks, make_classes()), format="coco", target=folder / "coco")

    def work() -> object:
        source = COCOObjectDetectionInput(folder / "coco" / "annotations.json")
        return YOLOv8ObjectDetectionOutput(folder / "out" / "data.yaml", "train").save(source)

    return work


if __name__ == "__main__":
    main()
