"""A post: an actor's place, and the thread that serves it now.

The mailbox and the address outlive everything. A thread that hangs cannot be ended, so it is given up: nobody hears it
any more, and a successor serves the same mailbox.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from typing import Any

from loguru import logger

from actors.messages import Ping
from actors.ports import Address
from actors.runtime.activity import Activity
from actors.runtime.address import MailAddress
from actors.runtime.cell import Builder, Cell
from actors.runtime.dead_letters import DeadLetters
from actors.runtime.mailbox import Mailbox
from actors.runtime.pykka_adapter import ActorRef, Envelope, Inbox, InboxActor, StopMessage, Timeout, detach
from domain.errors import PaperTradingError
from domain.types import DecisionId

BARRIER = 10.0
"""Seconds in which an actor's thread must answer."""


class _Inbox:
    """What pykka asks of an inbox, for one thread: the mailbox until its cell is given up, then nothing."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def put(self, envelope: Envelope[Any], /) -> None:
        self._cell.mailbox.put(envelope)

    def get(self) -> Envelope[Any]:
        return self._cell.mailbox.get(lambda: self._cell.abandoned) or Envelope(StopMessage())

    def empty(self) -> bool:
        # pykka throws away what is left when a thread ends. After a stop that is right; else a successor handles it.
        mailbox = self._cell.mailbox
        return self._cell.abandoned or not mailbox.closed or not len(mailbox)


class _Thread(InboxActor):
    """The pykka actor: a thread that lets a cell handle what comes."""

    def __init__(self, cell: Cell, dead_letters: DeadLetters) -> None:
        self._cell = cell
        self._dead_letters = dead_letters
        super().__init__()

    def create_inbox(self) -> Inbox:
        """Return an inbox that reads the cell's mailbox."""
        return _Inbox(self._cell)

    def on_start(self) -> None:
        """Build the first behaviour, unless this is a successor, which waits for the Supervisor's word."""
        self._cell.thread = threading.current_thread()
        self._cell.thread.name = self._cell.name
        if not self._cell.activity.failed:
            self._cell.begin()

    def on_receive(self, message: Any) -> Any:
        """Have it handled."""
        try:
            return self._cell.receive(message)
        except Exception:
            raise  # not even the crash could be told: this thread ends, and the Supervisor gives it a successor
        except BaseException as error:
            raise PaperTradingError(f"{self._cell.name} could not go on: {error!r}") from error  # pykka would stop all

    def on_stop(self) -> None:
        """Tell those who wait for an answer that there will be none."""
        if self._cell.abandoned:
            return
        name = self._cell.name
        for left in self._cell.mailbox.close(lambda message: self._dead_letters.add(name, message)):
            try:
                left.abandon(PaperTradingError("the system has stopped before it took this in"))
            except Exception as error:  # noqa: BLE001 - the others wait, too
                logger.warning("{}: whoever sent {} could not be told of the stop: {!r}", name, left, error)


class ActorHost:
    """An actor's place.

    Attributes:
        name: of the actor.
        address: where to send messages to it.
    """

    def __init__(self, name: str, build: Builder, supervisor: Address, dead_letters: DeadLetters) -> None:
        self.name = name
        self.mailbox = Mailbox()
        self.address = MailAddress(self.mailbox)
        self._build = build
        self._supervisor = supervisor
        self._dead_letters = dead_letters
        self._cell: Cell | None = None
        self._ref: ActorRef[_Thread] | None = None
        self._stopped = False

    def start(self) -> None:
        """Start a thread; return when it answers."""
        self._serve(Cell(self.name, self.mailbox, self._build, self._supervisor))

    def replace(self) -> frozenset[DecisionId]:
        """Give up the thread that serves it, and start a successor, which waits for the word to build a behaviour.

        Returns:
            The decisions that the messages in hand were about.
        """
        assert self._cell is not None
        assert self._ref is not None
        old = self._cell
        cell = Cell(self.name, self.mailbox, self._build, self._supervisor)
        detach(self._ref)
        about = old.about
        in_hand = old.give_up()
        cell.succeed(old)
        cell.keep(in_hand, PaperTradingError(f"{self.name} was given up while it handled this"))
        self._serve(cell)
        return about

    @property
    def activity(self) -> Activity:
        """What it does now."""
        return self._cell.activity if self._cell is not None else Activity()

    @property
    def alive(self) -> bool:
        """Whether its thread is there; True before it was started, and once it was told to end: nobody misses it."""
        return self._stopped or self._thread is None or self._thread.is_alive()

    @property
    def stack(self) -> str:
        """Where its thread is now, as Python prints stacks."""
        thread = self._thread
        frame = sys._current_frames().get(thread.ident or 0) if thread is not None else None  # noqa: SLF001
        return "".join(traceback.format_stack(frame)) if frame is not None else "its thread is gone\n"

    def stop(self) -> None:
        """Have the thread end after what it has in hand; does not wait."""
        self._stopped = True
        if self._ref is not None:
            self._ref.stop(block=False)

    def wait(self, deadline: float) -> bool:
        """Wait until the thread has ended, or `time.monotonic` is at ``deadline``; say whether it has."""
        return self._ref is None or self._ref.actor_stopped.wait(timeout=max(0.0, deadline - time.monotonic()))

    @property
    def _thread(self) -> threading.Thread | None:
        return self._cell.thread if self._cell is not None else None

    def _serve(self, cell: Cell) -> None:
        self._cell = cell
        self._ref = _Thread.start(cell, self._dead_letters)
        try:
            self._ref.ask(Ping(), timeout=BARRIER)
        except Timeout:
            raise PaperTradingError(f"{self.name} did not answer within {BARRIER:g} s; the log says more") from None
