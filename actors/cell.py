"""A cell: the pykka actor that stays, hosting a plain behaviour that can be rebuilt.

Same mailbox, same address, whatever happens inside. What a behaviour raises ends at the cell: it keeps the messages,
tells the Supervisor, lets data wait and goes on serving control until the word comes to build a fresh behaviour.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pykka
from loguru import logger
from pykka._envelope import Envelope

from actors.mailbox import Mailbox
from actors.messages import Control, Crash, Crashed, Message, PathMessage, Pause, Ping, Rebuild, Restart
from actors.patience import Interrupted
from actors.ports import Address
from domain.errors import PaperTradingError
from domain.words import Generation


class Behaviour:
    """What an actor does. Plain object, no threads: each message is handled to its end before the next."""

    group_limit: ClassVar[int] = 1
    """How many waiting messages it takes at once."""

    def started(self) -> None:
        """Begin, before the first message; may raise, which counts as a crash."""

    def handle(self, message: Message) -> None:
        """Handle one message; those that handle groups need not."""
        logger.warning("{} does not handle {}", type(self).__name__, type(message).__name__)

    def handle_group(self, messages: list[Message]) -> None:
        """Handle what was waiting, in its order."""
        for message in messages:
            self.handle(message)

    def control(self, message: Control) -> None:
        """Handle what overtakes the rest."""


class PathBehaviour(Behaviour, ABC):
    """An actor on the way of a decision: belongs to one generation at a time, to none between two."""

    generation: Generation | None = None

    @abstractmethod
    def rebuild(self, word: Rebuild) -> None:
        """Begin the generation of ``word`` afresh."""

    def control(self, message: Control) -> None:
        """Begin a generation, or end one."""
        match message:
            case Rebuild():
                self.generation = None
                self.rebuild(message)
            case Pause():
                self.generation = None

    def handle_group(self, messages: list[Message]) -> None:
        """Drop what belongs to another generation, and handle the rest."""
        current = [m for m in messages if not isinstance(m, PathMessage) or m.generation == self.generation]
        if current:
            self.handle_current(current)

    def handle_current(self, messages: list[Message]) -> None:
        """Handle messages of this generation, in their order."""
        for message in messages:
            # One of them may have ended the generation.
            if not isinstance(message, PathMessage) or message.generation == self.generation:
                self.handle(message)


class InjectedCrash(Exception):
    """The test hook's exception."""


@dataclass(frozen=True, slots=True)
class _Again(Message):
    """A message that was in a group when its actor crashed; tried once more, alone."""

    message: Message


class MailAddress:
    """Puts messages into a mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def tell(self, message: object, /) -> None:
        """Put ``message`` into the mailbox; never raises, whatever the actor's state."""
        self._mailbox.put(Envelope(message))


class Cell(pykka.ThreadingActor):
    """Hosts the behaviour that ``build`` makes.

    Attributes:
        name: of the actor.
    """

    use_daemon_thread = True

    def __init__(self, name: str, mailbox: Mailbox, build: Callable[[], Behaviour], supervisor: Address) -> None:
        self._mailbox = mailbox
        super().__init__()
        self.name = name
        self._build = build
        self._supervisor = supervisor
        self._behaviour: Behaviour | None = None

    def _create_actor_inbox(self) -> Mailbox:  # type: ignore[override]
        return self._mailbox

    def on_start(self) -> None:
        """Build the first behaviour."""
        self._attempt(self._fresh, [])

    def on_stop(self) -> None:
        """Tell those who wait for an answer that there will be none."""
        self._mailbox.release()
        for message in self._mailbox.take(len(self._mailbox)):
            message.abandon(PaperTradingError("the system has stopped before it took this in"))

    def on_receive(self, message: Any) -> Any:
        """Handle control at once, data in groups; nothing that is raised leaves the cell."""
        match message:
            case Ping():
                return self.name
            case Restart():
                self._attempt(self._fresh, [])
            case Control():
                self._attempt(lambda: self._controlled(message), [])
            case _Again():
                self._attempt(lambda: self._handled([message.message]), [], last_try=[message.message])
            case Message():
                limit = self._behaviour.group_limit if self._behaviour is not None else 1
                group = [message, *self._mailbox.take(limit - 1, _Again)] if limit > 1 else [message]
                self._attempt(lambda: self._handled(group), group)
            case _:
                logger.warning("{} received {!r}, which is no message", self.name, message)
        return None

    def _attempt(self, action: Callable[[], None], group: list[Message], last_try: list[Message] | None = None) -> None:
        try:
            action()
        except Interrupted as error:
            for message in [*group, *(last_try or [])]:
                message.abandon(error)
        except BaseException as error:  # noqa: BLE001 - pykka would stop every actor of the process
            self._crashed(error, group, last_try or [])

    def _fresh(self) -> None:
        self._behaviour = None
        behaviour = self._build()
        behaviour.started()
        self._behaviour = behaviour
        self._mailbox.release()

    def _controlled(self, message: Control) -> None:
        if self._behaviour is None:
            if not isinstance(message, Rebuild):
                return
            self._fresh()
        assert self._behaviour is not None
        self._behaviour.control(message)

    def _handled(self, group: list[Message]) -> None:
        assert self._behaviour is not None
        if any(isinstance(message, Crash) for message in group):
            # The hook itself is not tried again.
            group[:] = [message for message in group if not isinstance(message, Crash)]
            raise InjectedCrash(self.name)
        self._behaviour.handle_group(group)

    def _crashed(self, error: BaseException, group: list[Message], last_try: list[Message]) -> None:
        self._behaviour = None
        self._mailbox.hold()
        # Messages of the path are sent again by the DecisionWatcher; these copies are dropped by their generation.
        self._mailbox.give_back([_Again(message) for message in group])
        for message in last_try:
            logger.error("{} crashed twice on {}; it is dropped", self.name, type(message).__name__)
            message.abandon(PaperTradingError(f"{self.name} crashed twice on this; it was not taken in"))
        self._supervisor.tell(Crashed(self.name, error))
