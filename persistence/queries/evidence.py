"""The evidence of one decision, order or fill: all rows that say why it ended as it did."""

from __future__ import annotations

import re
from operator import itemgetter
from typing import Any

from domain.errors import InvalidRequest, WriteRefused
from domain.types import OrderStatus, OutcomeStatus
from persistence.queries.references import decision_by_id, find_decision, find_order
from persistence.queries.row_lists import LedgerReader, labelled, not_running_message

ORDERS_OF_DECISION = """
SELECT o.*, paper_stop_price(o) AS present_stop, paper_portfolio_label(portfolio) AS label
FROM paper_orders o WHERE decision_id = :id ORDER BY leg
"""
FILLS = "SELECT * FROM paper_fills WHERE order_id = :order_id ORDER BY fill_no"
RULES = """
SELECT r.*, c.currency FROM paper_portfolio_rules r JOIN paper_trading_config c USING (portfolio)
WHERE portfolio = :portfolio AND r.revision = :revision
"""
CURRENCY = "SELECT currency FROM paper_trading_config WHERE portfolio = :portfolio"
IS_KNOWN = "SELECT paper_portfolio_id(:portfolio) IS NOT NULL AS known"
HALT = "SELECT reason FROM v_paper_halted WHERE portfolio = :portfolio"
LAST_PRICE = """
SELECT time, price, source, paper_now() AS now FROM market_prices WHERE symbol = :symbol
ORDER BY time DESC LIMIT 1
"""
# What the market did while an order rested, as far as it is stored: about each second the extremes of a symbol.
SEEN = """
SELECT min(s.low) AS low, max(s.high) AS high, min(s.ask_low) AS ask_low, max(s.bid_high) AS bid_high,
       min(s.mark_low) AS mark_low, max(s.mark_high) AS mark_high, count(*) AS prices,
       EXISTS (SELECT FROM market_prices m WHERE m.symbol = :symbol AND m.time > :begin
               AND (CAST(:end AS timestamptz) IS NULL OR m.time <= :end) AND m.bid <= m.ask) AS has_spread
FROM paper_stored_prices(:symbol, :begin, :end) s
"""
EVENTS = "SELECT * FROM paper_order_events WHERE order_id = :order_id ORDER BY version"
# A split gives an open order new values, as an AMEND does.
SPLITS = """
SELECT s.portfolio, s.version, s.order_id, o.symbol, 'amended' AS kind, s.at, s.data_no, s.quantity, s.limit_price,
       s.stop_price, s.reserved, 'open' AS status, s.reason, NULL AS price, NULL AS bid, NULL AS ask,
       NULL AS price_time, NULL AS price_seen_at, NULL AS price_source, false AS recovered, s.trail_mark
FROM paper_order_splits s JOIN paper_orders o USING (order_id) WHERE s.order_id = :order_id
"""
# What the market did while no process saw it, where that touches the time in which an order rested.
SETTLEMENTS = """
SELECT since, until, price_source, trades, bars, gap FROM paper_settlements
WHERE portfolio = :portfolio AND symbol = :symbol AND until >= :begin
  AND (CAST(:end AS timestamptz) IS NULL OR since <= :end)
ORDER BY until
"""
EXITS = "SELECT order_id, leg, order_type, status FROM paper_orders WHERE parent = :order_id ORDER BY leg"
NO_MARKS = {"marks"}
"""Columns of an order that say nothing about its price."""
FILL_REFERENCE = re.compile(r"([0-9A-Fa-f-]{36})/([0-9]{1,9})")


