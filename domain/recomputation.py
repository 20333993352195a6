"""Recomputation of fills from their evidence: the rows of an order, of its fills, and of its portfolio's rules.

A row is a mapping by the names of the table's columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from domain.trading.arithmetic import CONTEXT, STORED_QUANTUM, ZERO, add, divide, negate, subtract, total
from domain.trading.execution import (
    Part,
    charge,
    fill_at,
    provide,
    slippage_factors,
    surcharged_notional,
    unrounded_price,
)
from domain.trading.instruments import Instrument
from domain.trading.orders import (
    RULES_VERSION,
    Costs,
    ExecutionRules,
    Fill,
    NotFilled,
    Order,
    SlippageFactors,
    dollar_of_rules,
)
from domain.trading.prices import base_price
from domain.trading.quotes import Quote
from domain.types import Instant, Liquidity, OrderId, OrderStatus, OrderType, PortfolioName, PriceRule, Side, Symbol

FIRST_RECOMPUTABLE = 2
"""The version of the rules since which an order has what its fills are computed from."""

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
class TakerSteps:
    """How the price of a taker's fill was found.

    Attributes:
        factors: of its slippage.
        offered: what the quote offered to the portfolio before its earlier orders took of it; None where unknown.
        surcharged: the value of what exceeds the size at the touch, in money.
        unrounded: the price before it is rounded to the tick, and capped at a limit.
    """

    factors: SlippageFactors
    offered: Decimal | None
    surcharged: Decimal
    unrounded: Decimal


@dataclass(frozen=True, slots=True)
class Recomputation:
    """A fill, computed again.

    Attributes:
        fill: the computed one.
        part: what it takes of its order, after the fills before it.
        steps: how its price was found; None for a maker, who gets its limit.
        differences: the values that the database holds otherwise.
    """

    fill: Fill | NotFilled
    part: Part
    steps: TakerSteps | None
    differences: tuple[Difference, ...]


def not_recomputable(order: Row) -> str | None:
    """Return why the fills of an order cannot be recomputed, as a clause; None where they can."""
    made_by = order["rules_version"]
    if made_by < FIRST_RECOMPUTABLE:
        return f"it was made by version {made_by} of the rules, which stored neither the price rule nor the tick"
    if made_by > RULES_VERSION:
        return f"it was made by version {made_by} of the rules, and this program knows up to {RULES_VERSION}"
    return None


def recompute_fill(order: Row, fill: Row, rules: Row, before: Sequence[Row] = ()) -> Recomputation:
    """Compute a fill again and compare it with its row.

    The size at the touch is taken from the row, because it depends on what earlier orders took from the same quote; it
    must not exceed what the quote offers.

    Args:
        order: the row of ``paper_orders``.
        fill: the row of ``paper_fills``.
        rules: the row of ``paper_portfolio_rules`` of the order's ``config_revision``.
        before: the rows of the order's earlier fills; what they paid of the commission counts.
    """
    sized = order_from_rows(order, rules)
    quote = quote_from_row(fill)
    part = Part(
        quantity=fill["quantity"],
        fill_no=len(before) + 1,
        charged=total(charge(row["notional"], sized.costs, _liquidity(row)) for row in before),
        paid=total(row["commission"] for row in before),
    )
    steps: TakerSteps | None = None
    computed: Fill | NotFilled
    if fill["liquidity"] == Liquidity.MAKER and sized.limit_price is not None:
        computed = provide(sized, part, quote, fill["filled_at"])
    else:
        offered = base_price(quote, sized.side, sized.execution)
        base = offered._replace(size=_touch_size(fill["touch_size"], offered.size))
        computed = fill_at(sized, part, quote, base, fill["filled_at"])
        factors = slippage_factors(sized, part.quantity, base)
        unrounded = unrounded_price(sized.side, base.price, factors.rate)
        steps = TakerSteps(factors, offered.size, surcharged_notional(part.quantity, base), unrounded)
    return Recomputation(computed, part, steps, _differences(fill["fill_no"], fill, _fill_columns(sized, computed)))


def recompute_fills(order: Row, fills: Sequence[Row], rules: Row, events: Sequence[Row] = ()) -> list[Recomputation]:
    """Compute all fills of an order again, in the order of their numbers; see `recompute_fill`.

    Args:
        order: the row of ``paper_orders``.
        fills: the rows of ``paper_fills``, all of the order.
        rules: the row of ``paper_portfolio_rules`` of the order's ``config_revision``.
        events: the rows of ``paper_order_events`` of the order: each fill is by the limit that it had at that version.
    """
    return [
        recompute_fill({**order, **_prices_before(fill, events)}, fill, rules, fills[:place])
        for place, fill in enumerate(fills)
    ]


def _prices_before(fill: Row, events: Sequence[Row]) -> dict[str, Value]:
    """Return the prices of an order when it was filled; none where it has no earlier event."""
    earlier = [event for event in events if fill["version"] is not None and event["version"] < fill["version"]]
    if not earlier:
        return {}
    last = max(earlier, key=lambda event: int(event["version"]))
    return {name: last[name] for name in ("limit_price", "stop_price")}


def recompute_order(order: Row, fills: Sequence[Fill], rules: Row) -> tuple[Difference, ...]:
    """Compare an order's price rule with its portfolio's rules, and its totals with its computed fills.

    Args:
        order: the row of ``paper_orders``.
        fills: all of its fills, computed.
        rules: the row of ``paper_portfolio_rules`` of the order's ``config_revision``.
    """
    # In the present units: a split has changed those of earlier fills.
    quantity = add(total(fill.quantity for fill in fills), order.get("split_quantity", ZERO))
    expected: dict[str, Value] = {
        "price_rule": rules["price_rule"],
        "filled_quantity": quantity,
        "commission": total(fill.commission for fill in fills),
        "slippage": total(fill.slippage for fill in fills),
    }
    if order["status"] == OrderStatus.FILLED:
        expected["quantity"] = expected["filled_quantity"]
    if fills:
        notional = total(fill.notional for fill in fills)
        average = CONTEXT.quantize(divide(notional, quantity), STORED_QUANTUM)
        # A market order stores the price of its only fill; the notional is rounded, so their quotient may differ.
        expected["average_fill_price"] = fills[0].price if order["order_type"] == OrderType.MARKET else average
    return _differences(None, order, expected)


def _liquidity(fill: Row) -> Liquidity:
    return Liquidity.MAKER if fill["liquidity"] == Liquidity.MAKER else Liquidity.TAKER


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
        costs=Costs(
            rules["slippage_pct"],
            rules["commission_pct"],
            rules["min_commission"],
            order["maker_fee"],
            order["taker_fee"],
            dollar_of_rules(order["rules_version"], rules["currency"]),
        ),
        execution=ExecutionRules(PriceRule(order["price_rule"]), rules["max_touch_share"]),
        created_at=order["created_at"],
        strategy=order["strategy"],
        limit_price=order["limit_price"],
        stop_price=order["stop_price"],
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
        is_trade=fill["is_trade"],
    )


def _fill_columns(order: Order, fill: Fill | NotFilled) -> dict[str, Value]:
    """Return the computed columns of a fill's row; a sentence as its price where the rules give no fill."""
    if isinstance(fill, NotFilled):
        return {"price": fill.reason}
    buys, costs = order.side is Side.BUY, fill.costs
    return {
        "symbol": order.instrument.symbol,
        "side": order.side.value,
        "fill_no": Decimal(fill.fill_no),
        "liquidity": fill.liquidity.value,
        "base_price": fill.base_price,
        "touch_size": fill.touch_size,
        "slippage_rate": fill.slippage_rate,
        "price": fill.price,
        "notional": fill.notional,
        "commission": fill.commission,
        "cash_delta": negate(add(fill.notional, fill.commission)) if buys else subtract(fill.notional, fill.commission),
        "asset_delta": fill.quantity if buys else negate(fill.quantity),
        "spread_cost": costs.spread,
        "slippage_cost": costs.slippage,
        "size_cost": costs.size,
        "random_cost": costs.random,
    }
