"""Decisions of the demo's agent, inserted as any other program would insert them: by plain SQL."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from persistence.rows import one_row

INSERT = """
INSERT INTO trading_decisions (portfolio, symbol, decision, confidence, risk_score, quantity, strategy, reasoning)
VALUES (%(portfolio)s, %(symbol)s, %(decision)s, %(confidence)s, %(risk_score)s, %(quantity)s, 'demo', %(reasoning)s)
RETURNING id
"""


def insert_sample(connection: psycopg.Connection, values: Mapping[str, object]) -> int:
    """Insert one decision and commit it; return its id."""
    return int(one_row(connection, INSERT, values)[0])
