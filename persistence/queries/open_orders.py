"""Open orders for people: what rests in the market, and in which portfolios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from domain.errors import RightMissing
from domain.types import OrderStatus
from persistence.queries.listing.row_filter import FLAT_SYMBOL, RowFilter, RowList, flat_symbol
from persistence.queries.row_lists import LedgerReader

OPEN_ORDERS = RowList(
    """
SELECT order_id, decision_id, leg, parent, paper_portfolio_label(portfolio) AS portfolio, symbol, side, order_type,
       quantity, filled_quantity, limit_price,
       paper_stop_price(o) AS stop_price, trail, trail_pct, trail_mark, time_in_force, order_expires_at, calendar,
       post_only,
       reserved, created_at, triggered_at, strategy
FROM paper_orders o {where}""",
    time="created_at",
    order="portfolio, seq",
    limited_order="created_at, portfolio, seq",
)

FROZEN_ORDERS = """
SELECT o.price_source, s.present_source AS present, count(*) AS orders
FROM paper_orders o JOIN v_paper_portfolio_sources s ON s.portfolio_id = o.portfolio
WHERE o.status = 'open' AND o.price_source <> s.present_source
GROUP BY 1, 2 ORDER BY 1
"""
"""Open orders that are not filled because their price source is not the one of the last process."""

OTHER_SOURCE = """
SELECT s.portfolio, s.price_source, present
FROM v_paper_portfolio_sources s JOIN paper_trading_config c ON c.portfolio = s.portfolio_id
CROSS JOIN LATERAL coalesce(CAST(:source AS text), s.present_source) present
WHERE c.closed_at IS NULL AND s.price_source <> present ORDER BY 1
"""
"""Portfolios that do not trade because their price source is not this one, or that of the last process."""

FILLED_EXITS = """
SELECT o.order_id, o.decision_id AS id, paper_portfolio_label(o.portfolio) AS portfolio, o.symbol, o.side, o.order_type,
       o.filled_quantity AS quantity,
       o.average_fill_price AS price,
       (SELECT sum(t.net_pnl) FROM paper_trades t WHERE t.order_id = o.order_id) AS net_pnl
FROM paper_orders o
WHERE o.parent IS NOT NULL AND o.status = 'filled' AND NOT o.order_id = ANY(CAST(:shown_orders AS uuid[]))
ORDER BY o.seq
"""

PORTFOLIOS = f"""
SELECT DISTINCT paper_portfolio_label(portfolio) AS portfolio FROM paper_orders
WHERE status = 'open' AND (CAST(:symbol AS text) IS NULL OR {FLAT_SYMBOL} = :symbol)
UNION
SELECT portfolio FROM trading_decisions
WHERE status = 'pending' AND processed_at IS NULL AND upper(btrim(decision)) IN ('BUY', 'SELL')
  AND (CAST(:symbol AS text) IS NULL OR {FLAT_SYMBOL} = :symbol)
ORDER BY 1
"""


SYMBOL_IS_KNOWN = f"""
SELECT EXISTS (SELECT FROM market_prices WHERE symbol = :exact)
    OR EXISTS (SELECT FROM paper_positions WHERE {FLAT_SYMBOL} = :symbol)
    OR EXISTS (SELECT FROM paper_orders WHERE {FLAT_SYMBOL} = :symbol) AS known
"""

SYMBOL_WAS_DECIDED = f"SELECT EXISTS (SELECT FROM trading_decisions WHERE {FLAT_SYMBOL} = :symbol) AS decided"


def open_orders(ledger_reader: LedgerReader, portfolio: str | None = None) -> list[dict[str, Any]]:
    """Return the open orders of a portfolio, or of all, in the order of their acceptance."""
    wanted = RowFilter(portfolio, status=OrderStatus.OPEN)
    return ledger_reader.listing(OPEN_ORDERS, wanted).rows


def frozen_orders(ledger_reader: LedgerReader) -> list[dict[str, Any]]:
    """Return how many open orders wait for another price source than the present one, by source."""
    return ledger_reader.rows(FROZEN_ORDERS)


def other_source(ledger_reader: LedgerReader, source: str | None = None) -> list[dict[str, Any]]:
    """Return the portfolios whose decisions are rejected, because they have another price source.

    Args:
        ledger_reader: reads them.
        source: name of the present price source; None: that of the last process.
    """
    return ledger_reader.rows(OTHER_SOURCE, source=source)


def other_source_sentence(row: Mapping[str, Any]) -> str:
    """Return the sentence on a portfolio that has another price source; see `other_source`."""
    rejected = f"its decisions are rejected while they come from {row['present']}"
    return f"portfolio {row['portfolio']} trades at prices of {row['price_source']}; {rejected}"


def filled_exits(ledger_reader: LedgerReader, shown_orders: Iterable[UUID]) -> list[dict[str, Any]]:
    """Return the stops and targets that were filled, without ``shown_orders``, each with its result."""
    return ledger_reader.rows(FILLED_EXITS, shown_orders=list(shown_orders))


def portfolios_with_orders(ledger_reader: LedgerReader, symbol: str | None = None) -> list[str]:
    """Return the portfolios that have an open order, or a pending decision that may become one.

    Args:
        ledger_reader: reads them.
        symbol: only orders of this market, in any usual spelling.
    """
    flat = None if symbol is None else flat_symbol(symbol)
    return [row["portfolio"] for row in ledger_reader.rows(PORTFOLIOS, symbol=flat)]


def symbol_is_known(ledger_reader: LedgerReader, symbol: str) -> bool:
    """Return whether there is an order, a position or a price of a market; it may read all orders."""
    try:
        (row,) = ledger_reader.rows(SYMBOL_IS_KNOWN, symbol=flat_symbol(symbol), exact=symbol.strip().upper())
    except RightMissing:  # a role that only sends sees no prices, so nobody knows that it is mistyped
        return True
    return bool(row["known"])


def symbol_was_named(ledger_reader: LedgerReader, symbol: str) -> bool:
    """Return whether there is a decision, an order, a position or a price of a market; it may read all of them."""
    (row,) = ledger_reader.rows(SYMBOL_WAS_DECIDED, symbol=flat_symbol(symbol))
    return bool(row["decided"]) or symbol_is_known(ledger_reader, symbol)
