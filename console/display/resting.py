"""Sentences about an order that rests or has rested: what it waits for, and how near the market came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from console.display.format import moment, number
from domain.trading.arithmetic import subtract

Row = Mapping[str, Any]
OPEN = "open"


def order_terms(order: Row) -> str:
    """Return what an order asks for: ``limit BUY 1 BTC/USDT, limit 100, GTC``.

    Args:
        order: the row of ``paper_orders``.
    """
    parts = [f"{order['order_type']} {order['side']} {number(order['quantity'])} {order['symbol']}"]
    parts += [f"stop {number(order['stop_price'])}"] if order["stop_price"] is not None else []
    parts += [f"limit {number(order['limit_price'])}"] if order["limit_price"] is not None else []
    parts += [order["time_in_force"]] if order["time_in_force"] is not None else []
    parts += ["post-only"] if order["post_only"] else []
    return ", ".join(parts)


def facts(part: Row) -> Iterator[tuple[str, str]]:
    """Yield label and sentence about an order that is open, or that ended before it was filled.

    Args:
        part: the order with its ``events``, ``seen`` and ``currency``; see `persistence.queries.evidence.evidence`.
    """
    order, seen = part["order"], part["seen"]
    if not part["events"] or order["status"] == "filled":
        return
    filled = f"{number(order['filled_quantity'])} of {number(order['quantity'])} is filled"
    if order["status"] == OPEN:
        yield OPEN, f"{filled}{_held_back(order, part['currency'] or '')}"
        if order["order_expires_at"] is not None:
            yield "expires", f"{moment(order['order_expires_at'])} UTC"
    else:
        yield "filled", filled
    if seen is not None:
        yield "waits" if order["status"] == OPEN else "market", _market(order, seen)


def _held_back(order: Row, currency: str) -> str:
    if order["reserved"]:
        return f"; it holds back {number(order['reserved'])} {currency}".rstrip()
    if order["side"] == "SELL" and order["parent"] is None:
        return f"; it holds back {number(subtract(order['quantity'], order['filled_quantity']))} {order['symbol']}"
    return ""


def _market(order: Row, seen: Row) -> str:
    """Return what the order waits for, and the nearest price that is stored since it was placed."""
    waits_for_trigger = order["stop_price"] is not None and order["triggered_at"] is None
    by_mark = order["price_rule"] == "quote"
    buys = order["side"] == "BUY"
    if waits_for_trigger:
        trigger = number(order["stop_price"])
        wanted = f"for its trigger at {trigger}" if order["status"] == OPEN else f"its trigger was at {trigger}"
        name, column = ("highest", "high") if buys else ("lowest", "low")
        what, value = ("mark", seen[f"mark_{column}"]) if by_mark else ("price", seen[column])
    else:
        wanted = f"limit {number(order['limit_price'])}" if order["limit_price"] is not None else "it has no limit"
        name, column = ("lowest", "ask_low") if buys else ("highest", "bid_high")
        what, value = ("ask" if buys else "bid", seen[column])
        if not by_mark:
            what, value = "price", seen["low"] if buys else seen["high"]
    if value is None:
        return f"{wanted}; no price is stored since it was placed"
    return f"{wanted}; {name} {what} since it was placed: {number(value)}, of {seen['prices']} stored prices"
