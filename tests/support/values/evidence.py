"""Rows of the evidence of fills, as the database returns them: numbers rounded to their columns' scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

from domain.trading.arithmetic import CONTEXT, MONEY_QUANTUM, STORED_QUANTUM
from domain.trading.bookkeeping import Result, apply
from domain.trading.events import Filled, SizingEvidence
from domain.trading.instruments import Instrument
from domain.trading.open_orders.matching import match_market_order
from domain.trading.orders import Costs, ExecutionRules, Order
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import Quote
from domain.types import OrderId, PriceRule
from persistence.stores.books.rows import accepted_row, event_row, fill_row, order_changes, order_row
from tests.support.values.builders import NOON, Number, costs, instant, instrument, market_order, rules

TERMS = (
    "limit_price", "stop_price", "trail", "trail_pct", "time_in_force", "order_expires_at", "post_only", "reduce_only",
    "stop_loss", "stop_loss_pct", "take_profit", "take_profit_pct", "take_profits", "trailing_stop",
    "trailing_stop_pct",
)  # fmt: skip
"""Columns of a decision that say how its order is executed; all are empty in an adopted table."""

MONEY = {
    "notional", "commission", "cash_delta", "slippage", "min_commission", "spread_cost", "slippage_cost", "size_cost",
    "random_cost",
}  # fmt: skip
"""Columns of scale 12; the others have scale 18."""

AT_ONCE: dict[str, Any] = {
    "limit_price": None, "stop_price": None, "present_stop": None, "trail": None, "trail_pct": None, "trail_mark": None,
    "time_in_force": None, "order_expires_at": None, "post_only": False, "amended": False,
    "parent": None, "reserved": Decimal(0), "triggered_at": None, "ended_at": None, "end_reason": None, "note": None,
}  # fmt: skip
"""Columns of ``paper_orders`` that an order which is filled at once leaves at their defaults."""


@dataclass(frozen=True)
class Evidence:
    """The rows of an order, its only fill, and its portfolio's rules."""

    order: dict[str, Any]
    fill: dict[str, Any]
    rules: dict[str, Any]


def stored(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its numbers as NUMERIC returns them: rounded half up, with trailing zeros."""
    return {
        name: CONTEXT.quantize(value, MONEY_QUANTUM if name in MONEY else STORED_QUANTUM)
        if isinstance(value, Decimal)
        else value
        for name, value in row.items()
    }


def evidence_of(result: Result) -> Evidence:
    """Return the rows that are stored of a fill."""
    return Evidence(AT_ONCE | stored(order_row(result)), stored(fill_row(result)), rules_row(result.state.rules))


def rules_row(of: PortfolioRules) -> dict[str, Any]:
    """Return the row of ``paper_portfolio_rules`` of a portfolio's present rules, and its currency."""
    return stored({
        "portfolio": of.portfolio, "currency": of.currency, "revision": of.revision,
        "slippage_pct": of.costs.slippage_pct,
        "commission_pct": of.costs.commission_pct, "min_commission": of.costs.min_commission,
        "price_rule": of.execution.price_rule.value, "max_touch_share": of.execution.max_touch_share,
    })  # fmt: skip


class OrderRows(NamedTuple):
    """The rows of an order that was filled, in whole or in part."""

    order: dict[str, Any]
    fills: list[dict[str, Any]]
    rules: dict[str, Any]
    events: list[dict[str, Any]]


def orders_with_fills(results: Sequence[Result]) -> Iterator[OrderRows]:
    """Yield the rows of each order that has a fill after these results."""
    changes = order_changes(results, [None] * len(results))
    fills: dict[OrderId, list[Result]] = {}
    events: dict[OrderId, list[dict[str, Any]]] = {}
    for result in results:
        if isinstance(result.event, Filled):
            fills.setdefault(result.order.order_id, []).append(result)
        else:
            events.setdefault(result.order.order_id, []).append(stored(event_row(result)))
    for order_id, of_order in fills.items():
        change = changes.get(order_id)
        row = order_row(of_order[0]) if change is None else accepted_row(change)
        rows = [stored(fill_row(one)) for one in of_order]
        yield OrderRows(AT_ONCE | stored(row), rows, rules_row(of_order[0].state.rules), events.get(order_id, []))


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
    sizing = SizingEvidence(quote, Decimal(10_000), {}, {}, order.seq - 1, Decimal(taken))
    event = match_market_order(market_order()._replace(order=order, sizing=sizing), NOON)
    assert isinstance(event, Filled), event
    return event


def met_evidence(event: Filled) -> Evidence:
    """Return the rows of a fill that `met` made."""
    order = event.order
    portfolio = replace(rules(costs=order.costs), execution=order.execution)
    return evidence_of(apply(PortfolioState.opened(portfolio), event))
