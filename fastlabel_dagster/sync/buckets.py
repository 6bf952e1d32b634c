"""Which bucket of the mirror a task belongs to: a stable hash of its id, so that a changed task rewrites one bucket."""

from __future__ import annotations

from hashlib import blake2b

#: The most buckets a mirror has. Also the range of :func:`slot_of`.
MAX_BUCKETS = 1024

#: A bucket of a new mirror holds at most this many tasks on average …
_TASKS_PER_BUCKET = 1000
#: … and a mirror whose project outgrew its buckets by this much is laid out anew with its next change.
_TASKS_PER_BUCKET_AT_MOST = 4 * _TASKS_PER_BUCKET


def slot_of(task_id: str) -> int:
    """A number from 0 to 1,023: the first 8 bytes of the BLAKE2b hash of the id, modulo 1,024.

    The bucket among ``n`` (a power of two) is ``slot_of(task_id) % n``, which equals the hash modulo ``n``.
    """
    head = blake2b(task_id.encode("utf-8", "surrogatepass")).digest()[:8]
    return int.from_bytes(head, "big") % MAX_BUCKETS


def bucket_of(task_id: str, buckets: int) -> int:
    """The bucket of a task in a mirror with this many buckets."""
    return slot_of(task_id) % buckets


def buckets_for(tasks: int) -> int:
    """How many buckets suit a project of this size: 500 to 1,000 tasks in each, a power of two, from 1 to 1,024."""
    buckets = 1
    while buckets < MAX_BUCKETS and tasks > buckets * _TASKS_PER_BUCKET:
        buckets *= 2
    return buckets


def outgrown(tasks: int, buckets: int) -> bool:
    """Whether a project of this size needs more buckets than its mirror was laid out with."""
    return buckets < MAX_BUCKETS and tasks > buckets * _TASKS_PER_BUCKET_AT_MOST


def checked_buckets(buckets: int) -> int:
    """``buckets`` itself.

    Raises:
        ValueError: when it is not a power of two from 1 to 1,024.
    """
    if not 1 <= buckets <= MAX_BUCKETS or buckets & (buckets - 1):
        raise ValueError(f"buckets must be a power of two from 1 to {MAX_BUCKETS}, not {buckets}")
    return buckets
