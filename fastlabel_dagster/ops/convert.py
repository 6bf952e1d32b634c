"""One dataset into another, in any format, without a server."""

# Annotations are not postponed here: Dagster reads them from the functions as they are.
from typing import Any

import dagster as dg
from pydantic import Field

from fastlabel_dagster.assets.exports import export_metadata
from fastlabel_dagster.ops.places import AFTER


class ConvertConfig(dg.Config):
    """What is read, and what is written."""

    source: str = Field(description="A dataset folder, its index file, or an archive of it.")
    source_format: str = Field(description="Name of a format that can be read.")
    target: str = Field(description="A folder or s3://bucket/prefix; what an earlier export wrote there is replaced.")
    target_format: str = Field(description="Name of a format that can be written.")
    read_options: dict[str, Any] = Field(default_factory=dict, description="Options of the source's format.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the target's format.")
    images: bool = Field(default=True, description="Put the pictures beside the labels.")
    strict: bool = Field(default=False, description="Anything that would be lost is an error.")


@dg.op(ins=AFTER, description="Read a dataset of one format and write it in another.")
def convert_op(context: dg.OpExecutionContext, config: ConvertConfig) -> dict[str, Any]:
    """``{"read": …, "written": …}``: the reports of :func:`fastlabel_dagster.formats.read` and ``write``; what was
    dropped or altered is counted in them with the reason."""
    from fastlabel_dagster.formats import read, write

    try:
        labels = read(config.source, format=config.source_format, strict=config.strict, **config.read_options)
        report = write(
            labels,
            format=config.target_format,
            target=config.target,
            pictures=config.images,
            strict=config.strict,
            **config.options,
        )
    except (ValueError, FileNotFoundError) as error:  # a format, option or file that is not what it should be
        raise dg.Failure(description=str(error), allow_retries=False) from error
    context.add_output_metadata(export_metadata(report, labels))
    return {"read": None if labels.report is None else labels.report.to_dict(), "written": report.to_dict()}
