"""Orders that rest while no process runs, and a market that fills them meanwhile: what a settlement needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

from actors import Decision, TradingSystem
from domain.trading.decision import Outcome
from domain.trading.quotes import Quote
from domain.types import Instant, OutcomeStatus, Symbol

LIMITED, STOPPED = "ADA/USDT", "XRP/USDT"
"""A symbol of limit orders, and one of stops: no other decision is about them."""
SYMBOLS = (LIMITED, STOPPED)
USUAL_PRICE = Decimal(100)
"""While a process runs; the limits and stops are 30 % below it."""
DIP = Decimal(59)
"""Of each trade that happens while nobody looks."""
DIP_INTERVAL = timedelta(milliseconds=100)
PLACED_WITHIN_S = 20.0
"""Seconds; the machine may be busy."""
TERMS: dict[str, dict[str, Any]] = {
    LIMITED: {"order_type": "limit", "limit_price": "70"},
    STOPPED: {"stop_loss_pct": "0.3"},
}
EXPECTED = {LIMITED: OutcomeStatus.OPEN, STOPPED: OutcomeStatus.EXECUTED}

UNSETTLED = f"""
SELECT count(*) FROM paper_orders WHERE symbol IN ('{LIMITED}', '{STOPPED}') AND status = 'open'
"""
"""Orders that still rest."""
SETTLED_WRONGLY = f"""
SELECT count(*) FROM paper_orders o JOIN trading_decisions d ON d.id = o.decision_id
WHERE o.symbol IN ('{LIMITED}', '{STOPPED}') AND o.order_type <> 'market' AND o.status <> 'open'
  AND (o.status <> 'filled' OR d.status <> 'executed'
       OR (SELECT array_agg(recovered) FROM paper_fills f WHERE f.order_id = o.order_id) IS DISTINCT FROM '{{t}}')
"""
"""Orders that ended otherwise than by one fill of a settlement."""


def let_rest(system: TradingSystem, portfolios: Sequence[str]) -> None:
    """Let a limit order and a stop of each portfolio rest; return when they are committed.

    Raises:
        AssertionError: one does not rest.
    """
    waiting = [
        (symbol, system.submit(
            Decision(symbol=symbol, decision="BUY", confidence=1, quantity="1", portfolio=portfolio, **TERMS[symbol])
        ))
        for portfolio in portfolios for symbol in SYMBOLS
    ]  # fmt: skip
    for symbol, future in waiting:
        outcome: Outcome = future.get(timeout=PLACED_WITHIN_S)
        assert EXPECTED[symbol] == outcome.status, outcome


def past(symbol: Symbol, since: datetime, until: datetime, source: str) -> Iterator[Quote]:
    """Yield the trades of a span. They depend on the time alone, so each process hears of the same ones."""
    number = int(since.timestamp() / DIP_INTERVAL.total_seconds())
    begin = datetime.fromtimestamp(0, since.tzinfo)
    while (at := begin + number * DIP_INTERVAL) <= until:
        if since < at:
            yield Quote(symbol, DIP, at, Instant(at, 0), source, real=False, is_trade=True, recovered=True)
        number += 1


def is_settled(url: str) -> bool:
    """Whether nothing of this rests any more."""
    with psycopg.connect(url) as connection:
        ((count,),) = connection.execute(UNSETTLED).fetchall()
    return bool(count == 0)
