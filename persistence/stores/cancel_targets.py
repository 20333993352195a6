"""What the target of a CANCEL or AMEND decision stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg

from domain.trading.decision import CancelTarget
from domain.trading.open_orders.terms import ANY_SYMBOL
from domain.types import Action, OrderId
from persistence.rows import uuid_in

ALL, OF_SYMBOL = "all", "symbol"
"""Words that name no single order: all of the portfolio, and all of the decision's symbol."""
MAX_ID = 2**63 - 1

# A row of the same portfolio first, then an id, a uid, a key, an order's UUID. Each comparison uses an index. A key is
# the sender's own, or that of an older row; a writer, who cancels for others, may name any that only one of them has.
FIND = """
SELECT decision_id, order_id, portfolio, status, reason, paper_portfolio_label(portfolio),
       count(*) OVER (PARTITION BY rank, portfolio) > 1 AND rank = 4
FROM (
    SELECT 1 AS rank, d.id AS decision_id, NULL::uuid AS order_id, {owner} AS portfolio, d.status,
           d.outcome_reason AS reason
    FROM trading_decisions d WHERE d.id = %(id)s::{id_type}
    UNION ALL
    SELECT 2, d.id, NULL, {owner}, d.status, d.outcome_reason FROM trading_decisions d WHERE d.uid = %(uid)s::uuid
    UNION ALL
    SELECT CASE WHEN d.sent_by IS NULL OR d.sent_by = %(sender)s::text THEN 3 ELSE 4 END,
           d.id, NULL, {owner}, d.status, d.outcome_reason
    FROM trading_decisions d
    WHERE d.idempotency_key = %(key)s AND (d.sent_by IS NULL OR d.sent_by = %(sender)s::text OR {is_writer})
    UNION ALL
    SELECT 5, NULL, o.order_id, o.portfolio, o.status, o.end_reason FROM paper_orders o WHERE o.order_id = %(uid)s::uuid
) found ORDER BY portfolio <> %(portfolio)s, rank LIMIT 1
"""
OWNER = "paper_portfolio_at(d.portfolio, least(d.created_at, d.received_at))"
IS_WRITER = """(%(sender)s::text IS NULL OR EXISTS (
        SELECT FROM pg_roles r WHERE r.rolname::text = %(sender)s::text
        AND has_table_privilege(r.oid, 'trading_decisions'::regclass, 'TRIGGER WITH GRANT OPTION')))"""
"""As the triggers on the table have it. The sender of an older row is not known."""


def resolve_target(cursor: psycopg.Cursor, row: Mapping[str, Any], action: Action) -> CancelTarget:
    """Return what the CANCEL or AMEND of a row is about; with a flaw where there is no such thing, or no longer.

    Args:
        cursor: of a transaction.
        row: columns ``id``, ``portfolio``, ``symbol``, ``target`` and ``sent_by`` of the decision.
        action: CANCEL or AMEND.
    """
    target = row["target"].strip()
    if action is Action.AMEND and target.lower() in {ALL, OF_SYMBOL}:
        return CancelTarget(flaw=f"an AMEND names one order, not {target!r}")
    if target.lower() == ALL:
        return CancelTarget()
    if target.lower() == OF_SYMBOL:
        if row["symbol"] == ANY_SYMBOL:
            return CancelTarget(flaw="target 'symbol' needs the decision's symbol, which is left out")
        return CancelTarget(symbol=row["symbol"])
    return _find(cursor, row, target)


def _find(cursor: psycopg.Cursor, decision: Mapping[str, Any], target: str) -> CancelTarget:
    uid, by_uuid = uuid_in(target), isinstance(decision["id"], UUID)
    statement = FIND.format(id_type="uuid" if by_uuid else "bigint", owner=OWNER, is_writer=IS_WRITER)
    parameters = {"id": uid if by_uuid else _number(target), "uid": uid, "key": target}
    parameters |= {"portfolio": decision["portfolio"], "sender": decision["sent_by"]}
    row = cursor.execute(statement, parameters).fetchone()
    if row is None:
        by_symbol = "; to cancel by symbol: target 'symbol', or run.py cancel --symbol" if "/" in target else ""
        return CancelTarget(flaw=f"no decision or order is {target!r}{by_symbol}")
    decision_id, order_id, owner, status, reason, label, is_of_several = row
    if owner != decision["portfolio"]:
        return CancelTarget(flaw=f"{target!r} is of portfolio {label}")
    if is_of_several:
        return CancelTarget(flaw=f"several senders have the idempotency_key {target!r}; name the decision by its id")
    if status not in {"pending", "open"}:
        detail = reason.removeprefix(f"{status}: ") if reason else ""  # many reasons begin with the status
        return CancelTarget(flaw=f"already {status}{f': {detail}' if detail else ''}")
    if order_id is not None:
        return CancelTarget(order_id=OrderId(order_id))
    return CancelTarget(decision_id=decision_id, pending=status == "pending")


def _number(text: str) -> int | None:
    digits = text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if digits and int(text) <= MAX_ID else None
