"""A report for people in a terminal: sections one after another, in two columns where there is room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from console.display.format import amount, duration, escape_control, moment, percent, signed, sources_line
from console.display.style import DOUBT, gain
from console.display.table import beside, cut
from console.report.terminal import charts as drawn
from console.report.terminal import sections as told
from console.report.terminal.charts import line, wrapped
from console.report.validation import gate
from domain.analytics.report import Report
from domain.trading.arithmetic import ZERO, divide, subtract
from domain.validation.verdict import Verdict
from domain.wording import counted

LEAST, MOST, PIPED = 60, 140, 100
"""Columns."""
BETWEEN = 4
LAST_DAYS = 14

Section = tuple[str, list[Text]]


def width_of(out: Console) -> int:
    """Return how many columns a report takes: the terminal's, within reason; 100 where it is none."""
    return min(max(out.width, LEAST), MOST) if out.file.isatty() else PIPED


def tell(
    reports: Sequence[Report], verdicts: Mapping[str, Verdict], out: Console, *, now: datetime, ends: datetime | None
) -> None:
    """Print reports, those with something to tell first.

    Args:
        reports: of one period.
        verdicts: the gate's, by portfolio.
        out: where.
        now: when they were made.
        ends: the end of the period that was asked for; None: now.
    """
    width = width_of(out)
    told_fully = [report for report in reports if not is_empty(report)]
    for index, report in enumerate(told_fully):
        if index:
            out.print()
        for text in pages(report, verdicts.get(report.portfolio), width, over=ends is not None and ends < now):
            out.print(text)
    empty = [report for report in reports if is_empty(report)]
    if empty and told_fully:
        out.print()
    for report in empty:
        for text in wrapped(nothing(report, verdicts.get(report.portfolio)), width):
            out.print(text)


def is_empty(report: Report) -> bool:
    """Say whether nothing was decided, traded or held."""
    return not (report.funnel.received or report.results.traded or report.trips or report.positions)


def nothing(report: Report, verdict: Verdict | None) -> str:
    """Return all that there is to say of a portfolio in which nothing happened."""
    worth = f"worth {amount(report.closing)} {report.currency}"
    of_strategy = f" by strategy {escape_control(report.strategy)}" if report.strategy is not None else ""
    span = f"from {day(report.since)} to {day(report.until)} nothing was decided, traded or held{of_strategy}"
    ready = "" if verdict is None else f"; the gate: {'ready' if verdict.ready else 'not ready'}"
    return f"{escape_control(report.portfolio)}: {worth}; {span}{ready}"


def day(at: datetime) -> str:
    """Return a moment for a person; a midnight as its day."""
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute, at.second) == (0, 0, 0) else f"{at:%Y-%m-%d %H:%M}"


def pages(report: Report, verdict: Verdict | None, width: int, *, over: bool) -> Iterator[Text]:
    """Yield the lines of one report.

    Args:
        report: of a portfolio in which something happened.
        verdict: the gate's.
        width: characters.
        over: whether the period ended before now.
    """
    yield from _head(report, width)
    for text in _sections(report, verdict, width, over=over):
        yield cut(text, width)


def _head(report: Report, width: int) -> Iterator[Text]:
    name = f"Portfolio {escape_control(report.portfolio)}"
    if report.strategy is not None:
        name += f", strategy {escape_control(report.strategy)}"
    span = f"{day(report.since)} to {day(report.until)} UTC, {duration(report.until - report.since)}"
    title = line(name, "bold")
    if cell_len(name) + cell_len(span) + 2 <= width:
        title.append(" " * (width - cell_len(name) - cell_len(span)))
        title.append(span, style="not bold")
        yield title
    else:
        yield title
        yield line(span)
    yield line("━" * width)
    if (mark := sources_line(report.price_sources)) is not None:
        yield line(mark, DOUBT)
    result = subtract(report.closing, report.opening)
    if report.strategy is not None:
        result = report.results.net_pnl
        made = line(f"Net {report.currency} ")
        made.append(signed(result), style=gain(result) or "")
        yield made
        return
    change = divide(result, report.opening) if report.opening > ZERO else None
    made = line(f"Worth {amount(report.closing)} {report.currency}  ", "bold")
    made.append(f"{signed(result)} ({percent(change)})", style=gain(result))
    made.append(f"  from {amount(report.opening)}", style="not bold")
    if report.opening != report.initial_capital:
        made.append(f", initial capital {amount(report.initial_capital)}", style="not bold")
    yield made
    if (told_at := _valued(report)) is not None:
        yield line(told_at, "dim")


