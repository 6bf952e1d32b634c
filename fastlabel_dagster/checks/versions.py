"""Which version of the labels a present one is compared with, and how often each class was used in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import dagster as dg
import pyarrow as pa

from fastlabel_dagster._compat import last_check_evaluation
from fastlabel_dagster.checks.batch import class_counts
from fastlabel_dagster.checks.outcome import outcome
from fastlabel_dagster.checks.plan import CheckSetting
from fastlabel_dagster.labels import Labels
from fastlabel_dagster.sync import LabelMirror
from fastlabel_dagster.sync.snapshot import MirrorVersion

#: Metadata of an evaluation: the version the next one has to compare with.
COMPARE_NEXT_WITH = "compare_next_with"

#: The version a check has to compare with by its last evaluation; None where that is not known.
Remembered: TypeAlias = Callable[[CheckSetting], int | None]


def remembered(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> int | None:
    """What the last evaluation of the check ``key`` on ``instance`` left as the version to compare with next: its own
    when it passed, else the one it was compared with. None when there is none, or it said nothing of the kind."""
    evaluation = last_check_evaluation(instance, key)
    left = evaluation.metadata.get(COMPARE_NEXT_WITH) if evaluation is not None else None
    value = left.value if left is not None else None
    return value if isinstance(value, int) else None


class Before:
    """What ``labels``, a version of ``mirror``, is compared with.

    That is the version before it. A check that blocks compares with the version that last passed it, so that nothing
    but undoing the change, or accepting it (option ``accepted``), opens it again: the next version does not.
    """

    def __init__(self, mirror: LabelMirror | None, labels: Labels, last: Remembered | None = None) -> None:
        self._mirror, self._last = mirror, last
        present = labels.origin.get("version")
        self.present = None if mirror is None or present is None else int(present)

    def version(self, setting: CheckSetting) -> MirrorVersion | None:
        """The version to compare with, or None when there is none, or nothing is known of versions."""
        if self._mirror is None or self.present is None:
            return None
        wanted = self.present - 1
        if setting.blocking and self._last is not None:
            last = self._last(setting)
            if last is not None and last <= self.present:  # a mirror made anew counts from the beginning
                wanted = last
        wanted = max(wanted, min(setting["accepted"], self.present) if setting["accepted"] else wanted)
        for version in dict.fromkeys((wanted, self.present - 1)):
            try:
                return self._mirror.at(version) if version >= 0 else None
            except LookupError:
                continue
        return None

    def next_with(self, *, passed: bool, version: MirrorVersion | None) -> dict[str, int]:
        """The metadata that tells the next evaluation what to compare with; ``version`` is what this one has."""
        if self.present is None:
            return {}
        return {COMPARE_NEXT_WITH: self.present if passed or version is None else version.version}

    def nothing_to_compare(self, setting: CheckSetting, key: dg.AssetKey) -> dg.AssetCheckResult:
        """The result of a check that has no :meth:`version` to compare with."""
        return outcome(
            setting,
            key,
            passed=True,
            description="There is no earlier version to compare with.",
            metadata=self.next_with(passed=True, version=None),
        )

    def classes(self, version: MirrorVersion) -> pa.Table:
        """The annotation classes of ``version`` (schema ``CLASSES``)."""
        assert self._mirror is not None
        return self._mirror.classes(version.version)

    def class_counts(self, version: MirrorVersion, present: Counter[str]) -> Counter[str] | None:
        """Annotations by class value in ``version``; None when its files were given up.

        Only the tasks that differ are read, in both versions, and ``present``, the counts of the present version, is
        put back by them: the cost grows with the change and not with the project.
        """
        assert self._mirror is not None
        assert self.present is not None
        counts = Counter(present)
        try:
            for old, new in self._mirror.changed(version.version, self.present):
                counts.subtract(class_counts(new))
                counts.update(class_counts(old))
        except LookupError:
            return None
        return +counts


def how_to_open(setting: CheckSetting, present: int | None) -> str:
    """What to do about a check that blocks and has failed, as a sentence to put behind the others."""
    if not setting.blocking or present is None:
        return ""
    return f" It stays so until that is undone, or accepted with {setting.name}: {{accepted: {present}}}."
