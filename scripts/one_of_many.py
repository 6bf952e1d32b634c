"""Change one task of many and show what a sync does: nothing when nothing changed, one bucket when one task did.

    python scripts/one_of_many.py [TASKS]

Seeds a sandbox with TASKS tasks (default 20,000) of eight boxes, syncs three times — first, unchanged, one box
of one task moved — and compares the two versions. Exits 1 when more than one bucket is written or the diff names
anything else.
"""

import sys
import tempfile
import time
from pathlib import Path

from fastlabel_dagster import LabelMirror, sync_project
from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.seed import seed_bulk


def main() -> int:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as folder, Sandbox(Path(folder) / "sandbox") as sandbox:
        print(seed_bulk(sandbox.state, "many", tasks=tasks))
        store = Path(folder) / "store"
        with FastLabelClient(sandbox.token, sandbox.url) as client:
            print("first     ", sync_project(client, "many", store))
            second = sync_project(client, "many", store)
            print("unchanged ", second)
            changed = sandbox.state.task_ids("many")[tasks // 2]
            annotations = client.image_tasks.find(changed)["annotations"]
            annotations[3]["points"] = [1, 2, 30, 40]
            client.image_tasks.update(changed, annotations=annotations)
            third = sync_project(client, "many", store)
            print("one moved ", third)
        mirror = LabelMirror(store / "labels")
        start = time.perf_counter()
        diff = mirror.diff(0, 1)
        took = time.perf_counter() - start
        rows = diff.table.to_pylist()
        print(f"diff 0 → 1 in {took:.2f} s: {diff}")
        for row in rows:
            print("  ", {key: value for key, value in row.items() if value is not None})
        counts = [mirror.read(version).tasks.num_rows for version in (0, 1)]
        print(f"version 0 still holds {counts[0]:,} tasks, version 1 {counts[1]:,}")
        named = {row["task_id"] for row in rows} == {changed}
        return 0 if not second.changed and third.buckets_rewritten == 1 and named else 1


if __name__ == "__main__":
    sys.exit(main())