def _valued(report: Report) -> str | None:
    """Say of when the value is; figures know closings after it, so the two need not agree."""
    if report.closing_at <= report.since and report.closing == report.opening:
        return (
            "no snapshot in this period yet, so this is the value at its beginning" if report.results.traded else None
        )
    if report.until - report.closing_at < timedelta(seconds=1):
        return None
    return f"as of the last snapshot, {moment(report.closing_at)} UTC"


def _sections(report: Report, verdict: Verdict | None, width: int, *, over: bool) -> Iterator[Text]:
    two = width >= drawn.WIDE
    half = (width - BETWEEN) // 2 if two else width
    if len(report.curve) > 1 and report.curve[0].time < report.curve[-1].time:
        yield from _headed("Net result so far" if report.strategy is not None else "Value", _curve(report, width, two))
    if report.results.traded or report.trips:
        yield from _headed("Figures", told.figures(report, width))
    if report.months:
        yield from _headed("Months", _months(report, width))
    left = _days(report, half)
    right = _distribution(report, half)
    yield from _both(left, right, half, two)
    if report.results.traded:
        yield from _headed("Where it came from", told.groups(report.by, width))
        yield from _both(
            ("Costs", told.cost_table(report.results, half)), ("Decisions", told.funnel(report.funnel, half)), half, two
        )
    elif report.funnel.received:
        yield from _headed("Decisions", told.funnel(report.funnel, width))
    if report.positions:
        now = "Open positions now, after the end of the period" if over else "Open positions"
        yield from _headed(now, told.positions(report.positions, width))
    elif report.results.traded:
        yield from _headed("Open positions", [line("none")])
    if verdict is not None:
        of = "The gate to real money" + (", for the whole portfolio" if report.strategy is not None else "")
        yield from _headed(of, gate(verdict, width))


def _headed(heading: str, lines: Sequence[Text]) -> Iterator[Text]:
    if lines:
        yield line()
        yield line(heading, "bold")
        yield from lines


def _both(left: Section, right: Section, half: int, two: bool) -> Iterator[Text]:
    """Yield two sections side by side where there is room; one that has nothing to say is left out."""
    if two and left[1] and right[1]:
        yield line()
        yield from beside([line(left[0], "bold"), *left[1]], [line(right[0], "bold"), *right[1]], half, BETWEEN)
        return
    for heading, found in (left, right):
        yield from _headed(heading, found)


def _curve(report: Report, width: int, two: bool) -> list[Text]:
    begun = ZERO if report.strategy is not None else report.opening
    lines = drawn.value_chart(report.curve, width, 12 if two else 8, begun)
    falls = drawn.drawdown_chart(report.curve, width, 5 if two else 4)
    if falls:
        # The times stand below both.
        lines = [*lines[:-1], line(), line("Below its peak", "bold"), *falls]
        lines += wrapped(fall, width, "dim") if (fall := told.fall(report)) else []
    return lines


def _months(report: Report, width: int) -> list[Text]:
    lines = drawn.months(report.months, width)
    if any(not month.whole for month in report.months):
        lines.append(line("* not all of the month is in the period", "dim"))
    return lines


def _days(report: Report, width: int) -> Section:
    if not report.days:
        return "Days", []
    lines = drawn.days(report.days, width, LAST_DAYS)
    if any(drawn.PART in text.plain for text in lines):
        lines.append(line("* not all of the day is in the period", "dim"))
    return "Last days" if len(report.days) > LAST_DAYS else "Days", lines


def _distribution(report: Report, width: int) -> Section:
    if not report.distribution:
        return "Net results of round trips", []
    trips = counted(report.results.total_trades, "round trip")
    return f"Net results of {trips}", drawn.distribution(report.distribution, width)
