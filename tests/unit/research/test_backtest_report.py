"""The report on a backtest, and the rules of its portfolio."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from console.commands import portfolios
from console.report.html.page import page
from console.report.json_document import report_to_dict
from console.report.warning import warning
from domain.analytics.report import BACKTEST
from domain.errors import SettingsError
from domain.trading.orders import DEFAULT_EXECUTION
from domain.types import FeeRule, PriceRule
from research.backtest.backtest import BacktestRequest, BacktestResult, backtest
from research.backtest.report import backtest_report
from research.loading import new_strategy
from research.portfolio_rules import RULES as RULE_NAMES
from research.portfolio_rules import portfolio_rules, read_rules
from research.strategy import Intent, Parameters, Strategy
from research.view import Bar, View
from tests.support.research.markets import START, flat_bars, market
from tests.support.values.builders import BTC, BY_QUOTE, ETH, at_given_prices, rules

COSTS = rules(costs=at_given_prices(), execution=BY_QUOTE, max_position_size=1, min_notional=1)
HOURS = timedelta(hours=12)


class Turns(Strategy[Parameters]):
    """Buys 20, sells them, buys 5 and keeps them; wants 10 ETH with too little confidence."""

    def on_bar(self, bar: Bar, view: View) -> Intent | None:
        if bar.symbol == ETH:
            return Intent.buy(quantity=Decimal(10), confidence=Decimal("0.1")) if bar.index == 0 else None
        wanted = {0: Intent.buy(quantity=Decimal(20)), 2: Intent.sell(), 3: Intent.buy(quantity=Decimal(5))}
        return wanted.get(bar.index)


def result_of(*, fill_at_close: bool = False) -> BacktestResult:
    prices = market(flat_bars([100, 100, 110, 110, 120, 130], length=HOURS), flat_bars([1] * 6, ETH, length=HOURS))
    request = BacktestRequest(
        lambda: new_strategy(Turns, {}), prices, COSTS, prices.origin, fill_at_close=fill_at_close
    )
    return backtest(request)


def test_its_numbers_are_those_of_the_books() -> None:
    # 20 bought at 100 and sold at 110: 200 less 2 and 2.2. 5 bought at 120, now worth 130 each: 50 less 1.
    result = result_of()
    report = backtest_report(result)
    assert Decimal("195.8") == report.trade_stats.net_pnl
    assert Decimal("10244.8") == report.closing
    assert Decimal("244.8") == report.result
    assert result.state.cash + Decimal(650) == report.closing
    assert (3, 2) == (report.funnel.filled, report.funnel.above_threshold - 1)
    assert {"confidence below threshold": 1} == {drop.reason: drop.number for drop in report.funnel.lost}
    (position,) = report.positions
    assert (BTC, 5, 120, 130, 50) == (
        position.symbol, position.quantity, position.entry_price, position.current_price, position.unrealized_pnl,
    )  # fmt: skip


def test_buying_and_holding_is_measured_on_the_same_prices() -> None:
    held, other = backtest_report(result_of()).benchmarks
    assert (BTC, True, ETH, False) == (held.name, held.traded, other.name, other.traded)
    assert Decimal("0.3") == held.change.value  # from the first fill at 100 to 130
    assert 0 == other.change.value


def test_it_is_marked_everywhere() -> None:
    report = backtest_report(result_of())
    sentence = warning(report)
    assert sentence is not None
    assert sentence.startswith("backtest of recorded prices: results prove nothing about real markets")
    assert BACKTEST == report_to_dict(report, None)["origin"]
    html = page([report], {}, made_at=START)
    assert "Backtest of recorded prices" in html
    assert "never ready for real money" in html
    at_close = backtest_report(result_of(fill_at_close=True))
    assert "backtest of recorded prices, filled at the close of the decision" == at_close.origin


def test_results_of_real_prices_from_the_books_have_no_warning() -> None:
    report = replace(backtest_report(result_of()), origin=None, price_sources_not_real=())
    assert warning(report) is None


RULES = """
initial_capital = 50000
commission_pct = 0.00026
min_commission = 0.5
price_rule = "last"
default_stop_loss = 0.05
default_take_profit = "none"
"""
REST = {
    "currency": "USD", "slippage_pct": Decimal(0), "max_position_size": Decimal("0.5"), "min_notional": Decimal(1),
    "decision_confidence_threshold": Decimal("0.6"), "default_risk_score": Decimal(0),
}  # fmt: skip


def test_rules_of_a_file_are_exact(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULES)
    of = portfolio_rules("default", {**REST, **read_rules(file)})
    assert (Decimal("0.00026"), Decimal("0.5")) == (of.costs.commission_pct, of.costs.min_commission)
    assert (Decimal(50_000), PriceRule.LAST) == (of.initial_capital, of.execution.price_rule)
    assert (Decimal("0.05"), None) == (of.default_stop_loss, of.default_take_profit)


LEFT_OUT = {"initial_capital": 1, "commission_pct": 0, "min_commission": 0}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("comission_pct = 0.1", "there is no rule 'comission_pct'; did you mean commission_pct?"),
        ("commission_pct = 0.5", "commission_pct = 0.5: must be at most 0.1"),
        ("max_position_size = 0", "max_position_size = 0: must be above 0"),
        ("initial_capital = ", "no TOML"),
    ],
)
def test_rules_that_cannot_be_are_refused(text: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as refused:
        portfolio_rules(
            "default", {"initial_capital": 1, "commission_pct": 0, "min_commission": 0, **REST, **read_rules(file)}
        )
    assert sentence in str(refused.value)


def test_a_file_may_state_every_rule_of_a_portfolio() -> None:
    assert {"initial_capital", "currency", *portfolios.RULES} == set(RULE_NAMES)


def test_what_neither_file_nor_settings_state_is_as_in_a_new_portfolio() -> None:
    new = portfolio_rules("default", {**LEFT_OUT, **REST})
    assert (DEFAULT_EXECUTION, FeeRule.OWN, None, None) == (
        new.execution, new.fees, new.default_stop_loss, new.default_take_profit,
    )  # fmt: skip
