"""A history of sixty days from a seed, written through the actors' stores: three portfolios with trades, one without.

Its days and the time as of which it is read (`as_of`) are fixed, so no number depends on the day of the test.
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

from domain.trading.bookkeeping import Result, apply
from domain.trading.decision import Decision
from domain.trading.orders import order_id
from domain.trading.portfolio import PortfolioState
from domain.trading.snapshot import Snapshot, take_snapshot
from domain.types import Generation, Symbol
from persistence import schema
from persistence.lease import Lease
from persistence.queries import history
from persistence.stores import portfolios, verdicts
from persistence.stores.decisions import DecisionStore
from persistence.stores.ledger import LedgerStore
from persistence.stores.snapshots import SnapshotStore
from tests.support.values.builders import BTC, ETH, filled, instant, instrument, market_order, uid

DAYS = 60
CLASSES = {BTC: "crypto", ETH: "crypto", Symbol("AAPL"): "equity"}
MARKETS = {"default": (BTC, ETH), "shares": (Symbol("AAPL"),), "losers": (BTC,)}
CAPITAL = {"default": 10_000, "shares": 250_000, "losers": 1_000, "empty": 10_000}
SILENT = range(20, 23)
"""Days on which no portfolio had a snapshot."""
FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
NOW = FIRST_DAY + timedelta(days=DAYS + 2, hours=9, minutes=30)
"""The time as of which the history is read: two days after the last deal, in the morning."""
MIDNIGHT = FIRST_DAY + timedelta(days=DAYS + 2)
"""The last midnight before `NOW`."""
YOUNG = NOW - timedelta(days=7)
"""Start of the snapshots of the portfolio "losers", which has too few days for a Sharpe ratio."""


PORTFOLIO_BEGAN = "UPDATE paper_trading_config SET created_at = %s WHERE portfolio = %s"
DECISION_WAS_SENT = "UPDATE trading_decisions SET created_at = %s, received_at = %s, processed_at = %s WHERE uid = %s"


@dataclass(frozen=True)
class Deal:
    """One order of the history, which fills at once."""

    number: int
    portfolio: str
    symbol: Symbol
    side: str
    quantity: Decimal
    price: Decimal
    at: datetime


Moment = tuple[datetime, Mapping[Symbol, Decimal], int]
"""A time, the prices then, and the number of deals until then."""


def walked(draw: random.Random, price: Decimal) -> Decimal:
    return (price * Decimal(str(round(draw.gauss(1.001, 0.03), 4)))).quantize(Decimal("0.01"))


def draw_history(seed: int, first_day: datetime) -> tuple[list[Deal], list[Moment]]:
    """Return deals of sixty days and, for each sixth hour, the marks and the number of deals until then."""
    draw = random.Random(seed)
    prices = {BTC: Decimal(110_000), ETH: Decimal(4000), Symbol("AAPL"): Decimal(230)}
    quantities: dict[tuple[str, Symbol], Decimal] = {}
    deals: list[Deal] = []
    moments: list[Moment] = []

    def trade(name: str, symbol: Symbol, at: datetime, side: str | None = None) -> None:
        key = (name, symbol)
        position = quantities.get(key, Decimal(0))
        side = side or draw.choice(["BUY", "SELL"] if position else ["BUY"])
        quantity = position if side == "SELL" and draw.random() < 0.6 else (position / 2 if side == "SELL" else None)
        if quantity is None:
            quantity = Decimal(CAPITAL[name]) / prices[symbol] * Decimal(str(round(draw.uniform(0.02, 0.1), 3)))
        quantity = quantity.quantize(Decimal("1e-8"))
        quantities[key] = position + quantity if side == "BUY" else position - quantity
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
            quantities[("losers", BTC)] = Decimal(0)
        if step // 4 not in SILENT:
            moments.append((now, dict(prices), len(deals)))
    return deals, moments


def fill(deal: Deal, portfolio: PortfolioState, decision_id: Any) -> Result:
    traded = instrument(deal.symbol, asset_class=CLASSES[deal.symbol])
    strategy = "trend" if deal.number % 3 else None
    made = market_order(
        deal.side, deal.quantity, deal.price, seq=portfolio.version + 1, instrument=traded, strategy=strategy,
        costs=portfolio.rules.costs,
    )  # fmt: skip
    ids = {"decision_id": decision_id, "order_id": order_id(uid(deal.number), 1), "portfolio": portfolio.name}
    return apply(portfolio, filled(made._replace(order=replace(made.order, created_at=deal.at, **ids)), deal.at))


@contextmanager
def as_of(moment: datetime = NOW) -> Iterator[None]:
    """Have the program read a history as of ``moment``, by replacing the two statements that read the time."""
    opening = history.OPENING.replace("paper_now()", f"timestamptz '{moment.isoformat()}'")
    assert opening != history.OPENING
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "OPENING", opening)
        patch.setattr(verdicts, "now", lambda _cursor: moment)
        yield


def write(url: str, seed: int) -> None:
    """Write the history of a seed."""
    deals, moments = draw_history(seed, FIRST_DAY)
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
    """Write deals and, for portfolios that are ``valued`` at a time, snapshots, through the actors' stores."""
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
        ids = {received.uid: received.id for received in decisions.pending([], 10_000, instant(moments[0][0]))}
        # By number, which in each portfolio is also the order of their times.
        applied: list[Result] = []
        saved: list[Snapshot] = []
        for moment, marks, count in moments:
            for deal in deals[len(applied) : count]:
                applied.append(fill(deal, states[deal.portfolio], ids[uid(deal.number)]))
                states[deal.portfolio] = applied[-1].state
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
    """Set the times of portfolios and decisions to those of the history."""
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE trading_decisions DISABLE TRIGGER USER")
        connection.cursor().executemany(PORTFOLIO_BEGAN, [(first, name) for name in names])
        times = [(deal.at, deal.at, deal.at, uid(deal.number)) for deal in deals]
        connection.cursor().executemany(DECISION_WAS_SENT, times)
        connection.execute("ALTER TABLE trading_decisions ENABLE TRIGGER USER")
