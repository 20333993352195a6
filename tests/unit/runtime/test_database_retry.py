"""Waiting for the database is a visible state; a call to it that hangs is not."""

from __future__ import annotations

import threading

from loguru import logger

from actors.runtime.activity import Activity
from actors.runtime.database_retry import DatabaseRetry
from domain.errors import DatabaseBusy, DatabaseUnavailable
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


def test_the_cause_of_an_error_that_comes_three_times_is_reported_once() -> None:
    activity, lines = Activity(), []
    retry = DatabaseRetry("PositionKeeper", activity, StepClock(), threading.Event())
    reasons: list[str | None] = []
    causes = iter(["other", *["cannot perform UPDATE RETURNING"] * 5])

    def call() -> str:
        reasons.append(activity.waiting_reason)
        if (cause := next(causes, None)) is None:
            return "done"
        error = DatabaseBusy(f"the statement does not fit the tables as they are now: {cause}")
        error.reason = cause
        raise error

    handler = logger.add(lambda message: lines.append(message.record["message"]), level="ERROR")
    assert "done" == retry.until_done(call)
    logger.remove(handler)
    assert [None] * 4 + ["cannot perform UPDATE RETURNING"] * 3 == reasons
    assert activity.waiting_reason is None
    sentence = "gets the same error again and again; the intake is paused until its cause is mended: cannot perform"
    assert [f"PositionKeeper {sentence} UPDATE RETURNING"] == lines
