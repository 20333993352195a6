"""Copies of decisions that ended without an order; a copy refers to the first decision."""

from __future__ import annotations

from domain.errors import InvalidRequest
from domain.types import DecisionId
from persistence.connections import engine_for, transaction

STATUS = "SELECT id, status FROM trading_decisions WHERE id::text = %s"
COPY = """
INSERT INTO trading_decisions (portfolio, asset_class, symbol, decision, confidence, risk_score, reasoning,
                               current_price, quantity, strategy, retry_of)
SELECT portfolio, asset_class, symbol, decision, confidence, risk_score, reasoning,
       current_price, quantity, strategy, id
FROM trading_decisions WHERE id::text = %s RETURNING id
"""


def retry(database_url: str, decision_id: str) -> DecisionId:
    """Insert a copy of a decision that ended without an order; it has neither `expires_at` nor idempotency key.

    Raises:
        InvalidRequest: there is no such decision, it has no outcome yet, or it was executed.
    """
    engine = engine_for(database_url, "retry")
    try:
        with transaction(engine) as cursor:
            row = cursor.execute(STATUS, [decision_id]).fetchone()
            if row is None:
                raise InvalidRequest(f"there is no decision {decision_id}")
            if row[1] in {"pending", "open"}:
                raise InvalidRequest(f"decision {decision_id} has no outcome yet, so it cannot be retried")
            if row[1] == "executed":
                raise InvalidRequest(f"decision {decision_id} was executed; a retry would trade twice")
            copied = cursor.execute(COPY, [decision_id]).fetchone()
            assert copied is not None
            new: DecisionId = copied[0]
            return new
    finally:
        engine.dispose()
