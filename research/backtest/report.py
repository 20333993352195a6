"""The report on a backtest: the same as on a portfolio, from the records in place of the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from domain.analytics.funnel import funnel
from domain.analytics.performance import History
from domain.analytics.report import BACKTEST, OpenPosition, Report, report
from domain.analytics.report_parts.buy_and_hold import BuyAndHold, Held, PriceLine, buy_and_hold, comparison
from domain.analytics.returns import Valuation
from domain.trading.arithmetic import divide, rate
from domain.trading.portfolio import Position
from domain.types import Symbol
from research.backtest.backtest import BacktestResult
from research.backtest.pieces import PHASES, SOURCE, Phase
from research.columns.bar_columns import EPOCH, time_of

CRYPTO = "crypto"
MICROSECOND = timedelta(microseconds=1)


def backtest_report(result: BacktestResult) -> Report:
    """Return the report on a backtest."""
    request, records = result.request, result.records
    rules, end = request.rules, time_of(request.market.end)
    history = History.full(
        opening=Valuation(time_of(request.begin), rules.initial_capital),
        until=end,
        trades=tuple(records.closings()),
        executions=tuple(records.executions()),
        valuations=tuple(records.valuations()),
    )
    traded = bool(records.traded)
    return report(
        history,
        portfolio=result.name,
        currency=rules.currency,
        initial_capital=rules.initial_capital,
        strategy=None,
        funnel=funnel((*key, number) for key, number in records.outcome_counts().items()),
        positions=_positions(result),
        price_sources=(SOURCE,) if traded else (),
        price_sources_not_real=(SOURCE,) if traded else (),
        benchmarks=_benchmarks(result, end),
        origin=f"{BACKTEST}, filled at the close of the decision" if request.fill_at_close else BACKTEST,
    )


def _positions(result: BacktestResult) -> list[OpenPosition]:
    market, rule = result.request.market, result.request.rules.execution.price_rule
    numbers, moment = market.numbers, market.end * PHASES + Phase.SNAPSHOT
    positions: Mapping[Symbol, Position] = result.state.positions
    opened = []
    for symbol, held in positions.items():
        piece = market.last_piece(numbers[symbol], moment)
        assert piece is not None  # it was bought at a price
        price = market.mark(numbers[symbol], piece, rule)
        unrealized = held.unrealized(price)
        fraction = rate(divide(unrealized, held.cost)) if held.cost else None
        opened.append(OpenPosition(
            symbol, held.side.value, held.quantity, held.entry_price, price, SOURCE, held.value(price), unrealized,
            fraction, held.strategy, held.opened_at,
        ))  # fmt: skip
    return sorted(opened, key=lambda one: (-abs(one.position_value), one.symbol))


def _benchmarks(result: BacktestResult, end: datetime) -> tuple[BuyAndHold, ...]:
    """Return what buying and holding brought: what was traded, and the usual coins as far as their prices are here."""
    market, records = result.request.market, result.records
    classes = {one.symbol: one.asset_class for one in market.instruments}
    held = [
        Held(symbol, records.traded[symbol], records.first_fills[symbol], classes[symbol] == CRYPTO)
        for symbol in records.traded
    ]
    wanted = comparison(held, None, end, result.request.rules.currency)
    if wanted is None:
        return ()
    numbers = market.numbers
    wanted = replace(wanted, others=tuple(symbol for symbol in wanted.others if Symbol(symbol) in numbers))
    lines = {symbol: _line(result, symbol, numbers[Symbol(symbol)], wanted.times) for symbol in wanted.symbols}
    return buy_and_hold(wanted, lines)


def _line(result: BacktestResult, symbol: str, number: int, times: tuple[datetime, ...]) -> PriceLine:
    market, rule = result.request.market, result.request.rules.execution.price_rule
    prices: list[Decimal | None] = []
    for time in times:
        piece = market.last_piece(number, (time - EPOCH) // MICROSECOND * PHASES + Phase.OPEN)
        prices.append(None if piece is None else market.mark(number, piece, rule))
    if prices[0] is None:
        return PriceLine(symbol, (), f"the prices of {symbol} begin later")
    return PriceLine(symbol, tuple(prices))
