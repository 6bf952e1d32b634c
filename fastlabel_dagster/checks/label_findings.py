"""What is wrong with labels, found while they stream by: one pass, memory for a batch and a few examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import dagster as dg

from fastlabel_dagster.checks.names import (
    CLASS_CHANGES_CHECK,
    CLASS_COVERAGE_CHECK,
    CLASS_DRIFT_CHECK,
    CLASSES_CHECK,
    DUPLICATES_CHECK,
    EMPTY_CHECK,
    GEOMETRY_CHECK,
)
from fastlabel_dagster.checks.plan import CheckPlan, CheckSetting

if TYPE_CHECKING:
    import pyarrow as pa

    from fastlabel_dagster.checks.batch import LabelBatch
    from fastlabel_dagster.checks.versions import Remembered
    from fastlabel_dagster.labels import Labels
    from fastlabel_dagster.labels.single_pictures import TakenApart
    from fastlabel_dagster.store import ImageFolder
    from fastlabel_dagster.sync import LabelMirror

#: The checks :class:`LabelFindings` knows.
LABEL_CHECKS = (
    CLASS_CHANGES_CHECK,
    GEOMETRY_CHECK,
    DUPLICATES_CHECK,
    CLASSES_CHECK,
    EMPTY_CHECK,
    CLASS_COVERAGE_CHECK,
    CLASS_DRIFT_CHECK,
)


class Finding(Protocol):
    """One check: it sees every batch once, and then says its result."""

    def add(self, batch: LabelBatch) -> None: ...

    def result(self, setting: CheckSetting, key: dg.AssetKey) -> dg.AssetCheckResult: ...


class PictureFinding(Finding, Protocol):
    """One that sees single pictures, videos and tasks with contents taken apart, and is told what is on none."""

    def leave_out(self, told: TakenApart) -> None: ...


class LabelFindings:
    """The checks of a plan that need nothing but the labels, counted batch by batch with :meth:`add`.

    Args:
        plan: the checks to do; those that are not about labels are passed over.
        labels: whose classes are the declared ones, and whose origin names the version.
        mirror: where the labels come from: what they are compared with is read from it. Without it ``class_drift`` and
            ``class_changes`` have nothing to compare with, and pass.
        images: where the photographs lie, for the pictures of what is wrong; those it does not hold yet, and all
            without it, are outlines only.
        pictures: whether to draw what is wrong at all; the tables are there in any case.
        last: which version a check that blocks has to compare with, by its last evaluation
            (:func:`~fastlabel_dagster.checks.versions.remembered`); without it, with the version before.
    """

    def __init__(
        self,
        plan: CheckPlan,
        labels: Labels,
        *,
        mirror: LabelMirror | None = None,
        images: ImageFolder | None = None,
        pictures: bool = True,
        last: Remembered | None = None,
    ) -> None:
        from fastlabel_dagster.checks import class_use, geometry, versions
        from fastlabel_dagster.checks.class_changes import ClassChanges
        from fastlabel_dagster.checks.crops import ReadImage, no_photographs
        from fastlabel_dagster.checks.empty import EmptyTasks
        from fastlabel_dagster.metadata.stills import FolderPictures

        read_image: ReadImage | None = no_photographs if images is None else FolderPictures(images)
        read_image = read_image if pictures else None
        before = versions.Before(mirror, labels, last)
        make: dict[str, Callable[[CheckSetting], Finding]] = {
            CLASS_CHANGES_CHECK: lambda setting: ClassChanges(labels.classes, before),
            CLASSES_CHECK: lambda setting: class_use.KnownClasses(labels.classes),
            EMPTY_CHECK: EmptyTasks,
            CLASS_COVERAGE_CHECK: lambda setting: class_use.ClassCoverage(labels.classes),
            CLASS_DRIFT_CHECK: lambda setting: class_use.ClassDrift(before),
        }
        of_pictures: dict[str, Callable[[CheckSetting], PictureFinding]] = {
            GEOMETRY_CHECK: lambda setting: geometry.Geometry(setting, labels.classes, read_image),
            DUPLICATES_CHECK: lambda setting: geometry.DuplicateBoxes(setting, labels.classes, read_image),
        }
        self._found: list[tuple[CheckSetting, Finding]] = []
        self._whole: list[Finding] = []
        self._pictured: list[PictureFinding] = []
        for setting in plan:
            if setting.name in of_pictures:
                self._pictured.append(of_pictures[setting.name](setting))
                self._found.append((setting, self._pictured[-1]))
            elif setting.name in make:
                self._whole.append(make[setting.name](setting))
                self._found.append((setting, self._whole[-1]))

    def add(self, tasks: pa.Table) -> None:
        """Look at one batch of tasks (schema ``TASKS``)."""
        from fastlabel_dagster.checks.batch import LabelBatch
        from fastlabel_dagster.labels.single_pictures import TakenApart

        if not tasks.num_rows:
            return
        batch = LabelBatch(tasks)
        for finding in self._whole:
            finding.add(batch)
        if not self._pictured:
            return
        told = TakenApart()
        for piece in batch.pictures(told):
            for one in self._pictured:
                one.add(piece)
        for one in self._pictured:
            one.leave_out(told)

    def results(self, part: str, key: dg.AssetKey) -> Iterator[dg.AssetCheckResult]:
        """The results of the checks on ``part`` (``annotations``, ``classes``; empty: all), for the asset ``key``."""
        for setting, finding in self._found:
            if part in {"", setting.kind.part}:
                yield finding.result(setting, key)
