"""What is to be imported, from S3 or of DICOM files, checked when a code location loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastlabel_dagster.assets.plan_options import Waiting, mapping_of, names_of, refuse_others
from fastlabel_dagster.jobs.kinds import DICOM_IMPORT, S3_IMPORT, JobRequest


@dataclass(frozen=True)
class S3ImportPlan:
    """Tasks from the project's S3 storage.

    Attributes:
        bucket, region, prefix: set as the project's storage before each import; None leaves the one it has.
        status, tags, priority: of the tasks that are made.
    """

    bucket: str | None = None
    region: str | None = None
    prefix: str | None = None
    status: str = "registered"
    tags: tuple[str, ...] = ()
    priority: int = 0
    waiting: Waiting = field(default_factory=Waiting)

    @classmethod
    def of(cls, plan: S3ImportPlan | Mapping[str, Any]) -> S3ImportPlan:
        """Read ``{"bucket": …, "region": …, "prefix": …, "tags": […], …}``. Raises ValueError."""
        if isinstance(plan, S3ImportPlan):
            return plan
        given = mapping_of(plan, "s3 import")
        waiting = Waiting.of(given, "s3 import", "run")
        bucket, region = given.pop("bucket", None), given.pop("region", None)
        if (bucket is None) != (region is None):
            raise ValueError("s3 import: bucket and region are given together, or neither is")
        prefix = given.pop("prefix", None)
        if prefix is not None and bucket is None:
            raise ValueError("s3 import: a prefix needs a bucket and its region")
        status = given.pop("status", "registered")
        tags = names_of(given.pop("tags", ()), "s3 import: tags")
        priority = given.pop("priority", 0)
        if priority not in (0, 10, 20, 30) or isinstance(priority, bool):
            raise ValueError(f"s3 import: priority is 0, 10, 20 or 30, not {priority!r}")
        refuse_others(given, "s3 import", {"bucket", "region", "prefix", "status", "tags", "priority"})
        return cls(bucket, region, prefix, str(status), tags, int(priority), waiting)

    def request(self, project: str, version: str) -> JobRequest:
        """One import of what lies in the bucket; ``version`` says which one."""
        arguments = {"project": project, "status": self.status, "tags": list(self.tags), "priority": self.priority}
        return JobRequest(
            S3_IMPORT,
            project,
            version,
            arguments,
            changed="asked for by this run",
            unchanged="this import was already asked for:",
        )


@dataclass(frozen=True)
class DicomImportPlan:
    """Tasks from a zip of DICOM files.

    Attributes:
        file: path of the zip, at most 2,000 MB.
        status, tags: of the tasks that are made.
    """

    file: str
    status: str | None = None
    tags: tuple[str, ...] = ()
    waiting: Waiting = field(default_factory=Waiting)

    @classmethod
    def of(cls, plan: DicomImportPlan | Mapping[str, Any] | str | Path) -> DicomImportPlan:
        """Read the path of a zip, or ``{"file": …, "tags": […], …}``. Raises ValueError."""
        if isinstance(plan, DicomImportPlan):
            return plan
        given = {"file": str(plan)} if isinstance(plan, str | Path) else mapping_of(plan, "dicom import")
        waiting = Waiting.of(given, "dicom import", "run")
        file, status = given.pop("file", None), given.pop("status", None)
        if not isinstance(file, str | Path) or not str(file).lower().endswith(".zip"):
            raise ValueError("dicom import needs file: the path of a .zip")
        tags = names_of(given.pop("tags", ()), "dicom import: tags")
        refuse_others(given, "dicom import", {"file", "status", "tags"})
        return cls(str(file), None if status is None else str(status), tags, waiting)

    def request(self, project: str, digest: str) -> JobRequest:
        """The import of the zip whose content has this digest: the same content is imported once."""
        arguments: dict[str, Any] = {"project": project, "file_path": self.file}
        if self.status is not None:
            arguments["status"] = self.status
        if self.tags:
            arguments["tags"] = list(self.tags)
        return JobRequest(
            DICOM_IMPORT,
            project,
            digest,
            arguments,
            changed="this file has not been imported",
            unchanged="this file was imported by",
        )


@dataclass(frozen=True)
class ImportPlans:
    """What can be imported into a project: from S3, from a DICOM zip."""

    s3: S3ImportPlan | None = None
    dicom: DicomImportPlan | None = None

    @classmethod
    def of(cls, imports: ImportPlans | Mapping[str, Any] | None) -> ImportPlans:
        """Read ``{"s3": {…}, "dicom": {…}}``; ``{"s3": True}`` takes the storage the project has. Raises ValueError."""
        if isinstance(imports, ImportPlans):
            return imports
        given = mapping_of(imports or {}, "imports")
        s3, dicom = given.pop("s3", None), given.pop("dicom", None)
        refuse_others(given, "imports", {"s3", "dicom"}, waits=False)
        s3 = {} if s3 is True else None if s3 is False else s3
        return cls(
            None if s3 is None else S3ImportPlan.of(s3), None if dicom in (None, False) else DicomImportPlan.of(dicom)
        )
