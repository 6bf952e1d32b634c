"""Every route of the sandbox meets every kind of fault once, before and after the work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastlabel_dagster.api import FastLabelClient, FastLabelError, RetryPolicy
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.endpoints import ENDPOINTS

Calls = Callable[[FastLabelClient], dict[str, Callable[[int], Any]]]

FAULTS = [("429", False), ("slow", True), ("truncated", True)]
FAULTS += [(kind, after) for kind in ("500", "502", "html", "reset", "timeout") for after in (False, True)]


def test_every_call_goes_well_on_a_good_day(
    fastlabel_client: FastLabelClient, every_call: Calls, recorder: Any
) -> None:
    with FastLabelClient(session=recorder) as client:
        table = every_call(client)
        files = {f"{method} /files/{{key:path}}" for method in ("GET", "PUT")}
        assert set(table) == {f"{row.method} {row.path}" for row in ENDPOINTS} | files, "no route is left out"
        for number, (route, call) in enumerate(table.items()):
            before = recorder.met[route]
            call(number)
            assert recorder.met[route] > before, f"{route} is not met by its call"


def test_every_route_meets_every_fault_and_answers_or_says_why(fastlabel_sandbox: Sandbox, every_call: Calls) -> None:
    retry = RetryPolicy(backoff_seconds=0.01, backoff_max_seconds=0.02)
    with FastLabelClient(timeout=(5, 0.3), retry=retry) as client:
        table = every_call(client)

        def spoil(numbered: tuple[int, str]) -> list[str]:
            number, route = numbered
            untyped = []
            for step, (kind, after) in enumerate(FAULTS):
                fastlabel_sandbox.fail(route, kind=kind, after=after, retry_after=0, seconds=0.5 if not after else 0.4)
                try:
                    table[route](number * 13 + step)
                except FastLabelError:
                    pass  # what it is for
                except Exception as error:  # noqa: BLE001 - anything else is the finding
                    untyped.append(f"{route} {kind} after={after}: {error!r}")
            return untyped

        with ThreadPoolExecutor(8) as pool:
            untyped = [line for lines in pool.map(spoil, enumerate(table)) for line in lines]
    assert not untyped, "\n".join(untyped)
    met = fastlabel_sandbox.state.faults.summary()
    assert (met["waiting"], met["total"]) == (0, len(table) * len(FAULTS)), "every fault was met"
