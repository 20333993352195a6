"""Cells on real threads: a cell catches all exceptions of its behaviour, and no waiting message is lost."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
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


class Say(Message):
    """A text to record; with an exception, the behaviour raises it."""

    text: str
    raises: BaseException | None = None


class Recorder(Behaviour):
    """A behaviour that records texts."""

    group_limit: ClassVar[int] = 1

    def __init__(self, texts: queue.Queue[str]) -> None:
        self._texts = texts

    def handle(self, message: Message) -> None:
        assert isinstance(message, Say)
        if message.raises is not None:
            raise message.raises
        self._texts.put(message.text)


class Grouping(Recorder):
    """A behaviour that handles groups, and fails as a whole."""

    group_limit = 10

    def handle_group(self, messages: list[Message]) -> None:
        for message in messages:
            assert isinstance(message, Say)
            if message.raises is not None:
                raise message.raises
        self._texts.put("+".join(message.text for message in messages if isinstance(message, Say)))


class Stage:
    """One actor host, whose crashes are reported to the test; the test may restart it."""

    def __init__(self) -> None:
        self.texts: queue.Queue[str] = queue.Queue()
        self.crashes: queue.Queue[Crashed] = queue.Queue()
        self.dead = DeadLetters(SystemClock())
        self.host = ActorHost("subject", lambda _: self.build(), self, self.dead)
        self.address = self.host.address
        self.build: Callable[[], Behaviour] = lambda: Recorder(self.texts)

    def start(self, build: Callable[[], Behaviour] | None = None) -> None:
        self.build = build or self.build
        self.host.start()

    def ask(self, message: Message) -> Future[Any]:
        assert self.host._ref is not None
        return self.host._ref.ask(message, block=False)

    def tell(self, message: Any, /) -> None:
        """Take a report, as the Supervisor's address."""
        self.crashes.put(message)

    def restart(self) -> None:
        self.crashes.get(timeout=5)
        self.address.tell(Restart())

    def next(self) -> str:
        return self.texts.get(timeout=5)

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
def test_cell_and_mailbox_survive_every_exception(stage: Stage, error: BaseException) -> None:
    stage.start()
    stage.address.tell(Say("bad", error))
    stage.address.tell(Say("after"))
    assert error is stage.crashes.get(timeout=5).error
    assert "subject" == stage.ask(Ping()).get(timeout=5)  # control goes on
    assert stage.texts.empty()  # data waits
    stage.address.tell(Restart())
    assert error is stage.crashes.get(timeout=5).error  # handled once more, alone
    stage.address.tell(Restart())
    assert "after" == stage.next()


def test_an_exception_while_the_behaviour_is_built_counts_as_a_crash(stage: Stage) -> None:
    attempts: list[int] = []

    def build() -> Behaviour:
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("not yet")
        return Recorder(stage.texts)

    stage.start(build)
    stage.address.tell(Say("third time"))
    stage.restart()
    stage.restart()
    assert "third time" == stage.next()
    assert 3 == len(attempts)


def test_messages_of_a_crashed_group_are_handled_one_by_one_and_only_the_culprit_is_dropped(stage: Stage) -> None:
    for message in (Say("a"), Say("b", ValueError("b")), Say("c")):
        stage.address.tell(message)
    stage.start(lambda: Grouping(stage.texts))
    stage.restart()
    assert "a" == stage.next()
    stage.restart()
    assert "c" == stage.next()


def test_a_crash_by_the_test_hook_is_not_repeated(stage: Stage) -> None:
    stage.start()
    stage.address.tell(Crash())
    stage.address.tell(Say("after"))
    stage.restart()
    assert "after" == stage.next()
    assert stage.crashes.empty()


def test_a_waiting_caller_gets_an_error_at_the_stop(stage: Stage) -> None:
    stage.start()
    stage.address.tell(Crash())
    stage.crashes.get(timeout=5)
    submit = Submit(Decision(symbol="A", decision="HOLD", confidence=1), ThreadingFuture(), ThreadingFuture())
    stage.address.tell(submit)
    stage.stop()
    with pytest.raises(PaperTradingError, match="stopped"):
        submit.accepted.get(timeout=5)


def test_sending_to_an_actor_that_has_ended_does_not_raise(stage: Stage) -> None:
    stage.start()
    stage.stop()
    stage.address.tell(Say("too late"))
    assert stage.texts.empty()


@pytest.mark.parametrize("error", [MemoryError(), SystemExit(1)])
def test_a_thread_that_ends_leaves_the_mailbox_to_its_replacement(stage: Stage, error: BaseException) -> None:
    def failing(_: object) -> None:
        raise error

    stage.start()
    stage.tell = failing  # type: ignore[method-assign]  # the crash cannot be reported either
    stage.address.tell(Crash())
    stage.address.tell(Say("after"))
    thread = stage.host._thread
    assert thread is not None
    thread.join(5)
    assert not stage.host.alive
    stage.host.replace()
    stage.address.tell(Restart())
    assert "after" == stage.next()
