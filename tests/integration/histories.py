"""A history of sixty days from a seed, written through the stores of the actors: three portfolios, and an empty one."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.decision import Decision
from domain.orders import order_id
from domain.portfolio import Applied, Portfolio, apply
from domain.snapshot import Snapshot, day_of, value
from domain.words import Generation, Symbol
from persistence import portfolios, schema
from persistence.decisions import DecisionStore
from persistence.lease import Lease
from persistence.ledger import LedgerStore
from persistence.snapshots import SnapshotStore
from tests.unit.builders import BTC, ETH, filled, instrument, order, uid

DAYS = 60
CLASSES = {BTC: "crypto", ETH: "crypto", Symbol("AAPL"): "equity"}
MARKETS = {"default": (BTC, ETH), "shares": (Symbol("AAPL"),), "losers": (BTC,)}
CAPITAL = {"default": 10_000, "shares": 250_000, "losers": 1_000, "empty": 10_000}
SILENT = range(20, 23)
"""Days on which no portfolio had a snapshot."""


@dataclass(frozen=True)
class Deal:
    """One that a seed made up."""

    number: int
    portfolio: str
    symbol: Symbol
    side: str
    quantity: Decimal
    price: Decimal
    at: datetime


Moment = tuple[datetime, Mapping[Symbol, Decimal], int]
"""A time, what prices are then, and how many deals there were until then."""


def walked(draw: random.Random, price: Decimal) -> Decimal:
    return (price * Decimal(str(round(draw.gauss(1.001, 0.03), 4)))).quantize(Decimal("0.01"))


def a_history(seed: int, first_day: datetime) -> tuple[list[Deal], list[Moment]]:
    """Deals of sixty days, and what is known at each sixth hour: marks, and how many deals there were until then."""
    draw = random.Random(seed)
    prices = {BTC: Decimal(110_000), ETH: Decimal(4000), Symbol("AAPL"): Decimal(230)}
    held: dict[tuple[str, Symbol], Decimal] = {}
    deals: list[Deal] = []
    moments: list[Moment] = []

    def trade(name: str, symbol: Symbol, at: datetime, side: str | None = None) -> None:
        key = (name, symbol)
        have = held.get(key, Decimal(0))
        side = side or draw.choice(["BUY", "SELL"] if have else ["BUY"])
        quantity = have if side == "SELL" and draw.random() < 0.6 else (have / 2 if side == "SELL" else None)
        if quantity is None:
            quantity = Decimal(CAPITAL[name]) / prices[symbol] * Decimal(str(round(draw.uniform(0.02, 0.1), 3)))
        quantity = quantity.quantize(Decimal("1e-8"))
        held[key] = have + quantity if side == "BUY" else have - quantity
        deals.append(Deal(len(deals) + 1, name, symbol, side, quantity, prices[symbol], at))

    for step in range(DAYS * 4):
        now = first_day + timedelta(hours=6) * (step + 1)
        prices = {symbol: walked(draw, price) for symbol, price in prices.items()}
        for name in ("default", "shares"):
            if draw.random() < 0.4:
                trade(name, draw.choice(MARKETS[name]), now - timedelta(minutes=draw.randint(1, 300)))
        if step % 8 == 5 and step > DAYS * 4 - 20:
            trade("losers", BTC, now - timedelta(minutes=9), "BUY")
            last = deals[-1]
            deals.append(replace(last, number=last.number + 1, side="SELL", at=now - timedelta(minutes=8)))
            held[("losers", BTC)] = Decimal(0)
        if step // 4 not in SILENT:
            moments.append((now, dict(prices), len(deals)))
    return deals, moments


def fill(deal: Deal, portfolio: Portfolio, decision_id: Any) -> Applied:
    what = instrument(deal.symbol, asset_class=CLASSES[deal.symbol])
    strategy = "trend" if deal.number % 3 else None
    made = order(
        deal.side, deal.quantity, deal.price, seq=portfolio.seq + 1, instrument=what, strategy=strategy,
        costs=portfolio.terms.costs,
    )  # fmt: skip
    ids = {"decision_id": decision_id, "order_id": order_id(uid(deal.number), 1), "portfolio": portfolio.name}
    return apply(portfolio, filled(replace(made, created_at=deal.at, **ids), deal.at))


def write(url: str, seed: int) -> None:
    """Write the history of a seed; the portfolio that lost all the time is young: too young for a Sharpe ratio."""
    young = datetime.now(UTC) - timedelta(days=7)
    deals, moments = a_history(seed, day_of(datetime.now(UTC)) - timedelta(days=DAYS + 2))
    store(url, CAPITAL, deals, moments, lambda name, at: name != "empty" and (name != "losers" or at > young))


def store(
    url: str,
    capital: Mapping[str, int],
    deals: Sequence[Deal],
    moments: Sequence[Moment],
    valued: Callable[[str, datetime], bool] = lambda _name, _at: True,
) -> None:
    """Write deals, and snapshots of the portfolios that are valued then, through the stores that actors write with."""
    lease = Lease.take(url)
    schema.upgrade(url)
    lease.begin_epoch()
    for name, amount in capital.items():
        portfolios.create(url, name, {"initial_capital": amount})
    ledger, decisions, snapshots = LedgerStore(url, lease), DecisionStore(url, lease), SnapshotStore(url, lease)
    try:
        ledger.raise_generation(Generation(1))
        states = {str(portfolio.name): portfolio for portfolio in ledger.load()}
        decisions.insert(
            [
                Decision(symbol=d.symbol, decision=d.side, confidence=1, portfolio=d.portfolio, uid=uid(d.number))
                for d in deals
            ]
        )
        ids = {received.uid: received.id for received in decisions.pending([], 10_000, datetime.now(UTC))}
        # In the order of their numbers, which is that of their times in each portfolio.
        applied: list[Applied] = []
        saved: list[Snapshot] = []
        for moment, marks, count in moments:
            for deal in deals[len(applied) : count]:
                applied.append(fill(deal, states[deal.portfolio], ids[uid(deal.number)]))
                states[deal.portfolio] = applied[-1].portfolio
            saved += [
                value(state, marks, Decimal(capital[name]), moment)
                for name, state in states.items()
                if valued(name, moment)
            ]
        for first in range(0, len(applied), 100):
            ledger.commit(Generation(1), applied[first : first + 100])
        snapshots.save(saved)
    finally:
        for opened in (ledger, decisions, snapshots):
            opened.close()
        lease.release()
