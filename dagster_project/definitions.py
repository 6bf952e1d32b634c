"""The code location: everything below ``defs/``, which is YAML.

``defs/project`` is one FastLabel project; the environment variables it reads are listed in
``defs/project/environment.py``. Add a project with
``dg scaffold defs fastlabel_dagster.components.FastLabelProjectComponent <name>``.
"""

from pathlib import Path

import dagster as dg

defs = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
