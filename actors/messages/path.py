"""Messages of the decision path, from the intake to the outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import replace

from actors.messages.base import Latest, Message, PathMessage
from actors.runtime.pykka_adapter import ThreadingFuture, Timeout, settle
from domain.errors import SubmissionInDoubt, WriteRefused
from domain.trading.account.applying import AccountResult
from domain.trading.account.changes import AccountEvents
from domain.trading.account.requests import AccountRefusal, AccountRequest
from domain.trading.bookkeeping import Result
from domain.trading.decision import Accepted, Decision, Outcome, PendingDecision, Refusal
from domain.trading.decision_steps import SizedRefusal
from domain.trading.events import Event, SizedOrder
from domain.trading.open_orders.amending import SizedAmend
from domain.trading.open_orders.cancelling import CancelOrders
from domain.trading.open_orders.protection import SizedProtection
from domain.trading.open_orders.settlement import NO_ADVANCE, Advance
from domain.trading.portfolio import PortfolioRules, PortfolioState, Progress
from domain.types import DecisionId, PortfolioName, Symbol


class Wake(Latest):
    """Read the database: there may be new rows."""


class ReadRequests(Latest):
    """To the DecisionWatcher: there may be new requests for accounts in the database."""


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


class Decide(PathMessage):
    """DecisionWatcher to Sizer: a decision to size."""

    decision: PendingDecision
    decision_id_path = "decision.id"


class Waits(PathMessage):
    """Sizer to DecisionWatcher: a decision waits for a price or a settlement, and does not count against the limit."""

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


class Amend(PathMessage):
    """Sizer to ExecutionSimulator: an AMEND decision whose values are checked."""

    request: SizedAmend
    decision_id_path = "request.decision_id"


class Protect(PathMessage):
    """Sizer to ExecutionSimulator: a PROTECT decision whose exits are checked."""

    request: SizedProtection
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
    """ExecutionSimulator to PositionKeeper: events of one portfolio that are written together, or not at all.

    Attributes:
        progress: of the portfolio after them; None where nothing of it is stored with them.
        recovered: they happened while no process saw it, and were found out afterwards.
    """

    events: tuple[Event, ...]
    progress: Progress | None = None
    recovered: bool = False

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """The decisions whose orders they are about."""
        return tuple(dict.fromkeys(event.order.decision_id for event in self.events))


class ChangeAccount(PathMessage):
    """DecisionWatcher to ExecutionSimulator: a request for an account."""

    request: AccountRequest


class RecordAccount(PathMessage):
    """ExecutionSimulator to PositionKeeper: what a request makes of accounts; all of it is written, or nothing."""

    request: AccountRequest
    accounts: tuple[AccountEvents, ...]

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """The decisions whose orders end."""
        return tuple(dict.fromkeys(event.order.decision_id for one in self.accounts for event in one.ended))


class RefuseAccount(PathMessage):
    """ExecutionSimulator to PositionKeeper: a request that changes nothing; it comes behind the events it rests on."""

    refusal: AccountRefusal


class AccountChanged(PathMessage):
    """ExecutionSimulator to Sizer: an account has changed, and the orders that end with it have ended."""

    change: AccountResult


class MatchedUpTo(PathMessage):
    """ExecutionSimulator to PositionKeeper: which market data are matched, and what they made is sent as events.

    Attributes:
        numbers: by symbol, the number of the last ones.
        watched: the symbols with open orders.
        advance: how far the open orders have come since the last message.
        settling: the portfolios whose settlement goes on; None where none has ended since the last message.
    """

    numbers: Mapping[Symbol, int]
    watched: frozenset[Symbol]
    advance: Advance = NO_ADVANCE
    settling: frozenset[PortfolioName] | None = None


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

    def split(self, suspects: Set[DecisionId]) -> list[Settled]:
        """Return it as messages without an empty one; each refusal alone where one is about a decision with a strike.

        A CANCEL and the decisions that it ends before they are sized are written together, the CANCEL last. If that
        makes the DecisionWatcher crash, they come one by one, so that the next crash is about one decision.
        """
        if suspects.isdisjoint(refusal.decision_id for refusal in self.refusals):
            return [self] if self.decisions else []
        return [
            *replace(self, refusals=()).split(suspects),
            *(Settled(self.generation, (), (refusal,)) for refusal in self.refusals),
        ]


class RequestRules(PathMessage):
    """To the PositionKeeper: read the portfolios' rules again, and send them.

    The ExecutionSimulator sends it as a generation begins; the Sizer, because a decision names an unknown portfolio.

    Attributes:
        request: the number of this request of the Sizer; `RulesChanged` repeats it.
    """

    request: int = 0


class RulesChanged(PathMessage):
    """PositionKeeper to ExecutionSimulator, and from there to the Sizer: the present rules of all portfolios.

    A portfolio that is missing was deleted. The Sizer gets them between the events of a portfolio that come before and
    after them: it knows a portfolio before its first event, and the ExecutionSimulator before its first order.

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
