"""Non-events: orders that rested and did not fill, compared with the prices that were stored meanwhile.

Nobody stores every price: about each second a row has the extremes since the row before it. Where these do not reach an
order, it could not fill. Where they do, or none are stored, nothing is proved: its volume may have been too small, the
prices too old, or the service away.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg

from domain.types import Side
from persistence.rows import named_rows

UNFILLED = """
SELECT o.order_id, o.side, o.limit_price, o.stop_price, o.triggered_at, r.fill_on_touch,
       o.trail IS NOT NULL OR o.trail_pct IS NOT NULL AS trails,
       EXISTS (SELECT FROM paper_order_events e WHERE e.order_id = o.order_id AND e.kind = 'amended'
               AND (e.limit_price, e.stop_price) IS DISTINCT FROM (a.limit_price, a.stop_price))
       OR EXISTS (SELECT FROM paper_order_splits x WHERE x.order_id = o.order_id) AS changed,
       EXISTS (SELECT FROM paper_settlements s WHERE s.portfolio = o.portfolio AND s.symbol = o.symbol
               AND s.until >= a.at AND (o.ended_at IS NULL OR s.since <= o.ended_at)) AS unseen, p.*
FROM paper_orders o
JOIN paper_order_events a ON a.order_id = o.order_id AND a.kind = 'accepted'
LEFT JOIN paper_portfolio_rules r ON r.portfolio = o.portfolio AND r.revision = o.config_revision
CROSS JOIN LATERAL (
    SELECT min(s.low) AS low, max(s.high) AS high, min(s.ask_low) AS ask_low, max(s.bid_high) AS bid_high,
           min(s.mark_low) AS mark_low, max(s.mark_high) AS mark_high, count(*) AS prices
    FROM paper_stored_prices(o.symbol, a.at, o.ended_at) s
) p
WHERE o.portfolio = %(portfolio)s AND o.filled_quantity = 0 AND o.split_quantity = 0
"""


class NonEvents(NamedTuple):
    """How many orders rested without a fill.

    Attributes:
        checked: no price that was stored meanwhile reached them.
        not_checked: the others: without stored prices, with prices that reached them, or with a stop that moved.
    """

    checked: int = 0
    not_checked: int = 0


def read_non_events(cursor: psycopg.Cursor, portfolio_id: str) -> NonEvents:
    """Return how many orders of a portfolio that rested without a fill could be checked."""
    return count_non_events(named_rows(cursor, UNFILLED, {"portfolio": portfolio_id}))


def count_non_events(rows: list[dict[str, Any]]) -> NonEvents:
    """Count orders; see `UNFILLED` for the columns of their rows."""
    checked = sum(is_out_of_reach(row) for row in rows)
    return NonEvents(checked, len(rows) - checked)


def is_out_of_reach(row: Mapping[str, Any]) -> bool:
    """Return whether stored prices prove that the market did not reach an order."""
    if not row["prices"] or row["unseen"] or row["changed"] or row["trails"]:
        return False
    buys = row["side"] == Side.BUY
    stop: Decimal | None = row["stop_price"]
    if stop is not None and row["triggered_at"] is None:
        return bool(max(row["mark_high"], row["high"]) < stop if buys else min(row["mark_low"], row["low"]) > stop)
    limit: Decimal | None = row["limit_price"]
    if limit is None or stop is not None:  # since its trigger it has waited for its limit, and before for its stop
        return False
    # Without bid and ask an order meets the last price, and with them it may be filled by a trade, too.
    best = min(row["low"], row["ask_low"]) if buys else max(row["high"], row["bid_high"])
    if best == limit:
        return not row["fill_on_touch"]
    return bool(best > limit if buys else best < limit)
