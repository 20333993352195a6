"""The status of a running process for people: what stops it, its prices, its actors, and its last failures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from rich.console import Console

from console.display.format import INSTRUMENTS_UNKNOWN, duration, instruments_unknown, print_fact, sentence
from console.display.quotes import QUOTE_COLUMNS, quote_cells
from console.display.table import full_table
from console.display.times import moment
from domain.files.descriptors import limit_problem
from domain.wording import one_line

MAX_PRINTED_FAILURES = 5
MAX_PRINTED_QUOTES = 10


def restarts_of(actor: Mapping[str, Any]) -> str:
    """Return the restarts of an actor: ``2``, or ``0 + 1 by hand`` where a person asked for one: that is no failure."""
    by_hand = actor.get("restarted_by_hand")  # missing in the answer of an earlier version
    return f"{actor['restarts']} + {by_hand} by hand" if by_hand else str(actor["restarts"])


def print_process(process: Mapping[str, Any], out: Console) -> None:
    """Print the status of a process.

    Args:
        process: `TradingSystem.status` as JSON.
        out: console to print to.
    """
    say = partial(print_fact, out)
    if process["intake_paused_since"] is not None:
        since = moment(datetime.fromisoformat(process["intake_paused_since"]))
        why = process.get("intake_paused_by") or "the database is unreachable"  # missing in an earlier version's answer
        say("intake", f"paused since {since}: {one_line(why)}; nothing is lost", "bold red")
    if not process["lease_held"]:
        say("lease", "its connection is lost; nothing is written until it returns", "bold red")
    if (prices := process["prices"]) is not None:
        doubtful = prices["silent"] or prices.get("frozen") or prices["ended"] or instruments_unknown(prices)
        say("source", _source(prices), "yellow" if doubtful else "")
        for problem in prices.get("troubles", ()):  # missing in the answer of an earlier version
            say("source", one_line(problem), "yellow")
        for note in prices.get("notes", ()):
            say("source", one_line(note))
    if expired := process.get("expired_at_intake"):  # missing in the answer of an earlier version
        say("expired", f"{expired} were older than max_decision_age when this process read them", "yellow")
    if process["dead_letters"] or process["prices_dropped"]:
        say("dropped", f"{process['dead_letters']} dead letters, {process['prices_dropped']} prices not stored")
    limit = process.get("open_files_limit")  # missing in the answer of an earlier version
    if limit is not None and (problem := limit_problem(limit)) is not None:
        say("files", sentence(problem), "yellow")
    columns = ["actor", "state", "doing", "restarts", "handled", "mailbox", "max"]
    rows = [
        (
            actor["actor"], actor["state"], _doing(actor), restarts_of(actor), f"{actor['handled']:,}",
            str(actor["mailbox"]), str(actor["most"]),
        )
        for actor in process["actors"]
    ]  # fmt: skip
    out.print()
    out.print(full_table(out, columns, rows, right=columns[3:], gives_way=["max", "handled", "restarts"]))
    _print_quotes(process["prices"], out)
    if process["failures"]:
        out.print()
        for failure in process["failures"][-MAX_PRINTED_FAILURES:]:
            at, error = moment(datetime.fromisoformat(failure["at"])), sentence(failure["error"])
            say(failure["reference"], f"{at} {failure['kind']} of {failure['actor']}: {error}", "yellow")


def _print_quotes(prices: Mapping[str, Any] | None, out: Console) -> None:
    """Print the ages and spreads of the newest prices, the oldest first."""
    quotes = (prices or {}).get("quotes") or {}  # missing in the answer of an earlier version
    if not quotes:
        return
    oldest = sorted(quotes.items(), key=lambda item: -max(item[1]["age_s"], item[1]["exchange_age_s"] or 0.0))
    rows = [(one_line(symbol), *quote_cells(quote)) for symbol, quote in oldest[:MAX_PRINTED_QUOTES]]
    out.print()
    out.print(
        full_table(out, ["price of", *QUOTE_COLUMNS], rows, right=QUOTE_COLUMNS[:3], gives_way=["source", "spread"])
    )
    if len(quotes) > len(rows):
        out.print(f"and {len(quotes) - len(rows)} more", style="dim")


def _source(prices: Mapping[str, Any]) -> str:
    if prices["ended"]:
        return f"{prices['source']} has ended"
    if instruments_unknown(prices):
        return f"{prices['source']} {INSTRUMENTS_UNKNOWN}"
    silent = f"; silent: {', '.join(prices['silent'])}" if prices["silent"] else ""
    if frozen := prices.get("frozen"):  # missing in the answer of an earlier version
        silent += f"; frozen: {', '.join(frozen)}"
    newest = moment(datetime.fromisoformat(prices["newest"])) if prices["newest"] else "none yet"
    return f"{prices['source']}, {prices['symbols']} symbols, newest price {newest}{silent}"


def _doing(actor: Mapping[str, Any]) -> str:
    if actor["waiting_since"] is not None:
        return f"database unreachable since {moment(datetime.fromisoformat(actor['waiting_since']), '%H:%M:%S')}"
    if actor["doing"] is None:
        return ""
    return f"{actor['doing']} for {duration(timedelta(seconds=actor['busy_for']))}"
