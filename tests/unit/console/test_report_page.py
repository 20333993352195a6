"""The report's page: numbers, missing figures, charts that plotly accepts, and safety."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from console.report import tables
from console.report.html import charts
from console.report.html.formatting import Amounts, change, share
from console.report.html.page import page
from console.report.metrics_table import GROUP_COLUMNS, ROW_GROUPS, metric_rows
from docs.pictures.sample import FIRST_DAY, PLANS, one, reports, verdict
from domain.analytics.funnel import Stage, funnel
from domain.analytics.metric_definitions import METRICS_BY_GROUP
from domain.analytics.performance import History
from domain.analytics.performance_metric import defined, undefined
from domain.analytics.period_returns import PeriodReturn
from domain.analytics.report import Report, report
from domain.analytics.returns import Valuation
from domain.analytics.trade_stats import Dimension, TradeStats
from domain.trading.arithmetic import plain

pytestmark = pytest.mark.clock

SEED = 4
MADE = datetime(2026, 5, 1, tzinfo=UTC)
COLOURS = {"paper", "ink", "muted", "grid", "axis", "line", "gain", "loss", "losswash"}
REPORTS = reports(SEED)
STRATEGY = one(PLANS[0], SEED, strategy="momentum")


def empty(received: int = 0) -> Report:
    return report(
        History.full(Valuation(FIRST_DAY, Decimal(10_000)), MADE), portfolio="idle", currency="USDT",
        initial_capital=Decimal(10_000), strategy=None,
        funnel=funnel([("ignored", "hold", False, received)] * bool(received)), positions=[], price_sources=[],
        price_sources_not_real=[],
    )  # fmt: skip


def text_of(made: str) -> str:
    """Return the visible text of a page, on one line."""
    body = re.sub(r"<(script|style).*?</\1>", " ", made[made.index("<body>") :], flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).replace("\xa0", " ").split())


def written(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a chart with its key."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from written(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from written(item, key)
    else:
        yield key, value


def painted(value: Any, key: str = "") -> Any:
    """Return a chart with one colour instead of all."""
    if isinstance(value, dict):
        return {name: painted(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [painted(item, key) for item in value]
    return "#000000" if key.endswith("color") else value


@pytest.mark.parametrize("sample", [*REPORTS, STRATEGY], ids=lambda sample: f"{sample.portfolio}-{sample.strategy}")
def test_plotly_accepts_the_charts(sample: Report) -> None:
    for draw in (charts.equity, charts.days, charts.distribution):
        spec = draw(sample).spec
        go.Figure(painted(spec))  # raises for unknown keys
        json.dumps(spec, allow_nan=False)
        colours = {value for key, value in written(spec) if key.endswith("color")}
        assert colours - {"rgba(0,0,0,0)"} <= COLOURS


def test_charts_show_the_values() -> None:
    trading = REPORTS[0]
    data = charts.equity(trading).spec["data"]
    drawdown, won, lost, value = data
    assert [float(point.value) for point in trading.curve] == value["y"]
    assert min(drawdown["y"]) == pytest.approx(-float(trading.performance.max_drawdown.fraction))  # type: ignore[union-attr]
    assert len(trading.marks) == len(won["x"]) + len(lost["x"])
    bars = charts.days(trading).spec["data"][0]
    assert [float(day.result) for day in trading.days] == bars["y"]
    assert {"gain"} == {c for c, y in zip(bars["marker"]["color"], bars["y"], strict=True) if y > 0}
    counts = charts.distribution(trading).spec["data"][0]["y"]
    assert trading.trade_stats.total_trades == sum(counts)


def test_numbers_are_exact_behind_what_is_rounded() -> None:
    write = Amounts("USDT")
    assert '<data value="8892.7224286">8,892.72</data>' == str(write.money(Decimal("8892.7224286")))
    assert '<data value="-0.125" class="negative">−0.13</data>' == str(write.result(Decimal("-0.125")))
    assert '<data value="0.0333">+3.33\xa0%</data>' == str(change(Decimal("0.0333")))
    assert '<data value="0.5">50.00\xa0%</data>' == str(share(Decimal("0.5")))


def test_a_portfolio_of_less_than_ten_is_not_rounded_to_cents() -> None:
    small = replace(REPORTS[0], initial_capital=Decimal("0.5"))
    assert "0.00012346" == Amounts.of(small).plain(Decimal("0.000123456"))
    assert "0.00" == Amounts.of(REPORTS[0]).plain(Decimal("0.000123456"))


def test_every_figure_is_defined_and_an_unknown_one_says_why() -> None:
    young = one(PLANS[0], SEED, days=2)
    rows = metric_rows(young)
    assert {group: [*METRICS_BY_GROUP[group]] for group in ROW_GROUPS} == {
        group: [row.metric for row in metrics] for group, metrics in rows.items()
    }
    sharpe = next(row for row in rows["Risk"] if row.metric.key == "sharpe_ratio")
    assert (None, "–", "2 of at least 10 daily returns") == (sharpe.value, sharpe.text, sharpe.reason)
    read = text_of(page([young], {}, made_at=MADE))
    assert "Sharpe ratio – 2 of at least 10 daily returns" in read
    assert "Profit factor –: no round trip yet." in read
    side_by_side = text_of(page([young, REPORTS[1]], {}, made_at=MADE))
    assert "0.34 % – 2 of at least 10 daily returns 1 0.00 %" in side_by_side


def test_months_compound_to_years_and_are_shaded_by_their_size() -> None:
    def gain(year: int, month: int, result: str, share: str | None) -> PeriodReturn:
        return PeriodReturn(
            date(year, month, 1), Decimal(result), None if share is None else Decimal(share), complete=True
        )

    newest, oldest = tables.years([gain(2025, 12, "100", "0.1"), gain(2026, 1, "-55", "-0.05"),
                                         gain(2026, 2, "1", "0.001")])  # fmt: skip
    assert (2026, Decimal(-54), Decimal("-0.049050")) == (newest.year, newest.result, newest.change)
    assert (2025, 4, [0] * 11) == (oldest.year, oldest.months[11].shade, [month.shade for month in oldest.months[:11]])
    assert (-3, 1, None) == (newest.months[0].shade, newest.months[1].shade, newest.months[2].gain)
    (strategy,) = tables.years([gain(2026, 1, "-55", None)])
    assert (Decimal(-55), None, -4) == (strategy.result, strategy.change, strategy.months[0].shade)


def test_bars_begin_at_zero_and_many_lines_are_summed_up_without_losing_anything() -> None:
    results = REPORTS[0].trade_stats
    by = {f"S{number}": replace(results, net_pnl=Decimal(30 - number)) for number in range(60)}
    (group,) = tables.groups({Dimension.SYMBOL: by}, 40)
    assert (41, "20 between them") == (len(group.lines), group.lines[20].name)
    assert sum(stats.net_pnl for stats in by.values()) == sum(line.net for line in group.lines)
    trips = GROUP_COLUMNS.index("total_trades")
    assert 60 * results.total_trades == sum(line.cells[trips].value or 0 for line in group.lines)
    assert (0, True) == (group.lines[20].width, group.lines[20].is_sum)
    assert ["–", "–", "–"] == [cell.text for cell in group.lines[20].cells[trips + 1 :]]
    for line in group.lines:
        ends = (line.left, line.left + line.width)
        assert group.zero == pytest.approx(ends[0] if line.net >= 0 else ends[1], abs=0.02)
        assert -0.02 <= ends[0] <= ends[1] <= 100.02


def test_costs_are_shares_of_what_was_won_before_them() -> None:
    results: TradeStats = replace(
        REPORTS[0].trade_stats, gross_pnl=Decimal(80), total_commission=Decimal(10), total_slippage=Decimal(20),
        total_spread=Decimal(25), traded=Decimal(1000),
    )  # fmt: skip
    rows = tables.costs(results)
    # 80 + 20 + 25 = 125 were won before slippage and spread
    assert [("Commission", "0.08"), ("Slippage", "0.16"), ("Spread", "0.2"), ("Total", "0.44")] == [
        (row.label, plain(row.of_gross.value or Decimal(0))) for row in rows
    ]
    assert (Decimal(55), defined(Decimal("0.055"))) == (rows[-1].amount, rows[-1].of_traded)
    lost = tables.costs(replace(results, gross_pnl=Decimal(-80)))
    assert {undefined("no gross profit before costs")} == {cost.of_gross for cost in lost}


def test_the_funnel_names_what_fell_out_where() -> None:
    decisions = funnel(
        [
            ("executed", None, True, 6),
            ("ignored", "hold", False, 2),
            ("rejected", "no room", False, 1),
            ("pending", None, False, 1),
        ]
    )
    stages = list(tables.funnel_stages(decisions))
    assert [(str(stage), number) for stage, number in decisions.stages.items()] == [
        (stage.name, stage.number) for stage in stages
    ]
    assert [100.0, 70.0, 60.0, 60.0] == [stage.share for stage in stages]
    assert [("hold", 2)] == [(lost.reason, lost.number) for lost in stages[0].lost]
    assert [("no room", 1)] == [
        (lost.reason, lost.number) for lost in stages[list(Stage).index(Stage.ABOVE_THRESHOLD)].lost
    ]
    read = text_of(page([replace(REPORTS[0], funnel=decisions)], {}, made_at=MADE))
    assert "1 waiting for their outcome" in read


def test_the_page_contains_headline_verdicts_and_explanations() -> None:
    verdicts = {plan.name: verdict(plan, SEED) for plan in PLANS}
    read = text_of(page(REPORTS, verdicts, made_at=MADE))
    for words in (
        "Report on 3 portfolios", "Made 2026-05-01 00:00:00 UTC",
        "Simulated prices: results prove nothing about real markets.",
        f"Value {REPORTS[0].closing:,.2f} USDT", "Period, UTC (60 d) 2026-03-02 00:00 to 2026-05-01 00:00",
        "Operational ✓ passed", "Statistical ✗ failed", "Together ✗ not ready", "win rate".capitalize(),
        "The program computed every fill from the price it knew",
    ):  # fmt: skip
        assert words in read


def test_prices_that_are_not_real_are_marked_and_real_ones_are_not() -> None:
    real = replace(REPORTS[0], price_sources=("kraken",), price_sources_not_real=())
    assert "prove nothing" not in text_of(page([real], {}, made_at=MADE))
    both = text_of(page([real, REPORTS[1]], {}, made_at=MADE))
    assert "Simulated prices: results prove nothing about real markets. Concerns cautious." in both


@pytest.mark.parametrize(
    ("received", "sentence"),
    [
        (0, "Nothing was traded in this period, and no decision was received."),
        (1, "Nothing was traded in this period: 1 decision was received, and it was not executed."),
        (7, "Nothing was traded in this period: 7 decisions were received, and none was executed."),
    ],
)
def test_an_empty_portfolio_is_a_sentence(received: int, sentence: str) -> None:
    made = page([empty(received)], {}, made_at=MADE)
    assert sentence in text_of(made)
    assert 'class="chart' not in made
    assert ("<h3>Decisions</h3>" in made) == bool(received)
    # Without a chart, the page leaves out plotly.
    assert len(made) < 60_000


def test_what_was_traded_without_a_course_says_why_there_is_none() -> None:
    unvalued = replace(REPORTS[0], curve=REPORTS[0].curve[:1], marks=())
    assert "No snapshot was stored in this period" in text_of(page([unvalued], {}, made_at=MADE))
    unclosed = replace(STRATEGY, curve=(STRATEGY.curve[0], STRATEGY.curve[0]._replace(time=MADE)), marks=())
    assert "None of its positions was closed in this period." in text_of(page([unclosed], {}, made_at=MADE))


def test_a_strategy_without_closings_shows_no_line() -> None:
    made = page([one(PLANS[0], SEED, strategy="unheard of")], {}, made_at=MADE)
    assert "it has no value and no ratios of its own" in text_of(made)
    assert 'class="chart' not in made


def test_names_end_no_script_and_only_the_pages_own_scripts_may_run() -> None:
    evil = replace(REPORTS[0], portfolio="</script><script>a()</script>", currency="</script><!--<b>", strategy=None)
    made = page([evil], {}, made_at=MADE)
    scripts = re.findall(r"<script(?P<kind>[^>]*)>(.*?)</script>", made, flags=re.DOTALL)
    assert 3 == sum("application/json" in kind for kind, _ in scripts)
    for kind, text in scripts:
        if "application/json" in kind:
            assert "<" not in text
            # plotly renders markup in texts, so names are escaped for it, too.
            assert "&lt;b&gt;" in str(json.loads(text)["layout"])
    run = [text for kind, text in scripts if not kind]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    assert 2 == len(run)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', made)
    assert policy is not None
    allowed = " ".join(f"&#39;sha256-{digest}&#39;" for digest in hashes)
    assert f"default-src &#39;none&#39;; script-src {allowed}; style-src" in policy[1]
    assert "<b>" not in made[: made.index(get_plotlyjs()[:200])]


def test_a_page_on_a_year_is_small() -> None:
    year = one(PLANS[0], SEED, days=365)
    made = page([year], {PLANS[0].name: verdict(PLANS[0], SEED)}, made_at=MADE)
    assert len(year.curve) > 1_000
    assert len(made.encode()) - len(get_plotlyjs().encode()) < 1_000_000
