"""Alarms as the real actors sound them, one step at a time; and what nobody may be disturbed by."""

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
from domain.alarms import MAX_ALARM_LENGTH, Alarm, AlarmKind, one_line
from domain.trading.decision import Decision
from domain.types import PortfolioName
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepper import NOON, StepClock, Stepper
from tests.support.values.builders import instrument, rules, uid

DEFAULT = PortfolioName("default")
PAGE = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text(encoding="utf-8")


class Heard:
    """Who is told of alarms."""

    def __init__(self) -> None:
        self.alarms: list[Alarm] = []

    def notify(self, alarm: Alarm) -> None:
        self.alarms.append(alarm)

    @property
    def told(self) -> list[tuple[str, str]]:
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


def told(stepper: Stepper) -> list[tuple[str, str]]:
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
    assert [] == told(stepper)


def test_a_halt_and_its_end(stepper: Stepper) -> None:
    halt(stepper, "reviewing")
    stepper.tell("PositionKeeper", Wake())
    stepper.run()
    stepper.tell("PositionKeeper", Wake())
    stepper.run()
    assert [("halt", "halted: portfolio default (reviewing)")] == told(stepper)
    assert [NOON] == [alarm.at for alarm in stepper.alarms]
    halt(stepper, None)
    stepper.tell("PositionKeeper", Wake())
    stepper.run()
    assert ("halt over", "no longer halted: portfolio default") == told(stepper)[-1]


def test_no_crash_hides_a_halt(stepper: Stepper) -> None:
    halt(stepper, "reviewing")
    stepper.crash("PositionKeeper")
    stepper.run()
    assert [("halt", "halted: portfolio default (reviewing)")] == told(stepper)


def test_halts_of_many_portfolios_are_one_alarm_and_what_is_halted_at_the_start_is_none() -> None:
    heard = Heard()
    halts = HaltMonitor(AlarmNotifier(heard, StepClock()).notify)
    halted = [replace(rules(name), halted="all") for name in ("a", "b", "c")]
    halts.update([rules("a"), rules("b"), halted[2]])
    halts.update([*halted, replace(rules("new"), halted="all")])
    halts.update([replace(halted[0], halted="another reason"), halted[1], rules("c")])
    assert [
        ("halt", "halted: portfolios a, b (all)"),
        ("halt", "halted: portfolio a (another reason)"),
        ("halt over", "no longer halted: portfolio c"),
    ] == heard.told


def test_what_the_audit_finds_and_the_halt_that_follows(stepper: Stepper) -> None:
    portfolio = stepper.database.portfolios[DEFAULT]
    stepper.database.portfolios[DEFAULT] = replace(portfolio, cash=portfolio.cash + 1)
    stepper.tell("PositionKeeper", Audit(None))
    stepper.run()
    difference = "portfolio default: cash is 10000 in memory and 10001 in the database"
    assert [
        ("audit_difference", f"the audit found a difference: {difference}"),
        ("halt", f"halted: portfolio default (audit: {difference})"),
    ] == told(stepper)
    assert [(1, (difference,))] == stepper.database.audits


def test_a_decision_that_is_quarantined(stepper: Stepper) -> None:
    decision = Decision(symbol="BTC/USDT", decision="BUY", confidence="0.8", quantity="1", uid=uid(1))
    stepper.database.refuse.add(int(stepper.database.add(decision, stepper.clock.now())))
    stepper.settle()
    ((kind, text),) = told(stepper)
    assert ("quarantine", "decision 1 is quarantined (1-1): numeric field overflow") == (kind, text)


def test_a_message_that_crashes_its_actor_twice(stepper: Stepper, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(moment: str, what: str) -> None:
        if (moment, what) == ("takes", "QuotesSeen"):
            raise ValueError("bad\nprice")

    monkeypatch.setattr(failpoints, "hook", fail)
    stepper.quote({"BTC/USDT": "101"})
    stepper.run()
    text = "PriceTracker crashed twice on QuotesSeen; it is dropped (1-3): ValueError: bad price"
    assert [("quarantine", text)] == told(stepper)


def test_an_injected_crash_is_no_alarm(stepper: Stepper) -> None:
    stepper.tell("Sizer", Crash())
    stepper.run()
    assert [] == told(stepper)


# The database away


@pytest.fixture
def clock() -> StepClock:
    return StepClock()


def test_a_database_that_is_away_for_long_is_told_once_an_outage(clock: StepClock) -> None:
    heard, activities = Heard(), [Activity(), Activity()]
    hosts = [SimpleNamespace(activity=activity) for activity in activities]
    watch = DatabaseWatch(hosts, AlarmNotifier(heard, clock).notify, clock, timedelta(minutes=1))  # type: ignore[arg-type]

    def look(seconds: float) -> None:
        clock.pass_by(seconds)
        watch.tell(Tick())

    look(600)
    activities[0].waiting_since = clock.now()
    look(30)
    activities[1].waiting_since = clock.now()
    look(30)
    assert [] == heard.told
    look(1)
    for _ in range(100):
        look(1)
    activities[0].waiting_since = None  # as at a rebuild; the other one still waits
    look(1)
    activities[1].waiting_since = None
    look(1)
    look(1)
    away = "the database has been unavailable or locked since 12:10:00 UTC; nothing is lost, nothing is traded"
    assert [("database_away", away), ("database_away over", "the database is back after 163 s")] == heard.told
    activities[1].waiting_since = clock.now()
    look(59)
    activities[1].waiting_since = None
    look(60)
    assert 2 == len(heard.alarms)
    activities[1].waiting_since = clock.now()
    look(61)
    assert 3 == len(heard.alarms)


# The bell


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(line.rstrip("\n")), format="{level} {message} {extra[alarm]}")
    yield lines
    logger.remove(sink)


def test_every_alarm_is_in_the_log_whoever_is_told(clock: StepClock, logged: list[str]) -> None:
    AlarmNotifier(None, clock).notify(AlarmKind.HALT, "halted")
    AlarmNotifier(Heard(), clock).notify(AlarmKind.HALT, "on again", over=True)
    assert ["WARNING alarm: halted halt", "INFO alarm: on again halt"] == logged


def test_who_tells_people_cannot_make_an_actor_fail(clock: StepClock) -> None:
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
    assert line == one_line(text)


@pytest.mark.parametrize("kind", AlarmKind)
def test_the_page_names_each_kind(kind: AlarmKind) -> None:
    assert f"| `{kind.value}` |" in PAGE
