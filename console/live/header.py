"""The first lines of the live view: what runs, throughput, whether the books balance, and what needs attention."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rich.text import Text

from console.display.format import INSTRUMENTS_UNKNOWN, duration, instruments_unknown, sources_line
from console.display.style import ALARM, DOUBT, GOOD, STATUS_COLOURS
from console.display.table import cut, flow
from console.display.times import moment
from console.live.state import ViewState
from domain.validation.progress import Course
from domain.wording import counted, one_line

CLOCK = "%H:%M:%S"
COURSE_COLOURS = {Course.READY: GOOD, Course.ON_COURSE: "", Course.BEHIND: DOUBT, Course.LOST: ALARM}


def title(state: ViewState, width: int) -> Text:
    """Return the first line: what runs, and the time."""
    clock = moment(state.at, CLOCK)
    running, style = _running(state)
    line = Text.assemble(("Paper trading", "bold"), "  ", (running, style), no_wrap=True, end="")
    line = cut(line, width - len(clock) - 1)
    line.append(" " * max(width - line.cell_len - len(clock), 1))
    line.append(clock)
    return cut(line, width)


def _running(state: ViewState) -> tuple[str, str]:
    if state.database_error is not None and state.process is None:
        return "it is not known whether a service runs", ALARM
    if state.database is None:
        return ("running", GOOD) if state.running else ("no service runs", ALARM)
    served = state.database.served
    since = served["started_at"]
    if not state.running:
        if (session := served.get("locked_by")) is not None:
            return f"no service runs, but {one_line(session)} has its lease", ALARM
        if since is None:
            return "no service runs, and none has run on this database yet", ALARM
        return f"no service runs; the last was {one_line(served['holder'])}, from {moment(since)}", ALARM
    uptime = duration(state.at - since) if since is not None else "a moment"
    where = "" if state.process is not None else f" by {one_line(served['holder'])}"
    return f"running for {uptime}{where}", GOOD


def has_open_run(state: ViewState) -> bool:
    """Return whether a validation is running."""
    return state.ledger_check is not None and bool(state.ledger_check.validation)


def facts(state: ViewState, width: int, lines: int) -> list[Text]:
    """Return throughput, waiting decisions, the state of the books, and whether prices are real.

    Args:
        state: to be described.
        width: characters of a line.
        lines: how many there may be at most.
    """
    items = [(f"only {one_line(state.portfolio)}", "bold")] if state.portfolio is not None else []
    if state.database is not None:
        items.append((f"{state.database.rate:.1f} decisions/s", ""))
        items.append((f"{state.database.waiting:,} waiting", ""))
        if resting := sum(row["open_orders"] for row in state.portfolios):
            items.append((counted(resting, "open order"), ""))
    checked = state.ledger_check
    if checked is None:
        items.append(("books not checked yet", "dim"))
    elif not checked.differences:
        ago = f", checked {duration(max(state.at - checked.at, timedelta()))} ago" if width >= 80 else ""
        items.append((f"books balance{ago}", GOOD))
    if checked is not None and lines > 1:
        items += [(one_line(f"{one.sentence}"), COURSE_COLOURS[one.course]) for one in checked.validation]
    if checked is not None and checked.outcomes and lines > 2:
        items += [
            (f"{number:,} {status}", "dim")
            for status, number in checked.outcomes.items()
            if status in STATUS_COLOURS and status not in {"pending", "open"}
        ]
    warning = sources_line(state.unreal_sources)
    result = flow(items, width, max(lines - (warning is not None), 1))
    if warning is not None and len(result) < lines:
        result.append(cut(Text(warning, style=DOUBT, end=""), width))
    return result


def alarms(state: ViewState, width: int) -> list[Text]:
    """Return a line for each problem that needs attention; usually none."""
    problems: list[tuple[str, str]] = []
    if state.database_error is not None:
        away = duration(state.at - (state.database_error_since or state.at))
        problems.append((f"database unreachable for {away}: {one_line(state.database_error)}", ALARM))
        if state.database is not None:
            problems.append((f"the data below is of {moment(state.database.at, CLOCK)}", DOUBT))
    problems += _alarms_of_process(state.process) if state.process is not None else []
    if state.database is not None:
        problems += [
            (f"{one_line(row['portfolio'])} is halted: {one_line(row['halted'])}", ALARM)
            for row in state.database.portfolios
            if row["halted"] is not None
        ]
    if state.ledger_check is not None:
        problems += [(f"books: {one_line(difference)}", ALARM) for difference in state.ledger_check.differences[:3]]
        if state.ledger_check.quarantined:
            problems.append((f"{state.ledger_check.quarantined} in quarantine (v_paper_quarantine has them)", DOUBT))
    return [cut(Text(text, style=style, no_wrap=True, end=""), width) for text, style in problems]


def _alarms_of_process(process: Mapping[str, Any]) -> list[tuple[str, str]]:
    problems = []
    if (paused := process["intake_paused_since"]) is not None:
        at = moment(datetime.fromisoformat(paused), CLOCK)
        why = one_line(process.get("intake_paused_by") or "the database is unreachable")
        problems.append((f"intake paused since {at}: {why}; no decision is lost", ALARM))
    if not process["lease_held"]:
        problems.append(("the connection that holds the lease is lost; nothing is written until it is back", ALARM))
    if (prices := process["prices"]) is not None:
        if prices["ended"]:
            problems.append((f"prices: {one_line(prices['source'])} has ended", DOUBT))
        if instruments_unknown(prices):
            problems.append((f"prices: {one_line(prices['source'])} {INSTRUMENTS_UNKNOWN}", DOUBT))
        if prices["silent"]:
            problems.append((f"prices: none arrive for {one_line(', '.join(prices['silent']))}", DOUBT))
        problems += [(f"prices: {one_line(trouble)}", DOUBT) for trouble in prices.get("troubles", ())]
    if process["failures"]:
        last = process["failures"][-1]
        at = moment(datetime.fromisoformat(last["at"]), CLOCK)
        failure = f"{last['reference']} at {at}: {last['kind']} of {last['actor']}: {one_line(last['error'])}"
        problems.append((f"failure {failure}", DOUBT))
    return problems
