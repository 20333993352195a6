"""``run.py status``: what runs, what its actors do, and how its books stand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import typer
from rich.console import Console

from actors.settings import Settings
from console.database import database_label, ledger_reader
from console.debug.protocol import ConsoleConnection, Refused, socket_path
from console.display.format import (
    INSTRUMENTS_UNKNOWN,
    amount,
    answer,
    duration,
    instruments_unknown,
    moment,
    one_line,
    percent,
    signed,
    sources_line,
    terminal,
)
from console.display.table import full_table
from console.options import AsJson, DatabaseUrl, Home, LogLevel, quiet_settings
from domain.errors import DatabaseUnavailable, NotRunning
from domain.program import command_name
from persistence.connections import probe
from persistence.queries.row_lists import LedgerReader, not_running_message

SHOWN_FAILURES = 5


def status(
    as_json: AsJson = False, home: Home = None, database_url: DatabaseUrl = None, log_level: LogLevel = None
) -> None:
    r"""Who serves the database and since when, actors, portfolios, decisions by outcome, whether the books balance.

    \b
      run.py status
      run.py status --json

    Exits 0 where all is well, 1 where the books do not balance or the intake pauses because the database is away, and
    3 where nothing runs. What the actors do is known of a process on this machine with the same home.
    """
    settings = quiet_settings(home=home, database_url=database_url, log_level=log_level)
    if settings.url is None and not (settings.home / "postgres").exists():
        msg = f"nothing is running, and nothing has ever run with home {settings.home}; {command_name()} start begins"
        raise NotRunning(msg)
    process = _process(settings)
    try:
        with ledger_reader(settings) as reader:
            found = _found(settings, reader)
    except DatabaseUnavailable as away:
        if process is None:
            raise
        # The process runs and waits; what the books say is not known now.
        found = {"running": True, "database_away": str(away), "ledger_ok": None}
    found["process"] = process
    # Without its lease for a moment, after a restart of the database, it runs all the same.
    if process is not None:
        found |= {"running": True, "not_running": None}
    answer(as_json, found, lambda: _tell(found))
    if not found["running"]:
        raise typer.Exit(NotRunning.exit_code)
    if not found["ledger_ok"] or (process is not None and process["intake_paused_since"] is not None):
        raise typer.Exit(1)


def _process(settings: Settings) -> dict[str, Any] | None:
    """Return what the running process says of itself; None where none of this home and database runs here."""
    try:
        with ConsoleConnection(socket_path(settings)) as line:
            said: dict[str, Any] = line.ask("status")
            return said
    except (NotRunning, Refused):
        return None


def _found(settings: Settings, reader: LedgerReader) -> dict[str, Any]:
    served = reader.served()
    url = reader.url
    differences = [row["difference"] for row in reader.ledger_differences()]
    return {
        "running": bool(served["running"]),
        "database_away": None,
        "not_running": None if served["running"] else not_running_message(served),
        "locked_by": served["locked_by"],
        "holder": served["holder"],
        "since": served["started_at"],
        "epoch": served["epoch"],
        "generation": served["generation"],
        "renewed_seconds_ago": served["renewed_ago"],
        "database": database_label(settings, url),
        "server": probe(url),
        "price_sources": reader.price_sources(),
        "portfolios": reader.portfolios(),
        "decisions": reader.outcomes(),
        "waiting": reader.waiting(),
        "quarantined": reader.quarantined(),
        "halted": reader.halted(),
        "ledger_ok": not differences,
        "ledger_differences": differences,
    }


def _tell(found: dict[str, Any]) -> None:
    out = terminal()

    def say(label: str, text: str, style: str = "") -> None:
        out.print(f"{label:<10} {text}", style=style, soft_wrap=True)

    if found["database_away"] is not None:
        say("database", found["database_away"], "bold red")
    else:
        _tell_books(found, out)
    if (process := found["process"]) is not None:
        _tell_process(process, out)


def _tell_books(found: dict[str, Any], out: Console) -> None:
    def say(label: str, text: str, style: str = "") -> None:
        out.print(f"{label:<10} {text}", style=style, soft_wrap=True)

    if found["running"]:
        ago = duration(found["renewed_seconds_ago"])
        say("running", f"{found['holder']}, since {moment(found['since'])} UTC, epoch {found['epoch']}, seen {ago} ago")
    elif found["locked_by"] is not None:
        say("running", found["not_running"], "yellow")
    elif found["since"] is None:
        say("running", "nothing, and nothing has run on this database yet", "yellow")
    else:
        say("running", f"nothing; the last was {found['holder']}, from {moment(found['since'])} UTC", "yellow")
    say("database", f"{found['database']}; {found['server']}")
    counted = [f"{each} {status}" for status, each in found["decisions"].items() if status not in {"pending", "open"}]
    say("decisions", ", ".join([f"{found['waiting']} waiting", *counted]))
    for row in found["halted"]:
        say(
            "halted",
            f"{row['portfolio']} since {moment(row['at'])} UTC, by {row['by_whom']}: {row['reason']}",
            "bold red",
        )
    if found["quarantined"]:
        say("quarantine", f"{found['quarantined']} (v_paper_quarantine has them)", "yellow")
    if found["ledger_ok"]:
        say("books", "balance")
    else:
        say("books", "; ".join(found["ledger_differences"]), "bold red")
    if (line := sources_line(found["price_sources"])) is not None:
        say("prices", line)
    if found["portfolios"]:
        columns = ["portfolio", "currency", "cash", "held", "worth", "result", ""]
        rows = [
            (
                row["portfolio"], row["currency"], amount(row["cash"]), str(row["num_positions"]),
                amount(row["total_value"]), signed(row["total_pnl"]), percent(row["total_pnl_pct"]),
            )
            for row in found["portfolios"]
        ]  # fmt: skip
        out.print()
        out.print(full_table(columns, rows, right=columns[2:]))


def _tell_process(process: dict[str, Any], out: Console) -> None:
    def say(label: str, text: str, style: str = "") -> None:
        out.print(f"{label:<10} {text}", style=style, soft_wrap=True)

    out.print()
    if process["intake_paused_since"] is not None:
        since = moment(datetime.fromisoformat(process["intake_paused_since"]))
        say("intake", f"pauses since {since} UTC: the database is away; nothing is lost", "bold red")
    if not process["lease_held"]:
        say("lease", "its connection is lost; nothing is written until it is back", "bold red")
    if (prices := process["prices"]) is not None:
        say(
            "source",
            _source(prices),
            "yellow" if prices["silent"] or prices["ended"] or instruments_unknown(prices) else "",
        )
        for trouble in prices.get("troubles", ()):  # a process of an earlier version reports none
            say("source", one_line(trouble), "yellow")
        for note in prices.get("notes", ()):
            say("source", one_line(note))
    if expired := process.get("expired_at_intake"):  # a process of an older version does not say it
        say("expired", f"{expired} had waited longer than max_decision_age when this process took them in", "yellow")
    if process["dead_letters"] or process["prices_dropped"]:
        say("dropped", f"{process['dead_letters']} dead letters, {process['prices_dropped']} prices not stored")
    columns = ["actor", "state", "doing", "restarts", "handled", "mailbox", "most"]
    rows = [
        (
            each["actor"], each["state"], _doing(each), str(each["restarts"]), f"{each['handled']:,}",
            str(each["mailbox"]), str(each["most"]),
        )
        for each in process["actors"]
    ]  # fmt: skip
    out.print()
    out.print(full_table(columns, rows, right=columns[3:]))
    if process["failures"]:
        out.print()
        for failure in process["failures"][-SHOWN_FAILURES:]:
            at = moment(datetime.fromisoformat(failure["at"]))
            say(failure["reference"], f"{at} {failure['kind']} of {failure['actor']}: {failure['error']}", "yellow")


def _source(prices: dict[str, Any]) -> str:
    if prices["ended"]:
        return f"{prices['source']} has ended"
    if instruments_unknown(prices):
        return f"{prices['source']} {INSTRUMENTS_UNKNOWN}"
    silent = f"; silent: {', '.join(prices['silent'])}" if prices["silent"] else ""
    newest = moment(datetime.fromisoformat(prices["newest"])) + " UTC" if prices["newest"] else "none yet"
    return f"{prices['source']}, {prices['symbols']} symbols, newest price {newest}{silent}"


def _doing(actor: dict[str, Any]) -> str:
    if actor["waiting_since"] is not None:
        return f"database away since {moment(datetime.fromisoformat(actor['waiting_since']))[11:]}"
    if actor["doing"] is None:
        return ""
    return f"{actor['doing']} for {duration(timedelta(seconds=actor['busy_for']))}"
