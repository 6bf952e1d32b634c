"""Doing one small thing to many tasks: a bad one is set aside with its reason, a server that is down ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import dagster as dg

from fastlabel_dagster.api import FastLabelError, Unauthorized
from fastlabel_dagster.metadata.tables import quarantine_table
from fastlabel_dagster.resource import error_kind
from fastlabel_dagster.sync.inflight import Outage, in_flight
from fastlabel_dagster.sync.quarantine import Quarantined

Item = TypeVar("Item")

#: How many quarantined things an op's result names; it counts all of them.
_NAMED = 100


class NotUsable(Exception):
    """One thing cannot be worked on; the message says why."""


@dataclass
class BulkReport:
    """What became of many things.

    Attributes:
        done: that were worked on.
        skipped: by reason, that needed nothing.
        quarantined: that could not be worked on, each with the reason.
    """

    done: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count what needed nothing."""
        self.skipped[reason] = self.skipped.get(reason, 0) + count

    def set_aside(self, reason: str, *, task_id: str | None = None, name: str | None = None) -> None:
        """Put one thing into quarantine."""
        self.quarantined.append(Quarantined(reason, task_id, name))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: the counts, and the first hundred in quarantine."""
        return {
            "done": self.done,
            "skipped": dict(self.skipped),
            "failed": len(self.quarantined),
            "quarantined": [
                {"task_id": one.task_id, "name": one.name, "reason": one.reason} for one in self.quarantined[:_NAMED]
            ],
        }

    def tell(self, context: dg.OpExecutionContext, what: str, most_failures: int | None) -> dict[str, Any]:
        """Put the counts and the quarantine beside the op's output, and return them.

        Raises:
            dagster.Failure: more than ``most_failures`` failed, or everything did.
        """
        skipped = "".join(f", {count:,} skipped: {reason}" for reason, count in self.skipped.items())
        summary = f"{self.done:,} {what}{skipped}, {len(self.quarantined):,} failed"
        context.log.info("%s.", summary)
        metadata: dict[str, Any] = {"summary": summary, "quarantined": quarantine_table(self.quarantined)}
        context.add_output_metadata(metadata)
        failed = len(self.quarantined)
        if failed and (failed > most_failures if most_failures is not None else not self.done and not self.skipped):
            raise dg.Failure(description=f"{summary}; the first: {self.quarantined[0]}", metadata=metadata)
        return self.to_dict()


def do_all(
    work: Callable[[Item], object],
    items: Iterable[Item],
    report: BulkReport,
    *,
    about: Callable[[Item], tuple[str | None, str | None]],
    workers: int = 4,
) -> None:
    """``work`` on every item, several at a time.

    Args:
        work: raises ``NotUsable`` or ``FastLabelError`` for an item that cannot be worked on.
        about: task id and name of an item.

    Raises:
        FastLabelError: the token is not accepted, or ten items in a row found the server or the network down. What is
            done is done; the next attempt goes on from there.
    """
    outage = Outage()

    def attempt(item: Item) -> tuple[Item, Exception | None]:
        try:
            work(item)
        except Unauthorized:
            raise
        except (FastLabelError, NotUsable) as error:
            return item, error
        return item, None

    for item, error in in_flight(attempt, items, workers=workers):
        if error is None:
            report.done += 1
            outage.note(None)
            continue
        task_id, name = about(item)
        if isinstance(error, FastLabelError):
            outage.note(error)
            report.set_aside(f"{error_kind(error)}: {error}", task_id=task_id, name=name)
        else:
            report.set_aside(str(error), task_id=task_id, name=name)
