"""Sentences about an order that rests or has rested: what it waits for, and how near the market came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from console.display.format import number
from console.display.times import utc_moment
from domain.trading.arithmetic import multiply, subtract
from domain.trading.open_orders.targets import parse_targets, targets_text

Row = Mapping[str, Any]
OPEN = "open"
HUNDRED = Decimal(100)


def order_terms(order: Row) -> str:
    """Return what an order asks for: ``limit BUY 1 BTC/USDT, limit 100, GTC``.

    Args:
        order: the row of ``paper_orders``.
    """
    parts = [f"{order['order_type']} {order['side']} {number(order['quantity'])} {order['symbol']}"]
    parts += [f"stop {number(order['stop_price'])}"] if order["stop_price"] is not None else []
    parts += [f"trail {trail}"] if (trail := trail_of(order)) else []
    parts += [f"limit {number(order['limit_price'])}"] if order["limit_price"] is not None else []
    parts += [order["time_in_force"]] if order["time_in_force"] is not None else []
    parts += ["post-only"] if order["post_only"] else []
    return ", ".join(parts)


def requested_terms(decision: Row) -> list[str]:
    """Return what a BUY or SELL asked for beside its quantity: ``limit 100``, ``IOC``, ``stop-loss 5 %``.

    Args:
        decision: the row of ``trading_decisions``.
    """
    parts = [f"stop {number(decision['stop_price'])}"] if decision["stop_price"] is not None else []
    parts += [f"trail {trail}"] if (trail := trail_of(decision)) else []
    parts += [f"limit {number(decision['limit_price'])}"] if decision["limit_price"] is not None else []
    parts += [decision["time_in_force"]] if decision["time_in_force"] is not None else []
    if decision["order_expires_at"] is not None:
        parts.append(f"until {utc_moment(decision['order_expires_at'])}")
    parts += [flag.replace("_", "-") for flag in ("post_only", "reduce_only") if decision[flag]]
    for name in ("stop_loss", "trailing_stop", "take_profit"):
        distance = _distance(decision[name], decision[f"{name}_pct"])
        parts += [f"{name.replace('_', '-')} {distance}"] if distance else []
    if decision["take_profits"] is not None:
        parts.append(f"take-profits {targets_text(parse_targets(decision['take_profits']))}")
    return parts


def trail_of(order: Row) -> str:
    """Return the distance of a trailing stop from its mark: ``500`` or ``2 %``; empty for any other order."""
    return _distance(order["trail"], order["trail_pct"])


def _distance(amount: Decimal | None, fraction: Decimal | None) -> str:
    if fraction is not None:
        return f"{number(multiply(fraction, HUNDRED))} %"
    return number(amount) if amount is not None else ""


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
            close = f", the close of {order['calendar']}" if order["calendar"] is not None else ""
            yield "expires", f"{utc_moment(order['order_expires_at'])}{close}"
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
    if order["trail_mark"] is not None and order["triggered_at"] is None:
        name = "highest" if order["side"] == "SELL" else "lowest"
        wanted = "for its trigger" if order["status"] == OPEN else "its trigger was"
        mark = number(order["trail_mark"])
        return f"{wanted} at {number(order['present_stop'])}; {name} mark since it was placed: {mark}"
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
        elif not seen["has_spread"]:
            what = "price"  # the last trade counts, since bid and ask are not known
    if value is None:
        return f"{wanted}; no price is stored since it was placed"
    return f"{wanted}; {name} {what} since it was placed: {number(value)}, of {seen['prices']} stored prices"
