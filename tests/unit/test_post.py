"""Posts on real threads: successors for what hangs, control before data, answers for whoever asked, dead letters."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pykka
import pytest

from actors.address import GivenUp, MailAddress
from actors.behaviour import Behaviour
from actors.cell import Cell
from actors.dead_letters import KEPT, DeadLetters
from actors.mailbox import Mailbox
from actors.messages import Describe, Message, Ping, Restart
from actors.post import Post
from actors.supervision import Crashed
from actors.timer import SystemClock
from domain.errors import PaperTradingError

SOON = 5.0
"""Seconds after which a test has failed."""
CONTROL = 3 * 0.1
"""Seconds: three times what is promised for an answer to control."""
BACKLOG = 100_000


@dataclass(frozen=True, slots=True)
class Say(Message):
    """To be repeated."""

    word: str


@dataclass(frozen=True, slots=True)
class Do(Message):
    """Something to be done by the actor's thread."""

    action: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Deaf(Message):
    """Cannot be told that nobody takes it."""

    def abandon(self, error: BaseException) -> None:
        raise OSError("nobody listens")


@dataclass(frozen=True, slots=True)
class Letter(Message):
    """Somebody waits for what comes of it."""

    told: queue.Queue[BaseException]

    def abandon(self, error: BaseException) -> None:
        self.told.put(error)


class Repeater(Behaviour):
    """Repeats what it hears; each belongs to the thread that built it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._built_by = threading.current_thread()

    def started(self) -> None:
        self._stage.starts.pop(0)() if self._stage.starts else None

    def handle(self, message: Message) -> None:
        assert self._built_by is threading.current_thread()
        match message:
            case Say(word):
                self._stage.heard.put(word)
            case Do(action):
                action()

    def describe(self) -> Mapping[str, Any]:
        return {"heard": self._stage.heard.qsize()}


class Grouping(Repeater):
    group_limit: ClassVar[int] = 100


class Stage:
    """One post, supervised by the test."""

    def __init__(self) -> None:
        self.heard: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.crashes: queue.Queue[Crashed] = queue.Queue()
        self.starts: list[Callable[[], None]] = []
        self.dead = DeadLetters(SystemClock())
        self.build: type[Repeater] = Repeater
        self.post = Post("subject", lambda _: self.build(self), self, self.dead)
        self.to = self.post.address
        self.releases: list[threading.Event] = []

    def tell(self, message: Any, /) -> None:
        """As the Supervisor's address."""
        self.crashes.put(message)

    def ask(self, message: Message) -> pykka.Future[Any]:
        assert self.post._ref is not None
        return self.post._ref.ask(message, block=False)

    def next(self) -> str:
        return self.heard.get(timeout=SOON)

    def hang(self, afterwards: Callable[[], None] = lambda: None) -> threading.Event:
        """Have the thread hang; return what lets it go on with ``afterwards``. A second try does not hang."""
        entered, release = threading.Event(), threading.Event()
        self.releases.append(release)

        def hang() -> None:
            if entered.is_set():
                self.heard.put("tried again")
                return
            entered.set()
            release.wait()
            afterwards()

        self.to.tell(Do(hang))
        assert entered.wait(SOON)
        return release

    def stop(self) -> None:
        self.post.stop()
        assert self.post.wait(time.monotonic() + SOON)


@pytest.fixture
def stage() -> Iterator[Stage]:
    opened = Stage()
    yield opened
    for release in opened.releases:
        release.set()
    opened.stop()


def thread_of(post: Post) -> threading.Thread:
    assert post._thread is not None
    return post._thread


def ended(thread: threading.Thread) -> bool:
    thread.join(SOON)
    return not thread.is_alive()


# Hangs


def test_a_successor_handles_what_waited_in_its_order_and_the_hung_message_first(stage: Stage) -> None:
    stage.post.start()
    zombie = thread_of(stage.post)
    stage.hang()
    for n in range(100):
        stage.to.tell(Say(str(n)))
    assert frozenset() == stage.post.replace()
    assert "subject" == stage.ask(Ping()).get(timeout=SOON)
    assert stage.heard.empty()  # the successor waits for the word
    assert zombie is not thread_of(stage.post)
    assert zombie.is_alive()
    stage.to.tell(Restart())
    assert ["tried again", *map(str, range(100))] == [stage.next() for _ in range(101)]
    assert 1 == stage.post.activity.failed


def test_nothing_that_a_zombie_tells_arrives(stage: Stage) -> None:
    other = Mailbox()
    raised: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def go_on() -> None:
        for _ in range(2):
            try:
                MailAddress(other).tell(Say("from the grave"))
            except GivenUp as error:
                raised.put(error)
        raise ValueError("a zombie's crash is nobody's business")

    stage.post.start()
    zombie = thread_of(stage.post)
    release = stage.hang(go_on)
    stage.post.replace()
    release.set()
    assert [True, True] == [isinstance(raised.get(timeout=SOON), GivenUp) for _ in range(2)]
    assert ended(zombie)
    assert 0 == len(other)
    assert stage.crashes.empty()
    stage.to.tell(Restart())
    assert "tried again" == stage.next()
    stage.to.tell(Say("alive"))
    assert "alive" == stage.next()


