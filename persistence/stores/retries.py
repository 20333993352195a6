"""Copies of decisions that ended without an order; a copy refers to the first decision."""

from __future__ import annotations

from datetime import UTC

from domain.errors import InvalidRequest, WriteRefused
from domain.types import DecisionId
from domain.wording import format_time
from persistence.connections import session
from persistence.rows import one_row
from persistence.stores.intake.submissions import SENT

STATUS = "SELECT status, order_expires_at, paper_now() FROM trading_decisions WHERE id = %s"
COPIED = ", ".join(name for name in SENT if name not in {"uid", "expires_at", "idempotency_key"})
COPY = f"""
INSERT INTO trading_decisions ({COPIED}, retry_of)
SELECT {COPIED}, id FROM trading_decisions WHERE id = %s RETURNING id
"""


def retry(database_url: str, decision_id: str) -> DecisionId:
    """Insert a copy of a decision that ended without an order; it has neither `expires_at` nor idempotency key.

    Raises:
        InvalidRequest: there is no such decision, it has no outcome yet, it was executed, or its `order_expires_at` is
            past.
    """
    try:
        with session(database_url, "retry") as cursor:
            row = cursor.execute(STATUS, [decision_id]).fetchone()
    except WriteRefused:  # the database refuses a text that cannot be an id
        row = None
    if row is None:
        raise InvalidRequest(f"there is no decision {decision_id}")
    status, expires, now = row
    if status in {"pending", "open"}:
        raise InvalidRequest(f"decision {decision_id} has no outcome yet, so it cannot be retried")
    if status == "executed":
        raise InvalidRequest(f"decision {decision_id} was executed; a retry would trade twice")
    if expires is not None and (end := expires.replace(tzinfo=expires.tzinfo or UTC)) <= now:
        raise InvalidRequest(
            f"decision {decision_id} cannot be retried: its order_expires_at, {format_time(end)} UTC, is past"
        )
    with session(database_url, "retry") as cursor:
        new: DecisionId = one_row(cursor, COPY, [decision_id])[0]
        return new
