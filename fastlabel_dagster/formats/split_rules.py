"""What a dataset may be divided into parts by, checked without looking at the dataset."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

#: Shares by name, ``"tags"``, ``"auto"``, or None: no parts.
Split: TypeAlias = Mapping[str, float] | str | None
#: What tags say train, val and test, in lower case (CVAT calls its subsets Train, Validation and Test).
PART_OF_TAG = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_EXPECTED = 'split is shares by name such as {"train": 0.8, "val": 0.2}, "tags", "auto" or null'
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
#: A whole and a hundred per cent.
_WHOLE = (1.0, 100.0)


def check_split(split: Any) -> None:
    """Refuse an impossible split.

    Raises:
        ValueError: it is none of the things a split can be, a part's name is no word, a share is no number from 0 on,
            or the shares add up neither to 1 nor (as per cent) to 100: a slip of the pen, which would otherwise give
            every part another share than the one that stands there.
    """
    if split is None or split in ("tags", "auto"):
        return
    if not isinstance(split, Mapping):
        raise ValueError(f"{_EXPECTED}, not {split!r}")
    for name, share in split.items():
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise ValueError(f"a part of the dataset cannot be called {name!r}: letters, digits, - and _ only")
        if isinstance(share, bool) or not isinstance(share, int | float) or not (share >= 0 and math.isfinite(share)):
            raise ValueError(f"in split, the share of {name!r} is a number from 0 on, not {share!r}")
    total = math.fsum(split.values())
    if not any(math.isclose(total, whole, rel_tol=1e-6) for whole in _WHOLE):
        raise ValueError(f"the shares of the split add up to {total:g}, not to 1 (or 100 per cent)")
