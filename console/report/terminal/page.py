"""The report in a terminal: sections below each other, and in two columns on a wide terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from console.display.format import amount, duration, percent, signed
from console.display.storage import future_snapshots_line
from console.display.style import DOUBT, gain
from console.display.table import beside, line
from console.display.times import MINUTES, local_times, span
from console.display.wrapping import wrap
from console.report.metrics_table import drawdown_text, places_of
from console.report.monte_carlo import HEADING
from console.report.results_tables import value_note
from console.report.terminal import charts, explanations, sections
from console.report.terminal.charts import wrapped
from console.report.terminal.monte_carlo import monte_carlo
from console.report.validation import validation_lines
from console.report.warning import warning
from domain.analytics.metric_definitions import METRICS
from domain.analytics.report import Report
from domain.trading.arithmetic import ZERO
from domain.validation.verdict import Verdict
from domain.wording import counted, escape_control

MAX_COLUMNS, PIPE_COLUMNS = 140, 100
GAP_COLUMNS = 4
MAX_DAYS = 14

Section = tuple[str, list[Text]]


def width_of(out: Console) -> int:
    """Return the width of a report: the terminal's, up to 140 columns; 100 where the output is no terminal."""
    return min(out.width, MAX_COLUMNS) if out.file.isatty() else PIPE_COLUMNS


def print_reports(
    reports: Sequence[Report], verdicts: Mapping[str, Verdict], out: Console, *, now: datetime, ends: datetime | None
) -> None:
    """Print reports; portfolios in which nothing happened come last.

    Args:
        reports: of one period.
        verdicts: of the validation, by portfolio.
        out: console to print to.
        now: when the reports were made.
        ends: requested end of the period; None: now.
    """
    width = width_of(out)
    eventful = [report for report in reports if not is_empty(report)]
    for index, report in enumerate(eventful):
        if index:
            out.print()
        for text in report_lines(report, verdicts.get(report.portfolio), width, over=ends is not None and ends < now):
            out.print(text)
    empty = [report for report in reports if is_empty(report)]
    if empty and eventful:
        out.print()
    for report in empty:
        for text in wrapped(empty_report_sentence(report, verdicts.get(report.portfolio)), width):
            out.print(text)


def is_empty(report: Report) -> bool:
    """Return whether nothing was decided, traded or held."""
    return not (
        report.funnel.received or report.trade_stats.traded or report.round_trips or report.positions or report.account
    )


def empty_report_sentence(report: Report, verdict: Verdict | None) -> str:
    """Return the sentence on a portfolio in which nothing happened."""
    value = f"value {amount(report.closing, places_of(report))} {report.currency}"
    of_strategy = f" by strategy {escape_control(report.strategy)}" if report.strategy is not None else ""
    nothing = f"from {period_text(report)} nothing was decided, traded or held{of_strategy}"
    ready = "" if verdict is None else f"; validation: {verdict.readiness}"
    return f"{escape_control(report.portfolio)}: {value}; {nothing}{ready}"


def period_text(report: Report) -> str:
    """Format a report's period for people: whole days, which are UTC days, without times."""
    ends = report.since, report.until
    if all((at.hour, at.minute, at.second) == (0, 0, 0) for at in ends):
        return f"{report.since:%Y-%m-%d} to {report.until:%Y-%m-%d} UTC"
    return span(*ends, MINUTES)


def report_lines(report: Report, verdict: Verdict | None, width: int, *, over: bool) -> Iterator[Text]:
    """Yield the lines of one report.

    Args:
        report: of a portfolio in which something happened.
        verdict: of the validation; None where there is none.
        width: characters.
        over: whether the period ended before now.
    """
    for text in (*_head(report, width), *_sections(report, verdict, width, over=over)):
        for part in wrap(text, width):
            part.no_wrap = True
            yield part


def _head(report: Report, width: int) -> Iterator[Text]:
    name = f"{'Portfolio' if report.origin is None else 'Backtest:'} {escape_control(report.portfolio)}"
    if report.strategy is not None:
        name += f", strategy {escape_control(report.strategy)}"
    period = f"{period_text(report)}, {duration(report.until - report.since)}"
    gap = width - cell_len(name) - cell_len(period)
    if gap >= 2:
        yield line((name, "bold"), " " * gap, period)
    else:
        yield line((name, "bold"))
        yield line(period)
    yield line("━" * width)
    if (text := warning(report)) is not None:
        yield from wrapped(text, width, DOUBT)
    if report.future_snapshots is not None:
        yield from wrapped(future_snapshots_line(*report.future_snapshots), width, DOUBT)
    style, places = f"bold {gain(report.result)}", places_of(report)
    if report.strategy is not None:
        yield line(
            (f"{METRICS['net_pnl'].label} ", "bold"), (f"{signed(report.result, places)} {report.currency}", style)
        )
        return
    value = f"Value {amount(report.closing, places)} {report.currency}  "
    result = f"{signed(report.result, places)} ({percent(report.change.value)})"
    initial = report.initial_capital
    capital = f", initial capital {amount(initial, places)}" if report.opening != initial else ""
    deposits = f", deposits {signed(report.net_deposits, places)}" if report.net_deposits else ""
    yield line((value, "bold"), (result, style), f"  from {amount(report.opening, places)}{capital}{deposits}")
    if (note := value_note(report)) is not None:
        yield line((local_times(note), "dim"))


