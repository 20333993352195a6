"""Sections of a report in a terminal: figures, results by group, costs, positions, decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from console.display.format import amount, duration, moment, number, percent, price, signed
from console.display.style import gain
from console.display.table import Column, beside, fitted_table
from console.report.html.tables import costs
from console.report.terminal.charts import bar, line, wrapped
from domain.analytics.funnel import Funnel
from domain.analytics.performance_metric import PerformanceMetric
from domain.analytics.report import OpenPosition, Report
from domain.analytics.trade_stats import Dimension, TradeStats
from domain.program import command_name
from domain.trading.arithmetic import add
from domain.wording import escape_control, one_line

GAP_COLUMNS, MAX_METRIC_COLUMNS = 4, 46
"""Gap between the two columns of figures, and largest width of one."""
MAX_GROUPS, MAX_POSITIONS = 12, 20
DIMENSIONS = {
    Dimension.SYMBOL: "symbol",
    Dimension.STRATEGY: "strategy",
    Dimension.ASSET_CLASS: "asset class",
    Dimension.SIDE: "side",
}
MAX_NAME_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class MetricLine:
    """A key figure as text; ``reason`` says why it does not exist."""

    label: str
    text: str
    style: str = ""
    reason: str | None = None


def figures(report: Report, width: int) -> list[Text]:
    """Return the key figures in two columns, and below them the reasons for those that do not exist."""
    metrics = [*_portfolio_metrics(report), *_round_trip_metrics(report)]
    middle = (len(metrics) + 1) // 2
    half = min((width - GAP_COLUMNS) // 2, MAX_METRIC_COLUMNS)
    left, right = metrics[:middle], metrics[middle:]
    lines = beside(
        [_metric_line(metric, half) for metric in left],
        [_metric_line(metric, half) for metric in right],
        half,
        GAP_COLUMNS,
    )
    missing: dict[str, list[str]] = {}
    for metric in metrics:
        if metric.reason is not None:
            missing.setdefault(metric.reason, []).append(metric.label)
    for reason, labels in missing.items():
        lines += wrapped(f"– {', '.join(labels)}: {reason}", width, "dim")
    return lines


def _metric_line(metric: MetricLine, width: int) -> Text:
    result = line(metric.label)
    result.append(" " * max(width - cell_len(metric.label) - cell_len(metric.text), 1))
    result.append(metric.text, style=metric.style)
    return result


def _portfolio_metrics(report: Report) -> list[MetricLine]:
    results, performance = report.trade_stats, report.performance
    metrics = [
        MetricLine("Net result", signed(results.net_pnl), gain(results.net_pnl)),
        MetricLine("Gross result", signed(results.gross_pnl), gain(results.gross_pnl)),
    ]
    if performance is not None:
        days = len(performance.returns.values)
        metrics += [
            _metric("Annual return", performance.annual_return, percent, coloured=True),
            MetricLine("Max drawdown", _share(performance.max_drawdown.fraction)),
            _metric("Sharpe ratio", performance.sharpe_ratio, _ratio),
            _metric("Sortino ratio", performance.sortino_ratio, _ratio),
            _metric("Calmar ratio", performance.calmar_ratio, _ratio),
            _metric("Probabilistic Sharpe", performance.probabilistic_sharpe_ratio, _share),
            _metric(
                "Track record needed",
                performance.minimum_track_record,
                lambda value: f"{_days(value)} days, {days:,} exist",
            ),
            _metric("Exposure", performance.exposure, _share),
            _metric("Turnover", performance.turnover, lambda value: f"{_ratio(value)} ×"),
        ]
    return [*metrics, MetricLine("Traded", amount(results.traded))]


def _round_trip_metrics(report: Report) -> Iterator[MetricLine]:
    results = report.trade_stats
    yield MetricLine("Round trips", f"{results.total_trades:,}")
    yield MetricLine("Won, lost", f"{results.winning_trades:,}, {results.losing_trades:,}")
    yield _metric("Win rate", results.win_rate, _share)
    yield _metric("Win rate on gross", results.win_rate_gross, _share)
    yield _metric("Average win", results.avg_win, signed)
    yield _metric("Average loss", results.avg_loss, signed)
    yield _metric("Profit factor", results.profit_factor, _ratio)
    yield _metric("Expectancy", results.expectancy, signed, coloured=True)
    yield _metric("Best", results.best_trade, signed)
    yield _metric("Worst", results.worst_trade, signed)
    yield _metric("Holding time", results.avg_hold_seconds, lambda value: duration(timedelta(seconds=float(value))))
    yield _metric("Time in market", results.time_in_market, _share)


def _metric(
    label: str, metric: PerformanceMetric, write: Callable[[Decimal], str], *, coloured: bool = False
) -> MetricLine:
    if metric.value is None:
        return MetricLine(label, "–", "dim", metric.reason)
    return MetricLine(label, write(metric.value), gain(metric.value) if coloured else "")


def _ratio(value: Decimal) -> str:
    return signed(value).removeprefix("+")


def _share(value: Decimal | None) -> str:
    return percent(value).removeprefix("+")


def _days(value: Decimal) -> str:
    return f"{value.to_integral_value(rounding='ROUND_CEILING'):,}"


def fall_sentence(report: Report) -> str:
    """Return depth, dates and duration of the deepest fall; empty where there was none."""
    if report.performance is None:
        return ""
    fall = report.performance.max_drawdown
    if fall.peak_at is None or fall.trough_at is None:
        return ""
    back = "not back yet" if fall.recovered_at is None else f"back on {fall.recovered_at:%Y-%m-%d}"
    lasted = f"{fall.peak_at:%Y-%m-%d} to {fall.trough_at:%Y-%m-%d}, {back} after {duration(fall.length)}"
    if fall.recovered_at is None:
        lasted = lasted.replace(" after ", " for ")
    return f"deepest {percent(-fall.fraction)} ({amount(fall.amount)}), {lasted}"


def groups(by: Mapping[Dimension, Mapping[str, TradeStats]], width: int) -> list[Text]:
    """Return results by symbol, strategy, asset class and side, the best first.

    A dimension with one value alone, such as a single strategy, is named on a line below the table.
    """
    names: list[str | tuple[str, str]] = []
    rows: list[TradeStats | None] = []
    alone = []
    for dimension, title in DIMENSIONS.items():
        ordered = sorted(by[dimension].items(), key=lambda item: (-item[1].net_pnl, item[0]))
        if len(ordered) == 1:
            alone.append(f"{title} {escape_control(ordered[0][0])} alone")
            continue
        half = MAX_GROUPS // 2
        extremes = ordered if len(ordered) <= MAX_GROUPS else [*ordered[:half], *ordered[-half:]]
        names.append((f"by {title}", "bold"))
        rows.append(None)
        for index, (name, results) in enumerate(extremes):
            if index == half and len(ordered) > len(extremes):
                names.append((f"  … {len(ordered) - len(extremes)} between them", "dim"))
                rows.append(None)
            names.append(f"  {_name(name)}")
            rows.append(results)
    if not rows:
        return wrapped(", ".join(alone), width)

    def cells(write: Callable[[TradeStats], str | tuple[str, str]]) -> list[str | tuple[str, str]]:
        return ["" if row is None else write(row) for row in rows]

    columns = [
        Column("", names, least=14),
        Column("round trips", cells(lambda row: f"{row.total_trades:,}"), right=True),
        Column("win rate", cells(lambda row: _value_or_dash(row.win_rate, _share)), right=True),
        Column("profit factor", cells(lambda row: _value_or_dash(row.profit_factor, _ratio)), right=True, gives_way=4),
        Column("gross", cells(lambda row: signed(row.gross_pnl)), right=True, gives_way=6),
        Column("commission", cells(lambda row: amount(row.total_commission)), right=True, gives_way=2),
        Column("slippage", cells(lambda row: amount(row.total_slippage)), right=True, gives_way=5),
        Column("net", cells(lambda row: (signed(row.net_pnl), gain(row.net_pnl))), right=True),
        Column("in market", cells(lambda row: _value_or_dash(row.time_in_market, _share)), right=True, gives_way=3),
    ]
    lines = with_plain_heading(fitted_table(columns, width, len(rows) + 1))
    return [*lines, *(wrapped(", ".join(alone), width, "dim") if alone else [])]


def _value_or_dash(metric: PerformanceMetric, write: Callable[[Decimal], str]) -> str:
    return "–" if metric.value is None else write(metric.value)


def _name(text: str) -> str:
    name = one_line(text)
    return name if cell_len(name) <= MAX_NAME_COLUMNS else set_cell_size(name, MAX_NAME_COLUMNS - 1).rstrip() + "…"


def with_plain_heading(lines: list[Text]) -> list[Text]:
    """Replace the bar behind a table's heading by dim text, because a bar does not print."""
    lines[0].style = "dim"
    return lines


