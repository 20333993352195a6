"""The alarm about an agent that sends no decisions, and the window in which they are expected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from actors.settings import Settings
from actors.supervision.agent_watch import AgentWatch
from domain.alarms import AlarmKind
from domain.errors import SettingsError
from domain.trading.sessions.expected_decisions import parse_expected

pytestmark = pytest.mark.clock

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Hands:
    """A clock that a test moves."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


def test_an_agent_that_is_silent_is_an_alarm_once_and_its_end() -> None:
    alarms: list[tuple[str, str, bool]] = []

    def notify(kind: AlarmKind, text: str, *, over: bool = False) -> None:
        alarms.append((kind, text, over))

    hands, received = Hands(MONDAY + 7 * HOUR), [0]
    watch = AgentWatch(parse_expected("1h mon-fri 08:00-22:00"), lambda: received[0], notify, hands)

    def at(hours: float, decisions: int = 0) -> None:
        hands.time = MONDAY + hours * HOUR
        received[0] += decisions
        watch.tell(None)

    at(7.9)
    at(9)  # the window has been open for an hour
    assert [] == alarms
    at(9.1)
    at(9.2)
    text = "no decision since 2026-01-05 08:00:00 UTC; the limit is 1 h"
    assert ([("agent_silent", text, False)], MONDAY + 8 * HOUR) == (alarms, watch.silent_since)
    at(9.3, decisions=2)
    assert (("agent_silent", "a decision has come again", True), None) == (alarms[-1], watch.silent_since)
    at(10.2)
    at(10.4)
    assert 3 == len(alarms)
    at(22)
    assert (4, ("agent_silent", "no decision is expected now", True)) == (len(alarms), alarms[-1])
    at(5 * 24 + 12)  # Saturday
    at(7 * 24 + 8.5)
    assert 4 == len(alarms)
    unwatched = AgentWatch(None, lambda: 0, notify, hands)
    hands.time += 100 * HOUR
    unwatched.tell(None)
    assert (4, None) == (len(alarms), unwatched.silent_since)


def test_windows() -> None:
    berlin = parse_expected("90 08:00-24:00 Europe/Berlin")
    assert (timedelta(seconds=90), None) == (berlin.after, berlin.window_begin(MONDAY + 6.9 * HOUR))
    assert MONDAY + 7 * HOUR == berlin.window_begin(MONDAY + 22.9 * HOUR)
    assert datetime.min.replace(tzinfo=UTC) == parse_expected("1d").window_begin(MONDAY)
    assert MONDAY - 48 * HOUR == parse_expected("1d sat-mon").window_begin(MONDAY + HOUR)
    assert MONDAY == parse_expected("1d mon,wed").window_begin(MONDAY + HOUR)


@pytest.mark.parametrize(
    "wrong", ["0", "31d", "1w", "1h monday", "1h mon-fri 22:00-08:00", "1h 08:00-25:00", "1h UTC UTC", " ", "soon"]
)
def test_what_is_no_window_is_refused(wrong: str) -> None:
    with pytest.raises(SettingsError, match="alert_no_decision_after"):
        Settings.isolated(alert_no_decision_after=wrong)
    assert "30m mon-fri" == Settings.isolated(alert_no_decision_after=" 30m  mon-fri").alert_no_decision_after
    assert Settings.isolated(alert_no_decision_after=3600).expected_decisions == parse_expected("1h")
