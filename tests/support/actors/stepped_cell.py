"""A cell without a thread, for `tests.support.actors.stepper`: a step that would wait is repeated later."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from actors.messages import Control, Message
from actors.ports import Address
from actors.runtime.activity import Activity
from actors.runtime.behaviour import Behaviour
from actors.runtime.cell import Builder, Cell
from actors.runtime.database_retry import DatabaseRetry
from actors.runtime.mailbox import Mailbox
from actors.runtime.pykka_adapter import Envelope
from domain.errors import DatabaseUnavailable

T = TypeVar("T")


class WouldWait(BaseException):
    """Raised where a thread would wait until the database is available."""


class Impatient(DatabaseRetry):
    """A retry that raises `WouldWait` in place of waiting."""

    def until_done(self, action: Callable[[], T]) -> T:
        try:
            return self.once(action)
        except DatabaseUnavailable as error:
            raise WouldWait from error

    def until_done_unless_away(self, action: Callable[[], T]) -> T:
        return self.once(action)

    for_a_while = until_done_unless_away

    def backoff(self) -> None:
        """Return at once: time does not pass by itself."""


class SteppedActivity(Activity):
    """An activity that counts no seconds: a test decides what hangs."""

    hangs = False

    @property
    def busy_for(self) -> float:
        return math.inf if self.hangs else 0.0


class SteppedCell(Cell):
    """A cell without a thread: a step that would wait is repeated later.

    Attributes:
        busy: it is inside a handler.
        waits: it waits for the database.
    """

    def __init__(self, name: str, mailbox: Mailbox, build: Builder, supervisor: Address) -> None:
        super().__init__(name, mailbox, build, supervisor)
        self.activity: SteppedActivity = SteppedActivity()
        self.busy = False
        self.waits = False

    @property
    def behaviour(self) -> Behaviour | None:
        """The behaviour, for tests to read; None between a crash and the rebuild."""
        return self._behaviour

    def _report_crash(self, error: BaseException, what: str, group: list[Message]) -> None:
        if not isinstance(error, WouldWait):
            super()._report_crash(error, what, group)
            return
        self.waits = True
        if group:
            self.mailbox.give_back(group)
        else:
            assert self.controlled is not None
            self.mailbox._control.appendleft(Envelope(self.controlled))

    def receive(self, message: object) -> object:
        self.controlled = message if isinstance(message, Control) else None
        self.busy, self.waits = True, False
        try:
            return super().receive(message)
        finally:
            self.busy = False

    controlled: Control | None = None

    def crash(self, error: Exception) -> None:
        """Crash the behaviour; the messages in the mailbox stay."""
        if self._behaviour is not None:
            self._crashed_for(error)

    def _crashed_for(self, error: Exception) -> None:
        super()._report_crash(error, "", [])
