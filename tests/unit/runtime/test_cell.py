"""Cells on real threads: what a behaviour raises ends at the cell, and nothing that waits is lost."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from actors.messages import Crash, Message, Ping, Restart, Submit
from actors.runtime.behaviour import Behaviour
from actors.runtime.dead_letters import DeadLetters
from actors.runtime.host import ActorHost
from actors.runtime.pykka_adapter import Future, ThreadingFuture
from actors.runtime.timer import SystemClock
from actors.supervision.messages import Crashed
from domain.errors import PaperTradingError
from domain.trading.decision import Decision


@dataclass(frozen=True, slots=True)
class Say(Message):
    """Something to be repeated; a bad one makes the behaviour raise what it holds."""

    word: str
    raises: BaseException | None = None


class Recorder(Behaviour):
    """Repeats what it hears."""

    group_limit: ClassVar[int] = 1

    def __init__(self, heard: queue.Queue[str]) -> None:
        self._heard = heard

    def handle(self, message: Message) -> None:
        assert isinstance(message, Say)
        if message.raises is not None:
            raise message.raises
        self._heard.put(message.word)


class Grouping(Recorder):
    """Takes what waits at once, and fails as a whole."""

    group_limit = 10

    def handle_group(self, messages: list[Message]) -> None:
        for message in messages:
            assert isinstance(message, Say)
            if message.raises is not None:
                raise message.raises
        self._heard.put("+".join(message.word for message in messages if isinstance(message, Say)))


class Stage:
    """One post; a crash is told to the test, which answers with a restart or not."""

    def __init__(self) -> None:
        self.heard: queue.Queue[str] = queue.Queue()
        self.crashes: queue.Queue[Crashed] = queue.Queue()
        self.dead = DeadLetters(SystemClock())
        self.host = ActorHost("subject", lambda _: self.build(), self, self.dead)
        self.address = self.host.address
        self.build: Callable[[], Behaviour] = lambda: Recorder(self.heard)

    def start(self, build: Callable[[], Behaviour] | None = None) -> None:
        self.build = build or self.build
        self.host.start()

    def ask(self, message: Message) -> Future[Any]:
        assert self.host._ref is not None
        return self.host._ref.ask(message, block=False)

    def tell(self, message: Any, /) -> None:
        """As the supervisor's address."""
        self.crashes.put(message)

    def restart(self) -> None:
        self.crashes.get(timeout=5)
        self.address.tell(Restart())

    def next(self) -> str:
        return self.heard.get(timeout=5)

    def stop(self) -> None:
        self.host.stop()
        assert self.host.wait(time.monotonic() + 5)


@pytest.fixture
def stage() -> Iterator[Stage]:
    opened = Stage()
    yield opened
    opened.stop()


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemExit(1), KeyboardInterrupt(), MemoryError(), RecursionError()]
)
def test_whatever_is_raised_the_cell_stays_and_the_mailbox_with_it(stage: Stage, error: BaseException) -> None:
    stage.start()
    stage.address.tell(Say("bad", error))
    stage.address.tell(Say("after"))
    assert error is stage.crashes.get(timeout=5).error
    assert "subject" == stage.ask(Ping()).get(timeout=5)  # control goes on
    assert stage.heard.empty()  # data waits
    stage.address.tell(Restart())
    assert error is stage.crashes.get(timeout=5).error  # tried once more, alone
    stage.address.tell(Restart())
    assert "after" == stage.next()


def test_a_crash_while_it_is_built_is_a_crash(stage: Stage) -> None:
    attempts: list[int] = []

    def build() -> Behaviour:
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("not yet")
        return Recorder(stage.heard)

    stage.start(build)
    stage.address.tell(Say("patience"))
    stage.restart()
    stage.restart()
    assert "patience" == stage.next()
    assert 3 == len(attempts)


def test_a_group_that_crashed_is_tried_again_one_by_one_and_only_the_culprit_is_dropped(stage: Stage) -> None:
    for message in (Say("a"), Say("b", ValueError("b")), Say("c")):
        stage.address.tell(message)
    stage.start(lambda: Grouping(stage.heard))
    stage.restart()
    assert "a" == stage.next()
    stage.restart()
    assert "c" == stage.next()


def test_the_test_hook_crashes_and_is_not_tried_again(stage: Stage) -> None:
    stage.start()
    stage.address.tell(Crash())
    stage.address.tell(Say("after"))
    stage.restart()
    assert "after" == stage.next()
    assert stage.crashes.empty()


def test_whoever_waits_for_an_answer_is_told_at_the_stop(stage: Stage) -> None:
    stage.start()
    stage.address.tell(Crash())
    stage.crashes.get(timeout=5)
    submit = Submit(Decision(symbol="A", decision="HOLD", confidence=1), ThreadingFuture(), ThreadingFuture())
    stage.address.tell(submit)
    stage.stop()
    with pytest.raises(PaperTradingError, match="stopped"):
        submit.accepted.get(timeout=5)


def test_an_address_never_raises_even_when_the_actor_is_gone(stage: Stage) -> None:
    stage.start()
    stage.stop()
    stage.address.tell(Say("anybody?"))
    assert stage.heard.empty()


@pytest.mark.parametrize("error", [MemoryError(), SystemExit(1)])
def test_a_thread_that_ends_leaves_the_mailbox_to_its_successor(stage: Stage, error: BaseException) -> None:
    def failing(_: object) -> None:
        raise error

    stage.start()
    stage.tell = failing  # type: ignore[method-assign]  # not even the crash can be told
    stage.address.tell(Crash())
    stage.address.tell(Say("after"))
    thread = stage.host._thread
    assert thread is not None
    thread.join(5)
    assert not stage.host.alive
    stage.host.replace()
    stage.address.tell(Restart())
    assert "after" == stage.next()
