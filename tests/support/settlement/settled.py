"""Settlements of a portfolio whose market after the downtime is written as short texts; see `order_engine`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from domain.trading.open_orders.settlement import Moment, Settlement
from domain.trading.portfolio import PortfolioState, Progress
from domain.trading.quotes import History
from domain.types import Symbol
from tests.support.values.builders import BTC, NOON
from tests.support.values.order_engine import described, market_data

FIRST_NO = 1_000
"""Above the number of any data before the downtime."""


def history(pieces: Sequence[tuple[float, str]], symbol: str = BTC) -> History:
    """Return a history of texts, each with its second after noon; a bar ends then, and is a minute long."""
    data = [market_data(text, NOON + timedelta(seconds=second), symbol) for second, text in pieces]
    return History(tuple(replace(one, recovered=True) for one in data))


def stopped_at(state: PortfolioState, second: float) -> PortfolioState:
    """Return a portfolio whose open orders have seen the market up to a second after noon."""
    return replace(state, progress=Progress(NOON + timedelta(seconds=second)))


def settled(
    state: PortfolioState, histories: Mapping[str, History], until: float = 86_400, first_no: int = FIRST_NO
) -> list[Moment]:
    """Return what happened up to a second after noon."""
    by_symbol = {Symbol(name): one for name, one in histories.items()}
    return list(Settlement(state, by_symbol, NOON + timedelta(seconds=until), first_no).moments())


def as_text(moments: Sequence[Moment]) -> list[str]:
    """Return what happened as texts, each with its second after noon: ``120: SELL 1 at 95 taker``."""
    return [f"{seconds(result.event.at):g}: {described(result)}" for moment in moments for result in moment.results]


def seconds(time: datetime) -> float:
    """Return the second after noon."""
    return (time - NOON).total_seconds()
