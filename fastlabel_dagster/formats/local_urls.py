"""``file:`` URLs of tasks: each names a file of one machine.

Labels that were read from a dataset are trusted with them, for a reader has found them in the dataset's own folder. So
a dataset must not bring any: an export would copy whatever file of this machine it names. And what is written for
others has none, for it means nothing elsewhere.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.ragged import Bools, as_ragged, kept_only, offsets_of, one_array, ranges
from fastlabel_dagster.labels.schema import CONTENT, TASKS

NAMED = "its url named a file of a machine; it was left out"


def without_local_urls(tasks: pa.Table) -> tuple[pa.Table, Bools]:
    """Tasks (columns of :data:`labels.schema.TASKS`, with or without ``url``) without the ``file:`` URLs of their own
    and of their contents; and bool[t]: which had one."""
    named = np.zeros(tasks.num_rows, np.bool_)
    if "url" in tasks.column_names:
        urls = one_array(tasks["url"])
        local = _is_local(urls)
        named |= local.to_numpy(zero_copy_only=False)
        if named.any():
            tasks = _with(tasks, "url", kept_only(urls, pc.invert(local)))
    nested = one_array(tasks["contents"])
    lists = as_ragged(nested)
    contents = lists.values.take(pa.array(ranges(lists.starts, lists.lengths)))
    urls = pc.struct_field(contents, "url")
    local = _is_local(urls)
    found = np.flatnonzero(local.to_numpy(zero_copy_only=False))
    if len(found):
        named[np.repeat(np.arange(tasks.num_rows), lists.lengths)[found]] = True
        columns = [
            kept_only(urls, pc.invert(local)) if field.name == "url" else pc.struct_field(contents, field.name)
            for field in CONTENT
        ]
        structs = pa.StructArray.from_arrays(columns, fields=list(CONTENT), mask=pc.is_null(contents))
        offsets = pa.array(offsets_of(lists.lengths).astype(np.int32))
        tasks = _with(tasks, "contents", pa.ListArray.from_arrays(offsets, structs, mask=pc.is_null(nested)))
    return tasks, named


def _is_local(urls: pa.Array) -> pa.Array:
    return pc.fill_null(pc.match_substring_regex(urls, r"(?i)^\s*file:"), False)


def _with(tasks: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return tasks.set_column(tasks.column_names.index(name), TASKS.field(name), column)
