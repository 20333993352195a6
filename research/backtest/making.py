"""Intents become decisions: the same that the intake of the live system makes, with ids that are always the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.trading.arithmetic import ONE, ZERO, storable
from domain.trading.decision import MAX_AMOUNT, CancelTarget, PendingDecision
from domain.trading.open_orders.terms import ANY_SYMBOL, MARKET, TARGETED, OrderTerms, flaw
from domain.types import Action, Instant, OrderId, OrderType, PortfolioName, TimeInForce
from research.strategy import Intent

RESEARCH = uuid5(NAMESPACE_URL, "paper-trading research")
"""The namespace of the ids of decisions that research makes."""
AMOUNTS = (
    "quantity", "limit_price", "stop_price", "stop_loss", "take_profit", "take_profit_pct", "trail", "trailing_stop",
)  # fmt: skip
PARTS = ("stop_loss_pct", "trail_pct", "trailing_stop_pct")
FRACTIONS = ("confidence", "risk_score")
NO_TERMS = (OrderType.MARKET, *(None,) * 12, (), False, False)


class InvalidIntent(Exception):
    """An intent that is no decision; the message is a clause."""


def namespace_of(name: str) -> UUID:
    """Return the namespace of the decisions of a strategy or a tape."""
    return uuid5(RESEARCH, name)


class DecisionMaker:
    """Makes the decisions of one portfolio, and numbers them.

    Args:
        portfolio: its name.
        strategy: name of the strategy where an intent names none.
    """

    def __init__(self, portfolio: PortfolioName, strategy: str | None) -> None:
        self.number = 0
        self._portfolio = portfolio
        self._strategy = strategy
        self._valid: set[tuple[Any, ...]] = set()

    def make(self, intent: Intent, symbol: str, uid: UUID, received: Instant) -> PendingDecision:
        """Return the decision that an intent is.

        Args:
            intent: what is wanted.
            symbol: where the intent names none.
            uid: of the decision.
            received: the present moment.

        Raises:
            InvalidIntent: it makes no sense.
        """
        if type(intent) is not Intent:
            raise InvalidIntent(f"{intent!r} is no Intent")
        action = intent.action if type(intent.action) is Action else _action(intent.action)
        quantity, confidence, risk = intent.quantity, intent.confidence, intent.risk_score
        if type(confidence) is not Decimal or not ZERO <= confidence <= ONE:
            raise InvalidIntent(_wrong("confidence", confidence, 'a Decimal from 0 to 1, such as Decimal("0.8")'))
        if quantity is not None:
            quantity = _amount("quantity", quantity)
        if risk is not None and (type(risk) is not Decimal or not ZERO <= risk <= ONE):
            raise InvalidIntent(_wrong("risk_score", risk, 'a Decimal from 0 to 1, such as Decimal("0.3")'))
        if intent.expires_at is not None:
            _require_aware("expires_at", intent.expires_at)
        terms = self._terms(intent, action, quantity)
        target = self._target(intent, symbol) if action in TARGETED else None
        if target is None and intent.target is not None:
            raise InvalidIntent("a CANCEL or AMEND needs a target, and no other decision has one")
        self.number += 1
        name = intent.symbol if intent.symbol is not None else symbol
        return PendingDecision(
            self.number, uid, ANY_SYMBOL if action is Action.AMEND else name, action, confidence, risk, quantity,
            intent.strategy or self._strategy, self._portfolio, received.time, intent.expires_at, received,
            terms=terms, target=target,
        )  # fmt: skip

    def _terms(self, intent: Intent, action: Action, quantity: Decimal | None) -> OrderTerms:
        values = (
            intent.order_type, intent.limit_price, intent.stop_price, intent.time_in_force, intent.order_expires_at,
            intent.stop_loss, intent.stop_loss_pct, intent.take_profit, intent.take_profit_pct, intent.trail,
            intent.trail_pct, intent.trailing_stop, intent.trailing_stop_pct, intent.take_profits, intent.post_only,
            intent.reduce_only,
        )  # fmt: skip
        if values == NO_TERMS and action in {Action.BUY, Action.SELL, Action.HOLD}:
            return MARKET
        terms = _checked_terms(intent)
        # What fits together depends on what is set, and not on the numbers, but for the shares of several targets.
        shape = (action, intent.target is None, quantity is None, terms.order_type, terms.time_in_force,
                 terms.post_only, terms.reduce_only, *(value is None for value in values[1:13]))  # fmt: skip
        if shape in self._valid and not terms.take_profits:
            return terms
        target = None if intent.target is None else str(intent.target)
        if (sentence := flaw(action, terms, target, quantity)) is not None:
            raise InvalidIntent(sentence)
        if not terms.take_profits:
            self._valid.add(shape)
        return terms

    def _target(self, intent: Intent, symbol: str) -> CancelTarget | None:
        target = intent.target
        if target == "all":
            return CancelTarget()
        if target == "symbol":
            return CancelTarget(symbol=intent.symbol if intent.symbol is not None else symbol)
        if isinstance(target, int) and not isinstance(target, bool):
            pending = None if 0 < target <= self.number else "there is no such decision"
            return CancelTarget(decision_id=target, flaw=pending)
        if isinstance(target, UUID):
            return CancelTarget(order_id=OrderId(target))
        return None if target is None else CancelTarget(flaw=f"there is no decision {target!r}")


def _checked_terms(intent: Intent) -> OrderTerms:
    values: dict[str, Any] = {}
    for name in AMOUNTS[1:]:
        value = getattr(intent, name)
        values[name] = None if value is None else _amount(name, value)
    for name in PARTS:
        value = getattr(intent, name)
        if value is not None and (type(value) is not Decimal or not ZERO < value < ONE):
            raise InvalidIntent(_wrong(name, value, 'a Decimal between 0 and 1, such as Decimal("0.05")'))
        values[name] = value
    if intent.order_expires_at is not None:
        _require_aware("order_expires_at", intent.order_expires_at)
    try:
        kind = OrderType(intent.order_type)
        force = None if intent.time_in_force is None else TimeInForce(intent.time_in_force)
    except ValueError as error:
        raise InvalidIntent(str(error)) from None
    return OrderTerms(
        order_type=kind, time_in_force=force, expires_at=intent.order_expires_at, post_only=intent.post_only,
        reduce_only=intent.reduce_only, take_profits=tuple(intent.take_profits), **values,
    )  # fmt: skip


def _action(value: object) -> Action:
    try:
        return Action(str(value).upper())
    except ValueError:
        raise InvalidIntent(_wrong("action", value, "BUY, SELL, HOLD, CANCEL, AMEND or PROTECT")) from None


def _amount(name: str, value: object) -> Decimal:
    """Return a price or quantity as the database stores it."""
    if type(value) is not Decimal or not value.is_finite() or not ZERO < value < MAX_AMOUNT:
        hint = "; view.rounded() and view.quantity() make one of a binary fraction" if isinstance(value, float) else ""
        raise InvalidIntent(_wrong(name, value, f"a Decimal above 0{hint}"))
    return storable(value)


def _require_aware(name: str, value: Any) -> None:
    if getattr(value, "tzinfo", None) is None:
        raise InvalidIntent(_wrong(name, value, "a time with a time zone"))


def _wrong(name: str, value: object, wanted: str) -> str:
    return f"{name} = {value!r} must be {wanted}"
