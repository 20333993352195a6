"""The committed states of portfolios, read without their history."""

from __future__ import annotations

from collections import defaultdict

import psycopg

from domain.currencies import about_one_dollar
from domain.immutable.maps import ImmutableMap
from domain.trading.arithmetic import CONTEXT
from domain.trading.orders import Costs, ExecutionRules
from domain.trading.portfolio import (
    NO_FLOWS,
    NO_OPEN_ORDERS,
    NO_PROGRESS,
    PortfolioRules,
    PortfolioState,
    Position,
    Taken,
)
from domain.types import FeeRule, PositionSide, PriceRule, Symbol
from persistence.rows import Row, columns_of, from_row, named_rows
from persistence.stores.books.account import read_flows
from persistence.stores.books.open_orders import NO_RULES, read_open_orders
from persistence.stores.books.states import READ_PROGRESS, progress_from_row

READ_POSITIONS = f"""
SELECT {", ".join(columns_of(Position, ("last_price",)))}, portfolio, current_price AS last_price FROM paper_positions
"""

RULES = (
    *columns_of(PortfolioRules, ("costs", "execution", "halted", "shown_as")),
    *columns_of(Costs, NO_RULES),
    *columns_of(ExecutionRules),
)
"""Columns of a portfolio's rules."""

PRICE_SOURCE = "(SELECT s.price_source FROM v_paper_portfolio_sources s WHERE s.portfolio_id = c.portfolio)"

READ_RULES = f"""
SELECT {", ".join(f"c.{name}" for name in RULES)}, c.current_capital, c.closed_at, c.replaced_at, h.reason AS halted,
       CASE WHEN c.replaced_at IS NULL THEN c.name ELSE c.name || '@' || c.life END AS shown_as,
       {{source}} AS price_source
FROM paper_trading_config c LEFT JOIN v_paper_halted h ON h.portfolio_id = c.portfolio ORDER BY c.portfolio
"""

# The index (portfolio, seq) gives each last number at once, with any length of history.
READ_VERSIONS = """
SELECT portfolio, coalesce((SELECT version FROM paper_portfolio_state s WHERE s.portfolio = c.portfolio),
                           (SELECT max(seq) FROM paper_orders o WHERE o.portfolio = c.portfolio))
FROM paper_trading_config c
"""
"""The version of each portfolio; without an event since its orders have one, the number of its last order."""

# No order uses a quote that is a minute older than the newest order.
READ_TAKEN = """
SELECT portfolio, symbol, price_seen_at AS seen_at,
       coalesce(sum(quantity) FILTER (WHERE side = 'BUY'), 0) AS bought,
       coalesce(sum(quantity) FILTER (WHERE side = 'SELL'), 0) AS sold
FROM (
    SELECT f.portfolio, f.symbol, f.side, f.price_seen_at, least(f.quantity, f.touch_size) AS quantity,
           max(f.price_seen_at) OVER (PARTITION BY f.portfolio, f.symbol) AS newest
    FROM (
        SELECT order_id FROM paper_orders
        WHERE created_at > (SELECT max(created_at) FROM paper_orders) - interval '1 minute'
        UNION
        SELECT e.order_id FROM paper_portfolio_state s JOIN paper_order_events e USING (portfolio)
        WHERE e.version > s.version - 1000 AND e.kind IN ('triggered', 'amended')
    ) o
    -- OFFSET 0 keeps it a lookup for each order: without statistics a join would read the fills of all time.
    CROSS JOIN LATERAL (SELECT * FROM paper_fills WHERE order_id = o.order_id AND touch_size IS NOT NULL OFFSET 0) f
) recent
WHERE price_seen_at = newest GROUP BY portfolio, symbol, price_seen_at
"""
"""What the portfolios' orders took from the touch of the newest quote of each symbol."""


def read_states(cursor: psycopg.Cursor) -> tuple[PortfolioState, ...]:
    """Return the committed state of every portfolio, without its history.

    Args:
        cursor: of a transaction in which all queries see the same snapshot of the database.
    """
    rules = named_rows(cursor, READ_RULES.format(source=PRICE_SOURCE))
    last = cursor.execute(READ_VERSIONS).fetchall()
    open_orders = read_open_orders(cursor)
    rows = named_rows(cursor, READ_POSITIONS)
    taken_rows = named_rows(cursor, READ_TAKEN)
    flows = read_flows(cursor)
    progress = {name: progress_from_row(*columns) for name, *columns in cursor.execute(READ_PROGRESS).fetchall()}
    versions = {name: version or 0 for name, version in last}
    positions: dict[str, dict[Symbol, Position]] = defaultdict(dict)
    for row in rows:
        positions[row["portfolio"]][row["symbol"]] = from_row(Position, row, side=PositionSide(row["side"]))
    taken: dict[str, dict[Symbol, Taken]] = defaultdict(dict)
    for row in taken_rows:
        taken[row["portfolio"]][row["symbol"]] = Taken(row["seen_at"], row["bought"], row["sold"])
    return tuple(
        PortfolioState(
            rules=_rules(row),
            cash=CONTEXT.plus(row["current_capital"]),
            version=versions[name],
            positions=ImmutableMap(positions[name]),
            open_orders=open_orders.get(name, NO_OPEN_ORDERS),
            taken=ImmutableMap(taken[name]),
            progress=progress.get(name, NO_PROGRESS),
            flows=flows.get(name, NO_FLOWS),
            price_source=row["price_source"],
            closed=row["closed_at"],
            replaced=row["replaced_at"] is not None,
        )
        for row in rules
        for name in [row["portfolio"]]
    )


def read_rules(cursor: psycopg.Cursor) -> tuple[PortfolioRules, ...]:
    """Return the current rules of every portfolio."""
    return tuple(map(_rules, named_rows(cursor, READ_RULES.format(source="NULL"))))


def _rules(row: Row) -> PortfolioRules:
    execution = from_row(ExecutionRules, row, price_rule=PriceRule(str(row["price_rule"])))
    dollar = about_one_dollar(str(row["currency"]))
    costs = from_row(Costs, row, maker_fee=None, taker_fee=None, dollar=dollar)
    return from_row(PortfolioRules, row, costs=costs, execution=execution, fees=FeeRule(str(row["fees"])))
