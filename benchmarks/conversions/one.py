"""One measurement: ``python -m benchmarks.conversions.one STEP WARM INPUT OUT`` prints seconds and memory as JSON.

The step runs once on the small input ``WARM`` before the clock starts, so that loading libraries is not measured.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import shutil
import sys
import time
from pathlib import Path

from benchmarks.conversions.steps import STEPS
from benchmarks.measure import peak_mb


def main() -> None:
    name, warm, source, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    prepare = STEPS[name]
    with contextlib.redirect_stdout(io.StringIO()):
        prepare(warm, out / "warm")()
        work = prepare(source, out / "out")
        gc.collect()
        start, cpu = time.perf_counter(), time.process_time()
        kept = work()
        seconds, busy = time.perf_counter() - start, time.process_time() - cpu
    peak = peak_mb()
    del kept
    shutil.rmtree(out)
    print(json.dumps({"seconds": seconds, "cpu": busy, "peak_mb": peak}))


if __name__ == "__main__":
    main()
