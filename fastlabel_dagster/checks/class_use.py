"""Checks of how the classes are used: declared ones only, all of them, and in the shares they used to have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.checks.batch import LabelBatch, columns_of
from fastlabel_dagster.checks.outcome import MOST_OFFENDERS, offenders_table, outcome, percent
from fastlabel_dagster.checks.plan import CheckSetting
from fastlabel_dagster.checks.versions import Before, how_to_open
from fastlabel_dagster.labels.ragged import one_array

_CLASSIFICATION = "classification"


class KnownClasses:
    """Counts annotations whose class the project does not declare (any more), with a task that shows each."""

    def __init__(self, classes: pa.Table) -> None:
        self._declared = set(classes["value"].to_pylist())
        self.unknown: Counter[str] = Counter()
        self._examples: dict[str, dict[str, Any]] = {}

    def add(self, batch: LabelBatch) -> None:
        unknown = {value: count for value, count in batch.class_counts.items() if value not in self._declared}
        for value, count in unknown.items():
            self.unknown[value] += count
            if value not in self._examples and len(self._examples) < MOST_OFFENDERS:
                self._examples[value] = batch.task(_first_task_with(batch.tasks, value))

    def result(self, setting: CheckSetting, key: dg.AssetKey) -> dg.AssetCheckResult:
        total = sum(self.unknown.values())
        metadata: dict[str, Any] = {"annotations_of_unknown_classes": total, "unknown_classes": len(self.unknown)}
        if total:
            most = self.unknown.most_common(MOST_OFFENDERS)
            rows = [
                {"class": value or "(none)", "annotations": count, **self._examples.get(value, {})}
                for value, count in most
            ]
            columns = [("class", "string"), ("annotations", "int"), ("task_id", "string"), ("task", "string")]
            metadata["unknown"] = offenders_table(rows, columns_of(rows, columns))
        return outcome(
            setting,
            key,
            passed=total <= setting["at_most"],
            description=f"{total:,} annotations name a class the project does not declare (deleted?)."
            if total
            else "All classes are declared.",
            metadata=metadata,
        )


def _first_task_with(tasks: pa.Table, value: str) -> int:
    nested = one_array(tasks["annotations"])
    values = pc.fill_null(pc.struct_field(pc.list_flatten(nested), "value"), "")
    return int(pc.list_parent_indices(nested)[pc.index(values, value).as_py()].as_py())


class ClassCoverage:
    """Counts annotations of each declared class."""

    def __init__(self, classes: pa.Table) -> None:
        self._declared: dict[str, tuple[str, str]] = {}
        for row in classes.select(["value", "title", "type"]).to_pylist():
            # Classes of whole tasks are used as attributes of the task, never as annotations.
            if row["type"] != _CLASSIFICATION:
                self._declared.setdefault(row["value"] or "", (row["title"] or "", row["type"] or ""))
        self._counts: Counter[str] = Counter()

    def add(self, batch: LabelBatch) -> None:
        self._counts.update(batch.class_counts)

    def result(self, setting: CheckSetting, key: dg.AssetKey) -> dg.AssetCheckResult:
        enough = setting["at_least"]
        asked = {value: about for value, about in self._declared.items() if value not in setting["ignore"]}
        rare = sorted((value for value in asked if self._counts[value] < enough), key=lambda v: (self._counts[v], v))
        unused = sum(self._counts[value] == 0 for value in asked)
        rows = [
            {"class": value, "title": asked[value][0], "type": asked[value][1], "annotations": self._counts[value]}
            for value in rare
        ]
        metadata: dict[str, Any] = {"classes": len(asked), "too_rare": len(rare), "unused": unused}
        if rows:
            columns = [("class", "string"), ("title", "string"), ("type", "string"), ("annotations", "int")]
            metadata["rare_classes"] = offenders_table(rows, columns)
        words = "an annotation" if enough == 1 else f"{enough:,} annotations"
        return outcome(
            setting,
            key,
            passed=not rare,
            description=f"{len(rare):,} of {len(asked):,} classes have fewer than {words}; "
            f"{unused:,} are not used at all."
            if rare
            else f"Each of the {len(asked):,} classes has at least {words}.",
            metadata=metadata,
        )


def total_variation(before: Mapping[str, int], after: Mapping[str, int]) -> float:
    """Half the sum of the absolute changes of all shares: 0 for the same shares, 1 for nothing in common.

    Both must count something.
    """
    was, is_now = sum(before.values()), sum(after.values())
    return sum(abs(after.get(value, 0) / is_now - before.get(value, 0) / was) for value in {*before, *after}) / 2


class ClassDrift:
    """Compares the shares of the classes with those in an earlier version."""

    def __init__(self, before: Before) -> None:
        self._before = before
        self._counts: Counter[str] = Counter()

    def add(self, batch: LabelBatch) -> None:
        self._counts.update(batch.class_counts)

    def result(self, setting: CheckSetting, key: dg.AssetKey) -> dg.AssetCheckResult:
        version = self._before.version(setting)
        before = None if version is None else self._before.class_counts(version, self._counts)
        if version is None:
            return self._before.nothing_to_compare(setting, key)
        if before is None:
            return self._not_examined(setting, key, version.version)
        was, is_now = sum(before.values()), sum(self._counts.values())
        metadata: dict[str, Any] = {
            "version_before": version.version,
            "annotations_before": was,
            "annotations": is_now,
        }
        if min(was, is_now) < max(setting["fewest"], 1):
            return outcome(
                setting,
                key,
                passed=True,
                description=f"{was:,} annotations before and {is_now:,} now are too few to compare shares "
                f"(from {setting['fewest']:,} on).",
                # What was enough is kept for when there is enough again.
                metadata=metadata | self._before.next_with(passed=was < max(setting["fewest"], 1), version=version),
            )
        distance = total_variation(before, self._counts)
        rows: list[dict[str, Any]] = [
            {
                "class": value or "(none)",
                "before": before[value],
                "now": self._counts[value],
                "share_before": round(before[value] / was, 4),
                "share": round(self._counts[value] / is_now, 4),
                "change": round(self._counts[value] / is_now - before[value] / was, 4),
            }
            for value in {*before, *self._counts}
        ]
        rows.sort(key=lambda row: (-abs(row["change"]), row["class"]))
        columns = [("class", "string"), ("before", "int"), ("now", "int")]
        columns += [(name, "float") for name in ("share_before", "share", "change")]
        most = rows[0]
        passed = distance <= setting["threshold"]
        metadata |= self._before.next_with(passed=passed, version=version)
        return outcome(
            setting,
            key,
            passed=passed,
            description=f"{percent(distance)} of the annotations are of other classes than in version "
            f"{version.version}, by shares (up to {percent(setting['threshold'])} is fine); most of all "
            f"{most['class']}: {percent(most['share_before'])} → {percent(most['share'])}."
            + ("" if passed else how_to_open(setting, self._before.present))
            if distance
            else f"The classes have the shares they had in version {version.version}.",
            metadata={**metadata, "distance": round(distance, 6), "shares": offenders_table(rows, columns)},
        )

    def _not_examined(self, setting: CheckSetting, key: dg.AssetKey, version: int) -> dg.AssetCheckResult:
        """The files of ``version`` are gone for good, so nothing that anybody does to the labels could open a gate that
        stayed shut for them: one that blocks warns, once, and the next evaluation compares with the present version."""
        return outcome(
            setting,
            key,
            passed=not setting.blocking,
            severity=dg.AssetCheckSeverity.WARN if setting.blocking else None,
            description=f"Not examined: the files of version {version} were given up, so nobody knows how its classes "
            "were used. The next evaluation compares with the present version.",
            metadata={
                "examined": False,
                "version_before": version,
                "annotations": sum(self._counts.values()),
                **self._before.next_with(passed=True, version=None),
            },
        )
