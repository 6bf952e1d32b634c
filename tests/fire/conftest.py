"""The helpers beside these tests can be imported by their names, here and in the processes that are started."""

import sys
from pathlib import Path

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)
