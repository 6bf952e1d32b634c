"""What the configs of several ops have in common: which project, and where its files live."""

# Annotations are not postponed here: Dagster reads them from the classes as they are.
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from fastlabel_dagster.labels import Labels
    from fastlabel_dagster.store import Store

#: An input that only says "after this".
AFTER = {"start": dg.In(dg.Nothing, description="Anything that has to happen before.")}


class StoreConfig(dg.Config):
    """Where files live."""

    store: str = Field(description="A folder or s3://bucket/prefix; one for each project.")
    s3_endpoint_url: str | None = Field(default=None, description="S3 server, where the environment does not decide.")
    s3_region: str | None = Field(default=None, description="S3 region, likewise.")
    s3_profile: str | None = Field(default=None, description="Profile of the shared AWS files, likewise.")

    def open(self) -> "Store":
        """The store."""
        from fastlabel_dagster.store import S3Options, open_store

        options: S3Options | None = None
        if self.s3_endpoint_url or self.s3_region or self.s3_profile:
            options = S3Options(self.s3_endpoint_url, self.s3_region, self.s3_profile)
        return open_store(self.store, options)


class ProjectConfig(StoreConfig):
    """Which project, and where its files live."""

    project: str = Field(description="Slug of the project.")

    def labels(self, version: int | None = None) -> "Labels":
        """The labels of the mirror at a version, or the newest. Raises ``dagster.Failure`` when nothing was synced yet,
        or there is no such version."""
        from fastlabel_dagster.sync import LabelMirror

        mirror = LabelMirror(self.open().at("labels"))
        try:
            return mirror.read(version)
        except LookupError as error:
            if version is not None and mirror.exists:
                there = ", ".join(str(one.version) for one in mirror.versions()[-10:])
                text = f"The mirror at {mirror.store.uri} has no version {version} (any more); the newest are {there}."
                raise dg.Failure(description=text, allow_retries=False) from error
            text = f"There is no mirror at {mirror.store.uri} yet; run sync_op first."
            raise dg.Failure(description=text, allow_retries=False) from error
