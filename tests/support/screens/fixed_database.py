"""A database with rows of every kind, and none that depends on the day: two weeks of two portfolios."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
from psycopg.types.json import Jsonb

from domain.types import Symbol
from tests.support.database.set_time import set_time
from tests.support.system.histories import Deal, Moment, store
from tests.support.system.validation_runs import begun_at, execute, process
from tests.support.values.builders import BTC, ETH

FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
NOW = FIRST_DAY + timedelta(days=14, hours=9, minutes=30)
"""The time of every screen."""
CAPITAL = {"cautious": 25_000, "default": 10_000}
HOLDER = "process 4711 on paper-host"
NO_ROOM = (
    "no room: 0.01442492 at 110617.14 is worth 1595.6432865288, the position limit leaves 404.2391573264019 of"
    " the portfolio's equity"
)
OUTCOMES = [
    ("BUY", "ETH/USDT", "0.81", "rejected", NO_ROOM),
    ("BUY", "SOL/USDT", "0.55", "ignored", "low confidence: 0.55 is below 0.6"),
    ("HOLD", "BTC/USDT", "0.8", "ignored", "hold: nothing to do"),
    ("SELL", "XRP/USDT", "0.9", "rejected", "no position: nothing of XRP/USDT is held"),
    ("BUY", "BTC/USDT", "0.7", "expired", "expired: at 2026-01-19 08:00:00 UTC, before there was a fresh price"),
    ("BUY", "ETH/USDT", "0.75", "pending", None),
]
DECISION = """
INSERT INTO trading_decisions (symbol, decision, confidence, strategy, created_at, received_at, status, outcome_reason,
                               processed_at)
VALUES (%s, %s, %s, 'trend', %s, %s, %s, %s, %s)
"""
RESTING = """
INSERT INTO paper_orders SELECT (jsonb_populate_record(o, %s || jsonb_build_object('parent', o.order_id))).*
FROM paper_orders o
WHERE o.portfolio = 'default' AND o.side = 'BUY' ORDER BY o.created_at DESC LIMIT 1
"""
"""Copies the last BUY, and changes what a resting order has."""
_RESTS = {
    "side": "SELL", "status": "open", "filled_quantity": 0, "filled_at": None, "average_fill_price": None,
    "commission": 0, "slippage": 0, "created_at": "2026-01-19T08:00:00+00:00", "since": 1,
}  # fmt: skip
STOP = {
    **_RESTS, "order_id": "10000000-0000-4000-8000-000000000002", "leg": 2, "seq": 1002, "order_type": "stop",
    "stop_price": "99000.50",
}  # fmt: skip
TARGET = {
    **_RESTS, "order_id": "10000000-0000-4000-8000-000000000003", "leg": 3, "seq": 1003, "order_type": "limit",
    "limit_price": "131400.25",
}  # fmt: skip
"""What the resting orders have in place of the values of the copied order."""
REQUEST = """
INSERT INTO paper_account_requests (portfolio, kind, amount, reason, author, requested_at)
VALUES ('default', 'deposit', %s, %s, 'alice', %s)
"""
PRICE = "INSERT INTO market_prices (time, price_time, symbol, price, source) VALUES (%s, %s, %s, %s, 'test')"


def write(url: str) -> None:
    """Fill a database that has the newest schema."""
    deals, moments = _history()
    store(url, CAPITAL, deals, moments)
    process(url, prices="simulated")
    begun_at(url, FIRST_DAY)
    execute(url, "INSERT INTO paper_uptime VALUES (100, %s, %s)", FIRST_DAY, NOW, writer="Supervisor")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        connection.execute("SET paper.writer = 'PositionKeeper'")
        connection.execute("ALTER TABLE trading_decisions DISABLE TRIGGER USER")
        for number, (side, symbol, confidence, status, reason) in enumerate(OUTCOMES):
            at = NOW - (timedelta(minutes=90 - number) if status != "pending" else timedelta(seconds=3))
            ended = None if status == "pending" else at + timedelta(milliseconds=130)
            connection.execute(DECISION, [symbol, side, confidence, at, at, status, reason, ended])
        connection.execute("ALTER TABLE trading_decisions ENABLE TRIGGER USER")
        for symbol, price in moments[-1][1].items():
            connection.execute(PRICE, [NOW - timedelta(seconds=1), NOW - timedelta(seconds=2), symbol, price])
        connection.execute(RESTING, [Jsonb(STOP)])
        connection.execute(RESTING, [Jsonb(TARGET)])
        connection.execute(REQUEST, [Decimal(2500), "savings of January, as agreed with the desk", NOW])
        connection.execute(REQUEST, [Decimal("0.5"), "rounding", NOW - timedelta(hours=2)])
        set_time(connection, NOW)
    audit = "INSERT INTO paper_audits (at, epoch, portfolios, differences) VALUES (%s, 100, 2, '[]')"
    execute(url, audit, NOW - timedelta(minutes=3), writer="PositionKeeper")
    execute(url, "UPDATE paper_lease SET holder = %s, started_at = %s", HOLDER, FIRST_DAY, writer="Supervisor")


def _history() -> tuple[list[Deal], list[Moment]]:
    """Return the deals of a seed, and the prices of every third hour with the number of deals until then."""
    draw = random.Random(7)
    prices = {BTC: Decimal(103_250), ETH: Decimal(3_890)}
    held: dict[tuple[str, Symbol], Decimal] = {}
    deals: list[Deal] = []
    moments: list[Moment] = []
    for step in range(14 * 8):
        now = FIRST_DAY + timedelta(hours=3) * (step + 1)
        for symbol, price in prices.items():
            prices[symbol] = (price * Decimal(str(round(draw.gauss(1.0005, 0.008), 5)))).quantize(Decimal("0.01"))
        for name, capital in CAPITAL.items():
            if draw.random() < 0.35:
                symbol = draw.choice((BTC, ETH))
                before = held.get((name, symbol), Decimal(0))
                side = "SELL" if before and draw.random() < 0.7 else "BUY"
                share = Decimal(str(round(draw.uniform(0.04, 0.09), 3)))
                bought = (Decimal(capital) * share / prices[symbol]).quantize(Decimal("1e-8"))
                quantity = before if side == "SELL" else bought
                held[name, symbol] = Decimal(0) if side == "SELL" else before + bought
                at = now - timedelta(minutes=draw.randint(1, 170))
                deals.append(Deal(len(deals) + 1, name, symbol, side, quantity, prices[symbol], at))
        deals.sort(key=lambda deal: deal.number)
        moments.append((now, dict(prices), len(deals)))
    return deals, moments
