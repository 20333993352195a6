"""Everything that actors say to each other. Messages are immutable.

Three kinds::

    Control      overtakes the rest: rebuild, restart, pause, ping
    PathMessage  on the way of a decision; carries its generation, an older one is dropped on arrival
    Message      the rest; those with `merged` coalesce in the mailbox, so that they never pile up
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

from actors.runtime.pykka_adapter import ThreadingFuture, Timeout
from domain.errors import SubmissionInDoubt, WriteRefused
from domain.failures import Failure
from domain.trading.decision import Accepted, Decision, Outcome, PendingDecision, Refusal
from domain.trading.instruments import InstrumentCatalog
from domain.trading.orders import Fill, Order
from domain.trading.portfolio import Portfolio, PortfolioRules
from domain.trading.quotes import Quote
from domain.types import DecisionId, Generation, PortfolioName, Symbol


@dataclass(frozen=True, slots=True)
class Message:
    """Anything that one actor tells another."""

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """The decisions that it is about: whoever crashes on it, crashes on them."""
        return ()

    def abandon(self, error: BaseException) -> None:
        """Tell whoever waits for an answer that there will be none."""


@dataclass(frozen=True, slots=True)
class Control(Message):
    """Overtakes everything else in the mailbox."""


@dataclass(frozen=True, slots=True)
class PathMessage(Message):
    """On the way from decision to outcome; dropped by whoever is in another generation."""

    generation: Generation


@dataclass(frozen=True, slots=True)
class Latest(Message):
    """One that the next of its kind replaces while it waits."""

    def merged(self, newer: Self) -> Self:
        """Return what stands for both."""
        return newer


# --- control ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pause(Control):
    """A new generation is coming: handle nothing of the old one any more."""


@dataclass(frozen=True, slots=True)
class Rebuild(Control):
    """Begin ``generation`` afresh.

    Attributes:
        portfolios: the committed state, for those who build on it.
        poisoned: decisions to be ended as internal errors before anything is sent again, with what happened.
        suspects: decisions of which one has made an actor crash: what is about them is handled alone.
        draining: what `Drain` says, for a behaviour that is newer.
    """

    generation: Generation
    portfolios: tuple[Portfolio, ...] = ()
    poisoned: Mapping[DecisionId, Failure] = field(default_factory=dict)
    suspects: frozenset[DecisionId] = frozenset()
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Restart(Control):
    """Build a fresh behaviour; for actors off the path."""


@dataclass(frozen=True, slots=True)
class Ping(Control):
    """Answered by the cell itself: the actor's thread is there."""


@dataclass(frozen=True, slots=True)
class Drain(Control):
    """Take nothing in any more, and send `Flush` down the path."""


@dataclass(frozen=True, slots=True)
class Describe(Control):
    """Tell what you have in memory; for people."""

    to: Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Crash(Message):
    """A test hook: the actor that receives it crashes."""


# --- intake ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wake(Latest):
    """There may be something new in the database."""


@dataclass(frozen=True, slots=True)
class Submit(Message):
    """A caller's decision.

    Attributes:
        accepted: answered once the row is committed.
        outcome: answered once the outcome is committed.
        tried: once already, and nobody knows how far that came.
    """

    decision: Decision
    accepted: ThreadingFuture[Accepted]
    outcome: ThreadingFuture[Outcome]
    tried: bool = False

    @property
    def answered(self) -> bool:
        """Whether the caller knows already that it was taken in, or was not: then it must not be tried again."""
        try:
            self.accepted.get(timeout=0)
        except Timeout:
            return False
        except Exception:  # noqa: BLE001 - any error is an answer
            return True
        return True

    def abandon(self, error: BaseException) -> None:
        """Raise ``error`` in the caller, unless it has its answer; after a try, that nobody knows what came of it."""
        if self.tried and not isinstance(error, WriteRefused):
            error = SubmissionInDoubt(self.decision.uid)
        with suppress(queue.Full):
            self.accepted.set_exception((type(error), error, None))

    def accept(self, answer: Accepted) -> None:
        """Tell the caller that the row is committed, unless it knows."""
        with suppress(queue.Full):
            self.accepted.set(answer)


# --- the path --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decide(PathMessage):
    """DecisionWatcher to Sizer: size this."""

    decision: PendingDecision

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """The one to be sized."""
        return (self.decision.id,)


@dataclass(frozen=True, slots=True)
class Waits(PathMessage):
    """Sizer to DecisionWatcher: this one waits for a price and does not count against the limit."""

    decision_id: DecisionId


