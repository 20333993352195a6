"""Symbols of one portfolio whose data come at different times: a kill loses nothing of the one that was late."""

from __future__ import annotations

from datetime import datetime, timedelta

from domain.trading.decision import Decision
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import NOON, StepClock
from tests.support.settlement.recorded_market import RecordedMarket, Served, events_as_text, trade
from tests.support.values.builders import BTC, BY_QUOTE, ETH, free, instrument, rules, uid

NAME = rules().portfolio


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def rest(one: Served, number: int, symbol: str, quantity: str, limit: str) -> None:
    """Place a limit order of a BUY."""
    one.ticker()
    one.database.add(
        Decision(
            symbol=symbol, decision="BUY", confidence=1, uid=uid(number), quantity=quantity, order_type="limit",
            limit_price=limit,
        ),
        one.clock.now(),
    )  # fmt: skip
    assert one.stepper is not None
    one.stepper.settle()


def lagging(*eth: tuple[float, str]) -> Served:
    """Return orders of two symbols, killed when BTC/USDT was seen up to second 10 and ETH/USDT up to second 2."""
    database = MemoryDatabase()
    database.open_portfolio(rules(costs=free(), execution=BY_QUOTE, max_position_size=1))
    pieces = [
        (1, BTC, "100"),
        (1, ETH, "10"),
        (2, ETH, "10"),
        (10, BTC, "94"),
        *((at, ETH, price) for at, price in eth),
    ]
    trades = [trade(symbol, price, at(second), "50") for second, symbol, price in sorted(pieces)]
    one = Served(RecordedMarket([instrument(BTC), instrument(ETH)], trades), database, StepClock(), seed=1)
    one.start()
    one.pass_to(at(1))
    rest(one, 1, BTC, "1", "90")
    rest(one, 2, ETH, "10", "9")
    one.pass_to(at(2))
    running, one.stepper = one.stepper, None  # from here on the data of ETH/USDT are late
    one.pass_to(at(10))
    one.stepper = running
    one.see([piece for piece in trades if piece.symbol == BTC][-1:])
    one.tick()
    one.kill()
    return one


def test_a_symbol_whose_data_were_late_loses_nothing_at_a_kill() -> None:
    one = lagging((5, "8.9"), (11, "8.8"))
    progress = one.database.portfolios[NAME].progress
    assert (at(10), {ETH: at(2)}) == (progress.data_at, progress.behind)
    one.pass_to(at(60))
    one.start()
    assert [(BTC, at(10), at(60)), (ETH, at(2), at(60))] == one.market.requests
    filled = [text for text in events_as_text(one.database) if "Filled" in text]
    assert ["05 12:00:05 recovered default 1 Filled BUY 10 at 9"] == filled
    progress = one.database.portfolios[NAME].progress
    assert (at(60), {}) == (progress.data_at, progress.behind)
