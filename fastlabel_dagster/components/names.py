"""Names in YAML that Dagster makes names of its own from: refused at load, in words that say what to write."""

from __future__ import annotations

import re
from collections.abc import Iterable

import dagster as dg

_NAME = re.compile(r"[A-Za-z0-9_]+")
_KEY_PART = re.compile(r"[A-Za-z0-9_.-]+")

#: Parts of a project or workspace that no step makes or looks at: Dagster takes any key for them.
_ONLY_SHOWN = frozenset(
    {
        "annotation_classes",
        "import_histories",
        "auto_annotation_jobs",
        "model",
        "workspace_model",
        "training_jobs",
        "evaluation_jobs",
    }
)


def refuse_name(attribute: str, name: str | None) -> None:
    """Raises ValueError when ``name`` cannot begin the names of ops, jobs and sensors."""
    if name is not None and not _NAME.fullmatch(name):
        raise ValueError(
            f"{attribute} begins the names of ops, jobs and sensors, which Dagster makes of the letters a-z and A-Z, "
            f"digits and underscores; {name!r} has others"
        )


def refuse_key(key: dg.AssetKey, part: str, of: str) -> None:
    """Raises ValueError when the asset ``part`` cannot have the key that ``translation`` gives it."""
    wrong = [one for one in key.path if not _KEY_PART.fullmatch(one)]
    if wrong and part not in _ONLY_SHOWN:
        raise ValueError(
            f"translation (or get_asset_spec) gives {part} of {of or 'the workspace'} the key {key.to_user_string()}; "
            "an asset that a step makes has a key of the letters a-z and A-Z, digits, '-', '_' and '.', and "
            f"{', '.join(map(repr, wrong))} has others. A title in any language can stand in description and metadata."
        )


def alike(names: Iterable[str], written: str) -> str:
    """``; did you mean …?`` when one of ``names`` is much like what was written, else nothing."""
    from difflib import get_close_matches

    found = get_close_matches(written, list(names), n=1)
    return f" (did you mean {found[0]}?)" if found else ""
