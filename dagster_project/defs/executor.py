"""How steps are run: against the sandbox all steps of a run in one process, as each process costs seconds to start."""

import os

import dagster as dg


@dg.definitions
def executor() -> dg.Definitions:
    """Nothing for the real service: Dagster's default then gives each step a process of its own."""
    if os.environ.get("FASTLABEL_ACCESS_TOKEN"):
        return dg.Definitions()
    return dg.Definitions(executor=dg.in_process_executor)
