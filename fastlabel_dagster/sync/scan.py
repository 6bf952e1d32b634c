"""Reading a project that people are editing: passes over its pages, each proven against what the API says it has.

Pages are cut by offset, so a task deleted from page 1 moves another from page 3 to page 2 while one looks at page 2.
That is why a scan does not trust its pages: the API's id-name map and its count tell what is missing or gone, and every
doubt is settled by asking for that one task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.api import Invalid, NotFound
from fastlabel_dagster.sync.inflight import in_flight
from fastlabel_dagster.sync.spill import TaskSpill, Unreadable

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.api.groups.modality_tasks import ModalityTasks

#: How often one pass compares itself with the API's listing before it lets the next pass sort things out.
_LISTINGS_PER_PASS = 3
_LOOKUPS_IN_FLIGHT = 4
#: How many tasks are asked for to tell a project of another kind from one that has just changed.
_SAMPLE = 5


@dataclass(frozen=True)
class Scan:
    """How a scan went.

    Attributes:
        passes: how often all pages were read.
        settled: True when the last pass found exactly what the one before had found (with ``confirm``), and as many
            tasks as the API counts. False means people kept editing, or the numbers never agreed; the next sync catches
            up.
        looked_up: tasks asked for one by one, because pages and listing disagreed about them.
        unreadable: what the last pass met that is not a task.
    """

    passes: int
    settled: bool
    looked_up: int
    unreadable: list[Unreadable]


def scan_project(
    client: FastLabelClient,
    project: str,
    spill: TaskSpill,
    *,
    tasks: ModalityTasks | None = None,
    confirm: bool = True,
    max_passes: int = 5,
    page_size: int | None = None,
    on_page: Callable[[int], object] | None = None,
    log: Callable[[str], object] | None = None,
) -> Scan:
    """Read all tasks of a project (a slug) into ``spill``.

    **The guarantee.** When the scan settled, the spill is what the whole project was at one instant, the moment between
    the last two passes: every task exactly once, each read with the same content before the last pass began and in it.

    When it did not settle within ``max_passes``, because people kept editing or the API's count never matched, then
    ``settled`` is False and this much holds: no task is there twice; each has content at least as new as the start of
    the last pass; one that was gone before the last pass began is not there; and every task that existed throughout is
    there, with one exception. The listing is cut by offset like the pages, so a task that moves past the reader in
    every page and every listing of every pass stays unseen. A count that does not match gives that away; each pass then
    lists again, up to three times, and what is still unseen comes with the next sync.

    A scan that did not settle is committed like any other: old labels would be no better. Who needs the certainty looks
    at ``settled``, here, in the report of the sync and in the version of the mirror.

    Why the second pass: somebody may edit a task after its page was read. Only reading it again can tell, because the
    API has no "changed since" and its listing holds names, not dates. With ``confirm=False`` one pass is made, half the
    requests; an edit of that kind then waits for the next sync.

    Args:
        tasks: the methods for the kind of tasks the project has; images by default.
        page_size: tasks a request; by default as many as the API allows for their kind.
        max_passes: passes repeat until one sees no difference to the one before, but not more often than this.
        on_page: called with the number of tasks of each page read.
        log: called with a sentence now and then.

    Raises:
        Invalid: the project has tasks, but none of this kind.
        FastLabelError: the API refused or could not be reached; also when an answer broke off in the middle.
    """
    say = log or (lambda sentence: None)
    group = client.image_tasks if tasks is None else tasks
    passes = looked_up = 0
    settled = False
    last = max(1, max_passes) if confirm else 1
    while not settled and passes < last:
        passes += 1
        for page in group.pages(project, page_size=page_size):
            spill.add(page, seen=passes)
            if on_page is not None:
                on_page(len(page))
        if passes == 1 and not spill.tasks and not spill.unreadable(seen=passes):
            _refuse_others(client, project, group)
        counted, asked = _prove(client, group, project, spill, seen=passes, say=say)
        looked_up += asked
        differences = spill.differences(seen=passes)
        settled = counted and (not confirm or (passes > 1 and differences == 0))
        if passes > 1 and differences:
            say(f"pass {passes}: {differences:,} tasks changed while reading")
    if not settled:
        say(f"{project}: still changing after {passes} passes; what changed last comes with the next sync")
    return Scan(passes, settled, looked_up, spill.unreadable(seen=passes))


def _refuse_others(client: FastLabelClient, project: str, group: ModalityTasks) -> None:
    """Refuse a project whose tasks are all of another kind: its mirror would be empty and look right.

    Raises:
        Invalid: it is such a project.
    """
    some = list(islice((task_id for page in client.tasks.id_name_pages(project) for task_id in page), _SAMPLE))
    if some and all(task is None for _, task in _found(group, some)):
        raise Invalid(
            f"project {project!r} has tasks, but none of the kind {group.modality.key}",
            hint="the project's type names another kind than its tasks are of; please report this type",
        )


def _prove(
    client: FastLabelClient,
    group: ModalityTasks,
    project: str,
    spill: TaskSpill,
    *,
    seen: int,
    say: Callable[[str], object],
) -> tuple[bool, int]:
    """Compare what a pass kept with the API's listing and count, ask for each task in doubt, and tell whether the
    numbers agree and how many tasks were asked for."""
    looked_up = 0
    for _ in range(_LISTINGS_PER_PASS):
        spill.set_listing(client.tasks.id_name_pages(project))
        doubtful = spill.unsure(seen=seen)
        if doubtful:
            say(f"pass {seen}: {len(doubtful):,} tasks in doubt, asking for each")
        for task_id, task in _found(group, doubtful):
            if task is None:
                spill.drop(task_id, seen=seen)
            else:
                spill.add([task], seen=seen)
        looked_up += len(doubtful)
        counted = client.tasks.count(project)
        if counted in (spill.tasks, spill.tasks + len(spill.unreadable(seen=seen))):
            return True, looked_up
    return False, looked_up


def _found(group: ModalityTasks, task_ids: Iterable[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Each task as it is now, or None when it is gone; several requests in flight."""

    def find(task_id: str) -> tuple[str, dict[str, Any] | None]:
        try:
            return task_id, group.find(task_id)
        except NotFound:
            return task_id, None

    yield from in_flight(find, task_ids, workers=_LOOKUPS_IN_FLIGHT)
