"""The same operations through our client and through the official SDK while one request in five goes wrong.

    python -m benchmarks.bad_days --operations 2000

Every kind of fault on every route: 429, 500, 502, reset, silence, slow and truncated bodies, HTML error pages, before
or after the request was carried out. What comes out: how many operations were told to have succeeded, how the others
failed, what is there twice, and what was done although the caller was told it failed. The SDK has no time limits, so a
silent server would hold it for good; here the sandbox hangs up after a while.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastlabel_dagster.sandbox import Sandbox

PROJECT = "images"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--operations", type=int, default=2000)
    given = arguments.parse_args()
    logging.getLogger("fastlabel_dagster").setLevel(logging.ERROR)
    print(f"{given.operations:,} operations, 8 threads, one request in five goes wrong")
    for name, operations in (("fastlabel-dagster", ours), ("fastlabel SDK", official)):
        with tempfile.TemporaryDirectory() as folder, Sandbox(Path(folder) / "sandbox") as sandbox:
            play(name, sandbox, operations, given.operations, Path(folder))


def play(name: str, sandbox: Sandbox, make: Callable[..., list[Any]], operations: int, folder: Path) -> None:
    """Do the operations and compare what the caller was told with what the sandbox holds."""
    import cv2
    import numpy as np

    state = sandbox.state
    state.create_project(PROJECT, type="image_bbox")
    picture = folder / "picture.jpg"
    cv2.imwrite(str(picture), np.full((48, 64, 3), 127, np.uint8))
    kinds = make(sandbox, str(picture))
    sandbox.faults(probability=0.2, seed=0, silence_seconds=1.0, slow_seconds=0.01)
    told: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    names: list[set[str]] = [set(), set()]

    def do(number: int) -> None:
        kind, operation = kinds[number % len(kinds)]
        try:
            operation(number)
        except Exception as error:  # noqa: BLE001 - how it fails is what is measured
            failures[type(error).__name__] += 1
            names[1].add(f"{kind}-{number}")
        else:
            told[kind] += 1
            names[0].add(f"{kind}-{number}")

    start = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(do, range(operations)))
    seconds = time.perf_counter() - start
    sandbox.clear_faults()
    there = Counter(
        [f"task-{Path(n).stem}" for n in state.tasks.id_name_map(PROJECT, limit=-1).values()]
        + [one["value"] for one in state.classes.listed(PROJECT)]
        + [one["name"] for one in state.datasets.listed()]
        + [f"training-{one['epoch'] - 1}" for one in state.jobs.listed("training", limit=-1)]
    )
    made = {"task", "class", "dataset", "training"}
    acknowledged = {n for n in names[0] if n.split("-")[0] in made}
    print(f"  {name}: {sum(told.values()):,} succeeded, {sum(failures.values()):,} failed in {seconds:.0f} s")
    print(f"    failed as: {dict(failures)}")
    print(f"    there twice: {sum(n > 1 for n in there.values())}")
    print(f"    told failed, yet done: {len(set(there) & names[1])}")
    print(f"    told done, yet not there: {len(acknowledged - set(there))}")


def ours(sandbox: Sandbox, picture: str) -> list[Any]:
    """The operations through our groups, with their own retries (short pauses, for the sake of the clock)."""
    from fastlabel_dagster.api import FastLabelClient, RetryPolicy, SubmissionPolicy

    looking = SubmissionPolicy(look_seconds=0.01, unanswered_seconds=0.1, answered_seconds=0.1)
    retry = RetryPolicy(backoff_seconds=0.01, backoff_max_seconds=0.05)
    client = FastLabelClient(sandbox.token, sandbox.url, timeout=(5, 0.5), retry=retry, budget=None)
    client.datasets.create("shared")
    sandbox.state.datasets.add_object("shared", "a.txt", b"x", {})
    return [
        ("task", lambda n: client.image_tasks.create(PROJECT, f"{n}.jpg", picture)),
        ("class", lambda n: client.annotation_classes.create(PROJECT, "bbox", f"class-{n}", f"Class {n}")),
        ("dataset", lambda n: client.datasets.create(f"dataset-{n}")),
        ("training", lambda n: client.training_jobs.submit("shared", "fastlabel_light", n + 1, policy=looking)),
        ("count", lambda n: client.tasks.count(PROJECT)),
        ("list", lambda n: client.image_tasks.list(PROJECT, limit=10)),
        ("map", lambda n: client.projects.list()),
    ]


def official(sandbox: Sandbox, picture: str) -> list[Any]:
    """The same through the SDK, as its README shows."""
    os.environ["FASTLABEL_API_URL"] = sandbox.url
    import fastlabel

    client = fastlabel.Client(access_token=sandbox.token)
    client.create_dataset(name="shared")
    sandbox.state.datasets.add_object("shared", "a.txt", b"x", {})
    return [
        ("task", lambda n: client.create_image_task(project=PROJECT, name=f"{n}.jpg", file_path=picture)),
        (
            "class",
            lambda n: client.create_annotation(project=PROJECT, type="bbox", value=f"class-{n}", title=f"Class {n}"),
        ),
        ("dataset", lambda n: client.create_dataset(name=f"dataset-{n}")),
        ("training", lambda n: client.execute_training_job("shared", "fastlabel_light", n + 1)),
        ("count", lambda n: client.count_tasks(project=PROJECT)),
        ("list", lambda n: client.get_image_tasks(project=PROJECT, limit=10)),
        ("map", lambda n: client.get_projects()),
    ]


if __name__ == "__main__":
    main()
