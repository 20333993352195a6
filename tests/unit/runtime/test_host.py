"""Actor hosts on real threads: asks over a rebuild, control before data, answers at the stop, dead letters."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from actors.messages import Describe, Ping, Restart
from actors.runtime.dead_letters import MAX_KEPT
from actors.runtime.pykka_adapter import Timeout
from domain.errors import PaperTradingError
from tests.support.actors.hosts import SOON, Deaf, Do, Grouping, Letter, Repeater, Say, Stage, ended, staged, thread_of

CONTROL_TIMEOUT_S = 3 * 0.1
"""Seconds: three times the promised time of an answer to control."""
BACKLOG = 100_000


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as opened:
        yield opened


# Asks


def test_a_queued_ask_keeps_its_future_over_a_rebuild_and_over_a_replacement(stage: Stage) -> None:
    stage.host.start()
    error = ValueError("x")

    def crash() -> None:
        raise error

    gate = stage.hang(crash)
    answer = stage.ask(Say("after the rebuild"))
    gate.set()
    assert error is stage.crashes.get(timeout=SOON).error
    with pytest.raises(Timeout):
        answer.get(timeout=0)
    stage.address.tell(Restart())
    assert ["tried again", "after the rebuild"] == [stage.next(), stage.next()]
    assert answer.get(timeout=SOON) is None
    stage.hang()
    answer = stage.ask(Say("after the replacement"))
    stage.host.replace()
    stage.address.tell(Restart())
    assert ["tried again", "after the replacement"] == [stage.next(), stage.next()]
    assert answer.get(timeout=SOON) is None


def test_an_ask_whose_handling_raises_gets_the_exception_and_counts_as_a_crash(stage: Stage) -> None:
    stage.host.start()
    error = ValueError("for both")

    def crash() -> None:
        raise error

    answer = stage.ask(Do(crash))
    with pytest.raises(ValueError, match="for both"):
        answer.get(timeout=SOON)
    crashed = stage.crashes.get(timeout=SOON)
    assert (error, "Do", False) == (crashed.error, crashed.message, crashed.again)
    stage.address.tell(Restart())
    stage.address.tell(Say("not tried again"))
    assert "not tried again" == stage.next()
    assert stage.crashes.empty()


def test_an_ask_that_hangs_fails_when_its_thread_is_replaced(stage: Stage) -> None:
    stage.host.start()
    entered, release = threading.Event(), threading.Event()
    stage.releases.append(release)
    answer = stage.ask(Do(lambda: (entered.set(), release.wait())))  # type: ignore[arg-type, return-value]
    assert entered.wait(SOON)
    stage.host.replace()
    with pytest.raises(PaperTradingError, match="subject was replaced while it handled this"):
        answer.get(timeout=SOON)
    release.set()  # a late answer does no harm


def test_a_queued_ask_fails_at_the_stop(stage: Stage) -> None:
    stage.host.start()
    gate = stage.hang()
    answer = stage.ask(Say("too late"))
    stage.host.stop()
    gate.set()
    with pytest.raises(PaperTradingError, match="the system stopped before it handled this message"):
        answer.get(timeout=SOON)


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
    for n in range(3):
        stage.address.tell(Say(str(n)))
    answer = stage.ask(Say("asked"))

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
    assert ["1", "2", "asked"] == [stage.next() for _ in range(3)]
    assert answer.get(timeout=SOON) is None


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
