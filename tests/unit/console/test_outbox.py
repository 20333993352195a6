"""What a receiver of alarms is told, and when: one letter a kind and minute, nothing forgotten, the last thing last."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from console.alerts.outbox import EARLIER, Letter, Outbox
from domain.alarms import Alarm, AlarmKind
from tests.support.values.builders import NOON

HALT, QUARANTINE = AlarmKind.HALT, AlarmKind.QUARANTINE


def alarm(seconds: float, kind: AlarmKind = HALT, *, over: bool = False) -> Alarm:
    return Alarm(NOON + timedelta(seconds=seconds), kind, f"{kind} at {seconds:g}", over)


def test_the_first_of_a_kind_is_due_at_once_and_says_nothing_of_others() -> None:
    outbox = Outbox(60)
    assert (None, None) == (outbox.take(0), outbox.due_in(0))
    outbox.put(alarm(0))
    outbox.put(alarm(1, QUARANTINE))
    assert 0 == outbox.due_in(1)
    assert [Letter(alarm(0)), Letter(alarm(1, QUARANTINE)), None] == [outbox.take(1) for _ in range(3)]
    assert "halt at 0" == Letter(alarm(0)).text


def test_what_follows_within_the_window_is_held_back_counted_and_told_with_the_newest() -> None:
    outbox = Outbox(60)
    outbox.put(alarm(0))
    assert Letter(alarm(0)) == outbox.take(0)
    for second in range(1, 9):
        outbox.put(alarm(second))
        assert outbox.take(second) is None
    assert (52, 8) == (outbox.due_in(8), outbox.count)
    assert outbox.take(59.9) is None
    letter = outbox.take(60)
    assert letter is not None
    assert (alarm(8), 7, 8) == (letter.alarm, letter.held_back, letter.count)
    assert tuple(alarm(second) for second in range(8 - EARLIER, 8)) == letter.earlier
    assert "halt at 8 (and 7 more of this kind since 12:00:01 UTC)" == letter.text
    assert (None, None, 0) == (outbox.take(60), outbox.due_in(60), outbox.count)


def test_each_kind_has_its_own_window() -> None:
    outbox = Outbox(60)
    outbox.put(alarm(0))
    outbox.take(0)
    outbox.put(alarm(1))
    outbox.put(alarm(2, QUARANTINE))
    assert Letter(alarm(2, QUARANTINE)) == outbox.take(2)
    assert outbox.take(2) is None


def test_the_last_that_is_told_is_how_it_stands() -> None:
    outbox = Outbox(60)
    for second, over in enumerate([False, True, False, True]):
        outbox.put(alarm(second, over=over))
        outbox.take(second)
    letter = outbox.take(60)
    assert letter is not None
    assert [True, False, True] == [each.over for each in (*letter.earlier, letter.alarm)]


def test_in_a_hurry_everything_is_due() -> None:
    outbox = Outbox(60)
    for second in (0, 1):
        outbox.put(alarm(second))
        outbox.take(second)
    assert Letter(alarm(1)) == outbox.take(1, hurry=True)


def test_what_a_program_gets() -> None:
    document = Letter(alarm(3), 1, (alarm(2, over=True),), NOON, undelivered=4).document()
    assert (socket.gethostname(), os.getpid()) == (document.pop("host"), document.pop("process"))
    assert {
        "kind": "halt",
        "text": "halt at 3 (and 1 more of this kind since 12:00:00 UTC)",
        "at": "2026-01-05T12:00:03+00:00",
        "over": False,
        "held_back": 1,
        "earlier": [{"at": "2026-01-05T12:00:02+00:00", "over": True, "text": "halt at 2"}],
        "undelivered": 4,
    } == document


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(list(AlarmKind))), max_size=40))
def test_every_alarm_is_told_or_counted_once_and_none_too_often(
    events: list[tuple[int, AlarmKind]],
) -> None:
    outbox, now, told = Outbox(60), 0.0, list[tuple[float, Letter]]()
    for pause, kind in events:
        now += pause
        outbox.put(alarm(now, kind))
        while (letter := outbox.take(now)) is not None:
            told.append((now, letter))
    while (wait := outbox.due_in(now)) is not None:
        now += wait
        letter = outbox.take(now)
        assert letter is not None
        told.append((now, letter))
    for kind in AlarmKind:
        letters = [(at, letter) for at, letter in told if letter.alarm.kind is kind]
        assert sum(letter.count for _, letter in letters) == sum(1 for _, each in events if each is kind)
        assert all(second[0] - first[0] >= 60 for first, second in pairwise(letters))
