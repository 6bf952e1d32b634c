"""The API of the sandbox, path by path. Each module holds the endpoints of one thing as rows of ``ENDPOINTS``."""

from __future__ import annotations

from fastlabel_dagster.sandbox.call import Endpoint
from fastlabel_dagster.sandbox.endpoints import classes, comments, contents, datasets, jobs, projects, tasks, workspace

ENDPOINTS: tuple[Endpoint, ...] = (
    *projects.ENDPOINTS,
    *classes.ENDPOINTS,
    *contents.ENDPOINTS,
    *tasks.ENDPOINTS,
    *comments.ENDPOINTS,
    *workspace.ENDPOINTS,
    *datasets.ENDPOINTS,
    *jobs.ENDPOINTS,
)
