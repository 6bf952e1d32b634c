"""Partitions that fit FastLabel: by project, by a dataset's split, by the day of approval.

Never one for each task: tens of thousands of partitions of one asset are more than Dagster's storage and pages are made
for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from fastlabel_dagster.workspace import FastLabelWorkspace

#: The set of dynamic partitions that holds one partition for each project, unless another name is given.
PROJECTS = "fastlabel_projects"

#: The splits of a dataset that models are made with. Objects of type ``none`` belong to none of them.
SPLITS = dg.StaticPartitionsDefinition(["train", "valid", "test"])

#: What a partition key may not contain, as Dagster has it: ``...`` marks a range, the others break its storage.
_NOT_IN_KEYS = ("...", "\a", "\b", "\f", "\n", "\r", "\t", "\v", "\0")


def project_partitions(name: str = PROJECTS) -> dg.DynamicPartitionsDefinition:
    """One partition for each project, its key the slug. Two calls with one name mean the same partitions.

    :func:`partition_changes` keeps them in step with a workspace.
    """
    return dg.DynamicPartitionsDefinition(name=name)


def approval_days(
    start: str | datetime, *, time_zone: str = "UTC", end_offset: int = 0
) -> dg.DailyPartitionsDefinition:
    """One partition for each day since ``start`` (``2025-01-31`` or a date) on which tasks may have been approved.

    The API does not say when a task was approved. A task counts for the day of its ``updatedAt``, if it is approved
    now: that is the day of its approval, unless somebody has changed it since, which moves it to that later day.

    Args:
        end_offset: 1 adds the day that has not ended yet.
    """
    return dg.DailyPartitionsDefinition(
        start_date=start if isinstance(start, datetime) else datetime.fromisoformat(start),
        timezone=time_zone,
        end_offset=end_offset,
    )


@dataclass(frozen=True)
class PartitionChanges:
    """What makes the partitions of projects those of a workspace.

    Attributes:
        name: of the dynamic partitions.
        add, delete: slugs.
        refused: slugs that cannot be a partition key (with ``...`` or control characters in them).
    """

    name: str
    add: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.delete)

    @property
    def requests(self) -> list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]:
        """For ``dg.SensorResult(dynamic_partitions_requests=…)``. Repeating them does no harm."""
        made: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
        if self.add:
            made.append(dg.AddDynamicPartitionsRequest(self.name, list(self.add)))
        if self.delete:
            made.append(dg.DeleteDynamicPartitionsRequest(self.name, list(self.delete)))
        return made

    def apply(self, instance: dg.DagsterInstance) -> None:
        """Make the changes now, where there is no sensor to do it."""
        if self.add:
            instance.add_dynamic_partitions(self.name, list(self.add))
        for slug in self.delete:
            instance.delete_dynamic_partition(self.name, slug)


def partition_changes(
    existing: Iterable[str],
    workspace: FastLabelWorkspace | Iterable[str],
    *,
    delete: bool = False,
    name: str = PROJECTS,
) -> PartitionChanges:
    """What to add to (and, with ``delete``, to take from) the partitions ``existing`` to have one for each project.

    Without ``delete`` the partition of a project that is gone stays, with its history of materializations: the token
    may just not see the project for a while. A workspace in which the list of projects is incomplete, or that holds no
    project at all, never deletes.

    Args:
        existing: ``instance.get_dynamic_partitions(name)``.
        workspace: as fetched, with the selector that decides which projects have a partition; or the slugs.

    Example:
        >>> changes = partition_changes(["old", "street"], ["street", "harbour"], delete=True)
        >>> changes.add, changes.delete
        (('harbour',), ('old',))
    """
    from fastlabel_dagster.workspace import FastLabelWorkspace

    known = list(dict.fromkeys(existing))
    if isinstance(workspace, FastLabelWorkspace):
        wanted, whole = list(workspace.slugs), "projects" not in workspace.problems
    else:
        wanted, whole = list(dict.fromkeys(workspace)), True
    refused = tuple(slug for slug in wanted if not slug or any(part in slug for part in _NOT_IN_KEYS))
    gone = [slug for slug in known if slug not in set(wanted)] if delete and wanted and whole else []
    known_set = set(known)
    added = tuple(slug for slug in wanted if slug not in known_set and slug not in refused)
    return PartitionChanges(name=name, add=added, delete=tuple(gone), refused=refused)
