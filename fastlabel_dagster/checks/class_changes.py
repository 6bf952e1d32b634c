"""The check ``class_changes``: do the annotation classes still mean what they meant in the version before?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import dagster as dg
import pyarrow as pa

from fastlabel_dagster.checks.batch import LabelBatch
from fastlabel_dagster.checks.outcome import offenders_table, outcome, shortened_words
from fastlabel_dagster.checks.plan import CheckSetting
from fastlabel_dagster.checks.versions import Before, how_to_open


class ClassChange(NamedTuple):
    """One change of one class: which kind (``catalogue.CLASS_CHANGES``), and what it was and is."""

    kind: str
    value: str
    title: str
    before: str
    after: str


def class_changes(before: pa.Table, after: pa.Table) -> list[ClassChange]:
    """What changed from one set of classes to another (both schema ``CLASSES``), in the order of ``after``, removed
    classes first.

    Classes are matched by their id, and those without a partner by value and type. A class is ``renamed`` when its
    value or its title is another, ``retyped`` (a box has become a polygon), ``recoloured``, or has other ``attributes``
    or ``keypoints``: added, removed, or with another type, name or set of options. What changed in two ways is listed
    twice.
    """
    old, new = before.to_pylist(), after.to_pylist()
    by_id = {row["class_id"]: row for row in old if row["class_id"]}
    partners: list[tuple[Mapping[str, Any] | None, Mapping[str, Any]]] = []
    left = {id(row): row for row in old}
    for row in new:
        partner = by_id.get(row["class_id"]) if row["class_id"] else None
        if partner is not None and left.pop(id(partner), None) is None:
            partner = None
        partners.append((partner, row))
    for position, (partner, row) in enumerate(partners):
        if partner is None:
            found = next((one for one in left.values() if _name(one) == _name(row)), None)
            if found is not None:
                del left[id(found)]
                partners[position] = (found, row)
    changes = [ClassChange("removed", *_shown(row), _words(row), "") for row in left.values()]
    for partner, row in partners:
        if partner is None:
            changes.append(ClassChange("added", *_shown(row), "", _words(row)))
        else:
            changes += _differences(partner, row)
    return changes


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[ClassChange]:
    shown = _shown(new)
    if (old["value"], old["title"]) != (new["value"], new["title"]):
        yield ClassChange("renamed", *shown, _words(old), _words(new))
    if old["type"] != new["type"]:
        yield ClassChange("retyped", *shown, old["type"] or "", new["type"] or "")
    if (old["color"] or "").lower() != (new["color"] or "").lower():
        yield ClassChange("recoloured", *shown, old["color"] or "", new["color"] or "")
    for kind, describe in (("attributes", _attributes), ("keypoints", _keypoints)):
        was, is_now = describe(old[kind] or []), describe(new[kind] or [])
        gone = [f"{name}: {text}" for name, text in was.items() if is_now.get(name) != text]
        come = [f"{name}: {text}" for name, text in is_now.items() if was.get(name) != text]
        if gone or come:
            yield ClassChange(kind, *shown, "; ".join(gone), "; ".join(come))


def _name(row: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return row["value"], row["type"]


def _shown(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["value"] or "", row["title"] or ""


def _words(row: Mapping[str, Any]) -> str:
    return f"{row['value'] or '(no value)'} ({row['title'] or 'no title'}, {row['type'] or 'no type'})"


def _attributes(attributes: list[Mapping[str, Any]]) -> dict[str, str]:
    """By key: name, type and options, of everything that is an attribute at all."""
    found = {}
    for one in attributes:
        options = ", ".join(
            f"{option['value']} ({option['title']})" if option["title"] != option["value"] else str(option["value"])
            for option in one["options"] or []
        )
        found[str(one["key"])] = f"{one['name']} · {one['type']}" + (f" · {options}" if options else "")
    return found


def _keypoints(keypoints: list[Mapping[str, Any]]) -> dict[str, str]:
    """By key: the name, and the keys of the keypoints it is joined with."""
    keys = {one["keypoint_id"]: one["key"] for one in keypoints}
    return {
        str(
            one["key"]
        ): f"{one['name']} → {', '.join(sorted(str(keys.get(edge, edge)) for edge in one['edges'] or []))}"
        for one in keypoints
    }


class ClassChanges:
    """Compares the classes with those of an earlier version."""

    def __init__(self, classes: pa.Table, before: Before) -> None:
        self._classes, self._before = classes, before

    def add(self, batch: LabelBatch) -> None:
        """Nothing: the classes are not in the batches."""

    def result(self, setting: CheckSetting, key: dg.AssetKey) -> dg.AssetCheckResult:
        version = self._before.version(setting)
        if version is None:
            return self._before.nothing_to_compare(setting, key)
        changes = class_changes(self._before.classes(version), self._classes)
        bad = [change for change in changes if change.kind in setting["fails_on"]]
        kinds = {change.kind: sum(one.kind == change.kind for one in changes) for change in changes}
        said = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        metadata: dict[str, Any] = {"version_before": version.version, "changes": len(changes), "failing": len(bad)}
        metadata |= self._before.next_with(passed=not bad, version=version)
        if changes:
            rows = [
                {
                    "change": one.kind,
                    "class": one.value,
                    "title": one.title,
                    "before": shortened_words(one.before),
                    "after": shortened_words(one.after),
                }
                for one in [*bad, *(one for one in changes if one not in bad)]
            ]
            metadata["class_changes"] = offenders_table(rows, [(name, "string") for name in rows[0]])
        return outcome(
            setting,
            key,
            passed=not bad,
            description=f"Since version {version.version}: {said}."
            + (how_to_open(setting, self._before.present) if bad else "")
            if changes
            else f"The classes are those of version {version.version}.",
            metadata=metadata,
        )
