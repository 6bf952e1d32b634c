"""Content digests of tasks and classes: equal exactly when the labels are equal.

A digest is 16 bytes of BLAKE2b over canonical JSON: keys sorted, no blanks, whole numbers as integers. Signed download
links (``url`` of a task and of its ``contents``) are left out, as they differ in every answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import orjson

from fastlabel_dagster.labels.json_text import whole

DIGEST_BYTES = 16

# A float with nothing after the point, followed by what may follow a number. It may also match inside a text, which
# costs a moment and changes nothing.
_WHOLE_FLOAT = re.compile(rb"\.0[,}\]]")


def task_digest(task: dict[str, Any]) -> bytes:
    """16 bytes naming the content of a task's JSON; its signed links do not count, the order of its keys neither."""
    kept = {key: value for key, value in task.items() if key != "url"}
    contents = kept.get("contents")
    if isinstance(contents, list):
        kept["contents"] = [
            {key: value for key, value in content.items() if key != "url"} if isinstance(content, dict) else content
            for content in contents
        ]
    return _digest(canonical_json(kept))


def classes_digest(classes: list[dict[str, Any]]) -> bytes:
    """16 bytes naming a set of annotation classes, in whatever order they are listed."""
    return _digest(b"".join(sorted(_digest(canonical_json(annotation_class)) for annotation_class in classes)))


def combined_digest(digests: Iterable[bytes]) -> str:
    """32 hex digits naming a collection of digests, in whatever order they come; equal ones count each."""
    return _digest(b"".join(sorted(digests))).hex()


def canonical_json(value: dict[str, Any]) -> bytes:
    """The one JSON text of ``value``: objects that are equal as JSON give equal bytes, others different ones."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Integers beyond 64 bits and half surrogate pairs are JSON, but not for orjson.
        return _exact(_normal(value))
    # orjson writes NaN and infinities as null: when there are more nulls than at the top level, look closer.
    nulls_at_top = list(value.values()).count(None)
    if text.count(b"null") == nulls_at_top and not _WHOLE_FLOAT.search(text):
        return text
    normal = _normal(value)
    try:
        return orjson.dumps(normal, option=orjson.OPT_SORT_KEYS) if _is_finite(normal) else _exact(normal)
    except TypeError:
        return _exact(normal)


def _exact(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _normal(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_normal(member) for member in value]
    return whole(value) if isinstance(value, float) else value


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or value - value == 0


def _digest(text: bytes) -> bytes:
    return blake2b(text, digest_size=DIGEST_BYTES).digest()
