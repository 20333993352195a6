"""One actor host on a real thread, supervised by the test, which can make it hang."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from actors.messages import Message
from actors.runtime.behaviour import Behaviour
from actors.runtime.dead_letters import DeadLetters
from actors.runtime.host import ActorHost
from actors.runtime.pykka_adapter import Future
from actors.runtime.timer import SystemClock
from actors.supervision.messages import Crashed

SOON = 5.0
"""Seconds after which a test has failed."""


class Say(Message):
    """A text to repeat."""

    text: str


class Do(Message):
    """An action for the actor's thread."""

    action: Callable[[], None]


class Deaf(Message):
    """A message that raises when it is abandoned."""

    def abandon(self, error: BaseException) -> None:
        raise OSError("nobody listens")


class Letter(Message):
    """A message whose sender waits for the error with which it is abandoned."""

    errors: queue.Queue[BaseException]

    def abandon(self, error: BaseException) -> None:
        self.errors.put(error)


class Repeater(Behaviour):
    """A behaviour that records each text; it runs only in the thread that built it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._built_by = threading.current_thread()

    def started(self) -> None:
        self._stage.starts.pop(0)() if self._stage.starts else None

    def handle(self, message: Message) -> None:
        assert self._built_by is threading.current_thread()
        match message:
            case Say(text):
                self._stage.texts.put(text)
            case Do(action):
                action()

    def describe(self) -> Mapping[str, Any]:
        return {"texts": self._stage.texts.qsize()}


class Grouping(Repeater):
    group_limit: ClassVar[int] = 100


class Stage:
    """One actor host; the test stands in for the Supervisor."""

    def __init__(self) -> None:
        self.texts: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.crashes: queue.Queue[Crashed] = queue.Queue()
        self.starts: list[Callable[[], None]] = []
        self.dead = DeadLetters(SystemClock())
        self.build: type[Repeater] = Repeater
        self.host = ActorHost("subject", lambda _: self.build(self), self, self.dead)
        self.address = self.host.address
        self.releases: list[threading.Event] = []

    def tell(self, message: Any, /) -> None:
        """Receive a crash, as the Supervisor's address."""
        self.crashes.put(message)

    def ask(self, message: Message) -> Future[Any]:
        assert self.host._ref is not None
        return self.host._ref.ask(message, block=False)

    def next(self) -> str:
        return self.texts.get(timeout=SOON)

    def hang(self, afterwards: Callable[[], None] = lambda: None) -> threading.Event:
        """Make the thread hang; return the event that lets it go on with ``afterwards``. A second try does not hang."""
        entered, release = threading.Event(), threading.Event()
        self.releases.append(release)

        def hang() -> None:
            if entered.is_set():
                self.texts.put("tried again")
                return
            entered.set()
            release.wait()
            afterwards()

        self.address.tell(Do(hang))
        assert entered.wait(SOON)
        return release

    def stop(self) -> None:
        self.host.stop()
        assert self.host.wait(time.monotonic() + SOON)


@contextmanager
def staged() -> Iterator[Stage]:
    """Yield a stage; at the end release its threads and stop them."""
    stage = Stage()
    yield stage
    for release in stage.releases:
        release.set()
    stage.stop()


def thread_of(host: ActorHost) -> threading.Thread:
    assert host._thread is not None
    return host._thread


def ended(thread: threading.Thread) -> bool:
    thread.join(SOON)
    return not thread.is_alive()
