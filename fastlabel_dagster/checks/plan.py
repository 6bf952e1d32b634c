"""``CheckPlan``: which checks a project has and what each is told, settled when the code location loads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeAlias

import dagster as dg

from fastlabel_dagster.checks.catalogue import CHECKS, CheckKind

#: ``{"geometry": {"severity": "error"}, "duplicates": True, "parity": False}``, a ready plan, None (what is on when
#: nothing is said), or False (none at all).
ChecksLike: TypeAlias = "Mapping[str, bool | Mapping[str, Any] | None] | CheckPlan | bool | None"

_SEVERITIES = {"warn": dg.AssetCheckSeverity.WARN, "error": dg.AssetCheckSeverity.ERROR}


@dataclass(frozen=True)
class CheckSetting:
    """One check as it was asked for: how bad a failure is, whether it stops what is downstream, and its options."""

    kind: CheckKind
    severity: dg.AssetCheckSeverity
    blocking: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, option: str) -> Any:
        """The value of an option, its default when nothing was said."""
        return self.options.get(option, self.kind.options[option].default)

    @property
    def name(self) -> str:
        """The check's name."""
        return self.kind.name

    def spec(self, key: dg.AssetKey) -> dg.AssetCheckSpec:
        """The check as Dagster declares it on the asset ``key``."""
        options = {name: self[name] for name in self.kind.options}
        shown = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
        return dg.AssetCheckSpec(
            self.name,
            asset=key,
            description=self.kind.description,
            blocking=self.blocking,
            metadata={name: "none" if value is None else value for name, value in shown.items()},
        )


@dataclass(frozen=True)
class CheckPlan:
    """The checks of a project by name; what is not in it is not done. Made by :meth:`of`."""

    settings: Mapping[str, CheckSetting] = field(default_factory=dict)

    @classmethod
    def of(cls, checks: ChecksLike = None) -> CheckPlan:
        """Read what a user said about the checks; what they said nothing about is as the catalogue has it.

        ``{name: True}`` switches a check on, ``{name: False}`` off, ``{name: {…}}`` switches it on and says more:
        ``severity`` ("warn" or "error"), ``blocking`` (nothing downstream is made in a run in which it fails; a
        blocking check is an error unless something else is said), and the check's own options.

        Raises:
            ValueError: no such check or option, a value that makes no sense, or a blocking check that only warns.
        """
        if isinstance(checks, CheckPlan):
            return checks
        if checks is False:
            return cls()
        if checks is None or checks is True:
            checks = {}
        if not isinstance(checks, Mapping):
            raise ValueError(f"checks is a mapping of a check's name to true, false or its options, not {checks!r}")
        settings = {name: _setting(kind, {}) for name, kind in CHECKS.items() if kind.on}
        for name, said in checks.items():
            kind = CHECKS.get(name)
            if kind is None:
                raise ValueError(f"there is no check {name!r}{_meant(name, CHECKS)}; there are {', '.join(CHECKS)}")
            if said is False:
                settings.pop(name, None)
            elif said is True or said is None:
                settings[name] = _setting(kind, {})
            elif isinstance(said, Mapping):
                settings[name] = _setting(kind, said)
            else:
                raise ValueError(f"the check {name!r} takes true, false or a mapping of options, not {said!r}")
        return cls({name: settings[name] for name in CHECKS if name in settings})

    @classmethod
    def only(cls, names: Iterable[str], checks: Mapping[str, Any] | None = None) -> CheckPlan:
        """A plan of just these checks, with what ``checks`` says about them. Raises ValueError as :meth:`of` does."""
        wanted = list(names)
        said = checks or {}
        full = cls.of({**dict.fromkeys(wanted, True), **said})
        return cls({name: full.settings[name] for name in CHECKS if name in wanted and name in full.settings})

    def __contains__(self, name: object) -> bool:
        return name in self.settings

    def __iter__(self) -> Iterator[CheckSetting]:
        return iter(self.settings.values())

    def get(self, name: str) -> CheckSetting | None:
        """The setting of a check, or None when it is not done."""
        return self.settings.get(name)

    def of_part(self, part: str) -> CheckPlan:
        """The checks on one part of a project (``labels``, ``annotations``, …; ``splits``)."""
        return CheckPlan({name: one for name, one in self.settings.items() if one.kind.part == part})

    def specs(self, part: str, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
        """The specs of the checks on ``part``, whose asset is ``key``."""
        return [setting.spec(key) for setting in self.of_part(part)]

    def blocks(self, part: str) -> bool:
        """Whether a check on ``part`` stops what is downstream of it."""
        return any(setting.blocking for setting in self.of_part(part))


def checks_of_one(of_all: ChecksLike, own: ChecksLike) -> ChecksLike:
    """What ``own`` says of one project's checks, and ``of_all`` of those it says nothing about.

    A mapping says what differs, check by check, and in a check's mapping option by option; ``true`` and ``false`` are
    said of a check, or of all of them, and leave nothing of what is said of all.
    """
    if own is None:
        return of_all
    if not isinstance(of_all, Mapping) or not isinstance(own, Mapping):
        return own
    said: dict[str, Any] = {**of_all, **own}
    for name, options in own.items():
        before = of_all.get(name)
        if isinstance(options, Mapping) and isinstance(before, Mapping):
            said[name] = {**before, **options}
    return said


def one_setting(name: str, checks: Mapping[str, Any] | CheckPlan | None) -> CheckSetting:
    """What ``checks`` says about one check, which is on unless it says otherwise.

    Raises:
        ValueError: it is switched off, or said to be something impossible.
    """
    plan = checks if isinstance(checks, CheckPlan) else CheckPlan.only([name], checks)
    setting = plan.get(name)
    if setting is None:
        raise ValueError(f"the check {name!r} is switched off, and nothing else is built here")
    return setting


def _setting(kind: CheckKind, said: Mapping[str, Any]) -> CheckSetting:
    allowed = ["severity", "blocking", *kind.options]
    for name, value in said.items():
        if name not in allowed:
            raise ValueError(
                f"the check {kind.name!r} has no option {name!r}{_meant(name, allowed)}; it has {', '.join(allowed)}"
            )
        if name == "severity":
            fits, words = isinstance(value, str) and value.lower() in _SEVERITIES, '"warn" or "error"'
        elif name == "blocking":
            fits, words = isinstance(value, bool), "true or false"
        else:
            fits, words = kind.options[name].takes(value), kind.options[name].words
        if not fits:
            raise ValueError(f"{name} of the check {kind.name!r} is {words}, not {value!r}")
    blocking = bool(said.get("blocking", False))
    severity = str(said.get("severity", "error" if blocking else kind.severity)).lower()
    if blocking and severity == "warn":
        raise ValueError(f"the check {kind.name!r} cannot be blocking and only warn; a warning stops nothing")
    options = {
        name: tuple(value) if isinstance(value, list) else value for name, value in said.items() if name in kind.options
    }
    return CheckSetting(kind, _SEVERITIES[severity], blocking, options)


def _meant(name: object, known: Iterable[str]) -> str:
    near = get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
