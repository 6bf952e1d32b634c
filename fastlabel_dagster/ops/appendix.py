"""Ops on appendix data: the calibrations that belong to point clouds."""

# Annotations are not postponed here: Dagster reads them from the functions as they are.
import json
from typing import Any

import dagster as dg
from pydantic import Field

from fastlabel_dagster.api import job_id
from fastlabel_dagster.api.links import without_query
from fastlabel_dagster.ops.places import AFTER, ProjectConfig
from fastlabel_dagster.resource import FastLabelResource


class ImportAppendixConfig(dg.Config):
    """Which file to import into which project."""

    project: str = Field(description="Slug of the project.")
    file: str = Field(description="Path of a zip of calibration files.")
    wait: bool = Field(default=True, description="Until the import has ended.")
    poll_seconds: float = Field(default=5.0, gt=0, description="Pause between the first two looks.")
    give_up_after_hours: float = Field(default=6.0, gt=0, description="How long to wait at most.")


class ExportAppendixConfig(ProjectConfig):
    """Which project's appendix data to export."""

    status: str | None = Field(default=None, description="Only of tasks in this status.")
    task_name: str | None = Field(default=None, description="Only of the task of this name.")
    tags: list[str] = Field(default_factory=list, description="Only of tasks with these tags.")
    file: str = Field(default="appendix.jsonl", description="Name of the file in the store.")


@dg.op(ins=AFTER, description="Import calibration files into a project.")
def import_appendix_op(
    context: dg.OpExecutionContext, config: ImportAppendixConfig, fastlabel: FastLabelResource
) -> dict[str, Any]:
    """``{"job_id", "status"}`` of the import's history. Importing the same files again replaces them with themselves;
    so a repeated step does no harm.

    Raises:
        dagster.Failure: the import failed, or FastLabel's answer names none to wait for.
    """
    with fastlabel.dagster_errors(context) as client:
        answer = client.appendix.import_file(config.project, config.file)
        id = job_id(answer) if isinstance(answer, dict) else str(answer or "")
        status = str(answer.get("status") or "") if isinstance(answer, dict) else ""
        if config.wait and not id:
            raise dg.Failure(
                description="FastLabel has taken the file, but its answer names no import to wait for; look at the "
                f"import histories of {config.project}, or run this with wait: false",
                allow_retries=False,
            )
        if config.wait:
            done = client.import_histories.wait(
                id, poll_seconds=config.poll_seconds, timeout_seconds=config.give_up_after_hours * 3600
            )
            status = str(done.get("status") or "")
    context.add_output_metadata({"import_history": id, "status": status})
    return {"job_id": id, "status": status}


@dg.op(ins=AFTER, description="Write a project's calibrations as JSON lines.")
def export_appendix_op(
    context: dg.OpExecutionContext, config: ExportAppendixConfig, fastlabel: FastLabelResource
) -> dict[str, Any]:
    """``{"count", "uri"}``: one JSON object a line, as the API answers them, but without the signatures of links, which
    are secrets and soon over."""
    lines: list[str] = []
    with fastlabel.dagster_errors(context) as client:
        for one in client.appendix.iter(
            config.project, status=config.status, tags=config.tags or None, task_name=config.task_name
        ):
            kept = {**one, "url": without_query(str(one["url"]))} if one.get("url") else one
            lines.append(json.dumps(kept, ensure_ascii=False, sort_keys=True))
    store = config.open()
    store.write_bytes(config.file, "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
    uri = store.uri_of(config.file)
    context.add_output_metadata({"dagster/row_count": len(lines), "dagster/uri": uri})
    return {"count": len(lines), "uri": uri}
