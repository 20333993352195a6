"""What the target of a CANCEL or AMEND decision stands for, and whether its sender may name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg

from domain.trading.decision import CancelTarget
from domain.trading.open_orders.terms import ANY_SYMBOL
from domain.types import Action, DecisionId, OrderId
from persistence.rows import one_row, uuid_in

ALL, OF_SYMBOL = "all", "symbol"
"""Words that name no single order: all of the portfolio, and all of the decision's symbol."""
MAX_ID = 2**63 - 1

# One that may be named first, then a row of the same portfolio, then an id, a uid, a key, an order's UUID. Each
# comparison uses an index. A key is the sender's own, or that of an older row; a writer, who cancels for others, may
# name any that only one of them has.
FIND = """
SELECT decision_id, order_id, portfolio, status, reason, paper_portfolio_label(portfolio),
       count(*) OVER (PARTITION BY rank, portfolio) > 1 AND rank = 4,
       sent_by IS NULL OR sent_by = %(sender)s::text OR %(is_writer)s
FROM (
    SELECT 1 AS rank, d.id AS decision_id, NULL::uuid AS order_id, {owner} AS portfolio, d.status,
           d.outcome_reason AS reason, d.sent_by
    FROM trading_decisions d WHERE d.id = %(id)s::{id_type}
    UNION ALL
    SELECT 2, d.id, NULL, {owner}, d.status, d.outcome_reason, d.sent_by
    FROM trading_decisions d WHERE d.uid = %(uid)s::uuid
    UNION ALL
    SELECT CASE WHEN d.sent_by IS NULL OR d.sent_by = %(sender)s::text THEN 3 ELSE 4 END,
           d.id, NULL, {owner}, d.status, d.outcome_reason, d.sent_by
    FROM trading_decisions d
    WHERE d.idempotency_key = %(key)s AND (d.sent_by IS NULL OR d.sent_by = %(sender)s::text OR %(is_writer)s)
    UNION ALL
    SELECT 5, NULL, o.order_id, o.portfolio, o.status, o.end_reason, d.sent_by
    FROM paper_orders o LEFT JOIN trading_decisions d ON d.id = o.decision_id WHERE o.order_id = %(uid)s::uuid
) found
ORDER BY (sent_by IS NULL OR sent_by = %(sender)s::text OR %(is_writer)s) DESC, portfolio <> %(portfolio)s, rank LIMIT 1
"""
OWNER = "paper_portfolio_at(d.portfolio, least(d.created_at, d.received_at))"
IS_WRITER = """
SELECT %(sender)s::text IS NULL OR EXISTS (
    SELECT FROM pg_roles r WHERE r.rolname::text = %(sender)s::text
    AND has_table_privilege(r.oid, 'trading_decisions'::regclass, 'TRIGGER WITH GRANT OPTION'))
"""
"""As the triggers on the table have it. The sender of an older row is not known. One that is no role of the server, as
that of an interface, is no writer."""
# A decision that has ended may have exits that rest.
OWN_IDS = """
SELECT d.id FROM trading_decisions d
WHERE d.processed_at IS NULL AND d.status = 'pending' AND (d.sent_by IS NULL OR d.sent_by = %(sender)s)
UNION
SELECT d.id FROM paper_orders o JOIN trading_decisions d ON d.id = o.decision_id
WHERE o.status = 'open' AND o.portfolio = %(portfolio)s AND (d.sent_by IS NULL OR d.sent_by = %(sender)s)
"""
"""The decisions of a sender of which something may rest, or come to rest before a CANCEL is done."""


class TargetResolver:
    """Finds what the CANCEL and AMEND decisions of one transaction are about.

    The owner of the table and the service may name every decision; any other sender its own ones, and those from before
    senders were stored.
    """

    def __init__(self, cursor: psycopg.Cursor) -> None:
        self._cursor = cursor
        self._writers: dict[str | None, bool] = {}
        self._own_ids: dict[tuple[str, str], frozenset[DecisionId]] = {}

    def resolve(self, row: Mapping[str, Any], action: Action) -> CancelTarget:
        """Return what a decision is about; with a flaw where there is no such thing, or no longer.

        Args:
            row: columns ``id``, ``portfolio``, ``symbol``, ``target`` and ``sent_by`` of the decision.
            action: CANCEL or AMEND.
        """
        target = row["target"].strip()
        if target.lower() not in {ALL, OF_SYMBOL}:
            return self._find(row, target)
        if action is Action.AMEND:
            return CancelTarget(flaw=f"an AMEND names one order, not {target!r}")
        symbol = row["symbol"] if target.lower() == OF_SYMBOL else None
        if symbol == ANY_SYMBOL:
            return CancelTarget(flaw="target 'symbol' needs the decision's symbol, which is left out")
        return CancelTarget(symbol=symbol, among=self._among(row["portfolio"], row["sent_by"]))

    def _is_writer(self, sender: str | None) -> bool:
        if sender not in self._writers:
            self._writers[sender] = bool(one_row(self._cursor, IS_WRITER, {"sender": sender})[0])
        return self._writers[sender]

    def _among(self, portfolio: str, sender: str | None) -> frozenset[DecisionId] | None:
        """Return the decisions that a sender may mean by all; None: every one."""
        if sender is None or self._is_writer(sender):
            return None
        key = portfolio, sender
        if key not in self._own_ids:
            rows = self._cursor.execute(OWN_IDS, {"portfolio": portfolio, "sender": sender}).fetchall()
            self._own_ids[key] = frozenset(id_ for (id_,) in rows)
        return self._own_ids[key]

    def _find(self, decision: Mapping[str, Any], target: str) -> CancelTarget:
        uid, by_uuid, sender = uuid_in(target), isinstance(decision["id"], UUID), decision["sent_by"]
        statement = FIND.format(id_type="uuid" if by_uuid else "bigint", owner=OWNER)
        parameters = {"id": uid if by_uuid else _number(target), "uid": uid, "key": target, "sender": sender}
        parameters |= {"portfolio": decision["portfolio"], "is_writer": self._is_writer(sender)}
        row = self._cursor.execute(statement, parameters).fetchone()
        if row is None:
            by_symbol = "; to cancel by symbol: target 'symbol', or run.py cancel --symbol" if "/" in target else ""
            return CancelTarget(flaw=f"no decision or order is {target!r}{by_symbol}")
        decision_id, order_id, owner, status, reason, label, is_of_several, is_allowed = row
        flaw = None
        if not is_allowed:
            flaw = f"{target!r} is of another sender"
        elif owner != decision["portfolio"]:
            flaw = f"{target!r} is of portfolio {label}"
        elif is_of_several:
            flaw = f"several senders have the idempotency_key {target!r}; name the decision by its id"
        elif status not in {"pending", "open"}:
            detail = reason.removeprefix(f"{status}: ") if reason else ""  # many reasons begin with the status
            flaw = f"already {status}{f': {detail}' if detail else ''}"
        if flaw is not None or order_id is not None:
            return CancelTarget(order_id=None if flaw is not None else OrderId(order_id), flaw=flaw)
        return CancelTarget(decision_id=decision_id, pending=status == "pending")


def _number(text: str) -> int | None:
    digits = text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if digits and int(text) <= MAX_ID else None
