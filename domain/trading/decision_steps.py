"""The steps of a decision on its way through the queue: what becomes of it next."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from domain.trading.decision import PendingDecision, Refusal
from domain.trading.events import SizedOrder
from domain.trading.instruments import Instrument
from domain.trading.open_orders.amending import SizedAmend
from domain.trading.open_orders.cancelling import CancelOrders
from domain.trading.open_orders.protection import SizedProtection
from domain.trading.portfolio import PortfolioState, PositionValues, to_dict
from domain.types import DecisionId, Symbol


@dataclass(frozen=True, slots=True)
class AwaitsPrice:
    """A decision waits for a price.

    Attributes:
        symbol: the venue's spelling; None before the instruments are loaded.
    """

    decision_id: DecisionId
    symbol: Symbol | None


@dataclass(frozen=True, slots=True)
class AwaitsSettlement:
    """A decision waits until its portfolio is settled."""

    decision_id: DecisionId


@dataclass(frozen=True, slots=True)
class AwaitsPortfolio:
    """A decision names an unknown portfolio, which may have just been created. The queue does not keep it."""

    decision: PendingDecision

    @property
    def decision_id(self) -> DecisionId:
        """Its id."""
        return self.decision.id


@dataclass(frozen=True, slots=True)
class SizedRefusal:
    """A refusal that rests on the portfolio's state, such as too little cash: it holds only for this version."""

    refusal: Refusal
    version: int

    @property
    def decision_id(self) -> DecisionId:
        """The decision that is refused."""
        return self.refusal.decision_id


Sized: TypeAlias = SizedOrder | SizedAmend | SizedProtection | SizedRefusal
"""What sizing makes of a decision; the market answers it."""
Step: TypeAlias = Sized | CancelOrders | Refusal | AwaitsPrice | AwaitsSettlement | AwaitsPortfolio
"""The next step of a decision."""

MAX_RETURNS = 10
"""So often a decision may come back from the market while its portfolio does not change; once is enough."""


@dataclass(slots=True)
class QueuedAccount:
    """A portfolio in the queue.

    Attributes:
        state: the projection: the committed state and the events after it.
        ready: decisions that have a price, in order.
        in_flight: the decision that has been sized, and whose answer is not here yet.
        cancels: CANCEL decisions that name the one in flight: they wait for its answer, since it may come back.
        settling: nothing is sized before it is settled what the market did while the program was away.
        returned: the decision that came back last, with the version of the portfolio at that moment.
        returns: how often it has come back at this version.
    """

    state: PortfolioState
    values: PositionValues
    ready: deque[tuple[PendingDecision, Instrument]] = field(default_factory=deque)
    in_flight: tuple[PendingDecision, Instrument] | None = None
    cancels: list[CancelOrders] = field(default_factory=list)
    settling: bool = False
    returned: tuple[DecisionId, int] | None = None
    returns: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether a new decision can be sized at once: none is before it."""
        return self.in_flight is None and not self.ready and not self.cancels and not self.settling

    def describe(self) -> dict[str, Any]:
        """Return the projection and what waits for its turn, as a dict for consoles."""
        return {
            **to_dict(self.state),
            "ready": [decision.id for decision, _ in self.ready],
            "cancels": [request.decision_id for request in self.cancels],
            "settling": self.settling,
            "in_flight": self.in_flight[0].id if self.in_flight is not None else None,
        }

    def take_back(self) -> tuple[PendingDecision, Instrument]:
        """Take the decision in flight, which came back.

        The event on which it came back has come before it, so at one version a decision comes back once. If it comes
        back again and again, this state and the market's differ: only a new generation ends that.

        Raises:
            RuntimeError: it has come back `MAX_RETURNS` times at one version.
        """
        assert self.in_flight is not None
        (decision, instrument), self.in_flight = self.in_flight, None
        version = self.state.version
        self.returns = self.returns + 1 if self.returned == (decision.id, version) else 1
        self.returned = decision.id, version
        if self.returns == MAX_RETURNS:
            msg = f"decision {decision.id} came back {MAX_RETURNS} times at version {version} of its portfolio"
            raise RuntimeError(msg)
        return decision, instrument
