"""The parts of a runtime without threads, for `tests.support.actors.stepper`: what would wait is repeated later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from actors.messages import Control, Message, Wake
from actors.ports import Address
from actors.runtime.activity import Activity
from actors.runtime.behaviour import Behaviour
from actors.runtime.cell import Builder, Cell
from actors.runtime.database_retry import DatabaseRetry
from actors.runtime.dead_letters import DeadLetters
from actors.runtime.host import ActorHost
from actors.runtime.mailbox import Mailbox
from actors.runtime.pykka_adapter import Envelope
from actors.runtime.runtime import Runtime
from actors.runtime.timer import Timer
from domain.errors import DatabaseUnavailable
from domain.market_data.buffer import BufferLimits

T = TypeVar("T")
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


class StepClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = NOON
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        assert seconds >= 0
        self.time += timedelta(seconds=seconds)
        self.seconds += seconds

    def set_by(self, seconds: float) -> None:
        """Set the wall clock forward, or back, as a person or a time server does."""
        self.time += timedelta(seconds=seconds)


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
    """An activity that is busy for as long as the test sets."""

    seconds = 0.0

    @property
    def busy_for(self) -> float:
        return self.seconds


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
        self._control: Control | None = None

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
            assert self._control is not None
            self.mailbox._control.appendleft(Envelope(self._control))

    def receive(self, message: object) -> object:
        self._control = message if isinstance(message, Control) else None
        self.busy, self.waits = True, False
        try:
            return super().receive(message)
        finally:
            self.busy = False

    def crash(self, error: Exception) -> None:
        """Crash the behaviour; the messages in the mailbox stay."""
        if self._behaviour is not None:
            super()._report_crash(error, "", [])


class SteppedHost(ActorHost):
    """A host without a thread: the test takes messages from its mailbox and has its cell receive them.

    Attributes:
        cells: all its cells, also abandoned ones; the last one is the present one.
        alive: False as if its thread had ended.
    """

    alive = True

    def __init__(self, name: str, build: Builder, supervisor: Address, dead_letters: DeadLetters) -> None:
        super().__init__(name, build, supervisor, dead_letters)
        self.cells: list[SteppedCell] = []
        self._serve(self._new_cell())

    def start(self) -> None:
        self.cells[-1].begin()

    def stop(self) -> None:
        self._close()

    def _new_cell(self) -> SteppedCell:
        self.cells.append(SteppedCell(self.name, self.mailbox, self._build, self._supervisor))
        return self.cells[-1]

    def _serve(self, cell: Cell) -> None:
        self._cell = cell


class SteppedTimer(Timer):
    """A timer that the test's clock drives. It repeats nothing: the test sends the ticks.

    Args:
        clock: the clock that the test moves.
        delays: deliver delayed messages when the clock reaches their time (`send_due`). Without it, they are delivered
            at once, except those that would wake an actor again and again.

    Attributes:
        later: the delayed messages: time, key, receiver and message.
    """

    def __init__(self, clock: StepClock, *, delays: bool) -> None:
        self.later: list[tuple[datetime, str, Address, Message]] = []
        self._clock = clock
        self._delays = delays

    def every(self, interval: timedelta, receiver: Address, message: Message) -> None: ...

    def on_grid(self, interval: timedelta, receiver: Address, message: Message) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def after(self, delay: timedelta, receiver: Address, message: Message, *, key: str) -> None:
        if not self._delays:
            if not isinstance(message, Wake):
                receiver.tell(message)
        elif all(key != other for _, other, _, _ in self.later):
            self.later.append((self._clock.now() + delay, key, receiver, message))

    def send_due(self) -> None:
        """Deliver the messages that are due, in the order of their times."""
        now = self._clock.now()
        due = sorted((entry for entry in self.later if entry[0] <= now), key=lambda entry: entry[0])
        self.later = [entry for entry in self.later if entry[0] > now]
        for _, _, receiver, message in due:
            receiver.tell(message)


def stepped_runtime(clock: StepClock, timer: SteppedTimer, limits: BufferLimits) -> Runtime:
    """Return a runtime in one thread."""
    return Runtime(clock, timer, SteppedHost, Impatient, lambda _, action: action(), limits)
