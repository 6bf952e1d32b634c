"""The check ``empty_tasks``: tasks that are said to be labeled and hold nothing."""

from __future__ import annotations

from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.checks.batch import LabelBatch, columns_of
from fastlabel_dagster.checks.outcome import MOST_OFFENDERS, offenders_table, outcome, percent
from fastlabel_dagster.checks.plan import CheckSetting
from fastlabel_dagster.labels.ragged import as_ragged, one_array


class EmptyTasks:
    """Counts the labeled tasks that have neither annotations nor, as classified tasks have, attributes."""

    def __init__(self, setting: CheckSetting) -> None:
        self._statuses = pa.array(setting["statuses"], pa.string())
        self.labeled = self.empty = 0
        self._examples: list[dict[str, Any]] = []

    def add(self, batch: LabelBatch) -> None:
        tasks = batch.tasks
        labeled = pc.is_in(one_array(tasks["status"]), value_set=self._statuses).to_numpy(zero_copy_only=False)
        used = np.zeros(tasks.num_rows, np.bool_)
        for column in ("annotations", "attributes"):
            used |= as_ragged(one_array(tasks[column])).lengths > 0
        empty = np.flatnonzero(labeled & ~used)
        self.labeled += int(labeled.sum())
        self.empty += len(empty)
        for row in empty[: MOST_OFFENDERS - len(self._examples)].tolist():
            self._examples.append({**batch.task(row), "status": tasks["status"][row].as_py()})

    def result(self, setting: CheckSetting, key: dg.AssetKey) -> dg.AssetCheckResult:
        share = self.empty / self.labeled if self.labeled else 0.0
        metadata: dict[str, Any] = {"empty": self.empty, "labeled": self.labeled, "share": round(share, 6)}
        if self._examples:
            columns = columns_of(self._examples, [("task_id", "string"), ("task", "string"), ("status", "string")])
            metadata["empty_tasks"] = offenders_table(self._examples, columns)
        return outcome(
            setting,
            key,
            passed=share <= setting["at_most"],
            description=f"{self.empty:,} of {self.labeled:,} labeled tasks have no annotation "
            f"({percent(share)}; up to {percent(setting['at_most'])} is fine).",
            metadata=metadata,
        )
