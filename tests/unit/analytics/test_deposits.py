"""Returns, drawdown and results leave deposits and withdrawals out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domain.analytics.performance import History, performance
from domain.analytics.period_returns import daily_period_returns, monthly_period_returns
from domain.analytics.report import report
from domain.analytics.returns import Valuation, time_weighted

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
OPENING = Valuation(START, Decimal(1_000))


def at(days: float, value: object, net_deposits: object = 0, held: object = 0) -> Valuation:
    return Valuation(START + DAY * days, Decimal(str(value)), Decimal(str(held)), Decimal(str(net_deposits)))


def history(*valuations: Valuation, until: float) -> History:
    return History.full(OPENING, START + DAY * until, valuations=valuations)


def test_without_deposits_nothing_is_computed_anew() -> None:
    valuations = (at(1, 1_010), at(2, 990))
    assert valuations is time_weighted(valuations, OPENING)


def test_a_deposit_is_no_gain_and_a_withdrawal_no_loss() -> None:
    # 1 000 -> 1 100 (+10 %); 9 000 come in; 10 100 -> 9 090 (-10 %); 8 090 go out; 1 000 -> 1 050 (+5 %).
    of = history(
        at(1, 1_100), at(1.5, 10_100, 9_000), at(2, 9_090, 9_000), at(2.5, 1_000, 910), at(3, 1_050, 910), until=3
    )
    assert [Decimal("0.1"), Decimal("-0.1"), Decimal("0.05")] == list(of.returns.values)
    assert [Decimal(x) for x in ("1100", "1100", "990", "990", "1039.5")] == [one.total_value for one in of.weighted]
    assert Decimal("0.1") == performance(of).max_drawdown.fraction
    days = daily_period_returns(of)
    assert [(Decimal(100), Decimal("0.1")), (Decimal(-1010), Decimal("-0.1")), (Decimal(50), Decimal("0.05"))] == [
        (day.result, day.change) for day in days
    ]
    (month,) = monthly_period_returns(of)
    assert (Decimal(-860), Decimal("0.0395")) == (month.result, month.change)


def test_the_result_of_a_report_is_without_deposits_and_its_return_is_time_weighted() -> None:
    of = history(at(1, 1_100), at(1.5, 10_100, 9_000), at(2, 9_090, 9_000), until=2)
    made = report(
        of, portfolio="a", currency="USDT", initial_capital=Decimal(1_000), strategy=None, funnel=None,  # type: ignore[arg-type]
        positions=(), price_sources=(), price_sources_not_real=(),
    )  # fmt: skip
    assert (Decimal(9_090), Decimal(9_000), Decimal(-910)) == (made.closing, made.net_deposits, made.result)
    assert Decimal("-0.01") == made.change.value
    assert Decimal(990) == made.curve[-1].value


def test_a_period_begins_with_the_deposits_of_before() -> None:
    of = history(at(1, 2_000, 1_000), at(2, 2_200, 1_000), at(3, 2_310, 1_000), until=3)
    part = of.during(START + DAY)
    assert [Decimal("0.1"), Decimal("0.05")] == list(part.returns.values)
    assert [Decimal(200), Decimal(110)] == [day.result for day in daily_period_returns(part)]


def test_after_everything_was_withdrawn_the_line_is_flat_until_there_is_something_again() -> None:
    of = history(at(1, 1_100), at(2, 0, -1_100), at(3, 0, -1_100), at(4, 500, -600), at(5, 550, -600), until=5)
    assert [Decimal(x) for x in ("1100", "1100", "1100", "1100", "1210")] == [one.total_value for one in of.weighted]
    assert [Decimal(x) for x in ("0.1", "0", "0", "0", "0.1")] == list(of.returns.values)
    assert Decimal(0) == performance(of).max_drawdown.fraction


STEPS = st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 3), st.integers(-900, 5_000)), min_size=1, max_size=30)


@given(STEPS)
def test_with_any_deposits_the_growth_is_that_of_the_moves_alone(steps: list[tuple[int, int, int]]) -> None:
    value, net, index = Fraction(1_000), Fraction(0), Fraction(1_000)
    valuations, expected = [], []
    for number, (percent, deposits, flow) in enumerate(steps):
        value *= Fraction(100 + percent, 100)
        index *= Fraction(100 + percent, 100)
        if not deposits and value + flow > 1:
            value, net = value + flow, net + flow
        exact = [Decimal(part.numerator) / Decimal(part.denominator) for part in (value, net)]
        valuations.append(at(number + 1, *exact))
        expected.append(index)
    weighted = time_weighted(valuations, OPENING)
    for one, index in zip(weighted, expected, strict=True):
        assert abs(Fraction(one.total_value) / index - 1) < Fraction(1, 10**9)
