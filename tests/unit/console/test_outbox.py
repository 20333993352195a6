"""Outbox of alarms: one notification a kind and minute, every alarm sent or counted, the newest last."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from console.alerts.outbox import MAX_EARLIER, Notification, Outbox
from domain.alarms import Alarm, AlarmKind
from tests.support.values.builders import NOON

HALT, QUARANTINE = AlarmKind.HALT, AlarmKind.QUARANTINE


def alarm(seconds: float, kind: AlarmKind = HALT, *, over: bool = False) -> Alarm:
    return Alarm(NOON + timedelta(seconds=seconds), kind, f"{kind} at {seconds:g}", over)


def number_waiting(outbox: Outbox) -> int:
    return sum(notification.count for notification in outbox.waiting)


def test_the_first_of_a_kind_is_due_at_once_and_mentions_no_others() -> None:
    outbox = Outbox(60)
    assert (None, None) == (outbox.take(0), outbox.due_in(0))
    outbox.put(alarm(0))
    outbox.put(alarm(1, QUARANTINE))
    assert 0 == outbox.due_in(1)
    assert [Notification(alarm(0)), Notification(alarm(1, QUARANTINE)), None] == [outbox.take(1) for _ in range(3)]
    assert "halt at 0" == Notification(alarm(0)).text


def test_what_follows_within_the_window_is_held_back_counted_and_sent_with_the_newest() -> None:
    outbox = Outbox(60)
    outbox.put(alarm(0))
    assert Notification(alarm(0)) == outbox.take(0)
    for second in range(1, 9):
        outbox.put(alarm(second))
        assert outbox.take(second) is None
    assert (52, 8) == (outbox.due_in(8), number_waiting(outbox))
    assert outbox.take(59.9) is None
    notification = outbox.take(60)
    assert notification is not None
    assert (alarm(8), 7, 8) == (notification.alarm, notification.held_back, notification.count)
    assert tuple(alarm(second) for second in range(8 - MAX_EARLIER, 8)) == notification.earlier
    assert "halt at 8 (and 7 more of this kind since 12:00:01 UTC)" == notification.text
    assert (None, None, 0) == (outbox.take(60), outbox.due_in(60), number_waiting(outbox))


def test_each_kind_has_its_own_window() -> None:
    outbox = Outbox(60)
    outbox.put(alarm(0))
    outbox.take(0)
    outbox.put(alarm(1))
    outbox.put(alarm(2, QUARANTINE))
    assert Notification(alarm(2, QUARANTINE)) == outbox.take(2)
    assert outbox.take(2) is None


def test_the_last_notification_is_the_newest_state() -> None:
    outbox = Outbox(60)
    for second, over in enumerate([False, True, False, True]):
        outbox.put(alarm(second, over=over))
        outbox.take(second)
    notification = outbox.take(60)
    assert notification is not None
    assert [True, False, True] == [alarm.over for alarm in (*notification.earlier, notification.alarm)]


def test_in_a_hurry_everything_is_due() -> None:
    outbox = Outbox(60)
    for second in (0, 1):
        outbox.put(alarm(second))
        outbox.take(second)
    assert Notification(alarm(1)) == outbox.take(1, hurry=True)


def test_the_json_object_of_a_notification() -> None:
    document = Notification(alarm(3), 1, (alarm(2, over=True),), NOON, undelivered=4).to_dict()
    assert (socket.gethostname(), os.getpid()) == (document.pop("host"), document.pop("process"))
    assert {
        "kind": "halt",
        "text": "halt at 3 (and 1 more of this kind since 12:00:00 UTC)",
        "at": "2026-01-05T12:00:03+00:00",
        "over": False,
        "portfolio": None,
        "held_back": 1,
        "earlier": [{"at": "2026-01-05T12:00:02+00:00", "over": True, "text": "halt at 2"}],
        "undelivered": 4,
    } == document


# Messages about trading

BERLIN = ZoneInfo("Europe/Berlin")


def fill(seconds: float, count: int = 1, portfolio: str = "a") -> Alarm:
    at = (NOON + timedelta(seconds=seconds)).astimezone(BERLIN)
    return Alarm(at, AlarmKind.FILL, f"{portfolio}: bought {seconds:g}", portfolio=portfolio, count=count)


def test_many_fills_are_one_message_with_their_number() -> None:
    outbox = Outbox(60)
    outbox.put(fill(0))
    assert "a: bought 0" == Notification(fill(0)).text
    assert Notification(fill(0)) == outbox.take(0)
    for second in range(1, 17):
        outbox.put(fill(second, portfolio="b"))
    outbox.put(fill(59, count=4))
    notification = outbox.take(60)
    assert notification is not None
    assert "20 fills in the last minute, the last: a: bought 59" == notification.text
    assert (20, 19) == (notification.count, notification.to_dict()["held_back"])
    assert "17 fills in the last minute, the last: a: bought 5" == Notification(fill(5, count=17)).text
    late = Notification(fill(0)).followed_by(fill(7_200))
    assert "2 fills since 13:00 CET, the last: a: bought 7200" == late.text
    closed = Alarm(NOON, AlarmKind.POSITION_CLOSED, "closed", count=3)
    assert "3 positions closed in the last minute, the last: closed" == Notification(closed).text


def test_summaries_of_two_portfolios_are_two_messages() -> None:
    outbox = Outbox(60)
    summaries = [Alarm(NOON, AlarmKind.DAILY_SUMMARY, name, portfolio=name) for name in ("a", "b")]
    for summary in summaries:
        outbox.put(summary)
    assert summaries == [taken.alarm for _ in range(2) if (taken := outbox.take(0)) is not None]


def test_quiet_hours_keep_messages_about_trading_and_nothing_else() -> None:
    outbox = Outbox(60)
    outbox.put(fill(0))
    outbox.put(alarm(1))
    assert Notification(alarm(1)) == outbox.take(1, quiet=3_600)
    assert (None, None) == (outbox.take(1, quiet=3_600), outbox.take(1, quiet=3_600, hurry=True))
    assert (3_600, 1) == (outbox.due_in(1, quiet=3_600), number_waiting(outbox))
    outbox.put(fill(1_000))
    taken = outbox.take(3_601)
    assert taken is not None
    assert "2 fills since 13:00 CET, the last: a: bought 1000" == taken.text


def test_an_alarm_about_a_failure_goes_first() -> None:
    outbox = Outbox(60)
    outbox.put(fill(0))
    outbox.put(alarm(5))
    assert [AlarmKind.HALT, AlarmKind.FILL] == [taken.alarm.kind for _ in range(2) if (taken := outbox.take(5))]


def test_a_message_that_is_put_back_keeps_its_number_and_is_due_at_once() -> None:
    outbox = Outbox(60)
    outbox.put(fill(0, count=3))
    taken = outbox.take(0)
    assert taken is not None
    assert not outbox.has_failure(0)
    outbox.put(alarm(1))
    outbox.put(fill(2))
    assert outbox.has_failure(2)
    outbox.put_back(taken)
    assert Notification(alarm(1)) == outbox.take(2)
    again = outbox.take(2)
    assert again is not None
    assert (4, (fill(0, count=3),), fill(0).at) == (again.count, again.earlier, again.since)
    outbox.put_back(again)
    assert again == outbox.take(3)


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(list(AlarmKind))), max_size=40))
def test_every_alarm_is_sent_or_counted_once_and_none_too_often(
    events: list[tuple[int, AlarmKind]],
) -> None:
    outbox, now, taken = Outbox(60), 0.0, list[tuple[float, Notification]]()
    for pause, kind in events:
        now += pause
        outbox.put(alarm(now, kind))
        while (notification := outbox.take(now)) is not None:
            taken.append((now, notification))
    while (wait := outbox.due_in(now)) is not None:
        now += wait
        notification = outbox.take(now)
        assert notification is not None
        taken.append((now, notification))
    for kind in AlarmKind:
        of_kind = [(at, notification) for at, notification in taken if notification.alarm.kind is kind]
        expected = sum(1 for _, event_kind in events if event_kind is kind)
        assert sum(notification.count for _, notification in of_kind) == expected
        assert all(second[0] - first[0] >= 60 for first, second in pairwise(of_kind))
