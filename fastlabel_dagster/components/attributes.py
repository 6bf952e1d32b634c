"""The small attributes both components have in their YAML: store, sensors, schedule."""

# Annotations are not postponed here: Dagster derives the YAML's schema from them.
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from fastlabel_dagster.store import S3Options


class S3Attributes(dg.Model, dg.Resolvable):
    """How to reach S3 where the environment does not decide. Credentials are boto3's affair and never written here."""

    endpoint_url: str | None = Field(default=None, description="S3-compatible server; default: the environment's.")
    region: str | None = Field(default=None, description="Such as ap-northeast-1; default: the environment's.")
    profile: str | None = Field(default=None, description="Profile of the AWS files; default: the environment's.")

    def options(self) -> "S3Options":
        """For the store. Raises ValueError for an endpoint that is no URL or carries a password."""
        from fastlabel_dagster.store import S3Options

        return S3Options(self.endpoint_url, self.region, self.profile)


class ScheduleAttributes(dg.Model, dg.Resolvable):
    """When the sync runs by itself."""

    cron: str = Field(default="0 3 * * *", description="Cron expression of the sync.")
    time_zone: str = Field(default="UTC", description="The cron expression's time zone, such as Asia/Tokyo.")


#: What the quality sensor takes in YAML.
_QUALITY = ("comments", "statuses", "external_statuses", "most_open_comments", "most_sent_back")


class QualityAttributes(dg.Model, dg.Resolvable):
    """What both components say of quality, of what their sensors find, and of the time between two looks."""

    quality: bool | Mapping[str, Any] = Field(
        default=False,
        description="Open comments and tasks sent back fail checks: true, or what is too much, as in the examples.",
        examples=[True, {"most_open_comments": 3, "most_sent_back": 5, "statuses": ["sent_back", "declined"]}],
    )
    interval_seconds: int = Field(default=60, description="How often a sensor looks at most.")
    stuck_after: float = Field(
        default=24.0, description="Hours after which an import or a job that still runs fails its check, as a warning."
    )
    severity: str | Mapping[str, str] | None = Field(
        default=None,
        description="How bad it is when a check fails that a sensor reports: warn or error, for all of them or by the "
        "check's name. By default a failed job is an error and all else a warning.",
        examples=["error", {"imports_succeeded": "error", "training_succeeded": "warn"}],
    )

    @property
    def severities(self) -> "Mapping[str, dg.AssetCheckSeverity]":
        """By the checks' names, where something is said. Raises ValueError for what is no severity and no check."""
        from fastlabel_dagster.sensors.severity import severities_of

        return {} if self.severity is None else severities_of(self.severity)

    @property
    def quality_rules(self) -> dict[str, Any] | None:
        """For the builders; None where nobody wants it.

        Raises:
            ValueError: for a rule there is none of, or of the wrong kind: of a text for a list, each letter would be
                taken for a status.
        """
        if not isinstance(self.quality, Mapping):
            return {} if self.quality else None
        unknown = [str(one) for one in self.quality if one not in _QUALITY]
        if unknown:
            raise ValueError(f"sensors.quality has no {', '.join(unknown)}; it has {', '.join(_QUALITY)}")
        rules = {name: rule for name, rule in self.quality.items() if rule is not None}
        for name, rule in rules.items():
            wanted = _refused(name, rule)
            if wanted is not None:
                raise ValueError(f"sensors.quality.{name} is {wanted}, not {rule!r}")
        return rules


def _refused(name: str, rule: Any) -> str | None:
    """What a rule of quality would have to be; None when it is that."""
    if name == "comments":
        return None if isinstance(rule, bool) else "true or false"
    if name.startswith("most_"):
        return None if isinstance(rule, int) and not isinstance(rule, bool) and rule >= 0 else "a number from 0 on"
    if not isinstance(rule, list | tuple) or not all(isinstance(one, str) for one in rule):
        return "a list of statuses"
    return None


class SensorAttributes(QualityAttributes):
    """Which sensors there are, and how often each looks."""

    imports: bool = Field(default=True, description="Finished imports start a sync; failed ones fail a check.")
    approvals: bool = Field(default=True, description="Enough approvals start a retraining; needs `loop`.")
    jobs: bool = Field(default=True, description="Finished, failed and stuck jobs are reported; needs `loop`.")


class WorkspaceSensorAttributes(QualityAttributes):
    """Which sensors a workspace has, and how often each looks."""

    imports: bool = Field(
        default=True,
        description="Finished imports start a sync of their project, failed ones fail its check; needs `store`.",
    )
    approvals: bool | int | None = Field(
        default=None,
        description="So many newly approved tasks of a project publish its dataset anew; needs `dataset`. A project "
        "with a `loop` goes by that in any case; false switches both off.",
        examples=[200],
    )
    jobs: bool = Field(
        default=True,
        description="Finished, failed and stuck jobs are reported, and what follows them is started; where a project "
        "has a `loop`, a training or imports.",
    )
    projects: bool | None = Field(
        default=None,
        description="New projects become partitions and are synced; changed ones, and ones that are gone, are told of. "
        "Default: where there are `partitions`. Elsewhere it only tells.",
    )
    delete_partitions: bool = Field(
        default=False, description="Also delete the partitions of projects that are gone. Their history stays."
    )
