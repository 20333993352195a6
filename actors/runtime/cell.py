"""An actor cell (Akka's term): the container of one behaviour, which catches all that it raises, and rebuilds it.

After a crash the cell keeps the messages, reports to the Supervisor, holds data back and goes on serving control, until
a `Restart` or `Rebuild` has it build a fresh behaviour with the same mailbox and address. The thread that runs a cell
belongs to `actors.runtime.host`.

A message that was in hand at a crash is handled once more: one of the decision path when its decision is sent again,
any other by itself, alone. After a second crash on it, a caller that waits for its answer gets an error.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from loguru import logger

from actors.messages import Control, Crash, Describe, Message, PathMessage, Ping, Rebuild, Redelivery, Restart, Submit
from actors.ports import Address
from actors.runtime import tracing
from actors.runtime.activity import Activity
from actors.runtime.address import CURRENT, Abandoned, require_current
from actors.runtime.behaviour import Behaviour
from actors.runtime.database_retry import Interrupted
from actors.runtime.mailbox import Mailbox
from actors.runtime.pykka_adapter import Envelope
from actors.supervision.messages import Crashed
from domain import failpoints
from domain.errors import PaperTradingError
from domain.types import DecisionId

Builder = Callable[[Activity], Behaviour]
"""Builds a fresh behaviour, which records in the activity that it waits for the database."""


class InjectedCrash(Exception):
    """The exception that the test hook `Crash` raises."""


class Cell:
    """Container of the behaviour that ``build`` makes.

    Attributes:
        name: name of the actor.
        mailbox: source of its messages; outlives the cell.
        activity: what the cell does now.
        in_hand: messages that it is handling.
        abandoned: whether a replacement does its work; then nothing that it sends is delivered.
        is_replacement: whether it does the work of one that was abandoned.
        thread: thread that runs it; None before the start.
    """

    thread: threading.Thread | None = None

    def __init__(self, name: str, mailbox: Mailbox, build: Builder, supervisor: Address) -> None:
        self.name = name
        self.mailbox = mailbox
        self.activity = Activity()
        self.in_hand: list[Message] = []
        self.abandoned = False
        self.is_replacement = False
        self._build = build
        self._supervisor = supervisor
        self._behaviour: Behaviour | None = None
        self._suspects: frozenset[DecisionId] = frozenset()
        self._hand_lock = threading.Lock()

    def begin(self) -> None:
        """Build the first behaviour."""
        self._run("start", self._build_behaviour)

    def receive(self, message: object) -> object:
        """Handle control at once and data in groups; no exception leaves the cell."""
        match message:
            case Control():
                return self._receive_control(message)
            case Message() if (behaviour := self._behaviour) is not None:
                limit = behaviour.group_limit
                grouped = limit > 1 and not self._is_handled_alone(message)
                rest = self.mailbox.take(limit - 1, self._is_handled_alone) if grouped else []
                group = [message, *rest]
                messages = [m.message if isinstance(m, Redelivery) else m for m in group]
                self._run(type(messages[0]).__name__, lambda: self._handle_data(messages), group)
            case Message():
                # A predecessor that was replaced while it built its behaviour has released the mailbox.
                self.mailbox.hold()
                self.mailbox.give_back([message])
            case _:
                logger.warning("{} received {!r}, which is not a message", self.name, message)
        return None

    def _receive_control(self, message: Control) -> object:
        match message:
            case Ping():
                return self.name
            case Describe():
                self._describe(message)
            case Restart():
                self._run("Restart", self._build_behaviour)
            case _ if self.abandoned:  # its thread took a message that is meant for the replacement
                self.mailbox.put(Envelope(message))
            case _:
                self._run(type(message).__name__, lambda: self._handle_control(message))
        return None

    @property
    def about(self) -> frozenset[DecisionId]:
        """Ids of the decisions being handled; each gets a strike if this raises or hangs."""
        if self._behaviour is not None and self._behaviour.about is not None:
            return frozenset([self._behaviour.about])
        return frozenset(id_ for message in self.in_hand for id_ in message.decisions)

    def abandon(self) -> list[Message]:
        """Deliver nothing more that this cell sends, whatever its thread does; return the messages in hand."""
        with self._hand_lock:
            self.abandoned = True
            in_hand = list(self.in_hand)
        self.mailbox.wake()
        return in_hand

    def take_over(self, other: Cell, *, by_hand: bool) -> None:
        """Continue the counts of ``other``, which was abandoned, and hold data back until a behaviour is built.

        Args:
            other: the cell before.
            by_hand: whether a person asked for it, so that it counts as no failure.
        """
        self.is_replacement = True
        self.activity.handled = other.activity.handled
        self.activity.failed = other.activity.failed + (not by_hand)
        self.activity.restarted_by_hand = other.activity.restarted_by_hand + by_hand
        self.mailbox.hold()

    def requeue(self, messages: Sequence[Message], *, by_hand: bool = False) -> None:
        """Put messages that were in hand at a crash back, those that may be handled once more; abandon the others.

        After a restart by hand all go back, and none as one that has crashed its actor: it has done nothing wrong.
        """
        # Not those of the path: the DecisionWatcher sends their decisions again, in the next generation.
        if by_hand:
            kept = [m for m in messages if not isinstance(m, PathMessage | Crash) and not _is_answered(m)]
            self.mailbox.give_back([_tried(m) for m in kept])
            return
        repeated = [m for m in messages if not isinstance(m, PathMessage | Redelivery | Crash) and not _is_answered(m)]
        self.mailbox.give_back([Redelivery(_tried(m)) for m in repeated])
        for message in messages:
            if isinstance(message, Redelivery):
                message.abandon(PaperTradingError(f"{self.name} crashed twice on this message; it was dropped"))

    def _is_handled_alone(self, message: Message) -> bool:
        return isinstance(message, Redelivery | Crash) or (
            bool(self._suspects) and not self._suspects.isdisjoint(message.decisions)
        )

    def _run(self, what: str, action: Callable[[], None], group: list[Message] | None = None) -> None:
        group = group or []
        with self._hand_lock:  # a message is either in the hand that `abandon` returns, or left to the replacement
            if self.abandoned:
                self.mailbox.give_back(group)
                return
            self.in_hand = group
        before, CURRENT.sender = CURRENT.sender, self
        self.activity.begin(what)
        if self._behaviour is not None:
            self._behaviour.about = None
        try:
            if failpoints.hook is not None:
                _reach("takes", what, group)
            require_current()
            action()
            if failpoints.hook is not None:
                _reach("handled", what, group)
            for tap in tracing.TAPS:
                doing = self.activity.doing
                tap.record(self.name, group, time.monotonic() - doing.since if doing is not None else 0.0)
        except Interrupted as error:
            for message in group:
                message.abandon(error)
        except Abandoned:
            logger.debug("{}: the abandoned thread has ended its work", self.name)
        except BaseException as error:  # noqa: BLE001 - pykka would stop every actor of the process
            self._report_crash(error, what, group)
        finally:
            self.in_hand = []
            CURRENT.sender = before
            self.activity.end(len(group))

    def _build_behaviour(self) -> None:
        self._behaviour = None
        behaviour = self._build(self.activity)
        behaviour.started()
        self._behaviour = behaviour
        self.mailbox.release()

    def _describe(self, message: Describe) -> None:
        """Answer with the state in memory; an error here is not a crash of the actor."""
        try:
            state = self._behaviour.describe() if self._behaviour is not None else {}
            message.reply_to(state)
        except BaseException as error:  # noqa: BLE001 - to describe is not the actor's work
            logger.warning("cannot describe {}: {!r}", self.name, error)

    def _handle_control(self, message: Control) -> None:
        if isinstance(message, Rebuild):
            self._suspects = message.suspects
        if self._behaviour is None:
            if not isinstance(message, Rebuild):
                return
            self._build_behaviour()
        assert self._behaviour is not None
        self._behaviour.control(message)

    def _handle_data(self, group: list[Message]) -> None:
        assert self._behaviour is not None
        if isinstance(group[0], Crash):
            raise InjectedCrash(self.name)
        self._behaviour.handle_group(group)

    def _report_crash(self, error: BaseException, what: str, group: list[Message]) -> None:
        with self._hand_lock:  # a cell abandoned in its crash must not hold the mailbox of its replacement
            if self.abandoned:
                return
            about = self.about
            self._behaviour = None
            self.mailbox.hold()
            self.activity.failed += 1
            self.requeue(group)
            self.in_hand = []
        redelivered = any(isinstance(message, Redelivery) for message in group)
        # Outside the lock: if this hangs, the Supervisor must still be able to replace the thread.
        with suppress(Abandoned):
            self._supervisor.tell(Crashed(self.name, error, what if group else "", about, redelivered))


def _tried(message: Message) -> Message:
    """Return a message that may have been handled in part as one that says so."""
    return replace(message, tried=True) if isinstance(message, Submit) else message


def _is_answered(message: Message) -> bool:
    return isinstance(message, Submit) and message.answered


def _reach(moment: str, what: str, group: Sequence[Message]) -> None:
    """Reach the failpoint of each kind of message in a group."""
    for kind in dict.fromkeys([what, *(type(message).__name__ for message in group)]):
        failpoints.reach(moment, kind)
