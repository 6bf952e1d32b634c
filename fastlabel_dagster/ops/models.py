"""Ops on models in use: have an endpoint look at pictures, report what a model answered."""

# Annotations are not postponed here: Dagster reads them from the functions as they are.
import base64
import binascii
import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from fastlabel_dagster.ops.bulk import BulkReport, NotUsable, do_all
from fastlabel_dagster.ops.places import AFTER, StoreConfig
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.translator import safe_name

_PICTURES = (".png", ".jpg", ".jpeg")


class ExecuteEndpointConfig(StoreConfig):
    """Which model looks at which pictures."""

    endpoint: str = Field(description="Name of the model endpoint.")
    images: str = Field(description="A folder of pictures (png, jpg, jpeg, at most 6 MB each), with its sub-folders.")
    folder: str | None = Field(
        default=None,
        description="Folder of the store that the answers are written to; default is predictions/<endpoint>.",
    )
    keep_drawn: bool = Field(default=False, description="Also write the pictures the model has drawn on.")
    force: bool = Field(default=False, description="Ask again about pictures that have an answer.")
    workers: int = Field(default=2, ge=1, le=16, description="How many requests are under way at a time.")
    most_failures: int | None = Field(
        default=None, ge=0, description="Fail when more than this many failed; null: only when all did."
    )


class ReportResultsConfig(dg.Config):
    """What a model answered, for FastLabel's monitoring."""

    name: str = Field(description="Name of the monitoring setting.")
    results: list[dict[str, Any]] = Field(
        default_factory=list,
        description="Each with a status of success or failed, requestAt, and what else the setting asks for.",
    )
    file: str | None = Field(default=None, description="A file with more of them: JSON lines, or a JSON array.")


@dg.op(ins=AFTER, description="Have a model endpoint look at every picture of a folder.")
def execute_endpoint_op(
    context: dg.OpExecutionContext, config: ExecuteEndpointConfig, fastlabel: FastLabelResource
) -> dict[str, Any]:
    """``{"done", "skipped", "failed", "quarantined", "uri"}``.

    Each answer is a JSON file of its own, named after its picture; it names the ``endpoint`` and the picture's
    ``checksum`` (BLAKE2b of 16 bytes, in hex). A picture that has the answer of this endpoint and has not changed since
    is not asked about again, so a run that was cut off is simply started again, and nothing is paid for twice.
    """
    from fastlabel_dagster.store import disk_names

    root = Path(config.images)
    if not root.is_dir():
        raise dg.Failure(description=f"{root} is no folder", allow_retries=False)
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in _PICTURES and path.is_file())
    names = [path.relative_to(root).as_posix() for path in files]
    folder = f"predictions/{safe_name(config.endpoint)}" if config.folder is None else config.folder
    store, report = config.open().at(folder), BulkReport()
    targets = dict(zip(names, disk_names(names, names), strict=True))
    answered = set() if config.force else {one.path for one in store.list()}
    wanted = []
    for name in names:
        path = f"{targets[name]}.json"
        if path in answered and _is_answer(store.read_bytes(path), config.endpoint, root / name):
            report.skip("it has an answer")
        else:
            wanted.append(name)
    with fastlabel.dagster_errors(context) as client:

        def look(name: str) -> None:
            path = root / name
            if not path.resolve().is_relative_to(root.resolve()):
                raise NotUsable("it is a link out of the folder")
            checksum = _checksum(path)  # before it is sent: a picture that changes meanwhile is asked about again
            answer = client.model_endpoints.execute(config.endpoint, path)
            drawn = answer.pop("file", None)
            if config.keep_drawn and drawn:
                store.write_bytes(f"{targets[name]}.drawn.png", _decoded(drawn))
            # last, as it is what says that this picture is done
            about = {"image": name, "endpoint": config.endpoint, "checksum": checksum}
            text = json.dumps({**answer, **about}, ensure_ascii=False, sort_keys=True)
            store.write_bytes(f"{targets[name]}.json", text.encode("utf-8", "backslashreplace"))

        do_all(look, wanted, report, about=lambda name: (None, name), workers=config.workers)
    result = report.tell(context, "pictures looked at", config.most_failures)
    return {**result, "uri": store.uri}


@dg.op(ins=AFTER, description="Report what a model answered to FastLabel's monitoring.")
def report_results_op(
    context: dg.OpExecutionContext, config: ReportResultsConfig, fastlabel: FastLabelResource
) -> dict[str, Any]:
    """``{"reported", "answer"}``. All results travel in one request, which is not sent again when its answer is lost:
    FastLabel has no way to ask which results it has."""
    results = [*config.results, *(_results_of(config.file) if config.file else [])]
    unfit = [one for one in results if one.get("status") not in ("success", "failed")]
    if unfit:
        raise dg.Failure(
            description=f"{len(unfit)} of {len(results)} results have no status of success or failed",
            allow_retries=False,
        )
    answer: Any = None
    if results:
        with fastlabel.dagster_errors(context) as client:
            answer = client.model_monitoring.create_results(config.name, results)
    context.add_output_metadata({"reported": len(results), "monitoring": config.name})
    return {"reported": len(results), "answer": answer}


def _checksum(path: Path) -> str:
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _is_answer(content: bytes, endpoint: str, picture: Path) -> bool:
    """Whether a file that is there is what this endpoint answers for the picture as it is now."""
    try:
        found = json.loads(content)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("endpoint") == endpoint and found.get("checksum") == _checksum(picture)


def _results_of(file: str) -> list[dict[str, Any]]:
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
        found = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines() if line]
    except (OSError, ValueError) as error:
        raise dg.Failure(description=f"{file} cannot be read: {error}", allow_retries=False) from error
    if not all(isinstance(one, dict) for one in found):
        raise dg.Failure(description=f"{file} holds something else than objects", allow_retries=False)
    return list(found)


def _decoded(text: str) -> bytes:
    """Base64, maybe as a ``data:`` address."""
    try:
        return base64.b64decode(text.rpartition(",")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotUsable(f"the drawn picture is no base64: {error}") from error
