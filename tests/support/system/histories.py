"""A history of sixty days from a seed, written through the stores of the actors: three portfolios, and an empty one.

Its days are fixed, and so is the moment as of which it is read (`as_of`): no number depends on the day of the test.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from domain.trading.decision import Decision
from domain.trading.orders import order_id
from domain.trading.portfolio import Applied, Portfolio, apply
from domain.trading.snapshot import Snapshot, take_snapshot
from domain.types import Generation, Symbol
from persistence import schema
from persistence.lease import Lease
from persistence.queries import history
from persistence.stores import portfolios, verdicts
from persistence.stores.decisions import DecisionStore
from persistence.stores.ledger import LedgerStore
from persistence.stores.snapshots import SnapshotStore
from tests.support.values.builders import BTC, ETH, filled, instrument, order, uid

DAYS = 60
CLASSES = {BTC: "crypto", ETH: "crypto", Symbol("AAPL"): "equity"}
MARKETS = {"default": (BTC, ETH), "shares": (Symbol("AAPL"),), "losers": (BTC,)}
CAPITAL = {"default": 10_000, "shares": 250_000, "losers": 1_000, "empty": 10_000}
SILENT = range(20, 23)
"""Days on which no portfolio had a snapshot."""
FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
NOW = FIRST_DAY + timedelta(days=DAYS + 2, hours=9, minutes=30)
"""The moment as of which the history is read: two days after the last deal, in the middle of a day."""
MIDNIGHT = FIRST_DAY + timedelta(days=DAYS + 2)
"""The last one before `NOW`."""
YOUNG = NOW - timedelta(days=7)
"""From then on the portfolio "losers" has snapshots: too few days for a Sharpe ratio."""


PORTFOLIO_BEGAN = "UPDATE paper_trading_config SET created_at = %s WHERE portfolio = %s"
DECISION_WAS_SENT = "UPDATE trading_decisions SET created_at = %s, processed_at = %s WHERE uid = %s"


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
        costs=portfolio.rules.costs,
    )  # fmt: skip
    ids = {"decision_id": decision_id, "order_id": order_id(uid(deal.number), 1), "portfolio": portfolio.name}
    return apply(portfolio, filled(replace(made, created_at=deal.at, **ids), deal.at))


@contextmanager
def as_of(moment: datetime = NOW) -> Iterator[None]:
    """Have the program read a history as of ``moment``: it asks the database for the time in these two places alone."""
    opening = history.OPENING.replace("now()", f"timestamptz '{moment.isoformat()}'")
    assert opening != history.OPENING
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "OPENING", opening)
        patch.setattr(verdicts, "now", lambda _cursor: moment)
        yield


def write(url: str, seed: int) -> None:
    """Write the history of a seed; the portfolio that lost all the time is too young for a Sharpe ratio."""
    deals, moments = a_history(seed, FIRST_DAY)
    store(url, CAPITAL, deals, moments, lambda name, at: name != "empty" and (name != "losers" or at > YOUNG))
    with psycopg.connect(url) as connection:
        connection.cursor().executemany(PORTFOLIO_BEGAN, [(YOUNG, "losers"), (NOW, "empty")])


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
        ids = {received.uid: received.id for received in decisions.pending([], 10_000, moments[0][0])}
        # In the order of their numbers, which is that of their times in each portfolio.
        applied: list[Applied] = []
        saved: list[Snapshot] = []
        for moment, marks, count in moments:
            for deal in deals[len(applied) : count]:
                applied.append(fill(deal, states[deal.portfolio], ids[uid(deal.number)]))
                states[deal.portfolio] = applied[-1].portfolio
            saved += [
                take_snapshot(state, marks, Decimal(capital[name]), moment)
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
    _date(url, capital, deals, moments[0][0])


def _date(url: str, names: Iterable[str], deals: Sequence[Deal], first: datetime) -> None:
    """Give portfolios and decisions the times of the history: the database wrote those of the test."""
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE trading_decisions DISABLE TRIGGER USER")
        connection.cursor().executemany(PORTFOLIO_BEGAN, [(first, name) for name in names])
        connection.cursor().executemany(DECISION_WAS_SENT, [(deal.at, deal.at, uid(deal.number)) for deal in deals])
        connection.execute("ALTER TABLE trading_decisions ENABLE TRIGGER USER")
