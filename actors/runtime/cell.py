"""A cell: hosts a behaviour, and rebuilds it. What a behaviour raises ends here.

It keeps the messages, tells the Supervisor, lets data wait and goes on serving control until the word comes to build a
fresh behaviour: same mailbox, same address. The thread around it is in `actors.runtime.host`; a cell itself knows none.

A message that its actor crashed on is tried once more: one of the decision path by its decision being sent again, any
other by itself, alone. What was asked by somebody who waits for the answer is not: he gets the exception.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from loguru import logger

from actors.messages import Control, Crash, Describe, Message, PathMessage, Ping, Rebuild, Restart, Submit
from actors.ports import Address
from actors.runtime import tracing
from actors.runtime.activity import Activity
from actors.runtime.address import PRESENT, Abandoned, require_current
from actors.runtime.behaviour import Behaviour
from actors.runtime.database_retry import Interrupted
from actors.runtime.envelopes import AskEnvelope, Redelivery
from actors.runtime.mailbox import Mailbox
from actors.runtime.pykka_adapter import Envelope
from actors.supervision.messages import Crashed
from domain import failpoints
from domain.errors import PaperTradingError
from domain.types import DecisionId

Builder = Callable[[Activity], Behaviour]
"""Makes a fresh behaviour, which tells its waiting to the activity."""


class InjectedCrash(Exception):
    """The test hook's exception."""