def test_a_zombie_that_raises_given_up_ends_quietly_and_stops_nobody(stage: Stage) -> None:
    stage.post.start()
    zombie = thread_of(stage.post)
    release = stage.hang(lambda: MailAddress(Mailbox()).tell(Say("x")))
    stage.post.replace()
    release.set()
    assert ended(zombie)
    assert stage.crashes.empty()
    assert stage.post.alive


def test_an_idle_zombie_takes_no_further_message(stage: Stage) -> None:
    stage.post.start()
    stage.to.tell(Say("to the first"))
    assert "to the first" == stage.next()
    idle = thread_of(stage.post)
    stage.post.replace()
    assert ended(idle)
    for n in range(10):
        stage.to.tell(Say(str(n)))
    assert stage.heard.empty()
    stage.to.tell(Restart())
    assert list(map(str, range(10))) == [stage.next() for _ in range(10)]


def test_what_a_thread_had_just_taken_when_it_was_given_up_goes_back(stage: Stage) -> None:
    cell = Cell("subject", Mailbox(), lambda _: Grouping(stage), stage)
    cell.begin()
    for word in ("b", "c"):
        MailAddress(cell.mailbox).tell(Say(word))
    assert [] == cell.give_up()
    cell.receive(Say("a"))
    assert [Say("a"), Say("b"), Say("c")] == cell.mailbox.take(10)
    assert stage.heard.empty()


def test_a_zombie_that_builds_a_behaviour_lets_nothing_through_to_a_successor_that_has_none(stage: Stage) -> None:
    entered, release = threading.Event(), threading.Event()
    stage.releases.append(release)
    stage.post.start()
    zombie = thread_of(stage.post)
    stage.starts = [lambda: (entered.set(), release.wait())]  # type: ignore[list-item, return-value]
    stage.to.tell(Restart())
    assert entered.wait(SOON)
    stage.post.replace()
    stage.to.tell(Say("waits"))
    release.set()
    assert ended(zombie)
    assert "subject" == stage.ask(Ping()).get(timeout=SOON)
    assert (True, True) == (stage.heard.empty(), stage.crashes.empty())
    stage.to.tell(Restart())
    assert "waits" == stage.next()


def test_successor_after_successor_each_goes_on_where_the_last_one_hung(stage: Stage) -> None:
    stage.post.start()
    for number in range(5):
        stage.hang()
        stage.to.tell(Say(f"behind {number}"))
        stage.post.replace()
        stage.to.tell(Restart())
        assert ["tried again", f"behind {number}"] == [stage.next(), stage.next()]
    assert 5 == stage.post.activity.failed


def test_the_stack_of_a_hung_thread_says_where_it_is(stage: Stage) -> None:
    stage.post.start()
    stage.hang()
    assert "release.wait()" in stage.post.stack


# Asks


def test_a_queued_ask_keeps_its_future_over_a_rebuild_and_over_a_successor(stage: Stage) -> None:
    stage.post.start()
    error = ValueError("x")

    def crash() -> None:
        raise error

    gate = stage.hang(crash)
    answer = stage.ask(Say("after the rebuild"))
    gate.set()
    assert error is stage.crashes.get(timeout=SOON).error
    with pytest.raises(pykka.Timeout):
        answer.get(timeout=0)
    stage.to.tell(Restart())
    assert ["tried again", "after the rebuild"] == [stage.next(), stage.next()]
    assert answer.get(timeout=SOON) is None
    stage.hang()
    answer = stage.ask(Say("after the successor"))
    stage.post.replace()
    stage.to.tell(Restart())
    assert ["tried again", "after the successor"] == [stage.next(), stage.next()]
    assert answer.get(timeout=SOON) is None


def test_an_ask_whose_handling_failed_gets_the_exception_and_is_a_crash(stage: Stage) -> None:
    stage.post.start()
    error = ValueError("for both")

    def crash() -> None:
        raise error

    answer = stage.ask(Do(crash))
    with pytest.raises(ValueError, match="for both"):
        answer.get(timeout=SOON)
    crashed = stage.crashes.get(timeout=SOON)
    assert (error, "Do", False) == (crashed.error, crashed.message, crashed.again)
    stage.to.tell(Restart())
    stage.to.tell(Say("not tried again"))
    assert "not tried again" == stage.next()
    assert stage.crashes.empty()


def test_whoever_asked_what_hangs_is_told_when_it_is_given_up(stage: Stage) -> None:
    stage.post.start()
    entered, release = threading.Event(), threading.Event()
    stage.releases.append(release)
    answer = stage.ask(Do(lambda: (entered.set(), release.wait())))  # type: ignore[arg-type, return-value]
    assert entered.wait(SOON)
    stage.post.replace()
    with pytest.raises(PaperTradingError, match="subject was given up while it handled this"):
        answer.get(timeout=SOON)
    release.set()  # its late answer disturbs nobody


