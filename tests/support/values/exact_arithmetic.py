"""The arithmetic of docs/arithmetic.md in exact fractions, computed from stored rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any

FILLS = """
SELECT o.*, f.base_price, f.price, f.notional, f.cash_delta, f.last_price, f.bid, f.ask, f.touch_size,
       d.confidence, d.risk_score, d.quantity AS requested,
       10000 + coalesce(sum(f.cash_delta) OVER earlier, 0) AS cash_before,
       coalesce(sum(f.asset_delta) OVER (PARTITION BY f.symbol ORDER BY o.seq ROWS BETWEEN UNBOUNDED PRECEDING
                                         AND 1 PRECEDING), 0) AS held_before
FROM paper_orders o JOIN paper_fills f USING (order_id) JOIN trading_decisions d ON d.id = o.decision_id
WINDOW earlier AS (ORDER BY o.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
ORDER BY o.seq
"""


@dataclass(frozen=True)
class Rules:
    """A venue's tick and step, by symbol."""

    ticks: Mapping[str, str]
    steps: Mapping[str, str]


def nearest(value: Fraction, quantum: str) -> Fraction:
    return floor(value / Fraction(quantum) + Fraction(1, 2)) * Fraction(quantum)


def assert_by_hand(row: dict[str, Any], rules: Rules) -> None:
    """Assert size, slippage, price, commission and cash of one order."""
    base, quantity = Fraction(row["base_price"]), Fraction(row["quantity"])
    assert quantity == size_by_hand(row, base, rules)
    u = Fraction(1, 2) + Fraction(int.from_bytes(hashlib.sha256(str(row["order_id"]).encode()).digest()[:8]), 2**64)
    offered = Fraction(0) if row["touch_size"] is None else Fraction(row["touch_size"])
    surcharged = nearest(max(quantity - offered, Fraction(0)) * base, "1e-12")
    rate = nearest(Fraction("0.0005") * 2 * (1 + min(surcharged / 100_000, Fraction(4))) * u, "1e-12")
    tick = Fraction(rules.ticks[row["symbol"]])
    # By price rule `quote`, which these portfolios have, a price is rounded against the order.
    ticks = ceil(base * (1 + rate) / tick) if row["side"] == "BUY" else floor(base * (1 - rate) / tick)
    price = ticks * tick
    assert (price, "quote") == (Fraction(row["price"]), row["price_rule"])
    assert base == touch_by_hand(row)
    paid = nearest(quantity * price, "1e-12")
    commission = max(nearest(paid / 1000, "1e-12"), Fraction(1))
    assert (paid, commission) == (Fraction(row["notional"]), Fraction(row["commission"]))
    cash = -paid - commission if row["side"] == "BUY" else paid - commission
    assert cash == Fraction(row["cash_delta"])
    assert nearest(quantity * abs(price - base), "1e-12") == Fraction(row["slippage"])


def touch_by_hand(row: Mapping[str, Any]) -> Fraction:
    """Return the price that the order met: the ask of a BUY, the bid of a SELL; without them the last trade."""
    if row["bid"] is None or row["ask"] is None or row["bid"] > row["ask"]:
        return Fraction(row["last_price"])
    return Fraction(row["ask" if row["side"] == "BUY" else "bid"])


def mark_by_hand(row: Mapping[str, Any]) -> Fraction:
    """Return the last trade, within bid and ask where they are known."""
    last = Fraction(row["last_price"])
    if row["bid"] is None or row["ask"] is None or row["bid"] > row["ask"]:
        return last
    return min(max(last, Fraction(row["bid"])), Fraction(row["ask"]))


def size_by_hand(row: dict[str, Any], base: Fraction, rules: Rules) -> Fraction:
    """Return the size: the requested quantity, the whole position, or the budget within the position limit.

    Cash is always sufficient in the sample.
    """
    held = Fraction(row["held_before"])
    step = Fraction(rules.steps[row["symbol"]])
    if row["requested"] is not None:
        return floor(Fraction(row["requested"]) / step) * step
    if row["side"] == "SELL":
        return held
    equity = Fraction(row["equity"])
    risk = Fraction("0.3") if row["risk_score"] is None else Fraction(row["risk_score"])
    budget = Fraction("0.2") * equity * Fraction(row["confidence"]) / Fraction("0.8") * (1 - risk / 2)
    headroom = nearest(equity / 5, "1e-12") - nearest(held * mark_by_hand(row), "1e-12")
    assert Fraction(row["cash_before"]) > budget * Fraction("1.02")
    return floor(min(nearest(budget, "1e-12"), headroom) / base / step) * step


def trades_by_hand(fills: Iterable[Mapping[str, Any]]) -> list[tuple[Any, Fraction, Fraction]]:
    """Return the order, gross and net result of each closing, from all fills of one portfolio in their order."""
    held: dict[str, tuple[Fraction, Fraction, Fraction]] = {}
    trades = []
    for fill in fills:
        quantity, cost, entry = held.get(fill["symbol"], (Fraction(0), Fraction(0), Fraction(0)))
        filled, notional, commission = (Fraction(fill[name]) for name in ("quantity", "notional", "commission"))
        if fill["side"] == "BUY":
            held[fill["symbol"]] = quantity + filled, cost + notional, entry + commission
            continue
        cost_share, entry_share = (nearest(amount * filled / quantity, "1e-12") for amount in (cost, entry))
        if filled == quantity:
            cost_share, entry_share = cost, entry
        held[fill["symbol"]] = quantity - filled, cost - cost_share, entry - entry_share
        gross = notional - cost_share
        trades.append((fill["order_id"], gross, gross - entry_share - commission))
    return trades
