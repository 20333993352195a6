"""Sections of a report in a terminal: figures, results by group, costs, positions, decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from console.display.chart import bar
from console.display.format import amount, money, number, percent, price, signed
from console.display.style import gain
from console.display.table import Column, beside, line, result_column, table_lines
from console.display.terms import FILL, ROUND_TRIP, TRADE, glossary
from console.display.times import MINUTES, moment
from console.report import tables
from console.report.metrics_table import GROUP_COLUMNS, MetricRow, metric_rows, places_of
from console.report.tables import GroupRow
from console.report.terminal.charts import wrapped
from domain.analytics.funnel import Funnel
from domain.analytics.metric_definitions import METRICS
from domain.analytics.report import AccountEntry, OpenPosition, Report
from domain.analytics.trade_stats import Dimension, TradeStats
from domain.program import command_name
from domain.wording import escape_control, one_line

GAP_COLUMNS, MAX_METRIC_COLUMNS = 4, 46
"""Gap between the two columns of figures, and largest width of one."""
MAX_GROUPS, MAX_POSITIONS = 12, 20
GIVES_WAY = {
    "gross_pnl": 6, "total_slippage": 5, "profit_factor": 4, "time_in_market": 3, "total_commission": 2,
    "total_trades": 1,
}  # fmt: skip
"""Columns that a narrow table of groups leaves out, the highest first, by key of their metric."""
MAX_NAME_COLUMNS = 24


def figures(report: Report, width: int) -> list[Text]:
    """Return the metrics in two columns, and below them the reasons for those that do not exist."""
    rows = [row for group in metric_rows(report, places_of(report)).values() for row in group]
    middle = (len(rows) + 1) // 2
    half = min((width - GAP_COLUMNS) // 2, MAX_METRIC_COLUMNS)
    if half > max(cell_len(row.metric.label) + cell_len(row.text) for row in rows):
        lines = [_metric_line(row, half) for row in rows]
        lines = beside(lines[:middle], lines[middle:], half, GAP_COLUMNS)
    else:
        lines = [_metric_line(row, min(width, MAX_METRIC_COLUMNS)) for row in rows]
    if report.performance is not None and report.performance.returns.missing is None:
        lines.append(line((f"The ratios are of {len(report.performance.returns.values):,} daily returns.", "dim")))
    missing: dict[str, list[str]] = {}
    for row in rows:
        if row.reason:
            missing.setdefault(row.reason, []).append(row.metric.label)
    for reason, labels in missing.items():
        lines += wrapped(f"– {', '.join(labels)}: {reason}", width, "dim")
    return lines + wrapped(glossary(FILL, TRADE, ROUND_TRIP), width, "dim")


def _metric_line(row: MetricRow, width: int) -> Text:
    gap = " " * max(width - cell_len(row.metric.label) - cell_len(row.text), 1)
    return line(row.metric.label, gap, (row.text, _style(row)))


def _style(row: MetricRow) -> str:
    return "dim" if row.value is None else gain(row.value) if row.metric.signed else ""


def groups(by: Mapping[Dimension, Mapping[str, TradeStats]], width: int, places: int = 2) -> list[Text]:
    """Return results by symbol, strategy, asset class and side, the best first.

    A dimension with one value alone, such as a single strategy, is named on a line below the table.
    """
    names: list[str | tuple[str, str]] = []
    rows: list[GroupRow | None] = []
    alone = []
    for table in tables.groups(by, MAX_GROUPS, places):
        if len(table.lines) == 1:
            alone.append(f"{table.dimension} {escape_control(table.lines[0].name)} alone")
            continue
        names.append((f"by {table.dimension}", "bold"))
        rows.append(None)
        names += [f"  {_name(row.name)}" for row in table.lines]
        rows += table.lines
    if not rows:
        return wrapped(", ".join(alone), width)
    columns = [Column("group", names, least=14)]
    for index, key in enumerate(GROUP_COLUMNS):
        cells = ["" if row is None else (row.cells[index].text, _style(row.cells[index])) for row in rows]
        columns.append(Column(METRICS[key].label.lower(), cells, right=True, gives_way=GIVES_WAY.get(key, 0)))
    lines = _table(columns, width)
    return [*lines, *(wrapped(", ".join(alone), width, "dim") if alone else [])]


def _name(text: str) -> str:
    name = one_line(text)
    return name if cell_len(name) <= MAX_NAME_COLUMNS else set_cell_size(name, MAX_NAME_COLUMNS - 1).rstrip() + "…"


def _table(columns: Sequence[Column], width: int) -> list[Text]:
    """Return a table whose heading is dim, because so are all others of a report."""
    return table_lines(columns, width, "dim")


def cost_table(results: TradeStats, width: int, places: int = 2) -> list[Text]:
    """Return commission, slippage and spread as amounts, and as shares of the traded value and of the gross result."""
    cost_rows = tables.costs(results)
    columns = [
        Column("cost", [cost.label for cost in cost_rows], least=12),
        Column("amount", [amount(cost.amount, places) for cost in cost_rows], right=True),
        Column(
            "of traded value",
            [percent(cost.of_traded.value, 4, sign=False) for cost in cost_rows],
            right=True,
            gives_way=1,
        ),
        Column("of gross", [percent(cost.of_gross.value, sign=False) for cost in cost_rows], right=True),
    ]
    before = tables.gross_before_costs(results)
    return [line("Gross before costs  ", (signed(before, places), gain(before))), *_table(columns, width)]


def account(entries: Sequence[AccountEntry], width: int, currency: str) -> list[Text]:
    """Return the deposits, withdrawals and adjustments, the last ones."""
    rows = tables.account_rows(entries)[-MAX_POSITIONS:]
    columns = [
        Column("time", [moment(row.at, MINUTES) for row in rows]),
        Column("event", [one_line(row.event) for row in rows]),
        result_column("cash", [row.cash for row in rows], currency),
        Column("reason", [one_line(row.reason) for row in rows]),
        Column("author", [_name(row.author) for row in rows], gives_way=2),
    ]
    lines = _table(columns, width)
    if more := len(entries) - len(rows):
        lines.append(line((f"… and {more} older ones: see {command_name()} portfolio events", "dim")))
    return lines


def positions(open_positions: Sequence[OpenPosition], width: int, currency: str) -> list[Text]:
    """Return the open positions, the largest first."""
    largest = open_positions[:MAX_POSITIONS]
    columns = [
        Column("symbol", [_name(position.symbol) for position in largest]),
        Column("side", [position.side for position in largest]),
        Column("quantity", [number(position.quantity) for position in largest], right=True, gives_way=2),
        Column("entry", [price(position.entry_price) for position in largest], right=True),
        Column("last", [price(position.current_price) for position in largest], right=True),
        Column("value", [money(position.position_value, currency) for position in largest], right=True),
        result_column("unrealised", [position.unrealized_pnl for position in largest], currency),
        Column("unrealised %", [percent(position.unrealized_pnl_pct) for position in largest], right=True, gives_way=1),
        Column("since", [moment(position.opened_at, MINUTES) for position in largest], gives_way=3),
    ]
    lines = _table(columns, width)
    if more := len(open_positions) - len(largest):
        lines.append(line((f"… and {more} smaller ones: see {command_name()} positions", "dim")))
    return lines


def funnel(decisions: Funnel, width: int) -> list[Text]:
    """Return the number of decisions at each stage, and below it the reasons why decisions went no further."""
    rows: list[tuple[str, int, bool]] = []
    for stage in tables.funnel_stages(decisions):
        rows.append((stage.name, stage.number, True))
        rows += [(f"  {escape_control(lost.reason)}", lost.number, False) for lost in stage.lost]
        if stage.name == "received" and decisions.waiting:
            rows.append(("  waiting", decisions.waiting, False))
    label_width = max(cell_len(label) for label, _, _ in rows)
    digits = max(len(f"{decision_count:,}") for _, decision_count, _ in rows)
    free = max(width - label_width - digits - 12, 0)
    lines = []
    for label, decision_count, reached in rows:
        share = decision_count / decisions.received if decisions.received else 0.0
        text = f"{label:<{label_width}}  {f'{decision_count:,}':>{digits}}  {share:6.1%}  "
        lines.append(line(text, (bar(share, 1.0, free), "cyan")) if reached else line((text, "dim")))
    return lines
