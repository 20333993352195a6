"""The garbage collector looks at nothing that the start of a command has made."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from console.heap import collect_from_now_on, leave_end_uncollected


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    frozen = gc.get_freeze_count() > 0  # by tests/conftest.py
    yield
    gc.enable()
    (gc.freeze if frozen else gc.unfreeze)()


def test_what_was_made_while_it_was_off_is_left_out() -> None:
    gc.disable()
    collect_from_now_on()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 10_000


def test_a_collector_that_runs_goes_on_with_all_objects() -> None:
    gc.unfreeze()
    collect_from_now_on()
    assert gc.isenabled()
    assert 0 == gc.get_freeze_count()


def test_the_last_collections_of_a_process_find_nothing() -> None:
    leave_end_uncollected()
    assert gc.get_freeze_count() > 10_000
