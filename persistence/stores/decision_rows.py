"""Rows of ``trading_decisions`` as the DecisionWatcher reads them: what may be wrong with one, and its terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from domain.trading.decision import MAX_AMOUNT
from domain.trading.open_orders.targets import parse_targets
from domain.trading.open_orders.terms import FORCES, MARKET, ORDER_TYPES, OrderTerms, contradiction
from domain.trading.orders import Target
from domain.types import Action, OrderType, TimeInForce
from domain.wording import alternatives

Check = tuple[str, Callable[[Decimal], bool]]
_FRACTION: Check = ("a number from 0 to 1", lambda number: 0 <= number <= 1)
_AMOUNT: Check = ("a number above 0", lambda number: 0 < number < MAX_AMOUNT)
STORED_NUMBERS: Mapping[str, Check] = {
    "confidence": _FRACTION,
    "risk_score": _FRACTION,
    "quantity": _AMOUNT,
    "limit_price": _AMOUNT,
    "stop_price": _AMOUNT,
    "stop_loss": _AMOUNT,
    "stop_loss_pct": ("a number above 0 and below 1", lambda number: 0 < number < 1),
    "take_profit": _AMOUNT,
    "take_profit_pct": _AMOUNT,
    "trail": _AMOUNT,
    "trail_pct": ("a number above 0 and below 1", lambda number: 0 < number < 1),
    "trailing_stop": _AMOUNT,
    "trailing_stop_pct": ("a number above 0 and below 1", lambda number: 0 < number < 1),
}
"""The numbers of a stored decision: what each is, and the check."""
_ACTIONS = frozenset(Action)
_WORDS: Mapping[str, tuple[str, ...]] = {"order_type": ORDER_TYPES, "time_in_force": FORCES}
_TERMS = (
    "limit_price", "stop_price", "time_in_force", "order_expires_at", "post_only", "reduce_only", "stop_loss",
    "stop_loss_pct", "take_profit", "take_profit_pct", "take_profits", "trail", "trail_pct", "trailing_stop",
    "trailing_stop_pct",
)  # fmt: skip
"""The columns that a plain market order leaves empty, or false."""


def row_flaw(row: Mapping[str, Any]) -> str | None:
    """Return what is invalid in a stored decision, None where it is valid.

    The table's constraints prevent invalid rows, unless they were dropped.

    Args:
        row: the columns of its row that an order depends on, by name; its numbers are Decimals.
    """
    decision = row["decision"]
    if not isinstance(decision, str) or decision.strip().upper() not in _ACTIONS:
        return f"decision is {decision!r}, which is not {alternatives(tuple(Action))}"
    for name, (requirement_of, holds) in STORED_NUMBERS.items():
        number = row[name]
        if number is None and name != "confidence":
            continue
        if number is None or not (number.is_finite() and holds(number)):
            return f"{name} is {number}, which is not {requirement_of}"
    missing = next((name for name in ("symbol", "portfolio", "created_at") if row[name] is None), None)
    if missing is not None:
        return f"it has no {missing}"
    for name, words in _WORDS.items():
        if row[name] is not None and row[name] not in words:
            return f"{name} is {row[name]!r}, which is not {alternatives(words)}"
    try:
        _targets(row)
    except ValueError as error:
        return f"take_profits {error}"
    return contradiction(
        Action(decision.strip().upper()), row["symbol"], row_terms(row), row["target"], row["quantity"]
    )


def _targets(row: Mapping[str, Any]) -> tuple[Target, ...]:
    return parse_targets(row["take_profits"]) if row["take_profits"] is not None else ()


def row_terms(row: Mapping[str, Any]) -> OrderTerms:
    """Return how the order of a stored decision is to be executed; the row is valid."""
    if row["order_type"] in {None, OrderType.MARKET} and not any(map(row.__getitem__, _TERMS)):
        return MARKET
    force = row["time_in_force"]
    return OrderTerms(
        OrderType(row["order_type"] or OrderType.MARKET), row["limit_price"], row["stop_price"],
        None if force is None else TimeInForce(force), row["order_expires_at"], bool(row["post_only"]),
        bool(row["reduce_only"]), row["stop_loss"], row["stop_loss_pct"], row["take_profit"], row["take_profit_pct"],
        _targets(row),
        row["trail"], row["trail_pct"], row["trailing_stop"], row["trailing_stop_pct"],
    )  # fmt: skip
