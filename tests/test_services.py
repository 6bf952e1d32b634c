"""The Dagster processes of the demo: what must be there before the first of them starts."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from dagster_project.services import DagsterServices

DATABASES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")


def revisions(database: Path) -> int:
    """How many revisions a Dagster database says it has. Dagster opens it if that is one."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return len(connection.execute("SELECT version_num FROM alembic_version").fetchall())


def test_the_databases_are_made_before_any_process_that_would_make_them_too(tmp_path):
    found: list[dict[str, int]] = []

    class Watched(DagsterServices):
        def start_code_server(self) -> None:
            found.append({name: revisions(self.home / name) for name in DATABASES})

    services = Watched(tmp_path / "home")
    try:
        services.begin()
    finally:
        services.stop()
    assert found == [dict.fromkeys(DATABASES, 1)]
