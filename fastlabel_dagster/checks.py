"""Asset checks: what must hold of a project's labels before anybody trains on them.

The checks that come with the assets (:func:`label_check_specs`, :func:`mirror_check_specs`) are computed in the same
step and the same pass as the asset. Two more (:func:`build_remote_checks`) belong to the external assets; the sensors
report them, and they can be run by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.api import job_state
from fastlabel_dagster.resource import FastLabelResource, resource_named
from fastlabel_dagster.translator import safe_name

if TYPE_CHECKING:
    import pyarrow as pa

#: On ``fastlabel/<slug>``: the newest import of the project finished.
IMPORTS_CHECK = "imports_succeeded"
#: On ``<slug>/model``: the newest training finished.
TRAINING_CHECK = "training_succeeded"
#: On ``<slug>/labels``.
PARITY_CHECK = "matches_task_count"
QUARANTINE_CHECK = "quarantine_empty"
#: On ``<slug>/annotations``.
GEOMETRY_CHECK = "geometry_inside_image"
CLASSES_CHECK = "classes_known"
EMPTY_CHECK = "few_empty_tasks"

#: A vertex may lie this many pixels outside the picture before it counts: annotation tools round.
TOLERANCE_PIXELS = 0.5
_EXAMPLES = 10


def mirror_check_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks of the mirror: it holds what the API counts, and nothing had to be put into quarantine."""
    return [
        dg.AssetCheckSpec(
            PARITY_CHECK,
            asset=key,
            description="The mirror (with its quarantine) holds as many tasks as the API counts for the project.",
        ),
        dg.AssetCheckSpec(
            QUARANTINE_CHECK, asset=key, description="Every task of the project could be read; none is in quarantine."
        ),
    ]


def label_check_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks of the annotations: geometry, classes, empty tasks."""
    return [
        dg.AssetCheckSpec(
            GEOMETRY_CHECK, asset=key, description="Every vertex is a finite number inside its picture (± 0.5 px)."
        ),
        dg.AssetCheckSpec(
            CLASSES_CHECK, asset=key, description="Every annotation belongs to a class the project declares."
        ),
        dg.AssetCheckSpec(
            EMPTY_CHECK,
            asset=key,
            description="The share of finished tasks without annotations is below the threshold.",
        ),
    ]


def parity_result(
    key: dg.AssetKey, *, mirrored: int, quarantined: int, counted: int, settled: bool = True
) -> dg.AssetCheckResult:
    """Mirror against ``tasks/count``. A difference is an error: labels are missing, or gone tasks are still there.

    In a project people are editing right now, tasks may come and go between the sync and the count; the next sync
    tells. ``settled`` says whether the sync's last pass saw nothing new; when it did, the description says so.
    """
    moving = "" if settled else " The project was changing while it was read: its last pass still found something new."
    difference = counted - mirrored - quarantined
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=PARITY_CHECK,
        passed=difference == 0,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{mirrored:,} mirrored + {quarantined:,} in quarantine, the API counts {counted:,}.{moving}",
        metadata={
            "mirrored": mirrored,
            "quarantined": quarantined,
            "counted": counted,
            "difference": difference,
            "settled": settled,
        },
    )


def quarantine_result(key: dg.AssetKey, quarantined: int) -> dg.AssetCheckResult:
    """A warning when tasks had to be set aside; the reasons are in the mirror's metadata and below ``quarantine/``."""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=QUARANTINE_CHECK,
        passed=quarantined == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description="Nothing in quarantine." if not quarantined else f"{quarantined:,} tasks are in quarantine.",
        metadata={"quarantined": quarantined},
    )


#: Statuses in which somebody has said that a task is labeled.
_LABELED = ("completed", "reviewed", "approved")


