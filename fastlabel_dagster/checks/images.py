"""The check ``images``: are the downloaded pictures there, can they be read, and have they the size their tasks state?

A download looks at every picture before it keeps it. This check looks at what lies in the folder now: disks fail,
buckets are tidied up, and people edit files.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.checks.names import IMAGES_CHECK
from fastlabel_dagster.checks.outcome import MOST_OFFENDERS, nothing_examined, offenders_table, outcome, shortened_words
from fastlabel_dagster.checks.plan import CheckPlan, CheckSetting, one_setting
from fastlabel_dagster.resource import resource_named
from fastlabel_dagster.translator import safe_name

if TYPE_CHECKING:
    from fastlabel_dagster.labels import Labels
    from fastlabel_dagster.store import ImageFolder, S3Options, Store

#: So much of a file is read for its size; a photograph with a large preview in its head needs more, and gets it.
_HEAD = 64 * 1024
_AT_ONCE = 8


def images_result(
    setting: CheckSetting, key: dg.AssetKey, images: ImageFolder, labels: Labels | None = None
) -> dg.AssetCheckResult:
    """Look at the pictures of ``images``, or a sample of them: those whose ids have the lowest hashes, so that it is
    the same from one time to the next.

    The length of each file is compared with the index; its head is read for its size (``decode``: all of it is read and
    decoded), and that compared with what the task states in ``labels``, or else with the index. Width and height the
    other way round are what an EXIF orientation does, and fine. Files that are no pictures are passed over. A few
    pictures are in memory at a time. A folder that holds nothing does not pass, unless ``labels`` have no tasks.
    """
    from fastlabel_dagster.formats.image_size import IMAGE_SUFFIXES
    from fastlabel_dagster.sync.inflight import ahead

    files = images.table.to_pylist()
    rows = [row for row in files if PurePosixPath(row["file"]).suffix.lower() in IMAGE_SUFFIXES]
    chosen = rows
    if setting["sample"] != "all" and len(rows) > setting["sample"]:
        chosen = sorted(rows, key=lambda row: blake2b(row["task_id"].encode(), digest_size=8).digest())
        chosen = sorted(chosen[: setting["sample"]], key=lambda row: row["task_id"])
    stated = _stated_sizes(labels, {row["task_id"] for row in chosen}) if labels is not None else {}
    lengths = {found.path: found.size for found in images.store.list()} if chosen else {}

    def look(row: Mapping[str, Any]) -> str | None:
        return problem_of(
            images.store,
            row,
            lengths.get(row["file"]),
            stated.get(row["task_id"], (row["width"], row["height"])),
            decode=setting["decode"],
        )

    workers = 0 if images.store.is_local and not setting["decode"] else _AT_ONCE
    bad: list[dict[str, Any]] = []
    count = 0
    for row, problem in zip(chosen, ahead(look, chosen, workers=workers), strict=True):
        if problem is not None:
            count += 1
            if len(bad) < MOST_OFFENDERS:
                bad.append({"task_id": row["task_id"], "task": row["name"], "file": row["file"], "problem": problem})
    metadata: dict[str, Any] = {
        "pictures": len(rows),
        "looked_at": len(chosen),
        "bad": count,
        "decoded": setting["decode"],
        "folder": images.store.uri,
    }
    if not files:
        tasks = None if labels is None else sum(table.num_rows for table in labels.batches(["task_id"]))
        if tasks == 0:
            return outcome(setting, key, passed=True, description="There are no tasks.", metadata=metadata)
        there = "" if tasks is None else f" There are {tasks:,} tasks."
        return nothing_examined(
            setting,
            key,
            description=f"Nothing has been downloaded to {images.store.uri} yet, and nothing was looked at.{there}",
            metadata=metadata,
        )
    if not rows:
        words = f"None of the {len(files):,} downloaded files is a picture: there was nothing to look at."
        return outcome(setting, key, passed=True, description=words, metadata=metadata)
    if bad:
        metadata["bad_pictures"] = offenders_table(bad, [(name, "string") for name in bad[0]])
    which = f"{len(chosen):,} pictures" if len(chosen) == len(rows) else f"{len(chosen):,} of {len(rows):,} pictures"
    return outcome(
        setting,
        key,
        passed=count <= setting["at_most"],
        description=f"{count:,} of the {len(chosen):,} pictures looked at are bad (there are {len(rows):,})."
        if count
        else f"{which} {'decoded' if setting['decode'] else 'looked at'}, nothing is wrong with them.",
        metadata=metadata,
    )


def problem_of(
    store: Store,
    row: Mapping[str, Any],
    length: int | None,
    stated: tuple[int | None, int | None],
    *,
    decode: bool = False,
) -> str | None:
    """What is wrong with the picture of ``row`` (schema ``images_schema``), in words; None when nothing is.

    Args:
        length: of the file in bytes; None when it is not there.
        stated: width and height it should have, None where unknown.
    """
    from fastlabel_dagster.formats.image_size import head_size
    from fastlabel_dagster.store import StoreError
    from fastlabel_dagster.sync.pictures import check_size, picture_size

    if length is None:
        return "the file is not there"
    if row["bytes"] is not None and length != row["bytes"]:
        return f"the file has {length:,} bytes, the index says {row['bytes']:,}"
    try:
        size: tuple[int, int] | None = None
        if not decode:
            with store.open_read(row["file"]) as file:
                size = head_size(file.read(_HEAD))
        check_size(size or picture_size(store.read_bytes(row["file"])), *stated)
    except FileNotFoundError:
        return "the file is not there"
    except (ValueError, StoreError) as error:
        return shortened_words(error)
    return None


def _stated_sizes(labels: Labels, ids: set[str]) -> dict[str, tuple[int | None, int | None]]:
    """Width and height the tasks ``ids`` state, where they state both."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(ids), pa.string())
    found: dict[str, tuple[int | None, int | None]] = {}
    for table in labels.batches(["task_id", "width", "height"]):
        for row in table.filter(pc.is_in(table["task_id"], value_set=wanted)).to_pylist():
            if row["width"] and row["height"]:
                found[row["task_id"]] = row["width"], row["height"]
    return found


def build_image_checks(
    asset: dg.AssetKey | str,
    *,
    store: str | Path,
    s3: S3Options | None = None,
    checks: Mapping[str, Any] | CheckPlan | None = None,
    name: str | None = None,
) -> dg.AssetChecksDefinition:
    """The check ``images`` on any asset: the pictures in ``<store>/images`` are there, readable, as large as stated.

    Args:
        asset: the key of the asset it belongs to.
        store: where the image folder (``images``) lies, and the mirror (``labels``), if there is one.
        checks: ``{"images": {"sample": "all", "decode": True, "at_most": 0, "severity": …, "blocking": …}}``.
        name: of the op; default made from the key.
    """
    setting = one_setting(IMAGES_CHECK, checks)
    key = dg.AssetKey.from_coercible(asset)

    def look_at_images(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        from fastlabel_dagster.store import ImageFolder, open_store
        from fastlabel_dagster.sync import LabelMirror

        opened = open_store(store, s3)
        mirror = LabelMirror(opened.at("labels"))
        labels = mirror.read() if mirror.exists else None
        return images_result(setting, key, ImageFolder(opened.at("images")), labels)

    op = name or f"{'_'.join(safe_name(part) for part in key.path)}_images_check"
    return dg.multi_asset_check(name=op, specs=[setting.spec(key)])(resource_named("fastlabel", look_at_images))