def cost_table(results: TradeStats, width: int) -> list[Text]:
    """Return commission and slippage as amounts, and as shares of the traded value and of the gross result."""
    cost_rows = costs(results)
    columns = [
        Column("", [cost.label for cost in cost_rows], least=12),
        Column("amount", [amount(cost.amount) for cost in cost_rows], right=True),
        Column("of traded value", [_value_or_dash(cost.of_traded, _fine_share) for cost in cost_rows], right=True),
        Column("of gross", [_value_or_dash(cost.of_gross, _share) for cost in cost_rows], right=True),
    ]
    before = add(results.gross_pnl, results.total_slippage)
    heading = line("Gross before costs  ")
    heading.append(signed(before), style=gain(before))
    return [heading, *with_plain_heading(fitted_table(columns, width, len(cost_rows) + 1))]


def _fine_share(value: Decimal) -> str:
    return percent(value, 4).removeprefix("+")


def positions(open_positions: Sequence[OpenPosition], width: int) -> list[Text]:
    """Return the open positions, the largest first."""
    largest = open_positions[:MAX_POSITIONS]
    columns = [
        Column("symbol", [_name(position.symbol) for position in largest]),
        Column("side", [position.side for position in largest]),
        Column("quantity", [number(position.quantity) for position in largest], right=True, gives_way=2),
        Column("entry", [price(position.entry_price) for position in largest], right=True),
        Column("last", [price(position.current_price) for position in largest], right=True),
        Column("value", [amount(position.position_value) for position in largest], right=True),
        Column(
            "unrealised",
            [(signed(position.unrealized_pnl), gain(position.unrealized_pnl)) for position in largest],
            right=True,
        ),
        Column("", [percent(position.unrealized_pnl_pct) for position in largest], right=True, gives_way=1),
        Column("since", [moment(position.opened_at)[:16] for position in largest], gives_way=3),
    ]
    lines = with_plain_heading(fitted_table(columns, width, len(largest) + 1))
    more = len(open_positions) - len(largest)
    return [
        *lines,
        *([line(f"… and {more} smaller ones: see {command_name()} positions", "dim")] if more else []),
    ]


def funnel(decisions: Funnel, width: int) -> list[Text]:
    """Return the number of decisions at each stage, and below it the reasons why decisions went no further."""
    rows: list[tuple[str, int, bool]] = []
    for stage, decision_count in decisions.stages.items():
        rows.append((str(stage), decision_count, True))
        rows += [
            (f"  {escape_control(lost.reason)}", lost.number, False) for lost in decisions.lost if lost.after is stage
        ]
        if stage == "received" and decisions.waiting:
            rows.append(("  waiting", decisions.waiting, False))
    label_width = max(cell_len(label) for label, _, _ in rows)
    digits = max(len(f"{decision_count:,}") for _, decision_count, _ in rows)
    free = max(width - label_width - digits - 12, 4)
    lines = []
    for label, decision_count, reached in rows:
        share = decision_count / decisions.received if decisions.received else 0.0
        text = line("", "" if reached else "dim")
        text.append(f"{label:<{label_width}}  {f'{decision_count:,}':>{digits}}  {share:6.1%}  ")
        text.append(bar(share, 1.0, free) if reached else "", style="cyan")
        lines.append(text)
    return lines