def test_whoever_asked_is_told_at_the_stop(stage: Stage) -> None:
    stage.post.start()
    gate = stage.hang()
    answer = stage.ask(Say("too late"))
    stage.post.stop()
    gate.set()
    with pytest.raises(PaperTradingError, match="the system has stopped before it took this in"):
        answer.get(timeout=SOON)


# Control before data


@pytest.mark.parametrize("build", [Repeater, Grouping])
def test_control_is_answered_and_obeyed_at_once_behind_a_long_backlog(stage: Stage, build: type[Repeater]) -> None:
    stage.build = build
    stage.post.start()
    gate = stage.hang()
    stage.post.mailbox.give_back([Say("x")] * BACKLOG)  # as good as told, and faster
    described: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
    gate.set()
    stage.next()
    began = time.monotonic()
    assert "subject" == stage.ask(Ping()).get(timeout=SOON)
    ping = time.monotonic() - began
    stage.to.tell(Describe(described.put))
    seen = described.get(timeout=SOON)["heard"]
    answered = time.monotonic() - began - ping
    stopping = time.monotonic()
    stage.post.stop()
    assert stage.post.wait(time.monotonic() + SOON)
    stopped = time.monotonic() - stopping
    assert seen < BACKLOG  # it was behind a backlog indeed
    assert stage.heard.qsize() < BACKLOG
    assert max(ping, answered, stopped) < CONTROL


def test_looking_in_ends_nobody(stage: Stage) -> None:
    def refuse(_: Mapping[str, Any]) -> None:
        raise SystemExit(1)

    stage.post.start()
    stage.to.tell(Describe(refuse))
    stage.to.tell(Say("goes on"))
    assert "goes on" == stage.next()
    assert (True, True) == (stage.crashes.empty(), stage.post.alive)


# Whatever is raised, wherever


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
def test_whatever_is_raised_the_thread_stays_and_nothing_is_lost(
    stage: Stage, where: str, expected: type[BaseException], action: Callable[[], None]
) -> None:
    if where == "the start":
        stage.starts = [action]
    stage.post.start()
    if where == "a handler":
        stage.to.tell(Do(action))
    if where == "the rebuild":
        stage.starts = [action]
        stage.to.tell(Restart())
    crashed = stage.crashes.get(timeout=SOON)
    assert expected is type(crashed.error)
    stage.to.tell(Say("waits"))
    assert "subject" == stage.ask(Ping()).get(timeout=SOON)
    stage.to.tell(Restart())
    if where == "a handler":  # once more, alone, and then never again
        assert stage.crashes.get(timeout=SOON).again
        stage.to.tell(Restart())
    assert "waits" == stage.next()


def test_a_thread_that_ends_by_itself_leaves_its_mailbox_to_the_successor(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.post.start()
    gate = stage.hang()
    assert stage.post._cell is not None
    first = thread_of(stage.post)
    for n in range(3):
        stage.to.tell(Say(str(n)))
    answer = stage.ask(Say("asked"))

    def broken(message: object) -> object:
        raise RuntimeError("a defect of the cell itself")

    monkeypatch.setattr(stage.post._cell, "receive", broken)
    gate.set()
    assert ended(first)
    assert not stage.post.alive
    stage.post.replace()
    assert stage.post.alive
    stage.to.tell(Restart())
    # The one that the thread had taken when it ended is gone, as is nothing else.
    assert ["1", "2", "asked"] == [stage.next() for _ in range(3)]
    assert answer.get(timeout=SOON) is None


def test_one_who_cannot_be_told_of_the_stop_keeps_nobody_else_from_being_told(stage: Stage) -> None:
    told: queue.Queue[BaseException] = queue.Queue()
    stage.post.start()
    gate = stage.hang()
    for message in (Letter(told), Deaf(), Letter(told)):
        stage.to.tell(message)
    stage.post.stop()
    gate.set()
    assert [PaperTradingError] * 2 == [type(told.get(timeout=SOON)) for _ in range(2)]
    assert ended(thread_of(stage.post))


def test_who_was_told_to_end_is_not_missed_and_gets_no_successor(stage: Stage) -> None:
    stage.post.start()
    stage.stop()
    assert ended(thread_of(stage.post))
    assert stage.post.alive


# Dead letters


def test_dead_letters_are_counted_bounded_and_never_raised_in_the_sender(stage: Stage) -> None:
    stage.post.start()
    stage.stop()
    senders = [
        threading.Thread(target=lambda: [stage.to.tell(Say(str(n))) for n in range(KEPT)])  # type: ignore[func-returns-value]
        for _ in range(3)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(SOON)
    stage.to.tell(Restart())
    assert 3 * KEPT + 1 == stage.dead.count
    assert KEPT == len(stage.dead.last)
    assert ("subject", "Restart") == (stage.dead.last[-1].to, stage.dead.last[-1].message)
    assert stage.heard.empty()
