"""What was submitted, by kind, subject and version, and the claim that lets one run at a time decide about it.

Both lie in the project's store, so they hold for every run, process and Dagster instance that shares it. Each kind of
job has a folder of its own there (``training``, ``evaluation``, …), so that nobody waits for another kind's turn:

- ``<kind>/ledger.json`` names the job of each version, or that one was begun and what jobs there were before.
- ``<kind>/claims/<number>.json`` say whose turn it is. The highest number counts. A claim that was let go of, or whose
  run has died, is followed by the next number, which only one of several can make (:meth:`Store.write_new`).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.api import FastLabelError

if TYPE_CHECKING:
    from fastlabel_dagster.store import Store

_LEDGER = "ledger.json"
_CLAIMS = "claims/"
#: No submission takes this long, with all its retries: a claim of whom nobody knows whether he lives is free after it.
LONGEST_SECONDS = 3600.0


class SubmissionBusy(FastLabelError):
    """Another run is submitting a job of this kind at this moment, and did not end while this one waited."""

    hint_by_default = "when that run has ended, or was terminated in Dagster, run this one again"


@dataclass(frozen=True)
class Claimant:
    """Who submits, and how it finds out whether another who claims to submit is still alive.

    Attributes:
        run_id: of the Dagster run; a random one outside Dagster.
        step: the step in it. A claim of the same run and step is of an earlier attempt, which is over.
        ancestors: the runs that this one re-executes.
        is_active: whether a run still goes on; None when nobody knows, then only a claim's age tells. The claim of
            a run that goes on is never too old.
    """

    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    step: str = ""
    ancestors: frozenset[str] = frozenset()
    is_active: Callable[[str], bool | None] = lambda _: None

    def is_mine(self, run_id: str | None) -> bool:
        """Whether a run is this one or one that it re-executes."""
        return run_id == self.run_id or run_id in self.ancestors


class Claim:
    """The turn of one claimant; :meth:`check` tells whether it is still his."""

    def __init__(self, store: Store, number: int) -> None:
        self._store, self.number = store, number

    def check(self) -> None:
        """Raises :class:`SubmissionBusy` when somebody took this claim for one of a dead run and went on from it."""
        if _highest(self._store) != self.number:
            raise SubmissionBusy("another run has taken over the submission, as this one took too long")


@contextmanager
def claimed(
    store: Store,
    claimant: Claimant,
    kind: str = "training",
    *,
    wait_seconds: float = 300.0,
    log: Callable[[str], object] = lambda _: None,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Claim]:
    """Hold the one claim on submitting jobs of a kind from a store; wait for a living run that has it.

    Raises:
        SubmissionBusy: a living run holds it for longer than ``wait_seconds``.
        StoreError: the store cannot be used.
    """
    folder = store.at(kind)
    claim = _take(folder, claimant, wait_seconds, log, sleep)
    try:
        yield claim
    finally:
        folder.write_bytes(_path(claim.number), b'{"released": true}')
        folder.delete(one.path for one in list(folder.list(_CLAIMS)) if _number(one.path) < claim.number)


def _take(
    store: Store,
    claimant: Claimant,
    wait_seconds: float,
    log: Callable[[str], object],
    sleep: Callable[[float], object],
) -> Claim:
    token = uuid.uuid4().hex
    until = time.monotonic() + wait_seconds
    while True:
        highest = _highest(store)
        held = _content(store, highest) if highest else {"released": True}
        if not _is_free(held, claimant):
            late = time.monotonic() >= until
            if late and held.get("run_id"):
                raise _busy(held, claimant, store.uri_of(_path(highest)))
            if not late:
                sleep(0.5)
                continue  # and late: a claim that still says nothing was cut off while it was written
        if not held.get("released"):
            log(f"The run {held.get('run_id')} died while it submitted a job; taking over from it.")
        mine = {"run_id": claimant.run_id, "step": claimant.step, "token": token, "made_at": time.time()}
        number = highest + 1
        made = store.write_new(_path(number), json.dumps(mine).encode())
        # S3 may have made it although the answer was lost; and a number that is free may have been used and tidied away
        if (made or _content(store, number).get("token") == token) and _highest(store) == number:
            return Claim(store, number)
        if made:
            store.delete([_path(number)])


def _is_free(held: Mapping[str, Any], claimant: Claimant) -> bool:
    if held.get("released"):
        return True
    if (held.get("run_id"), held.get("step")) == (claimant.run_id, claimant.step):
        return True
    active = claimant.is_active(str(held["run_id"])) if held.get("run_id") else None
    if active is not None:
        return not active
    made_at = held.get("made_at")
    return isinstance(made_at, int | float) and time.time() - made_at > LONGEST_SECONDS


def _busy(held: Mapping[str, Any], claimant: Claimant, place: str) -> SubmissionBusy:
    """What is said of a claim that is not let go of. Nobody can look up a run that is of another instance."""
    run_id, made_at = str(held["run_id"]), held.get("made_at")
    hint = ""
    if claimant.is_active(run_id) is None and isinstance(made_at, int | float):
        free_at = datetime.fromtimestamp(made_at + LONGEST_SECONDS, timezone.utc)
        hint = (
            "this Dagster instance does not know that run: if another one uses the store, wait for its run to end; if "
            f"that one is gone, delete the claim, or run this one again after {free_at:%Y-%m-%d %H:%M} UTC"
        )
    return SubmissionBusy(f"the run {run_id} is submitting a job and has not finished; its claim is {place}", hint=hint)


def _path(number: int) -> str:
    return f"{_CLAIMS}{number:09}.json"


def _number(path: str) -> int:
    name = path.removeprefix(_CLAIMS).removesuffix(".json")
    return int(name) if name.isdecimal() else 0


def _highest(store: Store) -> int:
    return max((_number(one.path) for one in store.list(_CLAIMS)), default=0)


def _content(store: Store, number: int) -> dict[str, Any]:
    """What a claim says. One that is gone was followed by another; one that says nothing yet is being written."""
    try:
        content = json.loads(store.read_bytes(_path(number)))
    except FileNotFoundError:
        return {"released": True}
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


class Ledger:
    """What was submitted of one kind, by subject and version. Written by the holder of the claim only.

    An entry holds ``job_id``, with ``completed`` when the job was seen to have completed; or, of a submit that was
    begun, ``known_ids`` (the jobs there were before) and ``run_id``. Either says what the job is ``made_from``, where
    that is known: a job may be that of several versions, when a dataset was not what it was believed to be. Of a submit
    that was begun, ``together`` names them.
    """

    def __init__(self, store: Store, kind: str = "training") -> None:
        self._store = store.at(kind)
        self._entries = self._read()

    def entry(self, subject: str, version: str) -> Mapping[str, Any]:
        """What is known of a version's job; empty when nothing is."""
        return self._entries.get((subject, version), {})

    def versions(self, subject: str) -> list[str]:
        """The versions of which anything is known, the one whose job was begun last at the end."""
        return [version for one, version in self._entries if one == subject]

    def other_jobs(self, subject: str, version: str) -> set[str]:
        """The jobs known to be those of other versions."""
        return {str(e["job_id"]) for key, e in self._entries.items() if key != (subject, version) and e.get("job_id")}

    def write(self, subject: str, entries: Mapping[str, Mapping[str, Any]]) -> None:
        """Put the entries of these versions in place, all of them or none, on the disk before this returns."""
        found = {(subject, version): dict(entry) for version, entry in entries.items()}
        if any(self._entries.get(key) != entry for key, entry in found.items()):
            self._entries |= found
            self._save()

    def begin(self, subject: str, versions: Iterable[str], **entry: Any) -> None:
        """Write down that a job of these versions is about to be asked for; the last is the newest from now on."""
        together = list(versions)
        if len(together) > 1:
            entry["together"] = together
        for version in together:
            self._entries.pop((subject, version), None)
            self._entries[subject, version] = dict(entry)
        self._save()

    def begun_with(self, subject: str, version: str) -> list[str]:
        """The versions, this one included, for which one and the same job was asked for and none is known yet."""
        entry = self.entry(subject, version)
        return [one for one in entry.get("together", ()) if self.entry(subject, one) == entry]

    def completed(self, subject: str, job_id: str) -> bool:
        """Have every entry of a job say that it has completed; whether there was one that did not."""
        open_ones = [
            entry
            for (one, _), entry in self._entries.items()
            if one == subject and entry.get("job_id") == job_id and not entry.get("completed")
        ]
        for entry in open_ones:
            entry["completed"] = True
        if open_ones:
            self._save()
        return bool(open_ones)

    def rename(self, subject: str, former: str, version: str) -> None:
        """Give the entry that an earlier release wrote as ``former`` the name it has now."""
        here = (subject, former)
        self._entries = {(subject, version) if key == here else key: entry for key, entry in self._entries.items()}
        self._save()

    def _save(self) -> None:
        rows = [{"subject": key[0], "version": key[1], **entry} for key, entry in self._entries.items()]
        self._store.write_bytes(_LEDGER, json.dumps({"jobs": rows}, indent=1, sort_keys=True).encode())

    def _read(self) -> dict[tuple[str, str], dict[str, Any]]:
        try:
            found = json.loads(self._store.read_bytes(_LEDGER))
            return dict(_entry(row) for row in _rows(found))
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError) as error:
            place = self._store.uri_of(_LEDGER)
            raise ValueError(f"{place} cannot be read; delete it if no job of this kind is under way") from error


def _rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a ledger of any age: at first one of one training, then several trainings, now jobs of any kind."""
    if "dataset_version" in found:
        return [found]
    rows: list[dict[str, Any]] = found["jobs"] if "jobs" in found else found["trainings"]
    return rows


def _entry(row: Mapping[str, Any]) -> tuple[tuple[str, str], dict[str, Any]]:
    entry = dict(row)
    old = "dataset_version" in entry
    subject, version = entry.pop("dataset" if old else "subject"), entry.pop("dataset_version" if old else "version")
    return (str(subject), str(version)), entry