class Cell:
    """Hosts the behaviour that ``build`` makes.

    Attributes:
        name: of the actor.
        mailbox: outlives it.
        activity: what it does now.
        in_hand: the messages that it is handling.
        abandoned: a successor does its work; nobody hears it any more.
        thread: that runs it, once it does.
    """

    thread: threading.Thread | None = None

    def __init__(self, name: str, mailbox: Mailbox, build: Builder, supervisor: Address) -> None:
        self.name = name
        self.mailbox = mailbox
        self.activity = Activity()
        self.in_hand: list[Message] = []
        self.abandoned = False
        self._build = build
        self._supervisor = supervisor
        self._behaviour: Behaviour | None = None
        self._suspects: frozenset[DecisionId] = frozenset()
        self._leaving = threading.Lock()

    def begin(self) -> None:
        """Build the first behaviour."""
        self._attempt("start", self._fresh)

    def receive(self, message: object) -> object:
        """Handle control at once, data in groups; nothing that is raised leaves the cell."""
        match message:
            case Ping():
                return self.name
            case Describe():
                self._described(message)
            case Restart():
                self._attempt("Restart", self._fresh)
            case Control():
                if self.abandoned:  # its thread took what is meant for the successor
                    self.mailbox.put(Envelope(message))
                    return None
                self._attempt(type(message).__name__, lambda: self._controlled(message))
            case Message() if (behaviour := self._behaviour) is not None:
                limit = behaviour.group_limit
                many = limit > 1 and not self._alone(message)
                self._handle([message, *self.mailbox.take(limit - 1, self._alone)] if many else [message])
            case Message():
                # A predecessor that was given up while it built its behaviour has let data through.
                self.mailbox.hold()
                self.mailbox.give_back([message])
            case _:
                logger.warning("{} received {!r}, which is no message", self.name, message)
        return None

    @property
    def about(self) -> frozenset[DecisionId]:
        """The decisions that what it is doing is about: they are to blame where it goes wrong."""
        if self._behaviour is not None and self._behaviour.about is not None:
            return frozenset([self._behaviour.about])
        return frozenset(id_ for message in self.in_hand for id_ in message.decisions)

    def give_up(self) -> list[Message]:
        """Let nothing be heard of it any more, whatever its thread does; return what it has in hand."""
        with self._leaving:
            self.abandoned = True
            in_hand = list(self.in_hand)
        self.mailbox.wake()
        return in_hand

    def succeed(self, other: Cell) -> None:
        """Go on where ``other`` was given up."""
        self.activity.handled = other.activity.handled
        self.activity.failed = other.activity.failed + 1
        self.mailbox.hold()

    def keep(self, messages: Sequence[Message], error: BaseException) -> None:
        """Put what was in hand at a crash back, as far as it is to be tried again."""
        # Messages of the path are not: the DecisionWatcher sends their decisions again, in the next generation.
        again = [
            m
            for m in messages
            if not isinstance(m, PathMessage | Redelivery | AskEnvelope | Crash) and not _answered(m)
        ]
        self.mailbox.give_back([Redelivery(replace(m, tried=True) if isinstance(m, Submit) else m) for m in again])
        for message in messages:
            match message:
                case AskEnvelope():
                    message.abandon(error)
                case Redelivery():
                    message.abandon(PaperTradingError(f"{self.name} crashed twice on this; it was not taken in"))

    def _alone(self, message: Message) -> bool:
        return isinstance(message, Redelivery | AskEnvelope | Crash) or (
            bool(self._suspects) and not self._suspects.isdisjoint(message.decisions)
        )

    def _handle(self, group: list[Message]) -> None:
        match group[0]:
            case AskEnvelope() as asked:
                self._attempt(type(asked.message).__name__, lambda: self._answer(asked), group)
            case Redelivery() as again:
                self._attempt(type(again.message).__name__, lambda: self._handled([again.message]), group)
            case first:
                self._attempt(type(first).__name__, lambda: self._handled(group), group)

    def _attempt(self, what: str, action: Callable[[], None], group: list[Message] | None = None) -> None:
        group = group or []
        with self._leaving:  # what is taken is either in the hand that is given up, or left to the successor
            if self.abandoned:
                self.mailbox.give_back(group)
                return
            self.in_hand = group
        before, PRESENT.sender = PRESENT.sender, self
        self.activity.begin(what)
        if self._behaviour is not None:
            self._behaviour.about = None
        try:
            if failpoints.hook is not None:
                failpoints.reach("takes", what)
                require_current()
            action()
            if failpoints.hook is not None:
                failpoints.reach("handled", what)
            for tap in tracing.TAPS:
                doing = self.activity.doing
                tap.passed(self.name, group, time.monotonic() - doing.since if doing is not None else 0.0)
        except Interrupted as error:
            for message in group:
                message.abandon(error)
        except Abandoned:
            logger.debug("{}: what was given up has ended", self.name)
        except BaseException as error:  # noqa: BLE001 - pykka would stop every actor of the process
            self._crashed(error, what, group)
        finally:
            self.in_hand = []
            PRESENT.sender = before
            self.activity.end(len(group))

    def _fresh(self) -> None:
        self._behaviour = None
        behaviour = self._build(self.activity)
        behaviour.started()
        self._behaviour = behaviour
        self.mailbox.release()

    def _described(self, message: Describe) -> None:
        """Answer whoever looks in, who must not be able to make an actor crash."""
        try:
            facts = self._behaviour.describe() if self._behaviour is not None else {}
            message.to(facts)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is not the actor's work
            logger.warning("{} could not be described: {!r}", self.name, error)

    def _controlled(self, message: Control) -> None:
        if isinstance(message, Rebuild):
            self._suspects = message.suspects
        if self._behaviour is None:
            if not isinstance(message, Rebuild):
                return
            self._fresh()
        assert self._behaviour is not None
        self._behaviour.control(message)

    def _handled(self, group: list[Message]) -> None:
        assert self._behaviour is not None
        if isinstance(group[0], Crash):
            raise InjectedCrash(self.name)
        self._behaviour.handle_group(group)

    def _answer(self, asked: AskEnvelope) -> None:
        self._handled([asked.message])
        asked.answer(None)

    def _crashed(self, error: BaseException, what: str, group: list[Message]) -> None:
        with self._leaving:  # who is given up while it crashes must not hold the successor's mailbox
            if self.abandoned:
                return
            about = self.about
            self._behaviour = None
            self.mailbox.hold()
            self.activity.failed += 1
            self.keep(group, error)
            self.in_hand = []
        again = any(isinstance(message, Redelivery) for message in group)
        # Not under the lock: should it hang here, the Supervisor must still be able to give it up.
        with suppress(Abandoned):
            self._supervisor.tell(Crashed(self.name, error, what if group else "", about, again))


def _answered(message: Message) -> bool:
    return isinstance(message, Submit) and message.answered
