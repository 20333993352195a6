"""The open orders of all portfolios, as they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import psycopg

from domain.trading.instruments import Instrument
from domain.trading.open_orders.open_order import OpenOrder, OpenOrders, TrailingMark
from domain.trading.open_orders.targets import parse_targets
from domain.trading.open_orders.terms import NO_EXITS
from domain.trading.orders import Costs, ExecutionRules, ExitPlan, Level, Order, Target, Trail, dollar_of_rules
from domain.trading.portfolio import NO_OPEN_ORDERS
from domain.types import Epoch, Generation, OrderType, PortfolioName, PriceRule, Side, TimeInForce
from persistence.rows import columns_of, from_row, named_rows, one_row

OF_FILLS = ("filled", "fills", "notional", "paid")
"""Fields of an open order that are sums over its fills."""

NO_RULES = ("maker_fee", "taker_fee", "dollar")
"""Costs that no rule of a portfolio sets: two an order has of its venue, one follows from the currency."""

# An open order keeps the rules of its acceptance.
READ_OPEN_ORDERS = f"""
SELECT o.order_id, o.decision_id, o.portfolio, o.leg, o.seq, o.symbol, o.quote_currency, o.tick, o.step, o.asset_class,
       o.min_quantity, o.min_notional, o.side, o.order_type, o.quantity, o.created_at, o.strategy, o.note,
       o.limit_price, o.stop_price, o.time_in_force, o.order_expires_at, o.post_only, o.reduce_only, o.parent,
       o.amended, o.config_revision, o.stop_loss, o.stop_loss_pct, o.take_profit, o.take_profit_pct,
       o.take_profits::text, o.trailing_stop, o.trailing_stop_pct, o.trail, o.trail_pct, o.trail_mark,
       o.trail_data_no, o.slippage, o.since, o.since_at, o.reserved, o.triggered_at, o.price_source, o.calendar,
       o.rules_version, c.currency,
       {", ".join(f"r.{name}" for name in (*columns_of(Costs, NO_RULES), *columns_of(ExecutionRules)))},
       o.maker_fee, o.taker_fee, {", ".join(f"f.{name}" for name in OF_FILLS)}, f.charged
