"""What could not be used is set aside with the reason, one JSON object per line, where a person finds it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from fastlabel_dagster.store import Store, disk_names


@dataclass(frozen=True)
class Quarantined:
    """One thing set aside: the task it belongs to (None when it has no id), its name, why, and what it looked like."""

    reason: str
    task_id: str | None = None
    name: str | None = None
    excerpt: str | None = None

    def __str__(self) -> str:
        return f"{self.name or self.task_id or 'unnamed'}: {self.reason}"


def write_quarantine(store: Store, name: str, entries: Sequence[Quarantined], *, of: str = "") -> str | None:
    """Write the entries to ``quarantine/<name>.jsonl`` of ``store`` (``<name>-<of>.jsonl``, where they are ``of``
    something) in place of those before; no entries, no file.

    Returns where the file is, or None. ``name`` may come from outside: it is made safe, and cut where it is too long
    for a file, ``of`` is not.
    """
    safe = disk_names([f"{name}.jsonl"], [name])[0].replace("/", "_").removesuffix(".jsonl")
    path = f"quarantine/{safe}{f'-{of}' if of else ''}.jsonl"
    if not entries:
        store.delete([path])
        return None
    lines = [json.dumps(asdict(entry), ensure_ascii=False, sort_keys=True) for entry in entries]
    store.write_bytes(path, "".join(line + "\n" for line in lines).encode("utf-8", "backslashreplace"))
    return store.uri_of(path)
