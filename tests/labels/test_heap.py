"""Arrays that come and go cost no fresh pages of the system once some memory was kept."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_SCRIPT = """
import resource, sys
import numpy as np
from fastlabel_dagster.labels.heap import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "kept":
    keep_freed_memory()
np.ones(400_000, np.uint8)
before = faults()
for size in range(400_000, 1_200_000, 40_000):  # each larger than any before it
    np.ones(size, np.uint8)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries decide otherwise what they keep")
def test_memory_of_arrays_is_used_again():
    kept, returned = (
        int(subprocess.run([sys.executable, "-c", _SCRIPT, how], capture_output=True, check=True).stdout)
        for how in ("kept", "returned")
    )
    assert kept * 4 < returned
