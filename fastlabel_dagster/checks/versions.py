"""The version of the labels before the present one, and how often each class was used in it."""

from __future__ import annotations

from collections import Counter
from functools import cached_property

import pyarrow as pa

from fastlabel_dagster.checks.batch import class_counts
from fastlabel_dagster.labels import Labels
from fastlabel_dagster.sync import LabelMirror
from fastlabel_dagster.sync.snapshot import MirrorVersion


class Before:
    """What ``labels``, a version of ``mirror``, is compared with: the version before it."""

    def __init__(self, mirror: LabelMirror | None, labels: Labels) -> None:
        self._mirror = mirror
        self.present = labels.origin.get("version")

    @cached_property
    def version(self) -> MirrorVersion | None:
        """The version before, or None when there is none, or nothing is known of versions."""
        if self._mirror is None or self.present is None or int(self.present) < 1:
            return None
        try:
            return self._mirror.at(int(self.present) - 1)
        except LookupError:
            return None

    def classes(self) -> pa.Table | None:
        """The annotation classes of the version before (schema ``CLASSES``), or None."""
        if self._mirror is None or self.version is None:
            return None
        return self._mirror.classes(self.version.version)

    def class_counts(self, present: Counter[str]) -> Counter[str] | None:
        """Annotations by class value in the version before; None without one, or when its files were given up.

        Only the tasks that differ are read, in both versions, and ``present``, the counts of the present version, is
        put back by them: the cost grows with the change and not with the project.
        """
        if self._mirror is None or self.version is None or self.present is None:
            return None
        counts = Counter(present)
        try:
            for old, new in self._mirror.changed(self.version.version, int(self.present)):
                counts.subtract(class_counts(new))
                counts.update(class_counts(old))
        except LookupError:
            return None
        return +counts