def _sections(report: Report, verdict: Verdict | None, width: int, *, over: bool) -> Iterator[Text]:
    two_columns = width >= charts.WIDE_LAYOUT_COLUMNS
    half = (width - GAP_COLUMNS) // 2 if two_columns else width
    if report.has_curve:
        heading = "Net result so far" if report.strategy is not None else "Value"
        if report.strategy is None and report.weighted_closing != report.closing:
            heading += " without deposits and withdrawals"
        yield from _with_heading(heading, _curve(report, width, two_columns))
    if report.has_trades:
        yield from _with_heading("Figures", sections.figures(report, width))
        yield from _with_heading("How the result adds up", explanations.adding_up(report, width))
    if report.benchmarks:
        yield from _with_heading("Compared with buying and holding", explanations.holding(report, width))
    if report.months:
        yield from _with_heading("Months", _months(report, width))
    yield from _pair(_days(report, half), _distribution(report, half), half, two_columns)
    yield from _with_heading(HEADING, monte_carlo(report, width))
    yield from _results(report, width, half, two_columns)
    if report.account:
        yield from _with_heading("Deposits and adjustments", sections.account(report.account, width, report.currency))
    if report.positions:
        now = "Open positions now, after the end of the period" if over else "Open positions"
        yield from _with_heading(now, sections.positions(report.positions, width, report.currency))
    elif report.trade_stats.traded:
        yield from _with_heading("Open positions", [line("none")])
    if verdict is not None:
        heading = "Validation" + (" of the whole portfolio" if report.strategy is not None else "")
        yield from _with_heading(heading, validation_lines(verdict, width))


def _results(report: Report, width: int, half: int, two_columns: bool) -> Iterator[Text]:
    if report.trade_stats.traded:
        yield from _with_heading("Results by group", sections.groups(report.by, width, places_of(report)))
    if report.round_trips:
        heading = "Round trips" if len(report.round_trips) <= explanations.MAX_TRIPS else "Last round trips"
        yield from _with_heading(heading, explanations.trips(report, width))
    if report.trade_stats.traded:
        costs = "Costs", sections.cost_table(report.trade_stats, half, places_of(report))
        yield from _pair(costs, ("Decisions", sections.funnel(report.funnel, half)), half, two_columns)
    elif report.funnel.received:
        yield from _with_heading("Decisions", sections.funnel(report.funnel, width))


def _with_heading(heading: str, lines: Sequence[Text]) -> Iterator[Text]:
    if lines:
        yield line()
        yield line((heading, "bold"))
        yield from lines


def _pair(left: Section, right: Section, half: int, two_columns: bool) -> Iterator[Text]:
    """Yield two sections, side by side where ``two_columns``; an empty one is left out."""
    if two_columns and left[1] and right[1]:
        yield line()
        (left_lines, right_lines) = ([line((heading, "bold")), *lines] for heading, lines in (left, right))
        yield from beside(left_lines, right_lines, half, GAP_COLUMNS)
        return
    for heading, lines in (left, right):
        yield from _with_heading(heading, lines)


def _curve(report: Report, width: int, two_columns: bool) -> list[Text]:
    opening = ZERO if report.strategy is not None else report.opening
    lines = charts.value_chart(report.curve, width, 12 if two_columns else 8, opening, places_of(report))
    falls = charts.drawdown_chart(report.curve, width, 5 if two_columns else 4, places_of(report))
    if falls:
        # The times stand below both.
        lines = [*lines[:-1], line(), line(("Drawdown", "bold")), *falls]
        if text := local_times(drawdown_text(report, places_of(report))):
            lines += wrapped(f"deepest: {text}", width, "dim")
    return lines


def _months(report: Report, width: int) -> list[Text]:
    lines = charts.months(report.months, width, places_of(report))
    if any(not month.complete for month in report.months):
        lines.append(line(("* only part of the month is in the period", "dim")))
    return lines


def _days(report: Report, width: int) -> Section:
    if not report.days:
        return "Days", []
    lines = charts.days(report.days, width, MAX_DAYS, places_of(report))
    if any(charts.PARTIAL_MARK in text.plain for text in lines):
        lines.append(line(("* only part of the day is in the period", "dim")))
    return "Last days" if len(report.days) > MAX_DAYS else "Days", lines


def _distribution(report: Report, width: int) -> Section:
    if not report.distribution:
        return "Net results of round trips", []
    trips = counted(report.trade_stats.total_trades, "round trip")
    return f"Net results of {trips}", charts.distribution(report.distribution, width)