def evidence(ledger_reader: LedgerReader, reference: str) -> dict[str, Any]:
    """Return the rows behind a decision, an order or a fill.

    Args:
        ledger_reader: reads them.
        reference: a decision's id, uid or ``idempotency_key``; an order's id; or ``ORDER/FILL_NO``.

    Returns:
        ``kind``; ``fill_no`` of a fill; ``decision``, None where its row was deleted; ``orders``, each with ``order``,
        all its ``fills``, ``rules``, ``currency``, ``events``, ``exits`` and ``settlements`` after downtimes, and with
        ``seen``, the extreme prices stored while it rested, where it is not filled; and ``waiting`` for a pending
        decision, else None.

    Raises:
        InvalidRequest: there is nothing of that reference.
    """
    fill = FILL_REFERENCE.fullmatch(reference)
    order = find_order(ledger_reader, fill[1] if fill else reference)
    fill_no = int(fill[2]) if fill else None
    if order is not None:
        kind = "order" if fill_no is None else "fill"
        decision, orders = decision_by_id(ledger_reader, order["decision_id"]), [order]
    else:
        kind = "decision"
        decision = None if fill else find_decision(ledger_reader, reference)
        id_ = reference if decision is None else decision["id"]
        orders = [] if fill else _orders_of(ledger_reader, id_)
    if decision is None and not orders:
        raise InvalidRequest(f"there is no decision, order or fill {reference!r}")
    parts = [_with_fills(ledger_reader, row) for row in orders]
    if fill_no is not None and fill_no not in {row["fill_no"] for part in parts for row in part["fills"]}:
        raise InvalidRequest(f"order {orders[0]['order_id']} has no fill {fill_no}")
    pending = decision is not None and decision["processed_at"] is None and decision["status"] != OutcomeStatus.OPEN
    return {
        "kind": kind,
        "fill_no": fill_no,
        "decision": decision,
        "orders": parts,
        "waiting": _waiting(ledger_reader, decision) if pending and decision is not None else None,
    }


def _orders_of(ledger_reader: LedgerReader, decision_id: object) -> list[dict[str, Any]]:
    try:
        return ledger_reader.rows(ORDERS_OF_DECISION, id=decision_id)
    except WriteRefused:
        return []


def _with_fills(ledger_reader: LedgerReader, order: dict[str, Any]) -> dict[str, Any]:
    """Return an order with its fills and the rules that it was sized by."""
    of = {"portfolio": order["portfolio"]}
    rules = ledger_reader.rows(RULES, revision=order["config_revision"], **of)
    currency = ledger_reader.rows(CURRENCY, **of)
    return {
        "order": {name: value for name, value in labelled(dict(order)).items() if name not in NO_MARKS},
        "fills": ledger_reader.rows(FILLS, order_id=order["order_id"]),
        "rules": rules[0] if rules else None,
        "currency": currency[0]["currency"] if currency else None,
        **_while_it_rested(ledger_reader, order),
    }


def _while_it_rested(ledger_reader: LedgerReader, order: dict[str, Any]) -> dict[str, Any]:
    """Return the events of an order that rested, its exits, and what the market did in the meantime."""
    events = ledger_reader.rows(EVENTS, order_id=order["order_id"])
    events += ledger_reader.rows(SPLITS, order_id=order["order_id"])
    events.sort(key=itemgetter("version"))
    seen: list[dict[str, Any]] = []
    settlements: list[dict[str, Any]] = []
    if events:
        span = {"symbol": order["symbol"], "begin": order["created_at"], "end": order["ended_at"] or order["filled_at"]}
        settlements = ledger_reader.rows(SETTLEMENTS, portfolio=order["portfolio"], **span)
        if order["status"] != OrderStatus.FILLED:
            seen = ledger_reader.rows(SEEN, **span)
    return {
        "events": events,
        "settlements": settlements,
        "exits": ledger_reader.rows(EXITS, order_id=order["order_id"]),
        "seen": seen[0] if seen else None,
    }


def _waiting(ledger_reader: LedgerReader, decision: dict[str, Any]) -> dict[str, Any]:
    """Return what the database knows of why a decision has no outcome yet."""
    served = ledger_reader.served()
    portfolio = {"portfolio": decision["portfolio"]}
    halts = ledger_reader.rows(HALT, **portfolio)
    prices = ledger_reader.rows(LAST_PRICE, symbol=decision["symbol"])
    return {
        "not_running": None if served["running"] else not_running_message(served),
        "served_by": served["holder"] if served["running"] else None,
        "portfolio_exists": bool(ledger_reader.rows(IS_KNOWN, **portfolio)[0]["known"]),
        "halted": halts[0]["reason"] if halts else None,
        "last_price": prices[0] if prices else None,
    }
