"""The messages between actors. All are immutable.

Three kinds::

    Control      overtakes the others in the mailbox: rebuild, restart, pause, ping
    PathMessage  carries the generation of the decision path; one of an older generation is dropped on arrival
    Message      all others; those of `Latest` are merged in the mailbox, so that they never pile up
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, ClassVar, Self, dataclass_transform

from actors.runtime.pykka_adapter import ThreadingFuture, Timeout, settle
from domain.errors import SubmissionInDoubt, WriteRefused
from domain.failures import Failure
from domain.trading.bookkeeping import Result
from domain.trading.decision import Accepted, Decision, Outcome, PendingDecision, Refusal
from domain.trading.decision_queue import SizedRefusal
from domain.trading.events import Event, SizedOrder
from domain.trading.instruments import InstrumentCatalog
from domain.trading.open_orders.cancelling import CancelOrders
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import PricePoint, Quote
from domain.types import DecisionId, Generation, PortfolioName, Symbol


@dataclass_transform(frozen_default=True)
@dataclass(frozen=True)
class Message:
    """A message to an actor. Each class of messages is a frozen dataclass without saying so.

    Attributes:
        decision_id_path: attributes that lead to the id of the decision that a message of this class is about.
    """

    decision_id_path: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """The decisions that it is about; an actor that crashes on the message gives each of them a strike."""
        return (attrgetter(self.decision_id_path)(self),) if self.decision_id_path else ()

    def abandon(self, error: BaseException) -> None:
        """Raise ``error`` in the caller that waits for an answer, if there is one."""


class Control(Message):
    """A message that overtakes all others in the mailbox."""


class PathMessage(Message):
    """A message of the decision path; an actor of another generation drops it."""

    generation: Generation


class Latest(Message):
    """A message that is merged with the next of its kind while it waits in the mailbox."""

    def merged(self, newer: Self) -> Self:
        """Return one message in place of both."""
        return newer


class Redelivery(Message):
    """A message that was in hand at a crash of its actor; it is handled once more, alone."""

    message: Message

    def abandon(self, error: BaseException) -> None:
        """Raise ``error`` in the caller of the message, if there is one."""
        self.message.abandon(error)


# --- control ---------------------------------------------------------------------------------------------------------


class Pause(Control):
    """Stop handling messages of the present generation; a new one follows."""


class Rebuild(Control):
    """Begin ``generation`` with fresh state.

    Attributes:
        portfolios: the committed state, for the actors that build on it.
        poisoned: decisions to end as internal errors before any decision is sent again, with the failure of each.
        frozen: decisions whose open orders cannot even be ended: nothing is done about them in this process.
        suspects: decisions with a strike; messages about them are handled one by one.
        draining: an ordered stop is under way, as after `Drain`.
    """

    generation: Generation
    portfolios: tuple[PortfolioState, ...] = ()
    poisoned: Mapping[DecisionId, Failure] = field(default_factory=dict)
    suspects: frozenset[DecisionId] = frozenset()
    draining: bool = False
    frozen: frozenset[DecisionId] = frozenset()


class Restart(Control):
    """Build a new behaviour; for actors off the path."""


class Ping(Control):
    """Check that the actor's thread is running; the cell itself answers."""


class Drain(Control):
    """Take no more decisions, and send `Flush` down the path."""


class Describe(Control):
    """Describe the state in memory, for people."""

    reply_to: Callable[[Mapping[str, Any]], None]


class Crash(Message):
    """Crash the actor that receives it; for tests."""


# --- intake ----------------------------------------------------------------------------------------------------------


class Wake(Latest):
    """Read the database: there may be new rows."""


