"""``run.py status``: what runs, and how its books stand."""

from __future__ import annotations

from typing import Any

import typer

from actors.settings import Settings
from console.database import books, described
from console.options import AsJson, DatabaseUrl, Home, LogLevel, quiet_settings
from console.output import amount, answer, duration, moment, percent, signed, sources_line, table, terminal
from domain.errors import NotRunning
from persistence.engine import probe
from persistence.queries import Books


def status(
    as_json: AsJson = False, home: Home = None, database_url: DatabaseUrl = None, log_level: LogLevel = None
) -> None:
    r"""Who serves the database and since when, portfolios, decisions by outcome, and whether the books balance.

    \b
      run.py status
      run.py status --json

    With nothing running it says so, shows the rest all the same, and exits 3.
    """
    settings = quiet_settings(home=home, database_url=database_url, log_level=log_level)
    if settings.url is None and not (settings.home / "postgres").exists():
        msg = f"nothing is running, and nothing has ever run with home {settings.home}; run.py start begins"
        raise NotRunning(msg)
    with books(settings) as reader:
        found = _found(settings, reader)
    answer(as_json, found, lambda: _tell(found))
    if not found["running"]:
        raise typer.Exit(NotRunning.exit_code)
    if not found["ledger_ok"]:
        raise typer.Exit(1)


def _found(settings: Settings, reader: Books) -> dict[str, Any]:
    served = reader.served()
    url = reader.url
    differences = [row["difference"] for row in reader.ledger_differences()]
    return {
        "running": bool(served["running"]),
        "holder": served["holder"],
        "since": served["started_at"],
        "epoch": served["epoch"],
        "generation": served["generation"],
        "renewed_seconds_ago": served["renewed_ago"],
        "database": described(settings, url),
        "server": probe(url),
        "price_sources": reader.price_sources(),
        "portfolios": reader.portfolios(),
        "decisions": reader.outcomes(),
        "waiting": reader.waiting(),
        "ledger_ok": not differences,
        "ledger_differences": differences,
    }


def _tell(found: dict[str, Any]) -> None:
    out = terminal()

    def say(label: str, text: str, style: str = "") -> None:
        out.print(f"{label:<10} {text}", style=style, soft_wrap=True)

    if found["running"]:
        ago = duration(found["renewed_seconds_ago"])
        say("running", f"{found['holder']}, since {moment(found['since'])} UTC, epoch {found['epoch']}, seen {ago} ago")
    elif found["since"] is None:
        say("running", "nothing, and nothing has run on this database yet", "yellow")
    else:
        say("running", f"nothing; the last was {found['holder']}, from {moment(found['since'])} UTC", "yellow")
    say("database", f"{found['database']}; {found['server']}")
    counted = [f"{each} {status}" for status, each in found["decisions"].items() if status not in {"pending", "open"}]
    say("decisions", ", ".join([f"{found['waiting']} waiting", *counted]))
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
        out.print(table(columns, rows, right=columns[2:]))
