"""Alarms of the real actors, one step at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from loguru import logger

from actors.messages import Audit, Crash, Tick, Wake
from actors.runtime.activity import Activity
from actors.supervision.alarms import AlarmNotifier, DatabaseWatch, HaltMonitor
from domain import failpoints
from domain.alarms import MAX_ALARM_LENGTH, Alarm, AlarmKind, alarm_text
from domain.trading.decision import Decision
from domain.types import Instant, PortfolioName
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import NOON, StepClock
from tests.support.actors.stepper import Stepper
from tests.support.values.builders import instrument, rules, uid

DEFAULT = PortfolioName("default")
PAGE = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text(encoding="utf-8")


class Receiver:
    """A receiver of alarms."""

    def __init__(self) -> None:
        self.alarms: list[Alarm] = []

    def notify(self, alarm: Alarm) -> None:
        self.alarms.append(alarm)

    @property
    def sent(self) -> list[tuple[str, str]]:
        return [(f"{alarm.kind}{' over' * alarm.over}", alarm.text) for alarm in self.alarms]


@pytest.fixture
def stepper() -> Stepper:
    database = MemoryDatabase()
    database.open_portfolio(rules())
    started = Stepper(database, [instrument("BTC/USDT")], seed=1)
    started.run()
    started.quote({"BTC/USDT": "100"})
    started.run()
    return started


def alarms_of(stepper: Stepper) -> list[tuple[str, str]]:
    return [(f"{alarm.kind}{' over' * alarm.over}", alarm.text) for alarm in stepper.alarms]


def halt(stepper: Stepper, reason: str | None) -> None:
    portfolio = stepper.database.portfolios[DEFAULT]
    stepper.database.portfolios[DEFAULT] = replace(portfolio, rules=replace(portfolio.rules, halted=reason))


def test_a_quiet_day_has_no_alarms(stepper: Stepper) -> None:
    stepper.database.add(Decision(symbol="BTC/USDT", decision="BUY", confidence="0.8"), stepper.clock.now())
    stepper.settle()
    stepper.tell("PositionKeeper", Audit(lambda _: None))
    stepper.tell("PositionKeeper", Wake())
    stepper.crash("Sizer")
    stepper.run()
    assert [] == alarms_of(stepper)


def test_a_halt_and_its_end(stepper: Stepper) -> None:
    halt(stepper, "reviewing")
    stepper.tell("PositionKeeper", Wake())
    stepper.run()
    stepper.tell("PositionKeeper", Wake())
    stepper.run()
    assert [("halt", "halted: portfolio default (reviewing)")] == alarms_of(stepper)
    assert [NOON] == [alarm.at for alarm in stepper.alarms]
    halt(stepper, None)
    stepper.tell("PositionKeeper", Wake())
    stepper.run()
    assert ("halt over", "no longer halted: portfolio default") == alarms_of(stepper)[-1]


def test_no_crash_hides_a_halt(stepper: Stepper) -> None:
    halt(stepper, "reviewing")
    stepper.crash("PositionKeeper")
    stepper.run()
    assert [("halt", "halted: portfolio default (reviewing)")] == alarms_of(stepper)


def test_halts_of_many_portfolios_are_one_alarm_and_halts_at_the_start_are_none() -> None:
    receiver = Receiver()
    halts = HaltMonitor(AlarmNotifier(receiver, StepClock()).notify)
    halted = [replace(rules(name), halted="all") for name in ("a", "b", "c")]
    halts.update([rules("a"), rules("b"), halted[2]])
    halts.update([*halted, replace(rules("new"), halted="all")])
    halts.update([replace(halted[0], halted="another reason"), halted[1], rules("c")])
    assert [
        ("halt", "halted: portfolios a, b (all)"),
        ("halt", "halted: portfolio a (another reason)"),
        ("halt over", "no longer halted: portfolio c"),
    ] == receiver.sent


def test_a_difference_of_the_audit_and_the_halt_that_follows(stepper: Stepper) -> None:
    portfolio = stepper.database.portfolios[DEFAULT]
    stepper.database.portfolios[DEFAULT] = replace(portfolio, cash=portfolio.cash + 1)
    stepper.tell("PositionKeeper", Audit(None))
    stepper.run()
    difference = "portfolio default: cash is 10000 in memory and 10001 in the database"
    assert [
        ("audit_difference", f"the audit found a difference: {difference}"),
        ("halt", f"halted: portfolio default (audit: {difference})"),
    ] == alarms_of(stepper)
    assert [(1, (difference,))] == stepper.database.audits


def test_a_decision_that_is_quarantined(stepper: Stepper) -> None:
    decision = Decision(symbol="BTC/USDT", decision="BUY", confidence="0.8", quantity="1", uid=uid(1))
    stepper.database.refuse.add(int(stepper.database.add(decision, stepper.clock.now())))
    stepper.settle()
    ((kind, text),) = alarms_of(stepper)
    assert ("quarantine", "decision 1 is quarantined (1-1): numeric field overflow") == (kind, text)


def test_a_message_that_crashes_its_actor_twice(stepper: Stepper, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(moment: str, what: str) -> None:
        if (moment, what) == ("takes", "QuotesSeen"):
            raise ValueError("bad\nprice")

    monkeypatch.setattr(failpoints, "hook", fail)
    stepper.quote({"BTC/USDT": "101"})
    stepper.run()
    text = "PriceTracker crashed twice on QuotesSeen; it is dropped (1-3): ValueError: bad price"
    assert [("quarantine", text)] == alarms_of(stepper)


def test_an_injected_crash_is_no_alarm(stepper: Stepper) -> None:
    stepper.tell("Sizer", Crash())
    stepper.run()
    assert [] == alarms_of(stepper)


# The database unavailable


@pytest.fixture
def clock() -> StepClock:
    return StepClock()


def test_a_long_outage_of_the_database_is_one_alarm(clock: StepClock) -> None:
    receiver, activities = Receiver(), [Activity(), Activity()]
    hosts = [SimpleNamespace(activity=activity) for activity in activities]
    watch = DatabaseWatch(hosts, AlarmNotifier(receiver, clock).notify, clock, timedelta(minutes=1))  # type: ignore[arg-type]

    def check_after(seconds: float) -> None:
        clock.pass_by(seconds)
        watch.tell(Tick())

    check_after(600)
    activities[0].waiting_since = Instant.of(clock)
    check_after(30)
    activities[1].waiting_since = Instant.of(clock)
    check_after(30)
    assert [] == receiver.sent
    check_after(1)
    clock.set_by(-3600)  # the wall clock, which counts for no duration
    for _ in range(100):
        check_after(1)
    activities[0].waiting_since = None  # as at a rebuild; the other one still waits
    check_after(1)
    activities[1].waiting_since = None
    check_after(1)
    check_after(1)
    away = "the database has been unavailable or locked since 12:10:00 UTC; nothing is lost, nothing is traded"
    assert [
        ("database_away", away),
        ("database_away over", "the database is back after 163 s"),
    ] == receiver.sent
    activities[1].waiting_since = Instant.of(clock)
    check_after(59)
    activities[1].waiting_since = None
    check_after(60)
    assert 2 == len(receiver.alarms)
    activities[1].waiting_since = Instant.of(clock)
    check_after(61)
    assert 3 == len(receiver.alarms)


# The notifier


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(line.rstrip("\n")), format="{level} {message} {extra[alarm]}")
    yield lines
    logger.remove(sink)


def test_every_alarm_is_in_the_log_with_or_without_a_receiver(clock: StepClock, logged: list[str]) -> None:
    AlarmNotifier(None, clock).notify(AlarmKind.HALT, "halted")
    AlarmNotifier(Receiver(), clock).notify(AlarmKind.HALT, "on again", over=True)
    assert ["WARNING alarm: halted halt", "INFO alarm: on again halt"] == logged


def test_an_error_of_the_sender_does_not_reach_an_actor(clock: StepClock) -> None:
    class Broken:
        def notify(self, alarm: Alarm) -> None:
            raise RuntimeError("broken")

    AlarmNotifier(Broken(), clock).notify(AlarmKind.HALT, "halted")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (" two\nlines\t", "two lines"),
        ("a\x00b\x1b[31m\u202ec\ud800", r"a\x00b\x1b[31m\u202ec\ud800"),
        ("„über“ 😀", "„über“ 😀"),
        ("x" * (MAX_ALARM_LENGTH + 1), "x" * (MAX_ALARM_LENGTH - 1) + "…"),
    ],
)
def test_a_text_is_one_printable_line(text: str, line: str) -> None:
    assert line == alarm_text(text)


@pytest.mark.parametrize("kind", AlarmKind)
def test_the_page_names_each_kind(kind: AlarmKind) -> None:
    assert f"| `{kind.value}` |" in PAGE