FROM paper_orders o
JOIN paper_trading_config c ON c.portfolio = o.portfolio
LEFT JOIN paper_portfolio_rules r ON r.portfolio = o.portfolio AND r.revision = o.config_revision
CROSS JOIN LATERAL (
    SELECT coalesce(sum(f.quantity), 0) + o.split_quantity AS filled, count(*) AS fills,
           coalesce(sum(f.notional), 0) AS notional, coalesce(sum(f.commission), 0) AS paid,
           coalesce(sum(f.notional * coalesce(CASE f.liquidity WHEN 'maker' THEN o.maker_fee ELSE o.taker_fee END,
                                              r.commission_pct)), 0) AS charged
    FROM paper_fills f WHERE f.order_id = o.order_id
) f
WHERE o.status = 'open' ORDER BY o.portfolio, o.seq
"""


READ_MATCHED = """
SELECT o.portfolio, o.symbol, last.data_no, last.at
FROM (SELECT DISTINCT portfolio, symbol FROM paper_orders WHERE status = 'open') o
CROSS JOIN LATERAL (
    (SELECT f.data_no, CASE WHEN f.time_mark = 'impossible time' THEN f.price_seen_at
                           ELSE least(f.price_time, f.price_seen_at) END AS at
     FROM paper_fills f
     WHERE f.portfolio = o.portfolio AND f.symbol = o.symbol AND f.liquidity = 'maker' AND f.data_no IS NOT NULL
     ORDER BY f.data_no DESC LIMIT 1)
    UNION ALL
    (SELECT e.data_no, CASE WHEN e.time_mark = 'impossible time' THEN e.price_seen_at
                           ELSE least(e.price_time, e.price_seen_at) END
     FROM paper_order_events e
     WHERE e.portfolio = o.portfolio AND e.symbol = o.symbol AND e.kind = 'triggered'
     ORDER BY e.data_no DESC LIMIT 1)
    ORDER BY data_no DESC LIMIT 1
) last
"""
"""Number and time of the last data that filled or triggered an open order of a symbol; each has an index of its own."""


def read_open_orders(cursor: psycopg.Cursor) -> dict[PortfolioName, OpenOrders]:
    """Return the open orders of each portfolio that has any, in the order of their acceptance."""
    by_portfolio: dict[PortfolioName, OpenOrders] = {}
    for row in named_rows(cursor, READ_OPEN_ORDERS):
        name = row["portfolio"]
        by_portfolio[name] = by_portfolio.get(name, NO_OPEN_ORDERS).updated(_open_order(row))
    for name, symbol, number, at in cursor.execute(READ_MATCHED).fetchall():
        by_portfolio[name] = by_portfolio[name].matched_up_to(symbol, number, at)
    return by_portfolio


def _open_order(row: Mapping[str, Any]) -> OpenOrder:
    return OpenOrder(
        order_from_row(row),
        row["since"],
        charged=row["charged"],
        slippage=row["slippage"],
        reserved=row["reserved"],
        triggered_at=row["triggered_at"],
        mark=row["trail_mark"],
        mark_no=row["trail_data_no"] or 0,
        since_at=row["since_at"],
        **{name: row[name] for name in OF_FILLS},
    )


def order_from_row(row: Mapping[str, Any]) -> Order:
    """Return the order of a row with the rules of its acceptance.

    An order that was filled at once has no step and no smallest amounts stored, and needs none any more; one of the
    first version of the rules has neither tick nor price rule.
    """
    numbers = {name: row[name] for name in ("tick", "step", "min_notional", "min_quantity") if row[name] is not None}
    instrument = Instrument(row["symbol"], row["quote_currency"], asset_class=row["asset_class"], **numbers)
    force = row["time_in_force"]
    only = _level(row, "take_profit")
    several = parse_targets(row["take_profits"]) if row["take_profits"] is not None else ()
    targets = several if only is None else (Target(only),)
    plan = ExitPlan(_level(row, "stop_loss"), targets, _trail(row, "trailing_stop"))
    return Order(
        order_id=row["order_id"],
        decision_id=row["decision_id"],
        portfolio=row["portfolio"],
        leg=row["leg"],
        seq=row["seq"],
        instrument=instrument,
        side=Side(row["side"]),
        order_type=OrderType(row["order_type"]),
        quantity=row["quantity"],
        costs=from_row(Costs, row, dollar=dollar_of_rules(row["rules_version"], row["currency"])),
        execution=from_row(ExecutionRules, row, price_rule=PriceRule(row["price_rule"] or PriceRule.LAST)),
        created_at=row["created_at"],
        strategy=row["strategy"],
        note=row["note"] or "",
        limit_price=row["limit_price"],
        stop_price=row["stop_price"],
        time_in_force=None if force is None else TimeInForce(force),
        expires_at=row["order_expires_at"],
        post_only=row["post_only"],
        reduce_only=row["reduce_only"],
        exits=plan if plan != NO_EXITS else None,
        parent=row["parent"],
        trail=_trail(row, "trail"),
        rules_revision=row["config_revision"],
        amended=row["amended"],
        price_source=row["price_source"],
        calendar=row["calendar"],
    )


def _level(row: Mapping[str, Any], name: str) -> Level | None:
    price: Decimal | None = row[name]
    fraction: Decimal | None = row[f"{name}_pct"]
    if price is not None:
        return Level(price)
    return Level(fraction, is_fraction=True) if fraction is not None else None


def _trail(row: Mapping[str, Any], name: str) -> Trail | None:
    level = _level(row, name)
    return Trail(level.value, level.is_fraction) if level is not None else None


# An order that was triggered in the meantime has its last mark with the trigger; one that got another trail has a newer
# one with that, and sees only data after it.
SAVE_MARKS = """
WITH fence AS MATERIALIZED (
    SELECT FROM paper_lease l CROSS JOIN paper_generation g
    WHERE l.epoch = %(epoch)s AND g.generation = %(generation)s FOR SHARE OF l, g
), saved AS (
    UPDATE paper_orders o SET trail_mark = m.mark, trail_data_no = m.data_no
    FROM unnest(%(order_ids)s::uuid[], %(marks)s::numeric[], %(data_nos)s::bigint[]) AS m(order_id, mark, data_no)
    WHERE o.order_id = m.order_id AND o.status = 'open' AND o.triggered_at IS NULL
      AND m.data_no > o.since AND EXISTS (SELECT FROM fence)
)
SELECT EXISTS (SELECT FROM fence)
"""


def save_marks(cursor: psycopg.Cursor, epoch: Epoch, generation: Generation, marks: Sequence[TrailingMark]) -> bool:
    """Write the marks of trailing orders that are open; return whether epoch and generation are the current ones."""
    parameters = {
        "epoch": epoch,
        "generation": generation,
        "order_ids": [mark.order_id for mark in marks],
        "marks": [mark.mark for mark in marks],
        "data_nos": [mark.data_no for mark in marks],
    }
    return bool(one_row(cursor, SAVE_MARKS, parameters)[0])
