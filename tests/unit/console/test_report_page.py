"""The report's page: numbers, missing figures, charts, and safety; tests/acceptance/test_report_page.py draws it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import resources
from typing import Any

import pytest

from console.report import tables
from console.report.html import charts, line_charts
from console.report.html.formatting import Amounts, change, share
from console.report.html.page import page
from console.report.html.plotly_script import FILE, SHA256, VERSION, plotly_script
from console.report.html.section import Section
from console.report.metrics_table import GROUP_COLUMNS, ROW_GROUPS, metric_rows
from console.report.results_tables import holding_rows, result_rows
from docs.pictures.sample import FIRST_DAY, PLANS, one, reports, verdict
from domain.analytics.funnel import Stage, funnel
from domain.analytics.metric_definitions import METRICS_BY_GROUP
from domain.analytics.performance import History
from domain.analytics.performance_metric import defined, undefined
from domain.analytics.period_returns import PeriodReturn
from domain.analytics.report import Report, report
from domain.analytics.report_parts.buy_and_hold import EQUAL_WEIGHTS
from domain.analytics.report_parts.trip_notes import TripNote
from domain.analytics.returns import Valuation
from domain.analytics.trade_stats import Dimension, TradeStats
from domain.trading.arithmetic import plain

pytestmark = pytest.mark.clock

SEED = 4
MADE = datetime(2026, 5, 1, tzinfo=UTC)
COLOURS = {"paper", "ink", "muted", "grid", "axis", "line", "gain", "loss", "losswash", *(f"c{n}" for n in range(1, 7))}
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


@pytest.mark.parametrize("sample", [*REPORTS, STRATEGY], ids=lambda sample: f"{sample.portfolio}-{sample.strategy}")
def test_charts_are_json_with_names_of_colours(sample: Report) -> None:
    drawn = Section("p1", sample, None).charts
    assert len(drawn) >= (3 if sample.strategy else 5)
    for chart in drawn.values():
        json.dumps(chart.spec, allow_nan=False)
        colours = {value for key, value in written(chart.spec) if key.endswith("color")}
        assert colours - {"rgba(0,0,0,0)"} <= COLOURS


def test_holding_is_drawn_beside_the_portfolio() -> None:
    trading = REPORTS[0]
    chart = line_charts.compared(trading)
    assert chart is not None
    together = next(one for one in trading.benchmarks if one.name == EQUAL_WEIGHTS)
    own, basket, *_ = chart.spec["data"]
    # Of single symbols, the one that was traded most is first.
    assert ["portfolio", EQUAL_WEIGHTS, "ETH/USDT", "BTC/USDT"] == [line["name"] for line in chart.spec["data"]]
    assert [float(point.change) for point in together.curve if point.change is not None] == pytest.approx(
        basket["y"], abs=1e-6
    )
    assert own["y"][-1] == pytest.approx(float(trading.closing / trading.opening - 1), abs=1e-6)
    assert 4 == len({key.colour for key in chart.keys}) == len(chart.keys)
    assert None is line_charts.compared(replace(trading, benchmarks=()))


def test_each_strategy_has_a_line_that_ends_with_its_net_result() -> None:
    trading = REPORTS[0]
    chart = line_charts.by_group(trading, Dimension.STRATEGY, "Net result by strategy")
    assert chart is not None
    assert {name: float(round(stats.net_pnl, 4)) for name, stats in trading.by[Dimension.STRATEGY].items()} == {
        line["name"]: line["y"][-1] for line in chart.spec["data"]
    }
    assert None is line_charts.by_group(STRATEGY, Dimension.STRATEGY, "Net result by strategy")


def test_charts_show_the_values() -> None:
    trading = REPORTS[0]
    data = charts.equity(trading).spec["data"]
    drawdown, won, lost, value = data
    assert [float(round(point.value, 4)) for point in trading.curve] == value["y"]
    assert min(drawdown["y"]) == pytest.approx(-float(trading.performance.max_drawdown.fraction), abs=1e-6)  # type: ignore[union-attr]
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
        "A fill executes an order, or a part of it; a trade closes a position, or a part of it; a round trip is a",
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
    assert ('id="p1-part-decisions"' in made) == bool(received)
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
    (run,) = [text for kind, text in scripts if not kind]
    plotly, packed = (gzip.decompress(base64.b64decode(text)) for kind, text in scripts if "text/plain" in kind)
    assert 3 == len(scripts)
    specs = json.loads(packed)
    assert 6 == len(specs)
    # plotly renders markup in texts, so names are escaped for it, too.
    assert "&lt;b&gt;" in str(specs["p1-equity"]["layout"])
    assert "<b>" not in str(specs)
    hashes = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in (run.encode(), plotly)]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', made)
    assert policy is not None
    allowed = " ".join(f"&#39;sha256-{digest}&#39;" for digest in hashes)
    assert f"default-src &#39;none&#39;; script-src {allowed}; style-src" in policy[1]
    assert "<b>" not in made


def test_plotly_is_the_file_of_its_release_with_its_licence() -> None:
    folder = resources.files("console.report.html")
    script = folder.joinpath(FILE).read_bytes()
    assert SHA256 == hashlib.sha256(script).hexdigest()
    assert f"plotly.js (basic - minified) v{VERSION}\n" in script[:80].decode()
    assert "MIT License" in folder.joinpath("plotly/LICENSE").read_text(encoding="utf-8")[:20]
    assert script == gzip.decompress(base64.b64decode(plotly_script().text))


@pytest.mark.parametrize("days", [2, 60, 365])
def test_a_page_is_well_under_a_megabyte(days: int) -> None:
    sample = one(PLANS[0], SEED, days=days)
    made = page([sample], {PLANS[0].name: verdict(PLANS[0], SEED)}, made_at=MADE)
    assert len(sample.curve) > (1_000 if days == 365 else 40)
    assert len(made.encode()) < {2: 700_000, 60: 800_000, 365: 950_000}[days]


@pytest.mark.parametrize(
    "sample", [*REPORTS, STRATEGY, empty(3)], ids=lambda sample: f"{sample.portfolio}-{sample.strategy}"
)
def test_the_contents_lead_to_every_part(sample: Report) -> None:
    made = page([sample, REPORTS[1]], {sample.portfolio: verdict(PLANS[0], SEED)}, made_at=MADE)
    anchors = re.findall(r'href="#([^"]+)"', made)
    places = re.findall(r' id="([^"]+)"', made)
    assert len(places) == len(set(places))
    assert set(anchors) <= set(places)
    headings = re.findall(r"<h3([^>]*)>", made[: made.index("<footer>")])
    assert [f' id="{place}"' for place in anchors if "-part-" in place] == headings
    assert 'href="#p1-part-validation"' in made


def test_the_verdict_is_the_first_column_beside_the_name() -> None:
    made = page(REPORTS, {plan.name: verdict(plan, SEED) for plan in PLANS}, made_at=MADE)
    overview = made[made.index('<table class="overview">') :]
    assert ["Portfolio", "Validation"] == re.findall(r'<th scope="col">([^<]*)</th>', overview)[:2]
    criteria = made[made.index('<table class="criteria">') :]
    assert ["Criterion", "Met"] == re.findall(r'<th scope="col">([^<]*)</th>', criteria)[:2]


def test_the_page_says_how_the_result_adds_up() -> None:
    trading = REPORTS[0]
    rows = result_rows(trading)
    sums = [row for row in rows if row.is_sum]
    assert [trading.trade_stats.net_pnl, trading.result] == [row.amount for row in sums]
    place = rows.index(sums[0])
    assert sums[0].amount == sum(row.amount for row in rows[:place])
    assert sums[1].amount == sum(row.amount for row in rows[place:-1])
    assert f"{trading.trade_stats.total_trades} round trips: their number × the expectancy" == rows[0].label
    read = text_of(page([trading], {}, made_at=MADE))
    assert "How the result adds up Summand USDT" in read
    strategy_rows = result_rows(STRATEGY)
    assert (STRATEGY.result, True) == (strategy_rows[-1].amount, strategy_rows[-1].is_sum)


def test_a_value_that_is_older_than_the_figures_says_so() -> None:
    late = replace(REPORTS[0], closing_at=datetime(2026, 4, 30, 23, 59, tzinfo=UTC), later_fills=2)
    sentence = "Value as of the last snapshot, 2026-04-30 23:59:00 UTC; the figures have 2 later fills, too."
    assert sentence in text_of(page([late], {}, made_at=MADE))
    assert "as of the last snapshot" not in text_of(page([REPORTS[0]], {}, made_at=MADE))


def test_round_trips_show_what_the_agent_said() -> None:
    trading = REPORTS[0]
    last = trading.round_trips[-1]
    long = "<b>" + "because " * 100
    notes = {**trading.trip_notes, last.position_id: TripNote(long, 12, "decision", "enough\nof it")}
    made = page([replace(trading, trip_notes=notes)], {}, made_at=MADE)
    read = text_of(made)
    assert f"Entry, decision {last.decision_id}: &lt;b&gt;because because" in read
    assert "Exit: decision 12: enough of it" in read
    assert f"The last 50 of {len(trading.round_trips)} ; all of them are in --json and --csv." in read
    assert 50 == made.count('<div class="trip">')


def test_what_holding_brought_is_known_or_says_why_not() -> None:
    basket, unknown = REPORTS[0].benchmarks[0], replace(
        REPORTS[0].benchmarks[1], change=undefined("no price of it is stored"), curve=()
    )  # fmt: skip
    made = replace(REPORTS[0], benchmarks=(basket, unknown))
    read = text_of(page([made], {}, made_at=MADE))
    assert f"Holding {unknown.name} traded, too not known: no price of it is stored" in read
    assert basket.change.value is not None
    ahead_by = (made.change.value or Decimal(0)) - basket.change.value
    assert f"Holding {EQUAL_WEIGHTS} {100 * basket.change.value:+.2f} % {100 * ahead_by:+.2f} points" in read.replace(
        "−", "-"
    )
    assert holding_rows(made) == (basket, unknown)
