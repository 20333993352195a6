"""The evaluation of a trial: the returns of an ordinary backtest of each span, on the days that have prices."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from domain.errors import InvalidRequest
from domain.sweeps.folds import Fold, Span
from domain.types import DEFAULT_PORTFOLIO
from research.backtest.backtest import BacktestRequest, backtest
from research.backtest.pieces import Market
from research.errors import StrategyError
from research.examples.crossover import CrossoverParameters, MovingAverageCrossover
from research.market_data import MarketRequest
from research.portfolio_rules import portfolio_rules
from research.sweeps.backtest_trial import Workplace, date_of, days_with_data, evaluate
from research.sweeps.evaluation import TrialResult
from research.sweeps.shared_prices import store_prices
from tests.support.research.markets import START, flat_bars, market, micros

DAY = timedelta(days=1)
HOURS = timedelta(hours=6)
RULES: dict[str, Any] = {
    "currency": "USDT", "initial_capital": "10000", "commission_pct": "0.001", "min_commission": "1",
    "slippage_pct": "0.0005", "max_position_size": "0.2", "decision_confidence_threshold": "0.6", "min_notional": "10",
    "default_risk_score": "0", "default_stop_loss": None,
}  # fmt: skip
FOLD = Fold(1, Span(START + DAY, START + 12 * DAY), Span(START + 14 * DAY, START + 25 * DAY))
CROSSOVER = "research.examples.crossover:MovingAverageCrossover"


def prices(count: int = 120, skip: range = range(0)) -> Market:
    """Return bars of six hours from 2026-01-05, a Monday, on; some are left out."""
    places = [place for place in range(count) if place not in skip]
    closes = [100 + (place * 7) % 13 + 20 * (place // 17 % 2) for place in places]
    return market(flat_bars(closes, length=HOURS, begins=places))


def source(home: Path, *files: str) -> MarketRequest:
    return MarketRequest(files, home, START + 365 * DAY)


def result(home: Path, prices: Market, fold: Fold = FOLD, strategy: str = CROSSOVER, **parameters: Any) -> TrialResult:
    place = Workplace(strategy, store_prices(home, prices), source(home))
    options: dict[str, Any] = {
        "rules": RULES,
        "same_currency": ["USDT"],
        "fill_at_close": False,
        "strategy": "c",
        "name": "C",
    }
    return evaluate(parameters, fold, 7, workplace=place, **options)


def by_backtest(prices: Market, span: Span) -> list[float]:
    """Return the daily returns of a backtest of one span."""
    rules = portfolio_rules(DEFAULT_PORTFOLIO, RULES)
    parameters = CrossoverParameters(fast=2, slow=5)
    request = BacktestRequest(
        lambda: MovingAverageCrossover(parameters), prices.until(micros(span.end)), rules, micros(span.begin),
        frozenset(["USDT"]),
    )  # fmt: skip
    records = backtest(request).records
    assert len(records.fills) > 3
    values = {valuation.time: valuation.total_value for valuation in records.valuations()}
    in_order = [Decimal(10000), *(values[at] for at in sorted(values))]
    return [float(after / before - 1) for before, after in pairwise(in_order)]


def test_the_returns_are_those_of_backtests_of_training_and_test(tmp_path: Path) -> None:
    made = result(tmp_path, prices(), fast=2, slow=5)
    assert (11, 11) == (len(made.in_sample), len(made.out_of_sample))
    assert by_backtest(prices(), FOLD.train) == pytest.approx(made.in_sample, abs=1e-15)
    assert by_backtest(prices(), FOLD.test) == pytest.approx(made.out_of_sample, abs=1e-15)
    assert made.metrics["fills"] > 3
    assert made.metrics["fills_in_sample"] > 3


def test_nothing_after_a_span_changes_its_returns(tmp_path: Path) -> None:
    short, long = (result(tmp_path, prices(count), fast=2, slow=5) for count in (100, 120))
    assert short == long


def test_days_without_prices_have_no_return(tmp_path: Path) -> None:
    saturday = 4 * 5
    gap = prices(skip=range(saturday, saturday + 8))
    days = [date_of(day) for day in days_with_data(gap).tolist()]
    assert 28 == len(days)
    assert {5, 6} & {day.weekday() for day in days if day < (START + 7 * DAY).date()} == set()
    made = result(tmp_path, gap, fast=2, slow=5)
    assert (9, 11) == (len(made.in_sample), len(made.out_of_sample))
    assert len(result(tmp_path, gap, fast=3, slow=9).in_sample) == len(made.in_sample)


def test_a_value_of_a_parameter_is_read_as_the_command_line_reads_it(tmp_path: Path) -> None:
    made = result(tmp_path, prices(), strategy="research.examples.mean_reversion:MeanReversion", deviations=Decimal(1))
    assert 11 == len(made.out_of_sample)
    with pytest.raises(StrategyError, match="fast = 6 must be below slow = 5"):
        result(tmp_path, prices(), fast=6, slow=5)


def test_prices_that_are_missing_are_read_again(tmp_path: Path) -> None:
    rows = [
        f"{START + place * HOURS:%Y-%m-%dT%H:%M:%SZ},{','.join([str(100 + place % 7)] * 4)},9" for place in range(120)
    ]
    file = tmp_path / "ETHUSDT_6h.csv"
    file.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]))
    missing = tmp_path / "prices" / "0"
    place = Workplace(CROSSOVER, missing, source(tmp_path, str(file)))
    with pytest.raises(InvalidRequest, match=r"^the prices on .* are not those with which the sweep was begun"):
        place.opened()
    (written,) = missing.parent.iterdir()
    assert written == replace(place, prices=written).opened()
    (written / "prices.json").unlink()
    for one in written.iterdir():
        one.unlink()
    written.rmdir()
    assert written == replace(place, prices=written).opened()
    assert written.is_dir()
