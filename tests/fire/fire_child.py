"""What a child process does: one run of one job, as a run worker would, until it ends or is killed."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

# what a run loads sooner or later: a child has it from its birth
import alembic.command  # noqa: F401
import dagster as dg
import pandas as pd  # noqa: F401
import pyarrow.parquet  # noqa: F401
import sqlalchemy.dialects.sqlite  # noqa: F401
from fire_location import defs

import fastlabel_dagster.api.client
import fastlabel_dagster.jobs.ledger
import fastlabel_dagster.project
import fastlabel_dagster.sync

HERE = str(Path(__file__).parent)
for one in defs.jobs or []:
    defs.resolve_job_def(one.name)  # Dagster keeps what it has made of them
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_job(
    environment: Mapping[str, str], home: str, job: str, tags: Mapping[str, str], again: str | None = None
) -> None:
    """Run ``job`` on the instance in ``home``, beside which the store lies; ``again`` re-executes that run from its
    failure."""
    os.environ.update(environment)
    os.chdir(Path(home).parent)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    if environment.get("FIRE_FORGETFUL"):  # for the test that shows that the others can fail
        fastlabel_dagster.jobs.ledger.Ledger.entry = lambda ledger, subject, version: {}
    with dg.DagsterInstance.from_config(home) as instance:
        options = None if again is None else dg.ReexecutionOptions.from_failure(again, instance)
        dg.execute_job(
            dg.build_reconstructable_job(
                "fire_location", "job", reconstructable_args=(job,), reconstructor_working_directory=HERE
            ),
            instance=instance,
            tags=dict(tags),
            run_config=QUIET,
            reexecution_options=options,
        )
