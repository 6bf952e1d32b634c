"""How bad it is when a check fails that a sensor reports: a warning or an error, as one says, or by default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import dagster as dg

from fastlabel_dagster.checks.names import IMPORTS_CHECK, OPEN_COMMENTS_CHECK, POLLING_CHECK, SENT_BACK_CHECK
from fastlabel_dagster.job_reports.outcomes import success_check
from fastlabel_dagster.jobs.kinds import KINDS

_WARN, _ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR

#: ``warn`` or ``error``, for every check that a sensor reports or by the name of the check; what is not named, and what
#: None says nothing of, is as it is by default.
SeverityLike: TypeAlias = str | dg.AssetCheckSeverity | Mapping[str, str | dg.AssetCheckSeverity] | None

#: The checks that sensors report, each with how bad it is when nobody says: a failed import is tried again from where
#: it came, and what people say of labels stops nothing; of a failed job nothing comes that others could go on from.
DEFAULTS: Final[Mapping[str, dg.AssetCheckSeverity]] = {
    POLLING_CHECK: _WARN,
    IMPORTS_CHECK: _WARN,
    OPEN_COMMENTS_CHECK: _WARN,
    SENT_BACK_CHECK: _WARN,
    **{success_check(kind): _ERROR for kind in KINDS.values()},
}


def severities_of(given: SeverityLike) -> Mapping[str, dg.AssetCheckSeverity]:
    """How bad each check is that sensors report, by its name.

    Example:
        >>> from fastlabel_dagster.sensors.severity import severities_of
        >>> severities_of({"imports_succeeded": "error"})["imports_succeeded"].value
        'ERROR'

    Raises:
        ValueError: a word that is no severity, or a check that no sensor reports.
    """
    if given is None:
        return DEFAULTS
    if not isinstance(given, Mapping):
        return dict.fromkeys(DEFAULTS, _severity(given))
    unknown = [str(name) for name in given if name not in DEFAULTS]
    if unknown:
        raise ValueError(f"severity: no sensor reports {', '.join(unknown)}; sensors report {', '.join(DEFAULTS)}")
    return {**DEFAULTS, **{name: _severity(said) for name, said in given.items()}}


def _severity(said: str | dg.AssetCheckSeverity) -> dg.AssetCheckSeverity:
    if isinstance(said, dg.AssetCheckSeverity):
        return said
    try:
        return {"warn": _WARN, "error": _ERROR}[said.lower()]
    except (AttributeError, KeyError):
        raise ValueError(f"severity is warn or error, or a mapping of checks to these, not {said!r}") from None
