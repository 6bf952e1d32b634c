"""Work another thread has begun is waited for; what nobody has begun is done by who waits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fastlabel_dagster.store.shared_work import SharedWork


def test_each_is_done_once_and_who_waits_helps():
    done: list[tuple[int, str]] = []
    begun, go_on = threading.Event(), threading.Event()

    def work(number: int) -> int:
        done.append((number, threading.current_thread().name))
        if number == 0:
            begun.set()
            assert go_on.wait(30)
        elif number == 3:
            go_on.set()  # the first can only end when the one who waits for it has done the others
        return number * number

    with ThreadPoolExecutor(1, thread_name_prefix="other") as other:
        first, *behind = [SharedWork(other, lambda number=number: work(number)) for number in range(4)]
        assert begun.wait(30)
        assert first.result(behind) == 0
        assert [each.result() for each in behind] == [1, 4, 9]
        assert not any(each.begin_here() for each in (first, *behind))
    here = threading.current_thread().name
    assert sorted(done) == [(0, "other_0"), (1, here), (2, here), (3, here)]


@pytest.mark.parametrize("here", [True, False])
def test_what_it_raises_comes_out(here):
    def work() -> int:
        raise ValueError("no such number")

    with ThreadPoolExecutor(1) as other:
        blocked = threading.Event()
        if here:
            other.submit(blocked.wait, 30)
        broken = SharedWork(other, work)
        with pytest.raises(ValueError, match="no such number"):
            broken.result()
        blocked.set()


def test_what_is_done_here_and_fails_comes_out_in_its_turn():
    begun, go_on = threading.Event(), threading.Event()

    def waiting() -> int:
        begun.set()
        return int(go_on.wait(30))

    def broken() -> int:
        go_on.set()
        raise ValueError("the second")

    with ThreadPoolExecutor(1) as other:
        first, second = SharedWork(other, waiting), SharedWork(other, broken)
        assert begun.wait(30)
        assert first.result([second]) == 1
        with pytest.raises(ValueError, match="the second"):
            second.result()
