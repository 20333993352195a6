"""Recomputation of fills from their evidence: the rows of an order, of its fills, and of its portfolio's rules.

A row is a mapping by the names of the table's columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from domain.trading.arithmetic import ZERO, add, negate, subtract, total
from domain.trading.execution import (
    SlippageFactors,
    fill_at,
    slippage_factors,
    surcharged_notional,
    unrounded_price,
)
from domain.trading.instruments import Instrument
from domain.trading.orders import RULES_VERSION, Costs, ExecutionRules, Fill, NotFilled, Order
from domain.trading.prices import base_price
from domain.trading.quotes import Quote
from domain.types import Instant, OrderId, OrderType, PortfolioName, PriceRule, Side, Symbol

Row: TypeAlias = Mapping[str, Any]
Value: TypeAlias = Decimal | str | None


class Difference(NamedTuple):
    """A value that is not what the evidence gives.

    Attributes:
        fill_no: of the fill; None for a value of the order.
        name: the column.
        stored: the value in the database.
        computed: the value that the rules give; a sentence where they give no fill.
    """

    fill_no: int | None
    name: str
    stored: Value
    computed: Value


@dataclass(frozen=True, slots=True)
class Recomputation:
    """A fill, computed again.

    Attributes:
        fill: the computed one.
        factors: of its slippage.
        offered: what the quote offered to the portfolio before its earlier orders took of it; None where unknown.
        surcharged: the value of what exceeds the size at the touch, in money.
        unrounded: the price before it is rounded to the tick.
        differences: the values that the database holds otherwise.
    """

    fill: Fill | NotFilled
    factors: SlippageFactors
    offered: Decimal | None
    surcharged: Decimal
    unrounded: Decimal
    differences: tuple[Difference, ...]


def not_recomputable(order: Row) -> str | None:
    """Return why the fills of an order cannot be recomputed, as a clause; None where they can."""
    made_by = order["rules_version"]
    if made_by < RULES_VERSION:
        return f"it was made by version {made_by} of the rules, which stored neither the price rule nor the tick"
    if made_by > RULES_VERSION:
        return f"it was made by version {made_by} of the rules, and this program knows up to {RULES_VERSION}"
    return None


def recompute_fill(order: Row, fill: Row, rules: Row) -> Recomputation:
    """Compute a fill again and compare it with its row.

    The size at the touch is taken from the row, because it depends on what earlier orders took from the same quote; it
    must not exceed what the quote offers.

    Args:
        order: the row of ``paper_orders``.
        fill: the row of ``paper_fills``.
        rules: the row of ``paper_portfolio_rules`` of the order's ``config_revision``.
    """
    part = replace(order_from_rows(order, rules), quantity=fill["quantity"])
    quote = quote_from_row(fill)
    offered = base_price(quote, part.side, part.execution)
    base = offered._replace(size=_touch_size(fill["touch_size"], offered.size))
    computed = fill_at(part, quote, base, fill["filled_at"])
    factors = slippage_factors(part, base)
    return Recomputation(
        fill=computed,
        factors=factors,
        offered=offered.size,
        surcharged=surcharged_notional(part.quantity, base),
        unrounded=unrounded_price(part.side, base.price, factors.rate),
        differences=_differences(fill["fill_no"], fill, _fill_columns(part, computed)),
    )


def recompute_order(order: Row, fills: Sequence[Fill], rules: Row) -> tuple[Difference, ...]:
    """Compare an order's price rule with its portfolio's rules, and its totals with its computed fills.

    Args:
        order: the row of ``paper_orders``.
        fills: all of its fills, computed.
        rules: the row of ``paper_portfolio_rules`` of the order's ``config_revision``.
    """
    expected: dict[str, Value] = {
        "price_rule": rules["price_rule"],
        "filled_quantity": total(fill.quantity for fill in fills),
        "commission": total(fill.commission for fill in fills),
        "slippage": total(fill.slippage for fill in fills),
    }
    if order["status"] == "filled":
        expected["quantity"] = expected["filled_quantity"]
    if len(fills) == 1:
        expected["average_fill_price"] = fills[0].price
    return _differences(None, order, expected)


def _touch_size(stored: Decimal | None, offered: Decimal | None) -> Decimal | None:
    """Return the size at the touch that a fill's row states, or what the quote offered where that cannot be."""
    possible = stored is not None and offered is not None and ZERO <= stored <= offered
    return stored if possible else offered


def _differences(fill_no: int | None, row: Row, expected: Mapping[str, Value]) -> tuple[Difference, ...]:
    return tuple(Difference(fill_no, name, row[name], value) for name, value in expected.items() if row[name] != value)


def order_from_rows(order: Row, rules: Row) -> Order:
    """Return an order from its row and that of its portfolio's rules."""
    return Order(
        order_id=OrderId(order["order_id"]),
        decision_id=order["decision_id"],
        portfolio=PortfolioName(order["portfolio"]),
        leg=order["leg"],
        seq=order["seq"],
        instrument=Instrument(Symbol(order["symbol"]), None, tick=order["tick"], asset_class=order["asset_class"]),
        side=Side(order["side"]),
        order_type=OrderType(order["order_type"]),
        quantity=order["quantity"],
        costs=Costs(rules["slippage_pct"], rules["commission_pct"], rules["min_commission"]),
        execution=ExecutionRules(PriceRule(order["price_rule"]), rules["max_touch_share"]),
        created_at=order["created_at"],
        strategy=order["strategy"],
        limit_price=order["limit_price"],
    )


def quote_from_row(fill: Row) -> Quote:
    """Return the market data that a fill met, from its row."""
    return Quote(
        symbol=Symbol(fill["symbol"]),
        price=fill["last_price"],
        price_time=fill["price_time"],
        seen=Instant(fill["price_seen_at"], 0.0),
        source=fill["price_source"],
        real=fill["real_prices"],
        bid=fill["bid"],
        ask=fill["ask"],
        bid_size=fill["bid_size"],
        ask_size=fill["ask_size"],
        last_size=fill["last_size"],
    )


def _fill_columns(order: Order, fill: Fill | NotFilled) -> dict[str, Value]:
    """Return the computed columns of a fill's row; a sentence as its price where the rules give no fill."""
    if isinstance(fill, NotFilled):
        return {"price": fill.reason}
    buys = order.side is Side.BUY
    return {
        "symbol": order.instrument.symbol,
        "side": order.side.value,
        "liquidity": fill.liquidity.value,
        "base_price": fill.base_price,
        "touch_size": fill.touch_size,
        "slippage_rate": fill.slippage_rate,
        "price": fill.price,
        "notional": fill.notional,
        "commission": fill.commission,
        "cash_delta": negate(add(fill.notional, fill.commission)) if buys else subtract(fill.notional, fill.commission),
        "asset_delta": fill.quantity if buys else negate(fill.quantity),
        "spread_cost": fill.costs.spread,
        "slippage_cost": fill.costs.slippage,
        "size_cost": fill.costs.size,
        "random_cost": fill.costs.random,
    }
