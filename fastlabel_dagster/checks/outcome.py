"""How a check says what it found: passed or not, a sentence, numbers, and a table of what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import dagster as dg

from fastlabel_dagster.checks.plan import CheckSetting
from fastlabel_dagster.metadata.tables import records_table

#: A table of offenders has at most so many rows; the counts beside it are of all.
MOST_OFFENDERS = 20


def outcome(
    setting: CheckSetting,
    key: dg.AssetKey,
    *,
    passed: bool,
    description: str,
    metadata: Mapping[str, Any] | None = None,
    severity: dg.AssetCheckSeverity | None = None,
) -> dg.AssetCheckResult:
    """The result of the check ``setting`` on the asset ``key``, as severe as was asked for, or else ``severity``."""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=setting.name,
        passed=bool(passed),
        severity=severity or setting.severity,
        description=description,
        metadata=dict(metadata or {}),
    )


def nothing_examined(
    setting: CheckSetting, key: dg.AssetKey, *, description: str, metadata: Mapping[str, Any] | None = None
) -> dg.AssetCheckResult:
    """The result of a check that had nothing to look at and should have had: no pass, for nobody knows. It warns, and
    where the check blocks it is as severe as was asked for: what nobody has looked at does not pass a gate."""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=setting.name,
        passed=False,
        severity=setting.severity if setting.blocking else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata=dict(metadata or {}),
    )


def offenders_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[tuple[str, str]]) -> dg.TableMetadataValue:
    """The first 20 of ``rows`` as a table; ``columns`` of (name, ``string`` | ``int`` | ``float``).

    Texts that people have typed are cut off after 200 letters: metadata is small.
    """
    first = [
        {name: shortened_words(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        for row in islice(rows, MOST_OFFENDERS)
    ]
    return records_table(first, columns)


def shortened_words(text: object, length: int = 200) -> str:
    """``text`` in one line of at most ``length`` letters."""
    line = " ".join(str(text).split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def percent(share: float) -> str:
    """A share as people read it: ``12.5%``, and ``0.0042%`` where one digit would show some as none."""
    return f"{share:.1%}" if share == 0 or share >= 0.001 else f"{share:.4%}"
