"""CANCEL decisions: which open orders they name, and what becomes of the decision."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from domain.trading.decision import PendingDecision, Reason, Refusal
from domain.trading.events import DecisionEnd
from domain.trading.open_orders.open_order import OpenOrder, OpenOrders
from domain.types import Action, DecisionId, OrderId, OutcomeStatus, PortfolioName, Symbol
from domain.wording import counted


@dataclass(frozen=True, slots=True)
class CancelOrders:
    """A CANCEL decision on its way to the market. One of the three targets is set, or none: then it means all orders.

    Attributes:
        decision_id: of the CANCEL itself.
        target_id: cancel the order of this decision.
        order_id: cancel this order.
        symbol: cancel all orders of this symbol.
        before_sizing: decisions that it ends because they are not sized yet. They end with it, in one transaction:
            after a crash none of them is sized while the CANCEL has ended.
        label: what people call the portfolio; empty: its id.
        among: only orders of these decisions; None: of any.
    """

    decision_id: DecisionId
    portfolio: PortfolioName
    target_id: DecisionId | None = None
    order_id: OrderId | None = None
    symbol: Symbol | None = None
    before_sizing: tuple[DecisionId, ...] = ()
    label: str = field(default="", compare=False)
    among: frozenset[DecisionId] | None = None

    def without_orders(self, left_alone: Sequence[OpenOrder] = ()) -> Refusal:
        """Return the end of the decision where it cancels no open order; the targets that were not sized end with it.

        Args:
            left_alone: the open orders that it names, and that the program can neither fill nor end.
        """
        if self.before_sizing:
            names = ", ".join(map(str, self.before_sizing))
            detail = f"decision {names}, before it was sized"
            if left_alone:
                detail = f"{detail}; {_frozen_detail(left_alone)}"
            status, reason = OutcomeStatus.EXECUTED, Reason.CANCELLED
        else:
            detail = _frozen_detail(left_alone) if left_alone else f"no order of {self._name} is open"
            status, reason = OutcomeStatus.REJECTED, Reason.NOTHING_OPEN
        ended = tuple(
            Refusal(id_, self.portfolio, OutcomeStatus.CANCELLED, Reason.CANCELLED, self._detail)
            for id_ in self.before_sizing
        )
        return Refusal(self.decision_id, self.portfolio, status, reason, detail, ended)

    def ends(self, cancelled: Sequence[OpenOrder], left_alone: Sequence[OpenOrder] = ()) -> tuple[DecisionEnd, ...]:
        """Return the ends of its targets that were not sized, and its own: they end with the last order it cancels."""
        number = counted(len(cancelled) + len(self.before_sizing), "order")
        only = cancelled[0].order.order_id if len(cancelled) == 1 else None
        reason = f"{Reason.CANCELLED}: {number} of {self._name}"
        if left_alone:
            reason = f"{reason}; {_frozen_detail(left_alone)}"
        ended = (
            DecisionEnd(id_, OutcomeStatus.CANCELLED, f"{Reason.CANCELLED}: {self._detail}")
            for id_ in self.before_sizing
        )
        return (*ended, DecisionEnd(self.decision_id, OutcomeStatus.EXECUTED, reason, only))

    @property
    def _detail(self) -> str:
        return f"by decision {self.decision_id}, before it was sized"

    @property
    def _name(self) -> str:
        if self.target_id is not None:
            return f"decision {self.target_id}"
        if self.order_id is not None:
            return f"order {self.order_id}"
        name = self.symbol if self.symbol is not None else f"portfolio {self.label or self.portfolio}"
        return name if self.among is None else f"its sender in {name}"


def _frozen_detail(orders: Sequence[OpenOrder]) -> str:
    names = ", ".join(str(one.order.order_id) for one in orders)
    return f"order {names} is left alone after an internal error"


def is_among(decision_id: DecisionId, among: frozenset[DecisionId] | None) -> bool:
    """Return whether a sender may mean a decision: one of its own, or any where ``among`` is None."""
    return among is None or decision_id in among


def targets(request: CancelOrders, open_orders: OpenOrders) -> list[OpenOrder]:
    """Return the open orders that a CANCEL names, in the order of their acceptance."""
    if request.order_id is not None:
        one = open_orders.get(request.order_id)
        return [one] if one is not None else []
    of, among = request.target_id, request.among
    if request.symbol is not None:
        cancelled = list(open_orders.of(request.symbol))
    else:
        named = [one for one in open_orders if of is None or (one.order.decision_id == of and not one.order.is_exit)]
        cancelled = sorted(named, key=lambda one: one.order.seq)
    return [one for one in cancelled if is_among(one.order.decision_id, among)]


def cancel_unread(decisions: Sequence[PendingDecision], elsewhere: Collection[DecisionId]) -> list[Refusal]:
    """Return the ends of the CANCEL decisions whose targets nobody has read before them, and of these targets.

    A row that the database got after its CANCEL is read after it.

    Args:
        decisions: rows in the order in which they were read.
        elsewhere: decisions that were read before, or that end otherwise.
    """
    places = {decision.id: place for place, decision in enumerate(decisions)}
    ended: dict[DecisionId, Refusal] = {}
    for place, cancel in enumerate(decisions):
        target = cancel.target
        if cancel.action is not Action.CANCEL or cancel.id in ended or target is None or not target.pending:
            continue
        id_ = target.decision_id
        if id_ is None or id_ in elsewhere or id_ in ended or places.get(id_, len(places)) <= place:
            continue
        refusal = CancelOrders(cancel.id, cancel.portfolio, id_, before_sizing=(id_,)).without_orders()
        ended |= {one.decision_id: one for one in refusal.together}
    return list(ended.values())
