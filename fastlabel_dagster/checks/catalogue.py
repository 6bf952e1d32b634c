"""Every check one can switch on, off or turn: what it is about, what it can be told, and what holds when nothing is
said."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastlabel_dagster.api.task_statuses import TASK_STATUSES, mistyped
from fastlabel_dagster.checks.names import (
    APPROVAL_SHARE_CHECK,
    CLASS_CHANGES_CHECK,
    CLASS_COVERAGE_CHECK,
    CLASS_DRIFT_CHECK,
    CLASSES_CHECK,
    COMMENTS_CHECK,
    CONNECTION_CHECK,
    DUPLICATES_CHECK,
    EMPTY_CHECK,
    FRESHNESS_CHECK,
    GEOMETRY_CHECK,
    IMAGES_CHECK,
    LEAKAGE_CHECK,
    PARITY_CHECK,
    QUARANTINE_CHECK,
)

#: What the geometry check looks for, and in this order: an annotation counts for the first that applies.
GEOMETRY_PROBLEMS = ("unreadable", "outside", "zero_area", "self_intersecting", "self_touching")
#: Changes of a class definition, see :func:`fastlabel_dagster.checks.class_changes.class_changes`.
CLASS_CHANGES = ("added", "removed", "renamed", "retyped", "recoloured", "attributes", "keypoints")
#: Statuses in which somebody has said that a task is labeled.
LABELED_STATUSES = ("completed", "reviewed", "approved")


@dataclass(frozen=True)
class Option:
    """One thing a check can be told: its default, what it means, which values it takes, and these in words."""

    default: Any
    meaning: str
    takes: Callable[[Any], bool]
    words: str


@dataclass(frozen=True)
class CheckKind:
    """One check.

    Attributes:
        name: in Dagster and in ``checks=``.
        part: the part of a project whose asset it belongs to; ``splits`` are exports with parts and the dataset.
        on: whether it is there when nothing is said.
        severity: ``warn`` or ``error``, when nothing is said.
        description: what must hold.
        options: by name.
    """

    name: str
    part: str
    on: bool
    severity: str
    description: str
    options: Mapping[str, Option] = field(default_factory=dict)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _share(default: float, meaning: str) -> Option:
    return Option(default, meaning, lambda value: _is_number(value) and 0 <= value <= 1, "a share from 0 to 1")


def _count(default: int, meaning: str) -> Option:
    def takes(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0

    return Option(default, meaning, takes, "a whole number from 0 on")


def _length(default: float, meaning: str) -> Option:
    return Option(default, meaning, lambda value: _is_number(value) and value >= 0, "a number from 0 on")


def _hours(default: float | None, meaning: str) -> Option:
    def takes(value: Any) -> bool:
        return value is None or (_is_number(value) and value > 0)

    return Option(default, meaning, takes, "a number of hours above 0, or null")


def _yes_or_no(default: bool, meaning: str) -> Option:
    return Option(default, meaning, lambda value: isinstance(value, bool), "true or false")


def _texts(default: tuple[str, ...], meaning: str) -> Option:
    def takes(value: Any) -> bool:
        return isinstance(value, list | tuple) and all(isinstance(one, str) and one for one in value)

    return Option(default, meaning, takes, "a list of names")


def _statuses(default: tuple[str, ...], meaning: str) -> Option:
    def takes(value: Any) -> bool:
        return _texts(default, meaning).takes(value) and not any(map(mistyped, value))

    return Option(default, meaning, takes, f"a list of names of statuses, such as {', '.join(TASK_STATUSES)}")


def _some_of(known: tuple[str, ...], default: tuple[str, ...], meaning: str) -> Option:
    def takes(value: Any) -> bool:
        return isinstance(value, list | tuple) and bool(value) and all(one in known for one in value)

    return Option(default, meaning, takes, f"a list of any of {', '.join(known)}")


def _sample(default: int, meaning: str) -> Option:
    def takes(value: Any) -> bool:
        return value == "all" or (isinstance(value, int) and not isinstance(value, bool) and value > 0)

    return Option(default, meaning, takes, 'a whole number from 1 on, or "all"')


_ACCEPTED = _count(0, "Version of the mirror that is as it is meant: compare with it, or with a later one.")

_ALL = (
    CheckKind(
        CONNECTION_CHECK,
        "project",
        True,
        "error",
        "The API can be reached, takes the token, and shows the project. Asks anew whenever it is executed.",
    ),
    CheckKind(
        PARITY_CHECK,
        "labels",
        True,
        "error",
        "The mirror (with its quarantine) holds as many tasks as the API counts for the project.",
        {"at_most": _count(0, "Tasks by which the two may differ.")},
    ),
    CheckKind(
        QUARANTINE_CHECK,
        "labels",
        True,
        "warn",
        "Every task of the project could be read; none is in quarantine.",
        {"at_most": _count(0, "Tasks that may be in quarantine.")},
    ),
    CheckKind(
        FRESHNESS_CHECK,
        "labels",
        False,
        "warn",
        "Somebody is labeling: a task was changed not too long ago.",
        {
            "changed_within_hours": _hours(336.0, "Age the newest change of a task may have at a sync; null: any."),
            "synced_within_hours": _hours(
                26.0, "Age the newest sync may have, as a freshness policy of the asset `labels`; null: no policy."
            ),
        },
    ),
    CheckKind(
        APPROVAL_SHARE_CHECK,
        "labels",
        False,
        "warn",
        "Enough of the tasks are approved.",
        {
            "at_least": _share(0.8, "Share of all tasks that are in one of the statuses."),
            "statuses": _statuses(("approved",), "Statuses that count."),
        },
    ),
    CheckKind(
        COMMENTS_CHECK,
        "labels",
        False,
        "warn",
        "No comment on a task waits to be resolved.",
        {"at_most": _count(0, "Comments that may be unresolved.")},
    ),
    CheckKind(
        CLASS_CHANGES_CHECK,
        "classes",
        True,
        "warn",
        "The annotation classes mean what they meant in the version before; where this blocks, in the one that passed.",
        {
            "fails_on": _some_of(
                CLASS_CHANGES,
                ("removed", "renamed", "retyped", "attributes", "keypoints"),
                "Changes since the version before that fail the check; the others are only shown.",
            ),
            "accepted": _ACCEPTED,
        },
    ),
    CheckKind(
        GEOMETRY_CHECK,
        "annotations",
        True,
        "warn",
        "Annotations can be read, lie inside their picture, enclose something, and do not cross themselves.",
        {
            "problems": _some_of(
                GEOMETRY_PROBLEMS,
                ("unreadable", "outside", "zero_area", "self_intersecting"),
                "What counts. `self_touching`: an outline meets itself in a point.",
            ),
            "tolerance_pixels": _length(0.5, "Pixels a vertex may lie outside the picture: annotation tools round."),
            "smallest_area": _length(0.0, "Square pixels; what encloses no more has `zero_area`."),
            "at_most": _share(0.0, "Share of the annotations looked at that may have a problem."),
        },
    ),
    CheckKind(
        DUPLICATES_CHECK,
        "annotations",
        False,
        "warn",
        "No box lies on top of another of the same task.",
        {
            "iou": Option(
                0.95,
                "Intersection over union from which on two boxes are the same.",
                lambda value: _is_number(value) and 0.5 <= value <= 1,
                "a number from 0.5 to 1",
            ),
            "same_class": _yes_or_no(True, "Compare only boxes of the same class."),
            "at_most": _count(0, "Boxes that may be duplicates of an earlier one."),
        },
    ),
    CheckKind(
        CLASSES_CHECK,
        "annotations",
        True,
        "error",
        "Every annotation belongs to a class the project declares.",
        {"at_most": _count(0, "Annotations that may name an unknown class.")},
    ),
    CheckKind(
        EMPTY_CHECK,
        "annotations",
        True,
        "warn",
        "Few of the labeled tasks have no annotation.",
        {
            "at_most": _share(0.1, "Share of the labeled tasks that may be empty."),
            "statuses": _statuses(LABELED_STATUSES, "Statuses in which a task counts as labeled."),
        },
    ),
    CheckKind(
        CLASS_COVERAGE_CHECK,
        "annotations",
        False,
        "warn",
        "Every class the project declares is used.",
        {
            "at_least": _count(1, "Annotations each class should have."),
            "ignore": _texts((), "Values of classes that may be rarer."),
        },
    ),
    CheckKind(
        CLASS_DRIFT_CHECK,
        "annotations",
        False,
        "warn",
        "The classes are used in about the same shares as in the version before; where this blocks, in the one that "
        "passed. Not examined, and where this blocks a warning, when the files of that version were given up.",
        {
            "threshold": _share(0.2, "Largest total variation distance: half the sum of the changes of all shares."),
            "fewest": _count(50, "With fewer annotations in either version, shares say nothing, and the check passes."),
            "accepted": _ACCEPTED,
        },
    ),
    CheckKind(
        IMAGES_CHECK,
        "images",
        False,
        "error",
        "The downloaded pictures are there, can be read, and have the size their tasks state.",
        {
            "sample": _sample(200, 'Pictures to look at, always the same ones; "all" for every one.'),
            "decode": _yes_or_no(False, "Decode each picture wholly, instead of reading its head."),
            "at_most": _count(0, "Pictures that may be bad."),
        },
    ),
    CheckKind(
        LEAKAGE_CHECK,
        "splits",
        False,
        "error",
        "No picture is in two parts (train, val, test) of a dataset; pictures are the same when their bytes are.",
        {"at_most": _count(0, "Pictures that may be in several parts.")},
    ),
)

#: Every check by its name.
CHECKS: Mapping[str, CheckKind] = {kind.name: kind for kind in _ALL}
