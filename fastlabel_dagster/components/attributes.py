"""The small attributes both components have in their YAML: store, sensors, schedule."""

# Annotations are not postponed here: Dagster derives the YAML's schema from them.
from typing import TYPE_CHECKING

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


class SensorAttributes(dg.Model, dg.Resolvable):
    """Which sensors there are, and how often each looks."""

    imports: bool = Field(default=True, description="Finished imports start a sync; failed ones fail a check.")
    approvals: bool = Field(default=True, description="Enough approvals start a retraining; needs `loop`.")
    jobs: bool = Field(default=True, description="Finished, failed and stuck jobs are reported; needs `loop`.")
    quality: bool = Field(default=False, description="Open comments and tasks sent back fail checks.")
    interval_seconds: int = Field(default=60, description="How often a sensor looks at most.")


class WorkspaceSensorAttributes(dg.Model, dg.Resolvable):
    """Which sensors a workspace has, and how often each looks."""

    imports: bool = Field(
        default=True,
        description="Finished imports start a sync of their project; needs `store`, and no `partitions`.",
    )
    approvals: int | None = Field(
        default=None,
        description="So many newly approved tasks of a project publish its dataset anew; needs `dataset`.",
        examples=[200],
    )
    projects: bool | None = Field(
        default=None,
        description="New projects become partitions and are synced; changed ones, and ones that are gone, are told of. "
        "Default: where there are `partitions`. Elsewhere it only tells.",
    )
    delete_partitions: bool = Field(
        default=False, description="Also delete the partitions of projects that are gone. Their history stays."
    )
    interval_seconds: int = Field(default=60, description="How often a sensor looks at most.")