class Submit(Message):
    """A caller's decision.

    Attributes:
        accepted: set when the row is committed.
        outcome: set when the outcome is committed.
        until_open: the caller waits only until the order rests.
        tried: it was handled once before; whether the row was committed is unknown.
    """

    decision: Decision
    accepted: ThreadingFuture[Accepted]
    outcome: ThreadingFuture[Outcome]
    until_open: bool = False
    tried: bool = False

    @property
    def answered(self) -> bool:
        """Whether the caller has its answer; then the message must not be tried again."""
        try:
            self.accepted.get(timeout=0)
        except Exception as error:  # noqa: BLE001 - any other error is an answer
            return not isinstance(error, Timeout)
        return True

    def abandon(self, error: BaseException) -> None:
        """Raise ``error`` in the caller unless it has its answer; `SubmissionInDoubt` if it was tried before."""
        if self.tried and not isinstance(error, WriteRefused):
            error = SubmissionInDoubt(self.decision.uid)
        settle(self.accepted, error)


# --- the path --------------------------------------------------------------------------------------------------------


class Decide(PathMessage):
    """DecisionWatcher to Sizer: a decision to size."""

    decision: PendingDecision
    decision_id_path = "decision.id"


class Waits(PathMessage):
    """Sizer to DecisionWatcher: this decision waits for a price and does not count against the limit."""

    decision_id: DecisionId


class Execute(PathMessage):
    """Sizer to ExecutionSimulator: an order to fill, or to let rest."""

    sized: SizedOrder
    decision_id_path = "sized.decision_id"


class RefuseSized(PathMessage):
    """Sizer to ExecutionSimulator: a refusal that rests on the portfolio's state."""

    sized: SizedRefusal
    decision_id_path = "sized.decision_id"


class Cancel(PathMessage):
    """Sizer to ExecutionSimulator: a CANCEL decision."""

    request: CancelOrders
    decision_id_path = "request.decision_id"


class Refused(PathMessage):
    """A refusal; it goes down the path behind the fills on which it rests, then back to the DecisionWatcher."""

    refusal: Refusal
    decision_id_path = "refusal.decision_id"


class Happened(PathMessage):
    """ExecutionSimulator to Sizer: what has happened in a portfolio.

    Attributes:
        results: of the portfolio's next events; empty where the decision in flight was refused.
        answered: the decision in flight of the portfolio; None where the events answer none.
    """

    portfolio: PortfolioName
    results: tuple[Result, ...]
    answered: DecisionId | None

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """The decision that it answers."""
        return () if self.answered is None else (self.answered,)


class SizeAgain(PathMessage):
    """ExecutionSimulator to Sizer: the portfolio has changed before its decision in flight arrived."""

    portfolio: PortfolioName
    decision_id: DecisionId
    decision_id_path = "decision_id"


class Record(PathMessage):
    """ExecutionSimulator to PositionKeeper: events of one portfolio that are written together, or not at all."""

    events: tuple[Event, ...]

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """The decisions whose orders they are about."""
        return tuple(dict.fromkeys(event.order.decision_id for event in self.events))


class MatchedUpTo(PathMessage):
    """ExecutionSimulator to PositionKeeper: which market data are matched, and what they made is sent as events.

    Attributes:
        numbers: by symbol, the number of the last ones.
        watched: the symbols with open orders.
    """

    numbers: Mapping[Symbol, int]
    watched: frozenset[Symbol]


class Settled(PathMessage):
    """PositionKeeper to DecisionWatcher: what is committed.

    Attributes:
        outcomes: the ends of decisions.
        refusals: refusals whose earlier events are committed; they are written next.
        opened: decisions whose orders rest from now on, each with the reason that its row has.
    """

    outcomes: tuple[Outcome, ...]
    refusals: tuple[Refusal, ...]
    opened: tuple[Outcome, ...] = ()

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """The decisions that end or open."""
        return (*(o.decision_id for o in (*self.outcomes, *self.opened)), *(r.decision_id for r in self.refusals))


class RequestRules(PathMessage):
    """Sizer to PositionKeeper: read the portfolios' rules again, because a decision names an unknown portfolio.

    Attributes:
        request: the number of this request; `RulesChanged` repeats it.
    """

    request: int


