"""The alarm about a disk that is nearly full."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from actors.supervision.disk_watch import MIB, DiskWatch
from domain.alarms import AlarmKind
from persistence.disk_refusals import disk_refusals
from persistence.error_translation import domain_error

pytestmark = pytest.mark.clock


class Hands:
    """A clock that a test moves."""

    time = datetime(2026, 1, 5, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


def test_little_space_and_refused_writes_are_an_alarm_once_and_their_end() -> None:
    alarms: list[tuple[str, str, bool]] = []

    def notify(kind: AlarmKind, text: str, *, over: bool = False) -> None:
        alarms.append((kind, text, over))

    free: list[int | None] = [501 * MIB]
    hands = Hands()
    watch = DiskWatch(500, lambda: free[0], disk_refusals, notify, hands)
    watch.tell(None)
    assert ([], None, 501 * MIB) == (alarms, watch.problem, watch.free_bytes)
    free[0] = 499 * MIB
    watch.tell(None)
    watch.tell(None)
    text = "less than 500 MiB are free under home; make space, before nothing can be stored"
    assert [("disk_full", text, False)] == alarms
    free[0] = None
    watch.tell(None)
    assert (("disk_full", "there is free space on the disk again", True), 2) == (alarms[-1], len(alarms))
    domain_error(psycopg.errors.DiskFull("could not extend file"), OSError())
    domain_error(psycopg.errors.UniqueViolation("x"), OSError())
    watch.tell(None)
    assert "the disk of the database is full: could not extend file" == watch.problem
    hands.time += timedelta(minutes=2)
    watch.tell(None)
    assert 3 == len(alarms)
    hands.time += timedelta(minutes=2)
    watch.tell(None)
    assert (4, None) == (len(alarms), watch.problem)
