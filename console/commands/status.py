"""``run.py status``: state of the service, its actors, its portfolios and its books."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console

from actors.configuration.settings_sources import file_in_use
from actors.settings import Settings
from console.commands.list_rows import stop_of
from console.database import database_label, ledger_reader, require_database, validation_progress
from console.debug.protocol import ConsoleConnection, socket_path
from console.display.format import (
    answer,
    duration,
    money,
    number,
    percent,
    print_fact,
    sentence,
    signed_money,
    sources_line,
    terminal,
    unreal_source,
)
from console.display.process_status import print_process
from console.display.storage import future_snapshots_line, size_line
from console.display.table import full_table
from console.display.times import moment
from console.errors import FAILURE, NOT_RUNNING, Refused
from console.options import AsJson, with_settings
from console.service.problems import Problem, problems_of_process
from domain.errors import DatabaseUnavailable, NotRunning
from domain.program import command_name
from domain.trading.portfolio import AUDIT_HALT
from domain.validation.progress import Course, Progress
from domain.wording import one_line
from persistence.connections import probe
from persistence.embedded.shared_socket import missing_socket
from persistence.queries.open_orders import frozen_orders, open_orders, other_source, other_source_sentence
from persistence.queries.row_lists import LedgerReader, by_reality, not_running_message
from persistence.roles.visibility import sees_results
from persistence.server_releases import outdated
from persistence.sessions.address import parse_url
from persistence.sessions.encryption import weakness_of

OF_OTHERS: dict[str, Any] = {
    **by_reality(()),
    **dict.fromkeys(("portfolios", "positions", "frozen_orders", "other_source", "halted", "validation"), ()),
    **dict.fromkeys(("ledger_ok", "storage", "quarantined"), None),
    "ledger_differences": [],
    "future_snapshots": {"number": 0, "last": None},
}
"""What a role cannot see that only sends decisions."""
VALIDATION_COLOURS = {Course.LOST: "bold red", Course.BEHIND: "yellow"}


@with_settings
def status(
    settings: Settings,
    live: Annotated[bool, typer.Option("--live", help="Ask only whether the process is alive.")] = False,
    as_json: AsJson = False,
) -> None:
    r"""Show the service, its actors, the portfolios, decisions by outcome, and whether the books balance.

    \b
      run.py status
      run.py status --json
      run.py status --live

    Exits 0 if all is well; 1 if something is wrong, with all reasons first (problems in the JSON): the books do not
    balance, the database is unreachable, no prices arrive although there are open positions or decisions, no decision
    comes; 3 if the service is not running. The actors are shown if the service runs on this machine with the same home.
    With --live it exits 0 or 3, and the database is not asked.
    """
    if live:
        _print_live(settings, as_json)
        return
    require_database(settings)
    process = _process(settings)
    try:
        with ledger_reader(settings) as reader:
            document = _ledger_state(settings, reader)
    except DatabaseUnavailable as error:
        if process is None:
            raise
        # The service runs and waits for the database; the state of the books is unknown.
        document = {"running": True, "database_away": str(error), "ledger_ok": None}
    document["process"] = process
    document["settings_file"] = file_in_use(settings.home)
    # After a restart of the database the service may be without its lease for a moment, but it runs.
    if process is not None:
        document |= {"running": True, "not_running": None}
    problems = list(_problems(document))
    document["problems"] = [problem.code for problem in problems]
    document["problem_texts"] = [problem.text for problem in problems]
    answer(as_json, document, lambda: _print_status(document))
    if not document["running"]:
        raise typer.Exit(NOT_RUNNING)
    if problems:
        raise typer.Exit(FAILURE)


def _print_live(settings: Settings, as_json: bool) -> None:
    alive = _process(settings) is not None
    text = "the process is alive" if alive else "no process of this home and database is alive"
    answer(as_json, {"live": alive}, text)
    if not alive:
        raise typer.Exit(NOT_RUNNING)


def _problems(document: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong."""
    process = document["process"]
    if document["database_away"] is not None:
        yield Problem("database_away", f"running, database away: {document['database_away']}")
    others = {row["portfolio"] for row in document.get("other_source", ())}  # for these no price is asked
    needed = any(row["portfolio"] not in others for row in document.get("positions", ()))
    needed = needed or bool(document.get("waiting"))
    if process is not None:
        yield from problems_of_process(process, prices_needed=needed)
    if document.get("ledger_differences"):
        yield Problem("books", f"the books do not balance: {'; '.join(document['ledger_differences'])}")
    for row in document.get("halted", ()):
        if row["reason"].startswith(AUDIT_HALT):
            yield Problem("audit_halt", f"portfolio {row['portfolio']} is halted: {row['reason']}")


def _process(settings: Settings) -> dict[str, Any] | None:
    """Return the status of the running service; None if no service of this home and database runs here."""
    try:
        with ConsoleConnection(socket_path(settings)) as connection:
            status: dict[str, Any] = connection.ask("status")
            return status
    except (NotRunning, Refused):
        return None


