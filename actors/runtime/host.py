"""An actor's host: its mailbox and address, and the thread that serves them now.

Mailbox and address last as long as the process. A thread that hangs cannot be ended, so it is abandoned: nothing that
it sends is delivered any more, and a replacement serves the same mailbox.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
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
from actors.runtime.stacks import stack_of
from domain.errors import PaperTradingError
from domain.types import DecisionId

START_TIMEOUT_S = 10.0
"""Seconds within which an actor's thread must answer after its start."""


class _Inbox:
    """Pykka's inbox for one thread: the mailbox, until the thread's cell is abandoned; then it is empty."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def put(self, envelope: Envelope[Any], /) -> None:
        self._cell.mailbox.put(envelope)

    def get(self) -> Envelope[Any]:
        return self._cell.mailbox.get(lambda: self._cell.abandoned) or Envelope(StopMessage())

    def empty(self) -> bool:
        # Pykka drops what is left when a thread ends. That is right after a stop; else a replacement handles it.
        mailbox = self._cell.mailbox
        return self._cell.abandoned or not mailbox.closed or not len(mailbox)


class _Thread(InboxActor):
    """The pykka actor: a thread whose messages a cell handles."""

    def __init__(self, cell: Cell, close: Callable[[], None]) -> None:
        self._cell = cell
        self._close = close
        super().__init__()

    def create_inbox(self) -> Inbox:
        """Return an inbox that reads the cell's mailbox."""
        return _Inbox(self._cell)

    def on_start(self) -> None:
        """Build the first behaviour, unless this is a replacement, which waits for the Supervisor's `Restart`."""
        self._cell.thread = threading.current_thread()
        self._cell.thread.name = self._cell.name
        if not self._cell.is_replacement:
            self._cell.begin()

    def on_receive(self, message: Any) -> Any:
        """Have the cell handle a message."""
        try:
            return self._cell.receive(message)
        except Exception:
            raise  # the crash could not be reported: this thread ends, and the Supervisor replaces it
        except BaseException as error:
            # Pykka would stop all actors of the process.
            raise PaperTradingError(f"{self._cell.name} cannot go on: {error!r}") from error

    def on_stop(self) -> None:
        """Close the mailbox, unless a replacement serves it."""
        if not self._cell.abandoned:
            self._close()


class ActorHost:
    """Host of one actor.

    Attributes:
        name: name of the actor.
        mailbox: its messages.
        address: address of the mailbox.
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
        self._serve(self._new_cell())

    def replace(self, *, by_hand: bool = False) -> frozenset[DecisionId]:
        """Abandon the thread, and start a replacement, which builds a behaviour at the next `Restart` or `Rebuild`.

        Args:
            by_hand: whether a person asked for it, so that it counts as no failure.

        Returns:
            Ids of the decisions that the abandoned thread was handling.
        """
        assert self._cell is not None
        old, cell = self._cell, self._new_cell()
        if self._ref is not None:
            detach(self._ref)
        about = old.about
        in_hand = old.abandon()
        cell.take_over(old, by_hand=by_hand)
        cell.requeue(in_hand, by_hand=by_hand)
        self._serve(cell)
        return about

    @property
    def activity(self) -> Activity:
        """What the actor does now."""
        return self._cell.activity if self._cell is not None else Activity()

    @property
    def alive(self) -> bool:
        """Whether the thread runs; also True before the start and after `stop`, when no thread is expected."""
        return self._stopped or self._thread is None or self._thread.is_alive()

    @property
    def stack(self) -> str:
        """The stack of the thread now, as Python prints it."""
        return stack_of(self._thread) or "its thread is gone\n"

    def stop(self) -> None:
        """Have the thread end after the message in hand, without waiting for that."""
        self._stopped = True
        if self._ref is not None:
            self._ref.stop(block=False)

    def wait(self, deadline: float) -> bool:
        """Wait for the end of the thread until `time.monotonic` is at ``deadline``; return whether it has ended."""
        return self._ref is None or self._ref.actor_stopped.wait(timeout=max(0.0, deadline - time.monotonic()))

    @property
    def _thread(self) -> threading.Thread | None:
        return self._cell.thread if self._cell is not None else None

    def _new_cell(self) -> Cell:
        return Cell(self.name, self.mailbox, self._build, self._supervisor)

    def _close(self) -> None:
        """Close the mailbox, and fail the messages whose senders wait for an answer."""
        for message in self.mailbox.close(lambda late: self._dead_letters.add(self.name, late)):
            try:
                message.abandon(PaperTradingError("the system stopped before it handled this message"))
            except Exception as error:  # noqa: BLE001 - the other senders wait, too
                logger.warning("{}: cannot answer the sender of {} at the stop: {!r}", self.name, message, error)

    def _serve(self, cell: Cell) -> None:
        self._cell = cell
        self._ref = _Thread.start(cell, self._close)
        try:
            self._ref.ask(Ping(), timeout=START_TIMEOUT_S)
        except Timeout:
            reason = f"{self.name} did not answer within {START_TIMEOUT_S:g} s; see the log"
            raise PaperTradingError(reason) from None
