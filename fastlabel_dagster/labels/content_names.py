"""What the contents of one task are called, no two of them the same: the key of their files and of their pictures."""

from __future__ import annotations

from collections.abc import Sequence

_NAMELESS = "content"


def content_names(names: Sequence[str | None], taken: Sequence[str] = ()) -> list[str]:
    """A name for each content of a task, in their order; the first to have one keeps it.

    Args:
        names: as the task states them; None or empty where it states none.
        taken: names that contents of the same task have already.

    Example:
        >>> content_names(["a.jpg", None, "a.jpg"])
        ['a.jpg', 'content', 'a.jpg#2']
    """
    used = set(taken)
    called = []
    for name in names:
        own = unique = name or _NAMELESS
        number = 1
        while unique in used:
            number += 1
            unique = f"{own}#{number}"
        used.add(unique)
        called.append(unique)
    return called


def content_id(task_id: str, content: str) -> str:
    """The id of a content, among tasks of single pictures and in the index of an image folder."""
    return f"{task_id}/{content}"
