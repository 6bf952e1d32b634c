"""One tick of the polling engine: turns, time, room, errors and health. What it promises stands in ``polling``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from fastlabel_dagster.api.errors import FastLabelError, Invalid, NotFound, RateLimited, TransportError, Unauthorized
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors.cursor import MAX_CURSOR_BYTES, CursorState, dump_cursor, load_cursor, stored_bytes
from fastlabel_dagster.sensors.health import Trouble, health_evaluation, in_a_line, says_healthy, with_what_to_run
from fastlabel_dagster.sensors.question import Question
from fastlabel_dagster.sensors.visit import Ask, Digest, Event, PartitionsRequest, Polling, Unfinished, Visit

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

#: How many ticks a failing target waits at most before it is asked again.
LONGEST_PAUSE: Final = 8
#: After this many failures in a row a target that may only have had bad luck counts as unhealthy.
FAILURES_FORGIVEN: Final = 2
#: The longest a tick is skipped because the server (or our own budget) said to wait.
_LONGEST_WAIT = 600.0
#: A visit is promised room for this many events and runs.
_FEWEST = 2
#: Seconds without an answer after which a target counts as unhealthy, though it is only told to wait.
LONGEST_SILENCE: Final = 3600
#: Seconds in which nobody answers.
_TOO_SHORT = 0.05
#: How many notes of a tick its skip reason shows.
_NOTES_SHOWN = 8


class _Refused(Exception):
    """The tick is over for every target; the reason is this error."""

    def __init__(self, error: FastLabelError) -> None:
        self.error = error
        super().__init__(str(error))


class Tick:
    """The state of one tick."""

    def __init__(
        self,
        context: dg.SensorEvaluationContext,
        fastlabel: FastLabelResource,
        targets: Sequence[str],
        polling: Polling,
        *,
        ask: Ask,
        digest: Digest,
        health_key: Callable[[str], dg.AssetKey] | None,
    ) -> None:
        self.context, self.fastlabel, self.polling = context, fastlabel, polling
        self.targets = list(dict.fromkeys(targets))
        self.ask, self.digest, self.health_key = ask, digest, health_key
        state = CursorState(load_cursor(context.cursor, polling.kind, context.log, polling.migrations), context.log)
        known = set(self.targets)
        self.number = int(state.number("tick")) + 1
        self.following = state.text("next")
        self.wait_until = state.number("wait")
        self.memory = {target: memory for target, memory in state.memories().items() if target in known}
        self.trouble = {target: Trouble(*of) for target, of in state.failing().items() if target in known}
        #: Since when targets that were never read are told to wait.
        self.unread = {target: since for target, since in state.numbers("unread").items() if target in known}
        self.runs: list[dg.RunRequest] = []
        self.events: list[Event] = []
        self.partitions: list[PartitionsRequest] = []
        self.notes: list[str] = []
        self.asked = 0
        self.requests = 0
        self.deadline = 0.0
        #: Seconds the slowest answer of this tick took; who has not answered in time does not count.
        self.slowest = 0.0

    def run(self, started: float | None = None) -> dg.SensorResult:
        """The tick, which began at ``started``."""
        started = self.polling.clock() if started is None else started
        self.deadline = started + self.polling.time_budget_seconds
        left = self.wait_until - self.polling.wall()
        if 0 < left <= _LONGEST_WAIT:  # more than that is a clock that was set back
            self.notes.append(f"the request budget is spent; asking again in {left:.0f} s")
            return self._result()
        self.wait_until = 0.0
        try:
            self._go_round()
        except _Refused as refused:
            self._note_refusal(refused.error)
        self._note_tick(self.polling.clock() - started)
        return self._result()

    # -- turns and time ----------------------------------------------------------------------------------------------

    def _go_round(self) -> None:
        """Visit the targets that do not pause, from the one whose turn it is; ``following`` is who comes next."""
        if not self.targets:
            return
        try:
            client = self.fastlabel.client
        except FastLabelError as error:  # there is no token, or one that cannot be
            raise _Refused(error) from error
        start = self.targets.index(self.following if self.following in self.targets else self._waiting_longest())
        ring = [*self.targets[start:], *self.targets[:start]]
        waiting = [one for one in ring if one not in self.trouble or self.trouble[one].resume <= self.number]
        before = client.statistics.requests
        try:
            while waiting:
                left = self.deadline - self.polling.clock()
                # an answer would hardly be back in time
                if left <= 0 or (self.asked and left < max(self.slowest, _TOO_SHORT)):
                    self.notes.append(f"the time is used up, {len(waiting)} wait for the next tick")
                    break
                wave = waiting[: self.polling.in_flight]
                done = self._visit(client, wave)
                waiting = waiting[done:]
                self.following = waiting[0] if waiting else ring[0]
                if done < len(wave):
                    break
        finally:
            self.requests = client.statistics.requests - before

    def _waiting_longest(self) -> str:
        """Whose turn it is when the one whose turn it was is no target of this tick: who was read longest ago, of those
        that do not fail, as these would always be that."""
        read = {target: self.memory.get(target, {}).get("at", 0) for target in self.targets}
        return min(
            (one for one in self.targets if one not in self.trouble), key=read.__getitem__, default=self.targets[0]
        )

    def _visit(self, client: FastLabelClient, wave: Sequence[str]) -> int:
        """Ask these targets at the same time and digest their answers in order.

        Returns:
            How many of them, from the first on, have had their turn.
        """
        from fastlabel_dagster.api import RetryPolicy

        seconds = min(self.polling.longest_request, self.deadline - self.polling.clock())
        cut_short = seconds < self.polling.longest_request
        asked_at = self.polling.clock()
        until = asked_at + seconds
        hurried = client.with_limits(timeout=seconds, retry=RetryPolicy(attempts=1, total_seconds=seconds))
        questions = [Question(self.ask, hurried, target, self._memory_of(target)) for target in wave]
        for question in questions:
            question.put()
        self.asked += len(questions)
        done, stopped = 0, False
        refusal: FastLabelError | None = None
        refused_first = False
        for question in questions:
            error = question.wait(max(0.0, until - self.polling.clock()), seconds)
            if not isinstance(error, TransportError):
                self.slowest = max(self.slowest, self.polling.clock() - asked_at)
            if error is not None and cut_short and isinstance(error, TransportError):
                self.notes.append(f"{question.target}: there was no time left for its answer")
                stopped = True
            elif isinstance(error, FastLabelError) and _concerns_all(error):
                refused_first = refused_first or question.target == wave[0]
                refusal = refusal or error
                stopped = True
            elif not self._has_room():
                self.notes.append("that is enough for one tick, the rest follows with the next")
                stopped = True
            elif error is not None:
                self._fail(question.target, error)
            elif isinstance(question.answer, Unfinished):
                self.notes.append(f"{question.target}: {question.answer.note}")
            else:
                self._take(question.target, question.answer)
            done += not stopped
        if refusal is not None:
            # who is refused as the first of a tick may be refused for ever: then the next tick begins behind it
            self.following = self._behind(wave[0]) if refused_first and self.asked == len(wave) else wave[done]
            raise _Refused(refusal)
        return done

    def _behind(self, target: str) -> str:
        """Who stands behind this one in the ring."""
        return self.targets[(self.targets.index(target) + 1) % len(self.targets)]

    def _memory_of(self, target: str) -> dict[str, Any] | None:
        known = self.memory.get(target)
        return None if known is None else {name: value for name, value in known.items() if name != "at"}

    # -- answers -----------------------------------------------------------------------------------------------------

    def _events_left(self) -> int:
        """How many events a visit may report, one kept for its health."""
        return self.polling.events - len(self.events) - 1

    def _has_room(self) -> bool:
        return self._events_left() >= _FEWEST and self.polling.runs - len(self.runs) >= _FEWEST

    def _take(self, target: str, answer: Any) -> None:
        """Digest one answer. All of its findings count, or none: what is remembered and what is done stay together."""
        share = 1 if len(self.targets) == 1 else 4  # one busy target leaves room for others
        visit = Visit(
            target=target,
            memory=self._memory_of(target),
            events=max(_FEWEST, min(self._events_left(), self.polling.events // share)),
            runs=max(_FEWEST, min(self.polling.runs - len(self.runs), self.polling.runs // share)),
            first_tick=self.polling.first_tick,
            context=self.context,
        )
        try:
            findings = self.digest(visit, answer)
        except Exception as error:  # noqa: BLE001 - an answer nobody foresaw must not stop the other targets
            self._fail(target, error)
            self._forget_what_is_damaged(visit, answer)
            return
        new = target not in self.memory or "at" not in self.memory[target]
        self.memory[target] = {**findings.memory, "at": int(self.polling.wall())}
        self.unread.pop(target, None)
        self.runs += findings.runs
        self.events += findings.events
        self.partitions += findings.partitions
        if findings.note:
            self.notes.append(findings.note)
        trouble = self.trouble.pop(target, None)
        if (new or (trouble is not None and trouble.reported)) and not self._report(target, None):
            self.trouble[target] = Trouble(reported=True)  # said when there is room

    def _forget_what_is_damaged(self, visit: Visit, answer: Any) -> None:
        """Drop what is remembered of a target when its answer is understood without: it would never be understood with
        it. When it is not understood either way, the answer is to blame, and what is remembered is kept."""
        if visit.memory is None:
            return
        try:
            self.digest(replace(visit, memory=None), answer)
        except Exception:  # noqa: BLE001 - the tick has told of it
            return
        self.context.log.error(
            "%s: what the cursor remembers of it is damaged and forgotten; it begins anew with its next visit.",
            visit.target,
        )
        self.memory.pop(visit.target, None)

    def _fail(self, target: str, error: Exception) -> None:
        if isinstance(error, NotFound) and self.health_key is not None:
            error = with_what_to_run(error, self.context, self.health_key(target))
        trouble = self.trouble.setdefault(target, Trouble())
        trouble.failures += 1
        pause = 0 if trouble.failures == 1 or len(self.targets) == 1 else 2 ** min(trouble.failures - 2, 10)
        trouble.resume = self.number + 1 + min(pause, LONGEST_PAUSE)
        said = in_a_line(error)
        self.notes.append(f"{target}: {said}")
        if isinstance(error, FastLabelError):
            self.context.log.warning("%s cannot be read (%d in a row): %s", target, trouble.failures, said)
        else:
            self.context.log.error(
                "%s: its answer was not understood (%d in a row)", target, trouble.failures, exc_info=error
            )
        lasting = not isinstance(error, FastLabelError) or isinstance(error, (NotFound, Unauthorized, Invalid))
        if lasting or trouble.failures > FAILURES_FORGIVEN:
            self._tell_of(target, trouble, error)

    def _note_refusal(self, error: FastLabelError) -> None:
        """The server refuses everybody. Nothing is counted against a target; their places are kept."""
        self.notes.insert(0, f"{in_a_line(error)}. Nothing is lost, the next tick tries again.")
        self.context.log.error("Nothing can be polled: %s", in_a_line(error))
        if isinstance(error, RateLimited):
            self.wait_until = self.polling.wall() + min(error.retry_after or 0.0, _LONGEST_WAIT)
            silent = [target for target in self.targets if self._silence(target) > LONGEST_SILENCE]
        else:
            silent = self.targets
        # one a tick is told again if need be: to ask Dagster for the checks of all would take too long
        again = self.targets[self.number % len(self.targets)]
        for target in silent:
            trouble = self.trouble.setdefault(target, Trouble())
            if target == again or not trouble.reported:
                self._tell_of(target, trouble, error)

    def _silence(self, target: str) -> float:
        """Seconds since a target was read; of one that never was, since it was first told to wait."""
        now = self.polling.wall()
        last = self.memory.get(target, {}).get("at")
        return now - float(self.unread.setdefault(target, int(now)) if last is None else last)

    # -- health ------------------------------------------------------------------------------------------------------

    def _tell_of(self, target: str, trouble: Trouble, error: Exception) -> None:
        """Report that a target cannot be read, unless its check says so already. Several sensors report to one check:
        what another one has said of its own questions does not make this one's answers come."""
        if not trouble.reported:
            trouble.reported = self._report(target, error)
        elif self.health_key is not None and says_healthy(self.context, self.health_key(target)):
            self._report(target, error)

    def _report(self, target: str, error: Exception | None) -> bool:
        """Report ``polling_healthy`` of a target, failed with the error or passed; False when there is no room."""
        if self.health_key is None:
            return True
        if len(self.events) >= self.polling.events:
            return False
        about: dict[str, Any] = {"sensor": self.polling.kind}
        if error is not None:
            failing = sorted(one for one, known in self.trouble.items() if known.failures)
            about["failing"] = f"{len(failing)} of {len(self.targets)}: {', '.join(failing[:20])}"
        self.events.append(
            health_evaluation(
                self.health_key(target),
                target,
                error,
                failures=self.trouble.get(target, Trouble()).failures,
                read_at=self.memory.get(target, {}).get("at"),
                now=self.polling.wall(),
                severity=self.polling.severity,
                about=about,
            )
        )
        return True

    def _note_tick(self, seconds: float) -> None:
        """How the polling goes, into the sensor's log: what this tick did, who fails, how old the oldest answer is."""
        failing = [target for target, known in self.trouble.items() if known.failures]
        never = [target for target in self.targets if "at" not in self.memory.get(target, {})]
        oldest = min((int(known["at"]) for known in self.memory.values() if "at" in known), default=None)
        said = f"asked {self.asked} of {len(self.targets)} with {self.requests} requests in {seconds:.1f} s"
        if failing:
            said += f"; {len(failing)} failing: {', '.join(sorted(failing)[:10])}"
        if never:
            said += f"; {len(never)} not read yet"
        if oldest is not None:
            said += f"; the oldest answer is {max(0, int(self.polling.wall()) - oldest)} s old"
        self.context.log.info("%s.", said)
        if len(self.targets) > 1:
            self.notes.append(said)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _result(self) -> dg.SensorResult:
        state: dict[str, Any] = {"tick": self.number, "next": self.following, "projects": self.memory}
        failing = {
            target: [known.failures, known.resume, int(known.reported)] for target, known in self.trouble.items()
        }
        if failing:
            state["failing"] = failing
        if self.unread:
            state["unread"] = self.unread
        if self.wait_until:
            state["wait"] = int(self.wait_until)
        cursor = dump_cursor(self.polling.kind, state)
        size = stored_bytes(cursor)
        if size > MAX_CURSOR_BYTES:
            self.context.log.warning(
                "The cursor has %d bytes; some databases keep no more than 65,535. "
                "Poll fewer projects with one sensor.",
                size,
            )
        shown = self.notes[:_NOTES_SHOWN]
        if len(self.notes) > len(shown):
            shown += [f"and {len(self.notes) - len(shown)} more", self.notes[-1]]
        return dg.SensorResult(
            run_requests=self.runs,
            asset_events=self.events,
            dynamic_partitions_requests=self.partitions,
            cursor=cursor,
            skip_reason=None if self.runs else "; ".join(shown) or "nothing new",
        )


def _concerns_all(error: FastLabelError) -> bool:
    """Whether an error says that nobody will be answered: the token is refused, or the request budget is spent. A 403
    is about one project."""
    return isinstance(error, RateLimited) or (isinstance(error, Unauthorized) and error.status != 403)
