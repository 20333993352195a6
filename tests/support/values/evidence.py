"""Rows of the evidence of fills, as the database returns them: numbers rounded to their columns' scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from domain.trading.arithmetic import CONTEXT
from domain.trading.events import Filled, SizingEvidence
from domain.trading.execution import match_market_order
from domain.trading.instruments import Instrument
from domain.trading.orders import RULES_VERSION, Costs, ExecutionRules, Order
from domain.trading.portfolio import PortfolioRules
from domain.trading.quotes import Quote
from domain.types import PriceRule
from tests.support.values.builders import NOON, Number, costs, instant, instrument, market_order, rules

MONEY = {
    "notional", "commission", "cash_delta", "slippage", "min_commission", "spread_cost", "slippage_cost", "size_cost",
    "random_cost",
}  # fmt: skip
"""Columns of scale 12; the others have scale 18."""


@dataclass(frozen=True)
class Evidence:
    """The rows of an order, its only fill, and its portfolio's rules."""

    order: dict[str, Any]
    fill: dict[str, Any]
    rules: dict[str, Any]


def stored(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its numbers as NUMERIC returns them: rounded half up, with trailing zeros."""
    scales = {name: 12 if name in MONEY else 18 for name in row}
    return {
        name: Decimal(f"{CONTEXT.quantize(value, Decimal(1).scaleb(-scales[name])):f}")
        if isinstance(value, Decimal)
        else value
        for name, value in row.items()
    }


def evidence_of(event: Filled, of: PortfolioRules) -> Evidence:
    """Return the rows that are stored of a fill."""
    order, sizing, fill = event.order, event.sizing, event.fill
    quote, buys = fill.quote, order.side == "BUY"
    signed = Decimal(1) if buys else Decimal(-1)
    return Evidence(
        stored({
            "order_id": order.order_id, "decision_id": order.decision_id, "portfolio": order.portfolio,
            "leg": order.leg, "seq": order.seq, "symbol": order.instrument.symbol,
            "asset_class": order.instrument.asset_class,
            "side": order.side.value, "order_type": order.order_type.value, "quantity": order.quantity,
            "limit_price": order.limit_price, "status": "filled", "filled_quantity": fill.quantity,
            "average_fill_price": fill.price, "commission": fill.commission, "slippage": fill.slippage,
            "strategy": order.strategy, "config_revision": sizing.rules_revision, "equity": sizing.equity,
            "created_at": order.created_at, "filled_at": fill.filled_at, "rules_version": RULES_VERSION,
            "price_rule": order.execution.price_rule.value, "tick": order.instrument.tick,
        }),
        stored({
            "order_id": order.order_id, "fill_no": fill.fill_no, "portfolio": order.portfolio,
            "symbol": order.instrument.symbol, "side": order.side.value, "quantity": fill.quantity,
            "price": fill.price, "base_price": fill.base_price, "price_time": quote.price_time,
            "price_seen_at": quote.seen_at, "price_source": quote.source, "real_prices": quote.real,
            "last_price": quote.price, "bid": quote.bid, "ask": quote.ask, "bid_size": quote.bid_size,
            "ask_size": quote.ask_size, "last_size": quote.last_size, "touch_size": fill.touch_size,
            "slippage_rate": fill.slippage_rate, "notional": fill.notional, "commission": fill.commission,
            "cash_delta": -signed * fill.notional - fill.commission, "asset_delta": signed * fill.quantity,
            "spread_cost": fill.costs.spread, "slippage_cost": fill.costs.slippage, "size_cost": fill.costs.size,
            "random_cost": fill.costs.random, "liquidity": fill.liquidity.value, "filled_at": fill.filled_at,
        }),
        stored({
            "portfolio": of.portfolio, "revision": of.revision, "slippage_pct": of.costs.slippage_pct,
            "commission_pct": of.costs.commission_pct, "min_commission": of.costs.min_commission,
            "price_rule": of.execution.price_rule.value, "max_touch_share": of.execution.max_touch_share,
        }),
    )  # fmt: skip


def met(
    side: str,
    quantity: Number,
    last: Number,
    bid: Number | None = None,
    ask: Number | None = None,
    *,
    offered: Number | None = None,
    taken: Number = 0,
    costs: Costs = costs(),  # noqa: B008
    rule: PriceRule = PriceRule.QUOTE,
    of: Instrument = instrument(),  # noqa: B008
) -> Filled:
    """Return the fill of an order, number 1 of its portfolio, with a quote.

    Args:
        side: of the order.
        quantity: of the order.
        last: price of the last trade.
        bid: None where unknown.
        ask: None where unknown.
        offered: the size at the touch, on both sides; None where unknown.
        taken: what earlier orders took from it.
        costs: of the portfolio.
        rule: of the portfolio.
        of: the instrument.
    """
    execution = ExecutionRules(rule)
    order: Order = market_order(side, quantity, last, costs=costs, instrument=of, execution=execution).order
    size = None if offered is None else Decimal(offered)
    quote = Quote(
        of.symbol, Decimal(last), NOON, instant(NOON), "test", real=True,
        bid=None if bid is None else Decimal(bid), ask=None if ask is None else Decimal(ask),
        bid_size=size, ask_size=size,
    )  # fmt: skip
    sizing = SizingEvidence(quote, Decimal(10_000), {}, {}, order.seq - 1, 1, Decimal(taken))
    event = match_market_order(replace(market_order(), order=order, sizing=sizing), NOON)
    assert isinstance(event, Filled), event
    return event


def met_evidence(event: Filled) -> Evidence:
    """Return the rows of a fill that `met` made."""
    order = event.order
    return evidence_of(event, replace(rules(costs=order.costs), execution=order.execution))