class RulesChanged(PathMessage):
    """PositionKeeper to ExecutionSimulator and Sizer: the present rules of all portfolios; a missing one was deleted.

    Attributes:
        answered: the last `RequestRules` that arrived before the rules were read.
    """

    rules: tuple[PortfolioRules, ...]
    answered: int = 0


class Audit(Message):
    """To the PositionKeeper: compare memory with the database.

    Attributes:
        reply_to: called with a sentence for each difference.
    """

    reply_to: Callable[[tuple[str, ...]], None] | None = None


class Flush(Message):
    """Sent down the whole path at an ordered stop; an actor that passes it on has handled everything before it."""


class Committed(Latest):
    """PositionKeeper to Snapshotter: committed states.

    Attributes:
        complete: these are all portfolios; one that is missing was deleted.
    """

    portfolios: Mapping[PortfolioName, PortfolioState]
    complete: bool = False

    def merged(self, newer: Committed) -> Committed:
        """Keep the newest state of each portfolio."""
        return newer if newer.complete else Committed({**self.portfolios, **newer.portfolios}, self.complete)


# --- prices ----------------------------------------------------------------------------------------------------------


class QuotesSeen(Latest):
    """Quotes, from the price source to the PriceTracker, and from there to the Sizer."""

    quotes: Mapping[Symbol, Quote]

    def merged(self, newer: QuotesSeen) -> QuotesSeen:
        """Keep the newest quote of each symbol."""
        return QuotesSeen({**self.quotes, **newer.quotes})


class DataSeen(Message):
    """Market data of symbols with open orders, which are never merged.

    They go from the price source to the PriceTracker, and numbered from there to the ExecutionSimulator.
    """

    quotes: tuple[Quote, ...]


class Watch(Message):
    """ExecutionSimulator to PriceTracker: the symbols with open orders.

    Attributes:
        symbols: each with the number of the data after which one of its orders can be matched.
        new: those of them that had no open order before: data that were missed are sent.
        begins: the generation that begins: `KeptData` answers with all data that were kept for these symbols.
    """

    symbols: Mapping[Symbol, int]
    new: frozenset[Symbol] = frozenset()
    begins: Generation | None = None


class KeptData(PathMessage):
    """PriceTracker to ExecutionSimulator: what is matched again as a generation begins, before any other data."""

    quotes: tuple[Quote, ...]


class Release(Latest):
    """PositionKeeper to PriceTracker: what rests on the data up to these numbers is committed.

    Attributes:
        numbers: by symbol, the number of the last data.
        watched: the symbols with open orders.
    """

    numbers: Mapping[Symbol, int]
    watched: frozenset[Symbol]

    def merged(self, newer: Release) -> Release:
        """Keep the highest number of each symbol."""
        symbols = {**self.numbers, **newer.numbers}
        numbers = {symbol: max(self.numbers.get(symbol, 0), newer.numbers.get(symbol, 0)) for symbol in symbols}
        return Release(numbers, newer.watched)


class InstrumentsLoaded(Message):
    """The price source has loaded its instruments."""

    catalog: InstrumentCatalog


class StoredPrices(Message):
    """To the PriceTracker: the stored prices of the symbols with open positions.

    Attributes:
        prices: the last stored price by symbol, None if none is stored; None if the database cannot be read now.
    """

    prices: Mapping[Symbol, PricePoint | None] | None


class SourceEnded(Message):
    """The price source sends no more prices."""

    reason: str


class Subscribe(Message):
    """Sizer to PriceTracker: a decision waits for a price of this symbol."""

    symbol: Symbol


class Prices(Message):
    """PriceTracker's answer to `SendPrices`.

    Attributes:
        catalog: the instruments; None before they are loaded.
        quotes: the newest quotes that this process has seen.
        points: the newest price of each symbol; a stored one if this process has seen none.
    """

    catalog: InstrumentCatalog | None
    quotes: Mapping[Symbol, Quote]
    points: Mapping[Symbol, PricePoint]


class SendPrices(Message):
    """To the PriceTracker: answer with `Prices`."""

    reply_to: Callable[[Prices], None]


class Tick(Latest):
    """A tick of the timer."""