@dataclass(frozen=True, slots=True)
class Execute(PathMessage):
    """Sizer to ExecutionSimulator: fill this."""

    order: Order

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """The one that the order is for."""
        return (self.order.decision_id,)


@dataclass(frozen=True, slots=True)
class Refused(PathMessage):
    """Down the path behind the fills that it rests on, then back to the DecisionWatcher."""

    refusal: Refusal

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """The one refused."""
        return (self.refusal.decision_id,)


@dataclass(frozen=True, slots=True)
class Priced(PathMessage):
    """ExecutionSimulator to Sizer: the order's fill, or None where there is none; the next one may be sized."""

    decision_id: DecisionId
    portfolio: PortfolioName
    fill: Fill | None

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """The one priced."""
        return (self.decision_id,)


@dataclass(frozen=True, slots=True)
class Filled(PathMessage):
    """ExecutionSimulator to PositionKeeper: write this."""

    fill: Fill

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """The one filled."""
        return (self.fill.order.decision_id,)


@dataclass(frozen=True, slots=True)
class Settled(PathMessage):
    """PositionKeeper to DecisionWatcher: committed outcomes, and refusals whose fills before them are committed."""

    outcomes: tuple[Outcome, ...]
    refusals: tuple[Refusal, ...]

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """All that it settles."""
        return (*(o.decision_id for o in self.outcomes), *(r.decision_id for r in self.refusals))


@dataclass(frozen=True, slots=True)
class RequestRules(PathMessage):
    """Sizer to PositionKeeper: read the portfolios again, a decision names one that I do not know.

    Attributes:
        question: the number of the question, for the answer.
    """

    question: int


@dataclass(frozen=True, slots=True)
class RulesChanged(PathMessage):
    """PositionKeeper to Sizer: what each portfolio trades under from now on; one that is missing is gone.

    Attributes:
        answered: the last `RequestRules` that came before this was read.
    """

    rules: tuple[PortfolioRules, ...]
    answered: int = 0


@dataclass(frozen=True, slots=True)
class Audit(Message):
    """To the PositionKeeper: compare memory with the database.

    Attributes:
        to: is told a sentence for each difference.
    """

    to: Callable[[tuple[str, ...]], None] | None = None


@dataclass(frozen=True, slots=True)
class Flush(Message):
    """Down the whole path at an ordered stop: whoever passes it on has nothing before it left."""


@dataclass(frozen=True, slots=True)
class Committed(Latest):
    """PositionKeeper to Snapshotter: committed states.

    Attributes:
        complete: these are all portfolios; one that is missing is gone.
    """

    portfolios: Mapping[PortfolioName, Portfolio]
    complete: bool = False

    def merged(self, newer: Committed) -> Committed:
        """Keep the newest state of each portfolio."""
        return newer if newer.complete else Committed({**self.portfolios, **newer.portfolios}, self.complete)


# --- prices ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QuotesSeen(Latest):
    """From the price source by the PriceTracker to those that need prices."""

    quotes: Mapping[Symbol, Quote]

    def merged(self, newer: QuotesSeen) -> QuotesSeen:
        """Keep the newest quote of each symbol."""
        return QuotesSeen({**self.quotes, **newer.quotes})


@dataclass(frozen=True, slots=True)
class InstrumentsLoaded(Message):
    """The price source knows its instruments."""

    book: InstrumentCatalog


@dataclass(frozen=True, slots=True)
class StoredPrices(Message):
    """The last stored price of each symbol held, None where none is stored.

    Attributes:
        prices: None where they cannot be read now.
    """

    prices: Mapping[Symbol, Decimal | None] | None


@dataclass(frozen=True, slots=True)
class SourceEnded(Message):
    """The price source sends nothing any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Subscribe(Message):
    """Sizer to PriceTracker: a decision waits for a price of this symbol."""

    symbol: Symbol


@dataclass(frozen=True, slots=True)
class Prices(Message):
    """PriceTracker's answer to `SendPrices`.

    Attributes:
        quotes: seen by this process.
        marks: the newest price of each symbol, stored ones where this process has seen none.
    """

    book: InstrumentCatalog | None
    quotes: Mapping[Symbol, Quote]
    marks: Mapping[Symbol, Decimal]


@dataclass(frozen=True, slots=True)
class SendPrices(Message):
    """To the PriceTracker: tell me what you have."""

    to: Callable[[Prices], None]


@dataclass(frozen=True, slots=True)
class Tick(Latest):
    """Time has passed."""
