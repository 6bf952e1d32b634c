"""The checks of labels on an asset of one's own: ``build_label_checks``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.checks.label_findings import LABEL_CHECKS, LabelFindings
from fastlabel_dagster.checks.mirror import approval_share_result, freshness_result, newest_change, statuses_of
from fastlabel_dagster.checks.names import APPROVAL_SHARE_CHECK, FRESHNESS_CHECK
from fastlabel_dagster.checks.plan import CheckPlan, CheckSetting
from fastlabel_dagster.resource import resource_named
from fastlabel_dagster.translator import safe_name

if TYPE_CHECKING:
    from fastlabel_dagster.labels import Labels
    from fastlabel_dagster.store import S3Options

#: What can be asked of any labels, wherever they come from.
_KNOWN = (*LABEL_CHECKS, APPROVAL_SHARE_CHECK, FRESHNESS_CHECK)


def build_label_checks(
    asset: dg.AssetKey | str,
    *,
    mirror: str | Path | None = None,
    labels: Callable[[], Labels] | None = None,
    s3: S3Options | None = None,
    checks: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> dg.AssetChecksDefinition:
    """Checks of labels on any asset, in one pass over them when they are executed.

    Example:
        >>> from fastlabel_dagster import formats
        >>> from fastlabel_dagster.checks import build_label_checks
        >>> checks = build_label_checks(
        ...     "my_coco", labels=lambda: formats.read("data/coco", format="coco"), checks={"duplicates": True}
        ... )

    Args:
        asset: the key of the asset they belong to.
        mirror: where a :class:`~fastlabel_dagster.sync.LabelMirror` lies; its newest version is looked at.
        labels: a function that gives the labels, when they are not in a mirror. They have no version before, so
            ``class_drift`` and ``class_changes`` always pass.
        checks: any of ``geometry``, ``duplicates``, ``classes_known``, ``empty_tasks``, ``class_coverage``,
            ``class_drift``, ``class_changes``, ``approval_share`` and ``freshness``, as in
            :class:`~fastlabel_dagster.checks.CheckPlan`; which of them are there when nothing is said is the same too.
        name: of the op; default made from the key.

    Raises:
        ValueError: neither or both of ``mirror`` and ``labels`` are given; a check of another kind is asked for; none
            is left.
    """
    if (mirror is None) == (labels is None):
        raise ValueError("give either mirror= (where it lies) or labels= (a function that gives them)")
    others = [one for one, said in (checks or {}).items() if one not in _KNOWN and said is not False]
    full = CheckPlan.of(checks)
    if others:
        raise ValueError(f"{', '.join(others)} cannot be checked by labels alone; {', '.join(_KNOWN)} can")
    plan = CheckPlan({setting.name: setting for setting in full if setting.name in _KNOWN})
    if not plan.settings:
        raise ValueError("every check of labels is switched off")
    key = dg.AssetKey.from_coercible(asset)

    def label_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        from fastlabel_dagster.checks.versions import remembered
        from fastlabel_dagster.store import open_store
        from fastlabel_dagster.sync import LabelMirror

        def last(setting: CheckSetting) -> int | None:
            return remembered(context.instance, dg.AssetCheckKey(key, setting.name))

        chosen = {one.name for one in context.selected_asset_check_keys}
        wanted = CheckPlan({setting.name: setting for setting in plan if setting.name in chosen})
        opened = None if mirror is None else LabelMirror(open_store(mirror, s3))
        found = _read(opened, labels)
        findings = LabelFindings(wanted, found, mirror=opened, last=last)
        for batch in found.batches():
            findings.add(batch)
        yield from findings.results("", key)
        for setting in wanted:
            if setting.name == APPROVAL_SHARE_CHECK:
                yield approval_share_result(setting, key, statuses_of(found))
            elif setting.name == FRESHNESS_CHECK:
                yield freshness_result(setting, key, newest_change(found))

    op = name or f"{'_'.join(safe_name(part) for part in key.path)}_label_checks"
    specs = [setting.spec(key) for setting in plan]
    return dg.multi_asset_check(name=op, specs=specs, can_subset=True)(resource_named("fastlabel", label_checks))


def _read(mirror: Any, labels: Callable[[], Labels] | None) -> Labels:
    if labels is not None:
        return labels()
    try:
        found: Labels = mirror.read()
    except LookupError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    return found
