"""Cells on real threads: what a behaviour raises ends at the cell, and nothing that waits is lost."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pykka
import pytest

from actors.cell import Behaviour, Cell, MailAddress
from actors.mailbox import Mailbox
from actors.messages import Crash, Crashed, Message, Ping, Restart, Submit, Tick, Wake
from domain.decision import Decision
from domain.errors import PaperTradingError


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
    """One cell, and a supervisor that answers each crash with a restart unless told otherwise."""

    def __init__(self) -> None:
        self.heard: queue.Queue[str] = queue.Queue()
        self.crashes: queue.Queue[Crashed] = queue.Queue()
        self.mailbox = Mailbox()
        self.address = MailAddress(self.mailbox)
        self._refs: list[pykka.ActorRef[Cell]] = []

    def start(self, build: Callable[[], Behaviour]) -> pykka.ActorRef[Cell]:
        ref = Cell.start("subject", self.mailbox, build, self)
        self._refs.append(ref)
        return ref

    def tell(self, message: Any, /) -> None:
        """As the supervisor's address."""
        self.crashes.put(message)

    def restart(self) -> None:
        self.crashes.get(timeout=5)
        self.address.tell(Restart())

    def next(self) -> str:
        return self.heard.get(timeout=5)

    def stop(self) -> None:
        for ref in self._refs:
            ref.stop(block=True, timeout=5)


@pytest.fixture
def stage() -> Iterator[Stage]:
    opened = Stage()
    yield opened
    opened.stop()


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemExit(1), KeyboardInterrupt(), MemoryError(), RecursionError()]
)
def test_whatever_is_raised_the_cell_stays_and_the_mailbox_with_it(stage: Stage, error: BaseException) -> None:
    ref = stage.start(lambda: Recorder(stage.heard))
    stage.address.tell(Say("bad", error))
    stage.address.tell(Say("after"))
    assert error is stage.crashes.get(timeout=5).error
    assert "subject" == ref.ask(Ping(), timeout=5)  # control goes on
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
    stage.start(lambda: Recorder(stage.heard))
    stage.address.tell(Crash())
    stage.address.tell(Say("after"))
    stage.restart()
    assert "after" == stage.next()
    assert stage.crashes.empty()


def test_whoever_waits_for_an_answer_is_told_at_the_stop(stage: Stage) -> None:
    stage.start(lambda: Recorder(stage.heard))
    stage.address.tell(Crash())
    stage.crashes.get(timeout=5)
    submit = Submit(
        Decision(symbol="A", decision="HOLD", confidence=1), pykka.ThreadingFuture(), pykka.ThreadingFuture()
    )
    stage.address.tell(submit)
    stage.stop()
    with pytest.raises(PaperTradingError, match="stopped"):
        submit.accepted.get(timeout=5)


def test_an_address_never_raises_even_when_the_actor_is_gone(stage: Stage) -> None:
    stage.start(lambda: Recorder(stage.heard))
    stage.stop()
    stage.address.tell(Say("anybody?"))
    assert stage.heard.empty()


# The mailbox


def put(mailbox: Mailbox, *messages: Message) -> None:
    for message in messages:
        MailAddress(mailbox).tell(message)


def test_control_overtakes_data() -> None:
    mailbox = Mailbox()
    put(mailbox, Say("first"), Restart(), Say("second"))
    assert [Restart(), Say("first"), Say("second")] == [mailbox.get().message for _ in range(3)]
    assert mailbox.empty()


def test_wake_ups_coalesce_in_the_place_of_the_first() -> None:
    mailbox = Mailbox()
    put(mailbox, Wake(), Say("between"), Wake(), Tick(), Wake())
    assert [Wake(), Say("between"), Tick()] == mailbox.take(10)
    put(mailbox, Wake())
    assert [Wake()] == mailbox.take(10)


def test_held_data_waits_and_control_goes_on() -> None:
    mailbox = Mailbox()
    mailbox.hold()
    put(mailbox, Say("later"), Restart())
    assert Restart() == mailbox.get().message
    assert not mailbox.deliverable
    mailbox.release()
    assert Say("later") == mailbox.get().message


def test_what_is_given_back_comes_first() -> None:
    mailbox = Mailbox()
    put(mailbox, Say("3"))
    mailbox.give_back([Say("1"), Say("2")])
    assert [Say("1"), Say("2"), Say("3")] == mailbox.take(10)
