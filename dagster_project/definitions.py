"""The code location: everything below ``defs/``, which is YAML.

``defs/project`` is one FastLabel project; the environment variables it reads are listed in
``defs/project/environment.py``. Add a project by a copy of that folder with its own project, store and dataset in
place of the ``{{ }}``; with an account, ``dg scaffold defs fastlabel_dagster.components.FastLabelProjectComponent
<name> --project <slug>`` does as well.
"""

from pathlib import Path

import dagster as dg

defs = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
