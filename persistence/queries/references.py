"""What people name by a reference: a decision's id, uid or idempotency key, or an order's id."""

from __future__ import annotations

from typing import Any

from domain.errors import DecisionGone, InvalidRequest, WriteRefused
from domain.wording import quoted
from persistence.connections import connect
from persistence.error_translation import translated
from persistence.queries.row_lists import DECISION_LABEL, LedgerReader, exact, labelled
from persistence.rows import uuid_in
from persistence.stores import portfolios

ORDER = """
SELECT o.*, paper_stop_price(o) AS present_stop, paper_portfolio_label(portfolio) AS label
FROM paper_orders o WHERE order_id = :order_id
"""
DECISION = f"SELECT d.*, {DECISION_LABEL} AS label FROM trading_decisions d"
BY_UID = f"{DECISION} WHERE uid = :uid"
BY_KEY = f"""
SELECT d.*, {DECISION_LABEL} AS label, (sent_by IS NULL OR sent_by = session_user::text) AS is_own
FROM trading_decisions d WHERE idempotency_key = :key ORDER BY is_own DESC, id LIMIT 2
"""
"""Senders may have the same key; that of an older row, whose sender is not known, is everybody's."""
SYMBOLS = """
WITH RECURSIVE priced AS (
    SELECT min(symbol) AS symbol FROM market_prices
    UNION ALL
    SELECT (SELECT min(symbol) FROM market_prices m WHERE m.symbol > p.symbol) FROM priced p WHERE p.symbol IS NOT NULL
)
SELECT symbol FROM priced WHERE symbol IS NOT NULL
UNION SELECT symbol FROM paper_positions
UNION SELECT symbol FROM paper_orders WHERE status = 'open' ORDER BY 1
"""
"""It jumps in the index from one symbol to the next, where DISTINCT would read all prices."""
COMPLETION_TIMEOUT_S = 2
"""A person has pressed a key and waits."""


def find_decision(ledger_reader: LedgerReader, reference: str) -> dict[str, Any] | None:
    """Return a decision by its id, else by its uid, else by its key; None if there is none.

    Raises:
        InvalidRequest: several senders have the key, and this session's role is none of them.
    """
    if (decision := decision_by_id(ledger_reader, reference)) is not None:
        return decision
    uid = uuid_in(reference)
    rows = ledger_reader.rows(BY_UID, uid=uid) if uid is not None else []
    return exact(labelled(rows[0])) if rows else _find_by_key(ledger_reader, reference)


def _find_by_key(ledger_reader: LedgerReader, key: str) -> dict[str, Any] | None:
    rows = ledger_reader.rows(BY_KEY, key=key)
    if not rows:
        return None
    first = rows[0]
    if not first.pop("is_own") and len(rows) > 1:
        examples = " and ".join(str(row["id"]) for row in rows)
        msg = f"several senders have the idempotency_key {quoted(key)}, such as those of decisions {examples}"
        raise InvalidRequest(f"{msg}; name the decision by its id")
    return exact(labelled(first))


def decision_by_id(ledger_reader: LedgerReader, id_: object) -> dict[str, Any] | None:
    """Return a decision by its id; None if there is none, and for a text that cannot be an id."""
    try:
        return ledger_reader.decision(id_)
    except (DecisionGone, WriteRefused):  # the database refuses such a text
        return None


def find_order(ledger_reader: LedgerReader, reference: str) -> dict[str, Any] | None:
    """Return an order by its id, with ``present_stop``, and the ``label`` of its portfolio; None if there is none."""
    order_id = uuid_in(reference)
    rows = ledger_reader.rows(ORDER, order_id=order_id) if order_id is not None else []
    return rows[0] if rows else None


def portfolio_of_target(ledger_reader: LedgerReader, target: str) -> str | None:
    """Return the portfolio of a decision's id, uid or idempotency key, or of an order's id; None if there is none."""
    row = find_decision(ledger_reader, target) or find_order(ledger_reader, target)
    return None if row is None else str(row.get("label", row["portfolio"]))


def portfolio_names(url: str) -> list[str]:
    """Return the names of all portfolios, for completion."""
    return _names(url, portfolios.NAMES)


def symbol_names(url: str) -> list[str]:
    """Return each symbol with a price, a position or an open order, for completion."""
    return _names(url, SYMBOLS)


def _names(url: str, statement: str) -> list[str]:
    with translated(), connect(url, "completion", connect_timeout=COMPLETION_TIMEOUT_S) as connection:
        connection.execute(f"SET statement_timeout = '{COMPLETION_TIMEOUT_S}s'")
        return [str(row[0]) for row in connection.execute(statement)]
