"""The check ``leakage``: is a picture in two parts of a dataset, so that a model is tested on what it has learnt?

Pictures are the same when their bytes are: their SHA-256 is in the index of the image folder, and in the custom
metadata of the dataset objects a publication makes. Nothing is downloaded or read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.checks.names import LEAKAGE_CHECK
from fastlabel_dagster.checks.outcome import MOST_OFFENDERS, nothing_examined, offenders_table, outcome, shortened_words
from fastlabel_dagster.checks.plan import CheckPlan, CheckSetting, one_setting
from fastlabel_dagster.resource import FastLabelResource, resource_named

if TYPE_CHECKING:
    import pyarrow as pa

    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.labels import Labels
    from fastlabel_dagster.store import ImageFolder, S3Options

#: Formats of pictures that have parts when nothing is said, and by which split (as in their own options; a test
#: compares). Here, because finding it there would load the format whenever a code location loads.
SPLIT_BY_DEFAULT: Mapping[str, Any] = {"yolo": "auto"}
_PARTS = ("train", "valid", "test")


def split_of(format: str, options: Mapping[str, Any]) -> Any:
    """The split an export of ``format`` with these options has; None for one without parts."""
    return options.get("split", SPLIT_BY_DEFAULT.get(format))


def leakage_result(setting: CheckSetting, key: dg.AssetKey, pictures: pa.Table) -> dg.AssetCheckResult:
    """The result for ``pictures``: columns ``part``, ``name`` and ``checksum``, text all; a null part is no part, a
    picture with a null checksum cannot be compared."""
    import pyarrow as pa
    import pyarrow.compute as pc

    placed = pictures.filter(pc.is_valid(pictures["part"]))
    known = placed.filter(pc.is_valid(placed["checksum"]))
    parts = {one["values"]: one["counts"] for one in pc.value_counts(placed["part"]).to_pylist()}
    several = known.group_by("checksum").aggregate([("part", "count_distinct")])
    several = several.filter(pc.greater(several["part_count_distinct"], 1))
    leaks = several.num_rows
    metadata: dict[str, Any] = {
        "pictures": placed.num_rows,
        "without_checksum": placed.num_rows - known.num_rows,
        "in_several_parts": leaks,
        "parts": offenders_table(
            [{"part": part, "pictures": count} for part, count in sorted(parts.items())],
            [("part", "string"), ("pictures", "int")],
        ),
    }
    if leaks:
        first = pc.cast(several["checksum"].slice(0, MOST_OFFENDERS), pa.string())
        copies = known.filter(pc.is_in(known["checksum"], value_set=first)).sort_by(
            [("checksum", "ascending"), ("part", "ascending"), ("name", "ascending")]
        )
        rows: dict[str, dict[str, list[str]]] = {}
        for one in copies.to_pylist():
            rows.setdefault(one["checksum"], {}).setdefault(one["part"], []).append(one["name"] or "")
        names = sorted({part for found in rows.values() for part in found})
        metadata["leaks"] = offenders_table(
            [
                {part: shortened_words(", ".join(found.get(part, [])), 120) for part in names} | {"sha256": checksum}
                for checksum, found in rows.items()
            ],
            [*((part, "string") for part in names), ("sha256", "string")],
        )
    if leaks:
        words = f"{leaks:,} pictures are in several parts."
    elif len(parts) < 2:
        words = (
            "There are no parts to leak between."
            if not parts
            else f"All pictures are in one part, {next(iter(parts))}."
        )
    else:
        words = f"No picture is in two of the parts {', '.join(sorted(parts))}."
    missing = placed.num_rows - known.num_rows
    if len(parts) > 1 and pc.count_distinct(known["part"]).as_py() < 2:
        return nothing_examined(
            setting,
            key,
            description=f"Nothing could be compared between the parts {', '.join(sorted(parts))}: of {missing:,} of "
            f"{placed.num_rows:,} pictures nobody knows the checksum (not downloaded, or frames of videos).",
            metadata=metadata,
        )
    if missing:
        words += f" {missing:,} of {placed.num_rows:,} could not be compared: nobody knows their checksum."
    return outcome(setting, key, passed=leaks <= setting["at_most"], description=words, metadata=metadata)


def pictures_of_export(
    labels: Labels, images: ImageFolder, *, format: str, split: Any, status: str | Sequence[str] | None = None
) -> pa.Table:
    """The pictures of an export by the rule it is split by, with their checksums from the image folder; columns as
    :func:`leakage_result` takes them. Frames of videos have no checksum of their own."""
    import numpy as np

    from fastlabel_dagster.formats import registry
    from fastlabel_dagster.formats.pictures import Pictures
    from fastlabel_dagster.formats.splits import parts_of
    from fastlabel_dagster.formats.taken_apart import taken_apart
    from fastlabel_dagster.labels.single_pictures import TakenApart

    chosen = labels if status is None else labels.with_status(*([status] if isinstance(status, str) else status))
    single = taken_apart(chosen, TakenApart()) if registry.find(format).per_picture else chosen
    ids: list[str] = []
    names: list[str] = []
    tags: list[list[str]] = []
    for table in single.batches(["task_id", "name", "tags"]):
        ids += table["task_id"].to_pylist()
        names += table["name"].to_pylist()
        tags += [one or [] for one in table["tags"].to_pylist()]
    unknown = np.full(len(ids), np.nan)
    parts = parts_of(Pictures(ids, names, [], unknown, unknown, tags, {}), split)
    index = images.table.select(["task_id", "sha256"])
    checksums = dict(zip(index["task_id"].to_pylist(), index["sha256"].to_pylist(), strict=True))
    return _table(zip(parts, names, (checksums.get(one) for one in ids), strict=True))


def pictures_of_dataset(client: FastLabelClient, dataset: str) -> pa.Table:
    """The objects of a FastLabel dataset that are of the type train, valid or test, with the checksum a publication has
    noted; columns as :func:`leakage_result` takes them. One request for each 1,000 objects of a type."""

    def rows() -> Iterable[tuple[str | None, str, str | None]]:
        for part in _PARTS:  # a list of objects does not tell their types, but can be asked for one
            for one in client.dataset_objects.iter(dataset, types=[part]):
                metadata = one.get("customMetadata")
                checksum = metadata.get("imageSha256") if isinstance(metadata, Mapping) else None
                yield part, str(one.get("name")), str(checksum) if checksum else None

    return _table(rows())


def _table(rows: Iterable[tuple[str | None, str | None, str | None]]) -> pa.Table:
    import pyarrow as pa

    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    names = ("part", "name", "checksum")
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})


def build_leakage_check(
    asset: dg.AssetKey | str,
    *,
    store: str | Path,
    format: str,
    split: Any = None,
    status: str | Sequence[str] | None = None,
    version: int | None = None,
    s3: S3Options | None = None,
    checks: Mapping[str, Any] | CheckPlan | None = None,
    name: str | None = None,
) -> dg.AssetChecksDefinition:
    """The check ``leakage`` on an export with parts: no picture is in two of them.

    The parts are worked out by the rule the export is split by, and the checksums are those the download noted.

    Args:
        asset: the export's key.
        store: where the mirror (``labels``) and the image folder (``images``) lie.
        format, split, status, version: as the export was written; without a version, of the newest labels.
        checks: ``{"leakage": {"at_most": …, "severity": …, "blocking": …}}``.
        name: of the op; default made from the key.
    """
    setting = one_setting(LEAKAGE_CHECK, checks)
    key = dg.AssetKey.from_coercible(asset)

    def table() -> pa.Table:
        from fastlabel_dagster.store import ImageFolder, open_store
        from fastlabel_dagster.sync import LabelMirror

        opened = open_store(store, s3)
        labels = LabelMirror(opened.at("labels")).read(version)
        images = ImageFolder(opened.at("images"))
        return pictures_of_export(labels, images, format=format, split=split, status=status)

    def leakage(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return _result(setting, key, table)

    return _definition(leakage, setting, key, name)


def build_dataset_leakage_check(
    asset: dg.AssetKey | str,
    dataset: str,
    *,
    resource_key: str = "fastlabel",
    checks: Mapping[str, Any] | CheckPlan | None = None,
    name: str | None = None,
) -> dg.AssetChecksDefinition:
    """The check ``leakage`` on a FastLabel dataset: no picture is an object of two of the types train, valid and test.

    Checksums are those :func:`~fastlabel_dagster.sync.publish_dataset` notes; objects of others have none, and are
    counted. Objects of the type none are in no part. Arguments as for :func:`build_leakage_check`.
    """
    setting = one_setting(LEAKAGE_CHECK, checks)
    key = dg.AssetKey.from_coercible(asset)

    def leakage(context: dg.AssetCheckExecutionContext, fastlabel: FastLabelResource) -> dg.AssetCheckResult:
        with fastlabel.dagster_errors() as client:
            return leakage_result(setting, key, pictures_of_dataset(client, dataset))

    return _definition(resource_named(resource_key, leakage), setting, key, name)


def _result(setting: CheckSetting, key: dg.AssetKey, table: Callable[[], pa.Table]) -> dg.AssetCheckResult:
    try:
        pictures = table()
    except LookupError as error:
        return outcome(setting, key, passed=False, description=f"There is nothing to look at: {error}")
    return leakage_result(setting, key, pictures)


def _definition(
    step: Callable[..., Any], setting: CheckSetting, key: dg.AssetKey, name: str | None
) -> dg.AssetChecksDefinition:
    from fastlabel_dagster.translator import safe_name

    op = name or f"{'_'.join(safe_name(part) for part in key.path)}_{setting.name}_check"
    return dg.multi_asset_check(name=op, specs=[setting.spec(key)])(_with_types(step))


def _with_types(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` with real annotations, which Dagster reads as they are."""
    return step if hasattr(step, "__signature__") else resource_named("fastlabel", step)
