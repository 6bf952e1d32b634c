"""What ``import fastlabel_dagster`` adds to ``import dagster``, as medians over fresh processes.

Dagster starts a process per step and imports the code location in each, so this is paid again and again; the budget is
0.15 s. Run it on a quiet machine: ``python scripts/import_cost.py [rounds]``.
"""

import statistics
import subprocess
import sys

BUDGET_SECONDS = 0.15
PROBE = """
import time
start = time.perf_counter(); import dagster; middle = time.perf_counter()
import {module}; end = time.perf_counter()
print(middle - start, end - middle)
"""


def added_seconds(module: str, rounds: int) -> tuple[float, float]:
    """Median seconds of ``import dagster`` and of ``import module`` after it."""
    pairs = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", PROBE.format(module=module)], capture_output=True, text=True, check=True
        )
        pairs.append(tuple(map(float, done.stdout.split())))
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    worst = 0.0
    print(f"medians of {rounds} fresh processes, seconds")
    for module in ("fastlabel_dagster", "fastlabel_dagster.resource", "dagster_project.definitions"):
        base, added = added_seconds(module, rounds)
        print(f"  import dagster {base:6.3f}   then import {module:<30} +{added:.3f}")
        if module == "fastlabel_dagster":
            worst = added
    print(f"budget for fastlabel_dagster: {BUDGET_SECONDS} s: {'kept' if worst <= BUDGET_SECONDS else 'EXCEEDED'}")
    return 0 if worst <= BUDGET_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
