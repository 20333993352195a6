"""The job of validation runs, without a database and without waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue

import pytest

from actors.validation_job import CHECK_INTERVAL_S, RETRY_INTERVAL_S, ValidationJob
from domain.alarms import AlarmKind
from domain.errors import DatabaseUnavailable, DatabaseUnsuitable, Fenced
from domain.validation.criteria import Criteria
from domain.validation.operational import Operations
from domain.validation.progress import Course, Progress
from domain.validation.verdict import Run, Verdict, judge
from tests.support.values.analytics_builders import DAY, DAY_1
from tests.support.values.periods import TRIPS, good, history

pytestmark = pytest.mark.clock

EVENING = datetime(2026, 1, 5, 23, 58, tzinfo=UTC)


class Stored:
    """A store that records its calls."""

    def __init__(self) -> None:
        self.filled_until: list[datetime] = []
        self.errors: list[Exception] = []
        self.sentences: list[str] = []
        self.verdicts: list[Verdict] = []
        self.closed = 0
        self.runs: list[Progress] = []
        self.last: list[Progress] = []
        self.alarms: list[tuple[str, str, bool]] = []

    def notify(self, kind: AlarmKind, text: str, *, over: bool = False) -> None:
        self.alarms.append((kind, text, over))

    def end_changed(self) -> list[str]:
        if self.errors:
            raise self.errors.pop(0)
        return self.sentences

    def progress(self) -> list[Progress]:
        return self.runs

    def last_progress(self) -> list[Progress]:
        return self.last

    def fill(self, until: datetime, stopping: Callable[[], bool]) -> list[Verdict]:
        self.filled_until.append(until)
        return self.verdicts

    def close(self) -> None:
        self.closed += 1


class Hand:
    """The clock and the sleep of the job: a test lets it run on, and reads how long it would have slept."""

    def __init__(self, now: datetime) -> None:
        self.time = now
        self.pauses: SimpleQueue[float] = SimpleQueue()
        self._go: SimpleQueue[None] = SimpleQueue()

    def now(self) -> datetime:
        return self.time

    def wait(self, _: threading.Event, seconds: float) -> None:
        self.pauses.put(seconds)
        self._go.get(timeout=10)

    def on(self) -> float:
        """Let the job check once; return the pause that it wants next."""
        self.go()
        return self.pauses.get(timeout=10)

    def go(self) -> None:
        self._go.put(None)


@pytest.fixture
def stored() -> Stored:
    return Stored()


@pytest.fixture
def hand() -> Hand:
    return Hand(EVENING)


@pytest.fixture
def job(stored: Stored, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> Iterator[ValidationJob]:
    made = ValidationJob(stored, hand, stored.notify)
    monkeypatch.setattr(made._worker, "_wait", hand.wait)
    made.start()
    assert 0 == hand.pauses.get(timeout=10)  # what is missing is stored at once
    yield made
    made._worker.stopping.set()
    hand.go()
    made.stop()
    assert [] == [thread.name for thread in threading.enumerate() if thread.name == "validation"]
    assert 1 <= stored.closed


def test_a_day_is_judged_a_minute_after_its_end(job: ValidationJob, stored: Stored, hand: Hand) -> None:
    # Two minutes to midnight: three to the day's verdict.
    assert 180 == hand.on()
    hand.time = EVENING + timedelta(minutes=3)
    assert CHECK_INTERVAL_S == hand.on()
    # Half a minute after midnight the day's last snapshot may not be stored yet.
    hand.time = EVENING + timedelta(minutes=2, seconds=30)
    assert 30 == hand.on()
    midnight = EVENING + timedelta(minutes=2)
    assert [False, True, False] == [until >= midnight for until in stored.filled_until]


def test_a_database_that_is_away_is_tried_again(
    job: ValidationJob, stored: Stored, hand: Hand, log_lines: list[str]
) -> None:
    stored.errors = [DatabaseUnavailable("away"), DatabaseUnavailable("away")]
    assert [RETRY_INTERVAL_S, RETRY_INTERVAL_S, 180] == [hand.on(), hand.on(), hand.on()]
    assert (1, []) == (len(stored.filled_until), log_lines)


def test_whatever_goes_wrong_is_said_once_and_ends_nothing(
    job: ValidationJob, stored: Stored, hand: Hand, log_lines: list[str]
) -> None:
    lacking = DatabaseUnsuitable("the database role lacks a right")
    stored.errors = [ZeroDivisionError("x"), ZeroDivisionError("x"), lacking]
    assert [CHECK_INTERVAL_S, CHECK_INTERVAL_S, CHECK_INTERVAL_S, 180] == [hand.on(), hand.on(), hand.on(), hand.on()]
    assert [
        "ERROR cannot compute the day's verdict, retrying: ZeroDivisionError: x",
        f"ERROR cannot compute the day's verdict, retrying: DatabaseUnsuitable: {lacking}",
    ] == log_lines


@pytest.mark.logged(level="INFO")
def test_ends_and_verdicts_are_in_the_log(job: ValidationJob, stored: Stored, hand: Hand, log_lines: list[str]) -> None:
    stored.sentences = ["validation run spring has ended: max_price_age 30 → 60 since epoch 12"]
    days = Operations(DAY_1, DAY_1 + 14 * DAY)
    run = Run(1, "spring", DAY_1)
    stored.verdicts = [judge("default", history(TRIPS, good()), days, Criteria(), real_prices=True, run=run)]
    hand.on()
    unmet = "operationally failed (uptime)"
    assert [
        "WARNING validation run spring has ended: max_price_age 30 → 60 since epoch 12",
        f"INFO validation run spring, 2026-01-14: portfolio default is not ready: {unmet}",
    ] == log_lines
    assert [("validation_ended", stored.sentences[0], False)] == stored.alarms


def test_a_run_that_will_not_pass_is_an_alarm_a_day_before_and_once(
    job: ValidationJob, stored: Stored, hand: Hand
) -> None:
    def run(name: str, course: Course, days: int) -> Progress:
        return Progress(name, "default", course, "day 1 of 14, …", EVENING + days * DAY + timedelta(minutes=2))

    stored.runs = [
        run("fine", Course.ON_COURSE, 0), run("early", Course.BEHIND, 2), run("late", Course.BEHIND, 1),
        run("lost", Course.LOST, 9),
    ]  # fmt: skip
    hand.time += timedelta(hours=1)
    hand.on()
    hand.time += timedelta(minutes=5)
    hand.on()
    late = "validation late of portfolio default: day 1 of 14, …; its days end at 00:00 UTC"
    lost = "validation lost of portfolio default: day 1 of 14, …"
    assert [("validation_at_risk", late, False), ("validation_at_risk", lost, False)] == stored.alarms
    hand.time += DAY
    hand.on()
    early = "validation early of portfolio default: day 1 of 14, …; its days end at 00:00 UTC"
    assert [("validation_at_risk", early, False)] == stored.alarms[2:]


def test_of_what_was_lost_before_the_start_no_second_alarm_is_sent(
    job: ValidationJob, stored: Stored, hand: Hand
) -> None:
    def run(name: str, course: Course) -> Progress:
        return Progress(name, "default", course, "day 1 of 14, …", EVENING + 9 * DAY)

    stored.last = [run("lost", Course.LOST), run("behind", Course.BEHIND)]
    stored.runs = [run("lost", Course.LOST), run("behind", Course.LOST)]
    hand.on()
    assert [("validation_at_risk", "validation behind of portfolio default: day 1 of 14, …", False)] == stored.alarms


def test_a_process_that_is_fenced_writes_nothing_more(stored: Stored, hand: Hand) -> None:
    stored.errors = [Fenced("epoch 3 does not write any more")]
    job = ValidationJob(stored, hand, stored.notify)
    job.start()
    job._worker._thread.join(10)
    assert not job._worker.is_alive
    job.stop()
    assert ([], 1) == (stored.filled_until, stored.closed)
