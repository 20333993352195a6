"""Waiting for the database is a visible state; a call to it that hangs is not."""

from __future__ import annotations

import threading

from actors.runtime.activity import Activity
from actors.runtime.database_retry import DatabaseRetry
from domain.errors import DatabaseUnavailable
from tests.support.actors.stepped_runtime import StepClock


def test_it_backs_off_between_two_tries_and_is_busy_during_one() -> None:
    activity, clock, stopping = Activity(), StepClock(), threading.Event()
    retry = DatabaseRetry("PositionKeeper", activity, clock, stopping)
    seen: list[tuple[bool, bool, bool]] = []

    def call() -> str:
        seen.append((activity.backing_off, activity.in_call, activity.waiting_since is not None))
        if len(seen) < 3:
            raise DatabaseUnavailable("away")
        return "done"

    activity.begin("Record")
    assert "done" == retry.until_done(call)
    assert [(False, True, False), (False, True, True), (False, True, True)] == seen
    assert activity.waiting_since is None
    assert activity.busy_for > 0
