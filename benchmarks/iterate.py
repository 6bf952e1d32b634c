"""Read every task of a large project: ours beside the loop of the SDK's README, without its sleep.

    python -m benchmarks.iterate --tasks 100000

The sandbox runs in a process of its own, each reader in another. Both use their defaults and keep nothing but a count.
Memory is what the process grew by while reading, looked at after each tenth of the tasks.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from benchmarks.measure import in_a_process, resident_mb, sandbox_in_a_process

PROJECT = "many"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--tasks", type=int, default=100_000, help="tasks of the project, eight boxes each")
    arguments.add_argument("--measure", nargs=3, metavar=("TOOL", "URL", "TASKS"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.measure:
        tool, url, tasks = given.measure
        print(json.dumps(measure(tool, url, int(tasks))))
        return
    from fastlabel_dagster.sandbox.seed import seed_bulk
    from fastlabel_dagster.sandbox.state import SandboxState

    with tempfile.TemporaryDirectory() as folder:
        state = SandboxState(Path(folder))
        seed_bulk(state, PROJECT, tasks=given.tasks)
        state.close()
        print(f"reading {given.tasks:,} tasks of eight boxes from a sandbox")
        seconds = {}
        with sandbox_in_a_process(Path(folder)) as (url, _):
            for tool, name in (("ours", "fastlabel-dagster, iter()"), ("sdk", "fastlabel SDK, README's loop")):
                seen = in_a_process("benchmarks.iterate", "--measure", tool, url, given.tasks)
                seconds[tool] = seen["seconds"]
                grown = seen["grown"]
                speed = given.tasks / seen["seconds"]
                memory = (
                    f"memory +{grown[0]:.0f} MB after a tenth, +{grown[-1]:.0f} at the end, +{max(grown):.0f} at most"
                )
                print(f"  {name:30} {seen['seconds']:7.1f} s   {speed:8,.0f} tasks/s   {memory}")
        print(f"  {seconds['sdk'] / seconds['ours']:.1f} times the speed of the SDK's loop")


def measure(tool: str, url: str, tasks: int) -> dict[str, object]:
    """Read all tasks; seconds, and MB grown by after each tenth."""
    os.environ["FASTLABEL_API_URL"] = url
    counted, grown = 0, []
    if tool == "ours":
        from fastlabel_dagster.api import FastLabelClient

        client = FastLabelClient("sandbox-token", url)
        before, start = resident_mb(), time.perf_counter()
        for _ in client.image_tasks.iter(PROJECT):
            counted += 1
            if counted % max(1, tasks // 10) == 0:
                grown.append(resident_mb() - before)
    else:
        import fastlabel

        sdk = fastlabel.Client(access_token="sandbox-token")
        before, start = resident_mb(), time.perf_counter()
        while page := sdk.get_image_tasks(project=PROJECT, offset=counted or None):
            counted += len(page)
            if counted % max(1, tasks // 10) == 0:
                grown.append(resident_mb() - before)
    seconds = time.perf_counter() - start
    if counted != tasks:
        raise SystemExit(f"{counted} of {tasks} tasks were read")
    return {"seconds": seconds, "grown": grown or [resident_mb() - before]}


if __name__ == "__main__":
    main()
