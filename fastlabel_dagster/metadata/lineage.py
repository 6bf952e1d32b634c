"""Which column of the labels each column of a Parquet table was made from, for Dagster's column lineage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import dagster as dg

#: Columns of tables made from the mirror that say something of the task, and the mirror's column it comes from.
OF_THE_TASK: Mapping[str, str] = {
    "task_id": "task_id",
    "image_id": "task_id",
    "task_name": "name",
    "file_name": "name",
    "image": "name",
}


def column_lineage(
    columns: Iterable[str], labels: dg.AssetKey, of_the_task: Mapping[str, str] = OF_THE_TASK
) -> dg.TableColumnLineage:
    """Lineage of a table with ``columns`` from the mirror ``labels``: what is not ``of_the_task`` was taken out of the
    mirror's nested column ``annotations``."""
    deps = {
        column: [dg.TableColumnDep(asset_key=labels, column_name=of_the_task.get(column, "annotations"))]
        for column in columns
    }
    return dg.TableColumnLineage(deps_by_column=deps)
