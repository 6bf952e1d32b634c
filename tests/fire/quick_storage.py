"""Import this first: from then on the tables of Dagster's databases are looked up once, and everything is warm.

Whenever Dagster opens one of its databases, it reads the forty modules that say how its tables came about; with a
database for each run that is a third of the work of a short run. They are the same for every process that is forked.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import dagster as dg
from alembic.config import Config
from alembic.script import ScriptDirectory

_read = ScriptDirectory.from_config
_known: dict[str | None, ScriptDirectory] = {}


def _once(config: Config) -> ScriptDirectory:
    place = config.get_main_option("script_location")
    if place not in _known:
        _known[place] = _read(config)
    return _known[place]


ScriptDirectory.from_config = _once  # type: ignore[method-assign]


def warm_up() -> None:
    """Run a job that does nothing."""

    @dg.op
    def nothing() -> None:
        """What is loaded on the way is what counts."""

    @dg.job
    def job() -> None:
        nothing()

    quiet: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (Path(folder) / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        logging.disable(logging.CRITICAL)
        with dg.DagsterInstance.from_config(folder) as instance:
            job.execute_in_process(instance=instance, run_config=quiet)
        logging.disable(logging.NOTSET)


warm_up()
