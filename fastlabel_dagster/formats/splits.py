"""The part of a dataset (train, val, test) each picture belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np

from fastlabel_dagster.formats.pictures import Pictures
from fastlabel_dagster.formats.report import IMAGE, Tally
from fastlabel_dagster.formats.split_rules import PART_OF_TAG, Split, check_split

__all__ = ["PART_OF_TAG", "Split", "names_of_parts", "parts_of", "tell_of_lost_tags"]

_USUAL = {"train": 0.9, "val": 0.1}
_LOST_TAGS = "its task has tags, for which the format has no place"


def parts_of(pictures: Pictures, split: Split) -> list[str | None]:
    """The part of each picture.

    Args:
        pictures: all of the dataset.
        split: shares by name that add up to 1 (or 100), such as ``{"train": 0.9, "val": 0.1}``: a picture falls into
            its part by a hash of its task id and stays there whatever is added later, so the shares are met on average,
            not exactly; or
            ``"tags"``: the part named by the task's tag (train, val, test, also in capitals; without one: train);
            ``"auto"``: by the tags where every task has such a tag (the dataset it comes from had parts), else 90 in
            100 in train and the others in val; None: all in train.

    Raises:
        ValueError: for an impossible split, see :func:`~fastlabel_dagster.formats.split_rules.check_split`.
    """
    check_split(split)
    if split is None:
        return ["train"] * len(pictures)
    if split == "auto":
        split = "tags" if all(any(map(_part_of, tags)) for tags in pictures.tags) else _USUAL
    if isinstance(split, str):
        return [next(filter(None, map(_part_of, tags)), "train") for tags in pictures.tags]
    whole = float(sum(split.values()))
    names = list(split)
    limits = np.cumsum([float(split[name]) / whole for name in names])
    hashes = (
        int.from_bytes(blake2b(task_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
        for task_id in pictures.task_ids
    )
    points = np.fromiter(hashes, np.float64, len(pictures)) / 2.0**64
    place = np.minimum(
        np.searchsorted(limits, points, side="right"), max(i for i, name in enumerate(names) if split[name] > 0)
    )
    return [names[index] for index in place.tolist()]


def _part_of(tag: str | None) -> str | None:
    """The part a tag names; None for other tags."""
    return PART_OF_TAG.get(tag.lower()) if tag else None


def tell_of_lost_tags(pictures: Pictures, parts: Sequence[str | None], tally: Tally) -> None:
    """Tell of the pictures with other tags than the part they are written into (None: no part is), for formats that
    have no place for tags."""
    lost = [
        name
        for name, tags, part in zip(pictures.names, pictures.tags, parts, strict=True)
        if tags and any((_part_of(tag) or tag) != part for tag in tags)
    ]
    tally.note("noticed", _LOST_TAGS, IMAGE, len(lost), lost)


def names_of_parts(split: Split, counts: Mapping[str, int]) -> list[str]:
    """The parts a dataset names: train and val always (trainers insist), test and others when they exist."""
    asked = [] if split is None or isinstance(split, str) else list(split)
    return list(dict.fromkeys(["train", "val", *asked, *counts]))
