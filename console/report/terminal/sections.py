"""What a report tells in a terminal: figures, where results came from, costs, positions, decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from console.display.format import amount, duration, escape_control, moment, number, percent, price, signed
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

GAP, MOST_FIGURE = 4, 46
"""Characters between two columns of figures, and that one takes at most."""
MOST_GROUPS, MOST_POSITIONS = 12, 20
DIMENSIONS = {
    Dimension.SYMBOL: "symbol",
    Dimension.STRATEGY: "strategy",
    Dimension.ASSET_CLASS: "asset class",
    Dimension.SIDE: "side",
}
LONGEST_NAME = 24


@dataclass(frozen=True, slots=True)
class Told:
    """A figure as it is told; ``reason`` says why there is none."""

    label: str
    text: str
    style: str = ""
    reason: str | None = None


def figures(report: Report, width: int) -> list[Text]:
    """Return the key figures in two columns, and below them why those that do not exist do not."""
    told = [*_of_portfolio(report), *_of_trips(report)]
    middle = (len(told) + 1) // 2
    half = min((width - GAP) // 2, MOST_FIGURE)
    left, right = told[:middle], told[middle:]
    lines = beside([_set(each, half) for each in left], [_set(each, half) for each in right], half, GAP)
    missing: dict[str, list[str]] = {}
    for each in told:
        if each.reason is not None:
            missing.setdefault(each.reason, []).append(each.label)
    for reason, labels in missing.items():
        lines += wrapped(f"– {', '.join(labels)}: {reason}", width, "dim")
    return lines


def _set(told: Told, width: int) -> Text:
    made = line(told.label)
    made.append(" " * max(width - cell_len(told.label) - cell_len(told.text), 1))
    made.append(told.text, style=told.style)
    return made


def _of_portfolio(report: Report) -> list[Told]:
    results, found = report.results, report.performance
    told = [
        Told("Net result", signed(results.net_pnl), gain(results.net_pnl)),
        Told("Gross result", signed(results.gross_pnl), gain(results.gross_pnl)),
    ]
    if found is not None:
        days = len(found.returns.values)
        told += [
            _figure("Annual return", found.annual_return, percent, coloured=True),
            Told("Max drawdown", _share(found.max_drawdown.fraction)),
            _figure("Sharpe ratio", found.sharpe_ratio, _ratio),
            _figure("Sortino ratio", found.sortino_ratio, _ratio),
            _figure("Calmar ratio", found.calmar_ratio, _ratio),
            _figure("Probabilistic Sharpe", found.probabilistic_sharpe_ratio, _share),
            _figure("Days needed", found.minimum_track_record, lambda value: f"{_days(value)}, {days:,} are there"),
            _figure("Exposure", found.exposure, _share),
            _figure("Turnover", found.turnover, lambda value: f"{_ratio(value)} ×"),
        ]
    return [*told, Told("Traded", amount(results.traded))]


def _of_trips(report: Report) -> Iterator[Told]:
    results = report.results
    yield Told("Round trips", f"{results.total_trades:,}")
    yield Told("Won, lost", f"{results.winning_trades:,}, {results.losing_trades:,}")
    yield _figure("Win rate", results.win_rate, _share)
    yield _figure("Win rate on gross", results.win_rate_gross, _share)
    yield _figure("Average win", results.avg_win, signed)
    yield _figure("Average loss", results.avg_loss, signed)
    yield _figure("Profit factor", results.profit_factor, _ratio)
    yield _figure("Expectancy", results.expectancy, signed, coloured=True)
    yield _figure("Best", results.best_trade, signed)
    yield _figure("Worst", results.worst_trade, signed)
    yield _figure("Time held", results.avg_hold_seconds, lambda value: duration(timedelta(seconds=float(value))))
    yield _figure("Time in market", results.time_in_market, _share)


def _figure(label: str, figure: PerformanceMetric, write: Callable[[Decimal], str], *, coloured: bool = False) -> Told:
    if figure.value is None:
        return Told(label, "–", "dim", figure.reason)
    return Told(label, write(figure.value), gain(figure.value) if coloured else "")


def _ratio(value: Decimal) -> str:
    return signed(value).removeprefix("+")


def _share(value: Decimal | None) -> str:
    return percent(value).removeprefix("+")


def _days(value: Decimal) -> str:
    return f"{value.to_integral_value(rounding='ROUND_CEILING'):,}"


def fall(report: Report) -> str:
    """Return when the deepest fall was, and how long it took."""
    if report.performance is None:
        return ""
    found = report.performance.max_drawdown
    if found.peak_at is None or found.trough_at is None:
        return ""
    back = "not back yet" if found.recovered_at is None else f"back on {found.recovered_at:%Y-%m-%d}"
    lasted = f"{found.peak_at:%Y-%m-%d} to {found.trough_at:%Y-%m-%d}, {back} after {duration(found.length)}"
    if found.recovered_at is None:
        lasted = lasted.replace(" after ", " for ")
    return f"deepest {percent(-found.fraction)} ({amount(found.amount)}), {lasted}"


def groups(by: Mapping[Dimension, Mapping[str, TradeStats]], width: int) -> list[Text]:
    """Return results by symbol, strategy, asset class and side, the best first; one that is alone says so on a line."""
    names: list[str | tuple[str, str]] = []
    rows: list[TradeStats | None] = []
    alone = []
    for dimension, title in DIMENSIONS.items():
        found = sorted(by[dimension].items(), key=lambda each: (-each[1].net_pnl, each[0]))
        if len(found) == 1:
            alone.append(f"{title} {escape_control(found[0][0])} alone")
            continue
        shown = found if len(found) <= MOST_GROUPS else [*found[: MOST_GROUPS // 2], *found[-MOST_GROUPS // 2 :]]
        names.append((f"by {title}", "bold"))
        rows.append(None)
        for index, (name, results) in enumerate(shown):
            if index == MOST_GROUPS // 2 and len(found) > len(shown):
                names.append((f"  … {len(found) - len(shown)} between them", "dim"))
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
        Column("win rate", cells(lambda row: _told(row.win_rate, _share)), right=True),
        Column("profit factor", cells(lambda row: _told(row.profit_factor, _ratio)), right=True, gives_way=4),
        Column("gross", cells(lambda row: signed(row.gross_pnl)), right=True, gives_way=6),
        Column("commission", cells(lambda row: amount(row.total_commission)), right=True, gives_way=2),
        Column("slippage", cells(lambda row: amount(row.total_slippage)), right=True, gives_way=5),
        Column("net", cells(lambda row: (signed(row.net_pnl), gain(row.net_pnl))), right=True),
        Column("in market", cells(lambda row: _told(row.time_in_market, _share)), right=True, gives_way=3),
    ]
    lines = plain_headed(fitted_table(columns, width, len(rows) + 1))
    return [*lines, *(wrapped(", ".join(alone), width, "dim") if alone else [])]


def _told(figure: PerformanceMetric, write: Callable[[Decimal], str]) -> str:
    return "–" if figure.value is None else write(figure.value)


def _name(text: str) -> str:
    found = escape_control(" ".join(text.split()))
    return found if cell_len(found) <= LONGEST_NAME else set_cell_size(found, LONGEST_NAME - 1).rstrip() + "…"


def plain_headed(lines: list[Text]) -> list[Text]:
    """Return a table whose heading is not a bar across the page: on paper it would be none."""
    lines[0].style = "dim"
    return lines


def cost_table(results: TradeStats, width: int) -> list[Text]:
    """Return what trading cost: in money, of what was traded, and of what it brought before costs."""
    found = costs(results)
    columns = [
        Column("", [each.label for each in found], least=12),
        Column("amount", [amount(each.amount) for each in found], right=True),
        Column("of what was traded", [_told(each.of_traded, _fine) for each in found], right=True),
        Column("of gross", [_told(each.of_gross, _share) for each in found], right=True),
    ]
    before = add(results.gross_pnl, results.total_slippage)
    heading = line("Gross before costs  ")
    heading.append(signed(before), style=gain(before))
    return [heading, *plain_headed(fitted_table(columns, width, len(found) + 1))]


def _fine(value: Decimal) -> str:
    return percent(value, 4).removeprefix("+")


def positions(held: Sequence[OpenPosition], width: int) -> list[Text]:
    """Return what is held now, the largest first."""
    shown = held[:MOST_POSITIONS]
    columns = [
        Column("symbol", [_name(each.symbol) for each in shown]),
        Column("side", [each.side for each in shown]),
        Column("quantity", [number(each.quantity) for each in shown], right=True, gives_way=2),
        Column("entry", [price(each.entry_price) for each in shown], right=True),
        Column("last", [price(each.current_price) for each in shown], right=True),
        Column("value", [amount(each.position_value) for each in shown], right=True),
        Column("unrealised", [(signed(each.unrealized_pnl), gain(each.unrealized_pnl)) for each in shown], right=True),
        Column("", [percent(each.unrealized_pnl_pct) for each in shown], right=True, gives_way=1),
        Column("since", [moment(each.opened_at)[:16] for each in shown], gives_way=3),
    ]
    lines = plain_headed(fitted_table(columns, width, len(shown) + 1))
    more = len(held) - len(shown)
    return [
        *lines,
        *([line(f"… and {more} smaller ones; {command_name()} positions shows them", "dim")] if more else []),
    ]


def funnel(found: Funnel, width: int) -> list[Text]:
    """Return how many decisions came how far, and why the others went no further."""
    rows: list[tuple[str, int, bool]] = []
    for stage, counted in found.stages.items():
        rows.append((str(stage), counted, True))
        rows += [(f"  {escape_control(lost.reason)}", lost.number, False) for lost in found.lost if lost.after is stage]
        if stage == "received" and found.waiting:
            rows.append(("  waiting", found.waiting, False))
    room = max(cell_len(label) for label, _, _ in rows)
    digits = max(len(f"{counted:,}") for _, counted, _ in rows)
    free = max(width - room - digits - 12, 4)
    lines = []
    for label, counted, reached in rows:
        share = counted / found.received if found.received else 0.0
        made = line("", "" if reached else "dim")
        made.append(f"{label:<{room}}  {f'{counted:,}':>{digits}}  {share:6.1%}  ")
        made.append(bar(share, 1.0, free) if reached else "", style="cyan")
        lines.append(made)
    return lines
