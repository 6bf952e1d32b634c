"""The garbage collector rests while a code location is made, and is as before afterwards."""

from __future__ import annotations

import gc
import importlib

import pytest

lasting = importlib.import_module("fastlabel_dagster.assets.lasting")


@pytest.fixture
def nothing_frozen(monkeypatch):
    gc.unfreeze()
    monkeypatch.setattr(lasting, "_frozen", False)
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("nothing_frozen")
def test_what_is_loaded_first_is_left_alone_by_the_collector():
    with lasting.lasting():
        assert not gc.isenabled()
    first = gc.get_freeze_count()
    assert gc.isenabled() and first > 1000
    more = [[] for _ in range(50_000)]
    with lasting.lasting():
        pass
    assert gc.get_freeze_count() <= first, "what is loaded again replaces something that has to be collected"
    assert len(more) == 50_000


@pytest.mark.usefixtures("nothing_frozen")
def test_a_failure_and_a_collector_that_is_off_are_left_as_they_were():
    with pytest.raises(ValueError), lasting.lasting():
        raise ValueError
    assert gc.isenabled()
    gc.disable()
    try:
        with lasting.lasting():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