@dataclass
class LabelFindings:
    """What is wrong with labels, counted batch by batch with :meth:`add`; memory does not grow with the project.

    Attributes:
        classes: the classes the project declares (schema ``CLASSES``).
        empty_share: largest share (0…1) of labeled tasks (status completed, reviewed or approved) that have neither
            annotations nor, as classified tasks have, attributes.
    """

    classes: pa.Table
    empty_share: float = 0.1
    annotations: int = 0
    outside: int = 0
    broken: int = 0
    labeled: int = 0
    labeled_empty: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    outside_tasks: list[str] = field(default_factory=list)

    def add(self, tasks: pa.Table) -> None:
        """Look at one batch of tasks (schema ``TASKS``)."""
        import numpy as np

        from fastlabel_dagster.labels import Labels
        from fastlabel_dagster.labels.geometry import flatten
        from fastlabel_dagster.labels.ragged import as_ragged, one_array
        from fastlabel_dagster.labels.summary import geometry_masks, undeclared_classes

        if not tasks.num_rows:
            return
        flat = flatten(tasks)
        self.annotations += len(flat)
        problems = geometry_masks(flat, tolerance=TOLERANCE_PIXELS)
        self.broken += int((problems["ill_formed"] | problems["not_finite"]).sum())
        self.outside += int(problems["outside_image"].sum())
        rows = np.unique(flat.task[np.any(list(problems.values()), axis=0)])
        rows = rows[: max(0, _EXAMPLES - len(self.outside_tasks))]
        self.outside_tasks += [str(tasks["name"][int(row)].as_py()) for row in rows]
        self.unknown.update(undeclared_classes(Labels(tasks, self.classes)))
        labeled = np.isin(np.array(tasks["status"].to_pylist(), dtype=object), _LABELED)
        used = np.zeros(tasks.num_rows, bool)
        used[flat.task] = True
        attributes = as_ragged(one_array(tasks["attributes"])).lengths  # all the labels a classified task has
        used |= attributes > 0
        self.labeled += int(labeled.sum())
        self.labeled_empty += int((labeled & ~used).sum())

    def results(self, key: dg.AssetKey) -> Iterable[dg.AssetCheckResult]:
        """The results of :func:`label_check_specs` for the asset ``key``."""
        wrong = self.outside + self.broken
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=GEOMETRY_CHECK,
            passed=wrong == 0,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{self.outside:,} of {self.annotations:,} annotations reach outside their picture, "
            f"{self.broken:,} have geometry that cannot be read.",
            metadata={
                "outside": self.outside,
                "unreadable": self.broken,
                "annotations": self.annotations,
                "tasks": ", ".join(self.outside_tasks) or "none",
            },
        )
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=CLASSES_CHECK,
            passed=not self.unknown,
            severity=dg.AssetCheckSeverity.ERROR,
            description="All classes are declared."
            if not self.unknown
            else f"{sum(self.unknown.values()):,} annotations name a class the project does not declare (deleted?).",
            metadata={
                "unknown_classes": ", ".join(f"{name} × {n}" for name, n in self.unknown.most_common(20)) or "none"
            },
        )
        share = self.labeled_empty / self.labeled if self.labeled else 0.0
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=EMPTY_CHECK,
            passed=share <= self.empty_share,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{self.labeled_empty:,} of {self.labeled:,} labeled tasks have no annotation "
            f"({share:.1%}; up to {self.empty_share:.0%} is fine).",
            metadata={"empty": self.labeled_empty, "labeled": self.labeled, "share": round(share, 4)},
        )


def build_remote_checks(
    project: str,
    *,
    project_key: dg.AssetKey,
    training_key: dg.AssetKey | None = None,
    model_key: dg.AssetKey | None = None,
    resource_key: str = "fastlabel",
) -> list[dg.AssetChecksDefinition]:
    """The checks on the external assets: the newest import finished, and (with the keys) the newest training did.

    The sensors report them as they see an import or a training end; "Execute" in the UI asks the API there and then.
    """
    imports_spec = dg.AssetCheckSpec(
        IMPORTS_CHECK, asset=project_key, description="The newest import into the project finished."
    )

    def imports_check(context: dg.AssetCheckExecutionContext, fastlabel: FastLabelResource) -> dg.AssetCheckResult:
        with fastlabel.dagster_errors() as client:
            newest = max(client.import_histories.iter(project), key=_created, default=None)
        return _remote_result(imports_spec, newest, "import", "id")

    name = safe_name(project)
    checks = [
        dg.multi_asset_check(name=f"{name}_imports_check", specs=[imports_spec])(
            resource_named(resource_key, imports_check)
        )
    ]
    if model_key is None or training_key is None:
        return checks
    training_spec = dg.AssetCheckSpec(TRAINING_CHECK, asset=model_key, description="The newest training finished.")

    def training_check(context: dg.AssetCheckExecutionContext, fastlabel: FastLabelResource) -> dg.AssetCheckResult:
        event = context.instance.get_latest_materialization_event(training_key)
        submitted = event.asset_materialization if event is not None else None
        job_id = submitted.metadata.get("training_job_id") if submitted is not None else None
        if job_id is None:
            return _remote_result(training_spec, None, "training", "trainingJobId")
        with fastlabel.dagster_errors() as client:
            job = client.training_jobs.find(str(job_id.value))
        return _remote_result(training_spec, job, "training", "trainingJobId")

    checks.append(
        dg.multi_asset_check(name=f"{name}_training_check", specs=[training_spec])(
            resource_named(resource_key, training_check)
        )
    )
    return checks


def _remote_result(
    spec: dg.AssetCheckSpec, thing: Mapping[str, Any] | None, what: str, id_name: str
) -> dg.AssetCheckResult:
    if thing is None:
        text, passed, metadata = f"There has been no {what} yet.", True, {}
    else:
        text, passed = f"The newest {what} is {thing.get('status')}.", job_state(dict(thing)) != "failed"
        metadata = {what: str(thing.get(id_name)), "status": str(thing.get("status"))}
    return dg.AssetCheckResult(
        asset_key=spec.asset_key, check_name=spec.name, passed=passed, description=text, metadata=metadata
    )


def _created(thing: Mapping[str, Any]) -> str:
    return str(thing.get("createdAt") or "")
