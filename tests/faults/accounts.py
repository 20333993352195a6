"""Requests for accounts in a `World`."""

from __future__ import annotations

import random
from decimal import Decimal

from actors.messages import ReadRequests
from domain.trading.account.requests import AccountKind, Ratio
from domain.types import PortfolioName
from tests.faults.setting import NAMES
from tests.faults.world import World
from tests.support.account.account_run import account_request

TWO_FOR_ONE = Ratio(Decimal(2), Decimal(1))


def ask(world: World, draw: random.Random) -> None:
    """Insert a request of the owner: a deposit, a withdrawal that may be too large, or a change of BTC/USDT."""
    name = draw.choice(NAMES[:2])
    kind = draw.choice([AccountKind.DEPOSIT, AccountKind.WITHDRAWAL, AccountKind.DIVIDEND, AccountKind.SPLIT])
    is_cash = kind in {AccountKind.DEPOSIT, AccountKind.WITHDRAWAL}
    amount = draw.choice(["0.5", "120.000000000001", "2000"]) if is_cash else "0.25"
    request = account_request(
        kind,
        number=len(world.database.requests) + 1,
        portfolio=None if kind is AccountKind.SPLIT and draw.random() < 0.7 else name,  # one of several is refused
        symbol=None if is_cash else "BTC/USDT",
        amount=None if kind is AccountKind.SPLIT else amount,
        ratio=TWO_FOR_ONE if kind is AccountKind.SPLIT else None,
    )
    if PortfolioName(name) in world.database.portfolios:
        world.database.requests.append(request)
        world.stepper.tell("DecisionWatcher", ReadRequests())


def begin_anew(world: World, draw: random.Random) -> None:
    """Cancel and sell all that a portfolio has, and reset or close it; that is refused where something is left."""
    database, name = world.database, draw.choice(NAMES[:2])
    present, _ = database.lives.get(name, (PortfolioName(name), 0))
    if (state := database.portfolios.get(present)) is None:
        return
    world.add(decision="CANCEL", target="all", symbol="*", confidence=1, portfolio=name)
    for symbol in state.positions:
        world.add(decision="SELL", symbol=symbol, confidence=1, portfolio=name)
    world.run(draw.choice([0, 200, 1_000]))
    # A closed one is reset next, or all later decisions of the seed would be rejected.
    closes = state.closed is None and draw.random() < 0.1
    kind = AccountKind.CLOSE if closes else AccountKind.RESET
    amount = draw.choice([None, "5000"]) if kind is AccountKind.RESET else None
    request = account_request(kind, number=len(database.requests) + 1, portfolio=present, amount=amount)
    if present in database.portfolios:
        database.requests.append(request)
        world.stepper.tell("DecisionWatcher", ReadRequests())
        world.faults["portfolio begun anew"] += 1
