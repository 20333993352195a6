"""All rows that follow from one decision."""

from __future__ import annotations

from typing import Any

from domain.trading.arithmetic import plain
from persistence.queries.row_lists import LedgerReader

ORDERS = "SELECT * FROM paper_orders WHERE decision_id = :id ORDER BY leg"
FILLS = "SELECT * FROM paper_fills WHERE order_id = :order_id ORDER BY fill_no"
ORDER_EVENTS = """
SELECT e.*, o.leg FROM paper_order_events e JOIN paper_orders o USING (order_id)
WHERE e.order_id = ANY(:orders) ORDER BY e.version
"""
TRADES = "SELECT * FROM paper_trades WHERE position_id = ANY(:positions) ORDER BY exit_time, order_id"
OPEN = "SELECT * FROM v_paper_open_positions WHERE position_id = ANY(:positions)"
FAILURES = """
SELECT format('%s-%s', epoch, number) AS reference, at, kind, actor, message, error
FROM paper_failures WHERE decision_id = :id ORDER BY at, epoch, number
"""
RETRIES = "SELECT id, created_at, status FROM trading_decisions WHERE retry_of::text = :id ORDER BY created_at"
STARTS = "SELECT started_at, holder, epoch FROM paper_lease WHERE started_at BETWEEN :begin AND :end"


def chain(ledger_reader: LedgerReader, decision_id: object) -> dict[str, Any]:
    """Return a decision with its orders, fills, position, trades, failures, retries and a list of events in time order.

    Raises:
        DecisionGone: there is no such decision.
    """
    decision = ledger_reader.decision(decision_id)
    id_ = str(decision["id"])
    orders = ledger_reader.rows(ORDERS, id=decision["id"])
    fills = [fill for order in orders for fill in ledger_reader.rows(FILLS, order_id=order["order_id"])]
    positions = sorted({fill["position_id"] for fill in fills}, key=str)
    rows: dict[str, Any] = {
        "decision": decision,
        "orders": orders,
        "fills": fills,
        "positions": ledger_reader.rows(OPEN, positions=positions),
        "trades": ledger_reader.rows(TRADES, positions=positions),
        "failures": ledger_reader.rows(FAILURES, id=id_),
        "retries": ledger_reader.rows(RETRIES, id=id_),
    }
    for kind in ("orders", "fills", "trades"):
        rows[kind] = [{**row, "portfolio": decision["portfolio"]} for row in rows[kind]]  # in the tables it is an id
    return {**rows, "events": _events(ledger_reader, rows)}


def _events(ledger_reader: LedgerReader, rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events in time order; the price of a fill may have been seen before the decision was inserted."""
    decision = rows["decision"]
    own = {order["order_id"] for order in rows["orders"]}
    events = [(decision["created_at"], "inserted", f"{decision['decision']} {decision['symbol']}")]
    events += [
        (f["price_seen_at"], "price seen", f"{plain(f['base_price'])} ({f['price_source']})") for f in rows["fills"]
    ]
    events += [(o["created_at"], "sized", f"{o['side']} {plain(o['quantity'])} {o['symbol']}") for o in rows["orders"]]
    events += [(f["filled_at"], "filled", f"{plain(f['quantity'])} at {plain(f['price'])}") for f in rows["fills"]]
    events += [
        (t["exit_time"], "closed" if t["order_id"] in own else "closed later", f"net {plain(t['net_pnl'])}")
        for t in rows["trades"]
    ]
    orders = [order["order_id"] for order in rows["orders"]]
    events += [
        (e["at"], e["kind"], f"leg {e['leg']}" + (f": {e['reason']}" if e["reason"] else ""))
        for e in ledger_reader.rows(ORDER_EVENTS, orders=orders)
    ]
    events += [(f["at"], f["kind"], f"{f['actor']}: {f['error']} ({f['reference']})") for f in rows["failures"]]
    events += [(r["created_at"], "sent once more", f"as decision {r['id']}") for r in rows["retries"]]
    if decision["processed_at"] is not None:
        events.append((decision["processed_at"], decision["status"], decision["outcome_reason"] or ""))
        span = {"begin": decision["created_at"], "end": decision["processed_at"]}
        for start in ledger_reader.rows(STARTS, **span):
            events.append((start["started_at"], "process started", f"{start['holder']}, epoch {start['epoch']}"))
    events.sort(key=lambda event: event[0])
    begin = decision["created_at"]
    return [
        {"at": at, "after": (at - begin).total_seconds(), "what": event, "detail": detail}
        for at, event, detail in events
    ]
