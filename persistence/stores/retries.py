"""Copies of decisions that ended without an order; a copy refers to the first decision."""

from __future__ import annotations

from domain.errors import InvalidRequest
from domain.types import DecisionId
from persistence.connections import session
from persistence.rows import one_row
from persistence.stores.decisions import SENT

STATUS = "SELECT id, status FROM trading_decisions WHERE id::text = %s"
COPIED = ", ".join(name for name in SENT if name not in {"uid", "expires_at", "idempotency_key"})
COPY = f"""
INSERT INTO trading_decisions ({COPIED}, retry_of)
SELECT {COPIED}, id FROM trading_decisions WHERE id::text = %s RETURNING id
"""


def retry(database_url: str, decision_id: str) -> DecisionId:
    """Insert a copy of a decision that ended without an order; it has neither `expires_at` nor idempotency key.

    Raises:
        InvalidRequest: there is no such decision, it has no outcome yet, or it was executed.
    """
    with session(database_url, "retry") as cursor:
        row = cursor.execute(STATUS, [decision_id]).fetchone()
        if row is None:
            raise InvalidRequest(f"there is no decision {decision_id}")
        if row[1] in {"pending", "open"}:
            raise InvalidRequest(f"decision {decision_id} has no outcome yet, so it cannot be retried")
        if row[1] == "executed":
            raise InvalidRequest(f"decision {decision_id} was executed; a retry would trade twice")
        new: DecisionId = one_row(cursor, COPY, [decision_id])[0]
        return new
