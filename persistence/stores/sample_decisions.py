"""Decisions of the demo's agent, inserted as any other program would insert them: by plain SQL."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from persistence.rows import one_row

# A limit order rests for at most ten seconds; without any stored price it is a market order.
INSERT = """
INSERT INTO trading_decisions (portfolio, symbol, decision, confidence, risk_score, quantity, strategy, reasoning,
                               stop_loss_pct, take_profit_pct, limit_price, order_type, time_in_force, order_expires_at)
SELECT %(portfolio)s, %(symbol)s, %(decision)s, %(confidence)s, %(risk_score)s, %(quantity)s, 'demo', %(reasoning)s,
       %(stop_loss_pct)s, %(take_profit_pct)s, l.price, CASE WHEN l.price IS NULL THEN 'market' ELSE 'limit' END,
       CASE WHEN l.price IS NOT NULL THEN 'GTD' END,
       CASE WHEN l.price IS NOT NULL THEN paper_now() + interval '10 seconds' END
FROM (SELECT 1) one LEFT JOIN LATERAL (
    SELECT trim_scale(round(price * (1 - %(limit_below)s::numeric), 4)) AS price FROM market_prices
    WHERE symbol = %(symbol)s ORDER BY time DESC LIMIT 1
) l ON true
RETURNING id
"""


def insert_sample(connection: psycopg.Connection, values: Mapping[str, object]) -> int:
    """Insert one decision and commit it; return its id."""
    return int(one_row(connection, INSERT, values)[0])