def _ledger_state(settings: Settings, reader: LedgerReader) -> dict[str, Any]:
    served = reader.served()
    url = reader.url
    server = probe(url)
    state = {
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
        "server": server,
        "server_outdated": outdated(server, embedded=settings.url is None),
        "database_weakness": weakness_of(url),
        "socket_missing": missing_socket(settings.home) if settings.url is None else None,
        "open_orders": len(open_orders(reader)),
        "decisions": reader.outcomes(),
        "waiting": reader.waiting(),
        "limited_to": None,
    }
    if not sees_results(reader):
        return {**state, **OF_OTHERS, "limited_to": parse_url(url).get("user")}
    differences = [row["difference"] for row in reader.ledger_differences()]
    return {
        **state,
        **reader.price_sources(),
        "portfolios": reader.portfolios(),
        "positions": reader.positions(),
        "frozen_orders": frozen_orders(reader),
        "other_source": other_source(reader),
        "quarantined": reader.quarantined(),
        "halted": reader.halted(),
        "validation": [_progress(one) for one in validation_progress(url)],
        "ledger_ok": not differences,
        "ledger_differences": differences,
        "storage": asdict(reader.storage()),
        "future_snapshots": reader.future_snapshots(),
    }


def _progress(progress: Progress) -> dict[str, Any]:
    return {
        "run": progress.run,
        "portfolio": progress.portfolio,
        "course": progress.course,
        "progress": progress.text,
        "ends": progress.ends,
    }


def _print_status(document: dict[str, Any]) -> None:
    out = terminal()
    if document["running"]:
        for text in document["problem_texts"]:
            out.print(sentence(one_line(text)), style="bold red")
    print_fact(out, "settings", str(document["settings_file"] or "no settings file"))
    if document["database_away"] is not None:
        print_fact(out, "database", document["database_away"], "bold red")
    else:
        _print_ledger(document, out)
    if (process := document["process"]) is not None:
        out.print()
        print_process(process, out)


def _print_ledger(document: dict[str, Any], out: Console) -> None:
    say = partial(print_fact, out)
    if document["running"]:
        ago = duration(document["renewed_seconds_ago"])
        say(
            "running",
            f"{document['holder']}, since {moment(document['since'])}, epoch {document['epoch']}, seen {ago} ago",
        )
    elif document["locked_by"] is not None:
        say("running", sentence(document["not_running"]), "yellow")
    elif document["since"] is None:
        say("running", "The service is not running and has never run on this database", "yellow")
    else:
        last = f"{document['holder']}, from {moment(document['since'])}"
        say("running", f"The service is not running; the last was {last}", "yellow")
    _print_database(document, say)
    outcomes = document["decisions"].items()
    counted = [f"{count} {status}" for status, count in outcomes if status not in {"pending", "open"}]
    say("decisions", ", ".join([f"{document['waiting']} waiting", *counted]))
    _print_orders(document, say)
    for row in document["positions"]:
        say("position", f"{number(row['quantity'])} {row['symbol']} of {row['portfolio']}: {_stop(row)}")
    for row in document["halted"]:
        say(
            "halted",
            f"{row['portfolio']} since {moment(row['at'])}, by {row['by_whom']}: {sentence(row['reason'])}",
            "bold red",
        )
    for row in document["validation"]:
        style = VALIDATION_COLOURS.get(row["course"], "")
        say("validation", f"{row['run']} of {row['portfolio']}: {sentence(row['progress'])}", style)
    if document["quarantined"]:
        say("quarantine", f"{document['quarantined']} (see v_paper_quarantine)", "yellow")
    if document["limited_to"] is not None:
        say("role", f"{document['limited_to']} may see its own decisions and orders alone")
    else:
        _print_books(document, out)


def _print_books(document: dict[str, Any], out: Console) -> None:
    say = partial(print_fact, out)
    if document["ledger_ok"]:
        say("books", "balance")
    else:
        say("books", "; ".join(document["ledger_differences"]), "bold red")
    _print_storage(document, say)
    not_real = [*document["price_sources_not_real"], *unreal_source(document["process"])]
    if (line := sources_line(not_real)) is not None:
        say("prices", line)
    if document["portfolios"]:
        columns = ["portfolio", "currency", "cash", "positions", "value", "result", "result %", "prices"]
        rows = [
            (
                row["portfolio"], currency, money(row["cash"], currency), str(row["num_positions"]),
                money(row["total_value"], currency), signed_money(row["total_pnl"], currency),
                percent(row["total_pnl_pct"]), row["price_source"] or "",
            )
            for row in document["portfolios"]
            if row["closed_at"] is None
            for currency in [row["currency"]]
        ]  # fmt: skip
        gives_way = ["cash", "result %", "currency", "positions"]
        out.print()
        out.print(full_table(out, columns, rows, right=columns[2:-1], gives_way=gives_way))


def _print_database(document: dict[str, Any], say: Callable[..., None]) -> None:
    say("database", f"{document['database']}; {document['server']}")
    for name in ("server_outdated", "database_weakness", "socket_missing"):
        if document[name] is not None:
            say("", document[name], "yellow")


def _print_storage(document: dict[str, Any], say: Callable[..., None]) -> None:
    say("size", size_line(document["storage"]))
    if thinned := document["storage"]["thinned_prices"]:
        say("", f"{thinned:,} prices of symbols that were never traded are thinned out")
    future = document["future_snapshots"]
    if future["number"]:
        say("snapshots", future_snapshots_line(future["number"], future["last"]), "yellow")


def _print_orders(document: dict[str, Any], say: Callable[..., None]) -> None:
    if document["open_orders"]:
        say("orders", f"{document['open_orders']} open; {command_name()} orders --open lists them")
    for row in document["other_source"]:
        say("prices", other_source_sentence(row), "yellow")
    for row in document["frozen_orders"]:
        rests = "rests" if row["orders"] == 1 else "rest"
        say(
            "orders",
            f"{row['orders']} {rests} unfilled: prices come from {row['present']}, not from {row['price_source']}",
            "yellow",
        )


def _stop(position: dict[str, Any]) -> str:
    stop = stop_of(position)
    return stop if position["stop_price"] is None else f"stop {stop}"
