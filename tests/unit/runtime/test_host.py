"""Actor hosts on real threads: answers over a restart, control before data, answers at the stop, dead letters."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from actors.messages import Describe, Message, Ping, Restart
from actors.runtime.dead_letters import MAX_KEPT
from domain.errors import PaperTradingError
from tests.support.actors.hosts import SOON, Deaf, Do, Grouping, Letter, Repeater, Say, Stage, ended, staged, thread_of

CONTROL_TIMEOUT_S = 3 * 0.1
"""Seconds: three times the promised time of an answer to control."""
BACKLOG = 100_000


class Unable(Repeater):
    """A behaviour that crashes on each message."""

    def handle(self, message: Message) -> None:
        raise ValueError(message)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as opened:
        yield opened


# Answers


def test_a_caller_gets_an_error_when_the_actor_crashes_twice_on_its_message(stage: Stage) -> None:
    errors: queue.Queue[BaseException] = queue.Queue()
    stage.build = Unable
    stage.host.start()
    stage.address.tell(Letter(errors))
    assert not stage.crashes.get(timeout=SOON).again
    assert errors.empty()  # it is handled once more, alone
    stage.address.tell(Restart())
    assert stage.crashes.get(timeout=SOON).again
    assert "subject crashed twice on this message; it was dropped" == str(errors.get(timeout=SOON))


def test_a_waiting_message_is_handled_after_a_replacement(stage: Stage) -> None:
    stage.host.start()
    stage.hang()
    stage.address.tell(Say("after the replacement"))
    stage.host.replace()
    stage.address.tell(Restart())
    assert ["tried again", "after the replacement"] == [stage.next(), stage.next()]


def test_a_caller_whose_message_waits_gets_an_error_at_the_stop(stage: Stage) -> None:
    errors: queue.Queue[BaseException] = queue.Queue()
    stage.host.start()
    gate = stage.hang()
    stage.address.tell(Letter(errors))
    stage.host.stop()
    gate.set()
    assert "the system stopped before it handled this message" == str(errors.get(timeout=SOON))


# Control before data


@pytest.mark.parametrize("build", [Repeater, Grouping])
def test_control_overtakes_a_long_backlog(stage: Stage, build: type[Repeater]) -> None:
    stage.build = build
    stage.host.start()
    gate = stage.hang()
    stage.host.mailbox.give_back([Say("x")] * BACKLOG)  # the same as `tell`, and faster
    described: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
    gate.set()
    stage.next()
    began = time.monotonic()
    assert "subject" == stage.ask(Ping()).get(timeout=SOON)
    ping = time.monotonic() - began
    stage.address.tell(Describe(described.put))
    seen = described.get(timeout=SOON)["texts"]
    answered = time.monotonic() - began - ping
    stopping = time.monotonic()
    stage.host.stop()
    assert stage.host.wait(time.monotonic() + SOON)
    stopped = time.monotonic() - stopping
    assert seen < BACKLOG  # the backlog was not yet handled
    assert stage.texts.qsize() < BACKLOG
    assert max(ping, answered, stopped) < CONTROL_TIMEOUT_S


def test_an_error_in_describe_does_not_end_the_actor(stage: Stage) -> None:
    def refuse(_: Mapping[str, Any]) -> None:
        raise SystemExit(1)

    stage.host.start()
    stage.address.tell(Describe(refuse))
    stage.address.tell(Say("goes on"))
    assert "goes on" == stage.next()
    assert (True, True) == (stage.crashes.empty(), stage.host.alive)


# Exceptions


def recurse() -> None:
    recurse()


def exhaust() -> None:
    _ = [b""] * (2**62)


def leave() -> None:
    raise SystemExit(3)


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("expected", "action"),
    [(RecursionError, recurse), (MemoryError, exhaust), (SystemExit, leave), (KeyboardInterrupt, interrupt)],
)
@pytest.mark.parametrize("where", ["a handler", "the start", "the rebuild"])
def test_no_exception_ends_the_thread_or_loses_a_message(
    stage: Stage, where: str, expected: type[BaseException], action: Callable[[], None]
) -> None:
    if where == "the start":
        stage.starts = [action]
    stage.host.start()
    if where == "a handler":
        stage.address.tell(Do(action))
    if where == "the rebuild":
        stage.starts = [action]
        stage.address.tell(Restart())
    crashed = stage.crashes.get(timeout=SOON)
    assert expected is type(crashed.error)
    stage.address.tell(Say("waits"))
    assert "subject" == stage.ask(Ping()).get(timeout=SOON)
    stage.address.tell(Restart())
    if where == "a handler":  # handled once more, alone, and then dropped
        assert stage.crashes.get(timeout=SOON).again
        stage.address.tell(Restart())
    assert "waits" == stage.next()


def test_a_thread_that_ends_by_itself_leaves_its_mailbox_to_the_replacement(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.host.start()
    gate = stage.hang()
    assert stage.host._cell is not None
    first = thread_of(stage.host)
    for n in range(4):
        stage.address.tell(Say(str(n)))

    def broken(message: object) -> object:
        raise RuntimeError("a defect of the cell")

    monkeypatch.setattr(stage.host._cell, "receive", broken)
    gate.set()
    assert ended(first)
    assert not stage.host.alive
    stage.host.replace()
    assert stage.host.alive
    stage.address.tell(Restart())
    # Only the message in hand at the end is lost.
    assert ["1", "2", "3"] == [stage.next() for _ in range(3)]


def test_a_message_that_cannot_be_abandoned_does_not_keep_the_others_from_it(stage: Stage) -> None:
    errors: queue.Queue[BaseException] = queue.Queue()
    stage.host.start()
    gate = stage.hang()
    for message in (Letter(errors), Deaf(), Letter(errors)):
        stage.address.tell(message)
    stage.host.stop()
    gate.set()
    assert [PaperTradingError] * 2 == [type(errors.get(timeout=SOON)) for _ in range(2)]
    assert ended(thread_of(stage.host))


def test_a_stopped_host_counts_as_alive_and_is_not_replaced(stage: Stage) -> None:
    stage.host.start()
    stage.stop()
    assert ended(thread_of(stage.host))
    assert stage.host.alive


# Dead letters


def test_dead_letters_are_counted_and_bounded_and_do_not_raise_in_the_sender(stage: Stage) -> None:
    stage.host.start()
    stage.stop()
    senders = [
        threading.Thread(target=lambda: [stage.address.tell(Say(str(n))) for n in range(MAX_KEPT)])  # type: ignore[func-returns-value]
        for _ in range(3)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(SOON)
    stage.address.tell(Restart())
    assert 3 * MAX_KEPT + 1 == stage.dead.count
    assert MAX_KEPT == len(stage.dead.last)
    assert ("subject", "Restart") == (stage.dead.last[-1].receiver, stage.dead.last[-1].message)
    assert stage.texts.empty()
