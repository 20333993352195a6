"""The first lines of the live view: what runs, how fast, whether the books balance, and what needs looking after."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rich.text import Text

from console.display.format import COLOURS, MUTE, NO_PROOF, duration, moment, mute
from console.display.style import ALARM, DOUBT, GOOD
from console.display.table import cut, flow, printable
from console.live.state import ViewState


def title(glimpse: ViewState, width: int) -> Text:
    """Return the first line: what runs, and what time it is."""
    clock = f"{moment(glimpse.at)[11:]} UTC"
    state, style = _state(glimpse)
    line = Text.assemble(("Paper trading", "bold"), "  ", (state, style), no_wrap=True, end="")
    line = cut(line, width - len(clock) - 1)
    line.append(" " * max(width - line.cell_len - len(clock), 1))
    line.append(clock)
    return cut(line, width)


def _state(glimpse: ViewState) -> tuple[str, str]:
    if glimpse.away is not None and glimpse.process is None:
        return "whether anything runs is not known", ALARM
    if glimpse.glance is None:
        return ("runs", GOOD) if glimpse.running else ("nothing runs", ALARM)
    served = glimpse.glance.served
    since = served["started_at"]
    if not glimpse.running:
        if (session := served.get("locked_by")) is not None:
            return f"nothing runs, and its lock is held by {printable(session)}", ALARM
        if since is None:
            return "nothing runs, and nothing has run on this database yet", ALARM
        return f"nothing runs; the last was {printable(served['holder'])}, from {moment(since)}", ALARM
    lasting = duration(glimpse.at - since) if since is not None else "a moment"
    where = "" if glimpse.process is not None else f" by {printable(served['holder'])}"
    return f"running for {lasting}{where}", GOOD


def facts(glimpse: ViewState, width: int, lines: int) -> list[Text]:
    """Return throughput, waiting decisions, the books and whether prices are real, on as few lines as they take."""
    items = []
    if glimpse.glance is not None:
        items.append((f"{glimpse.glance.rate:.1f} decisions/s", ""))
        items.append((f"{glimpse.glance.waiting:,} waiting", ""))
    checked = glimpse.checked
    if checked is None:
        items.append(("books not checked yet", "dim"))
    elif not checked.differences:
        ago = f", checked {duration(max(glimpse.at - checked.at, timedelta()))} ago" if width >= 80 else ""
        items.append((f"books balance{ago}", GOOD))
    if checked is not None and checked.outcomes and lines > 2:
        ended = [f"{counted:,} {status}" for status, counted in checked.outcomes.items() if status in COLOURS]
        items += [(each, "dim") for each in ended if not each.endswith("pending")]
    unreal = glimpse.unreal
    found = flow(items, width, max(lines - bool(unreal), 1))
    if unreal and len(found) < lines:
        found.append(cut(Text(f"{' and '.join(unreal)} prices: {NO_PROOF}", style=DOUBT, end=""), width))
    return found


def alarms(glimpse: ViewState, width: int) -> list[Text]:
    """Return a line for each thing that somebody should look after; usually none."""
    said: list[tuple[str, str]] = []
    if glimpse.away is not None:
        since = glimpse.away_since or glimpse.at
        said.append(
            (f"no answer from the database for {duration(glimpse.at - since)}: {printable(glimpse.away)}", ALARM)
        )
        if glimpse.glance is not None:
            said.append((f"what is below was so at {moment(glimpse.glance.at)[11:]} UTC", DOUBT))
    said += _alarms_of_process(glimpse.process) if glimpse.process is not None else []
    if glimpse.glance is not None:
        said += [
            (f"{printable(row['portfolio'])} is halted: {printable(row['halted'])}", ALARM)
            for row in glimpse.glance.portfolios
            if row["halted"] is not None
        ]
    if glimpse.checked is not None:
        said += [(f"books: {printable(difference)}", ALARM) for difference in glimpse.checked.differences[:3]]
        if glimpse.checked.quarantined:
            said.append((f"{glimpse.checked.quarantined} in quarantine (v_paper_quarantine has them)", DOUBT))
    return [cut(Text(text, style=style, no_wrap=True, end=""), width) for text, style in said]


def _alarms_of_process(process: Mapping[str, Any]) -> list[tuple[str, str]]:
    said = []
    if (paused := process["intake_paused_since"]) is not None:
        at = moment(datetime.fromisoformat(paused))[11:]
        said.append((f"intake pauses since {at} UTC: the database is away; nothing is lost", ALARM))
    if not process["lease_held"]:
        said.append(("the lease's connection is lost; nothing is written until it is back", ALARM))
    if (prices := process["prices"]) is not None:
        if prices["ended"]:
            said.append((f"prices: {printable(prices['source'])} has ended", DOUBT))
        if mute(prices):
            said.append((f"prices: {printable(prices['source'])} {MUTE}", DOUBT))
        if prices["silent"]:
            said.append((f"prices: silent are {printable(', '.join(prices['silent']))}", DOUBT))
        said += [(f"prices: {printable(trouble)}", DOUBT) for trouble in prices.get("troubles", ())]
    if process["failures"]:
        last = process["failures"][-1]
        at = moment(datetime.fromisoformat(last["at"]))[11:]
        what = f"{last['reference']} at {at}: {last['kind']} of {last['actor']}: {printable(last['error'])}"
        said.append((f"failure {what}", DOUBT))
    return said
