"""``run.py start``: serves until it is told to stop."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Annotated, Any

import typer
from loguru import logger

from actors.settings import Settings
from actors.system import TradingSystem
from console import logs
from console.alerts.channels import channels
from console.alerts.sender import AlertSender
from console.cli import print_error
from console.database import database_label
from console.debug.protocol import ConsoleConnection, socket_path
from console.debug.server import ConsoleServer
from console.display.format import NO_PROOF, amount, document, number
from console.metrics.collector import MetricsCollector
from console.metrics.endpoint import MetricsEndpoint
from console.options import AsJson, DatabaseUrl, Home, LogLevel, settings_from
from console.service.actions import service_commands
from console.service_manager import READY, STOPPING, notify_manager
from console.signals import stoppable
from domain.errors import LeaseHeld, NotRunning, PaperTradingError, RestartLimitReached, SettingsError
from domain.types import DEFAULT_PORTFOLIO
from persistence.version import version

LAST_FAILURES = 5
"""So many are told where the process gives up."""


def start(
    prices: Annotated[
        str | None,
        typer.Option(
            "--prices", metavar="SOURCE", help="ccxt [default], simulated, or the path of a CSV or Parquet file."
        ),
    ] = None,
    exchange: Annotated[
        str | None, typer.Option("--exchange", metavar="ID", help="ccxt's id of the exchange [kraken].")
    ] = None,
    symbols: Annotated[
        str | None,
        typer.Option("--symbols", metavar="LIST", help="Separated by commas: simulated, or watched from the start."),
    ] = None,
    seed: Annotated[str | None, typer.Option("--seed", metavar="N", help="Of the simulated market.")] = None,
    include_backlog: Annotated[
        bool,
        typer.Option("--include-backlog", help="Trade what was in an adopted table before, too: copies are inserted."),
    ] = False,
    allow_repl: Annotated[
        bool, typer.Option("--allow-repl", help="Let a console of yours have a Python prompt in this process.")
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""Decisions come in by SQL, by `run.py decide` and from Python; each gets one outcome.

    \b
      run.py start --exchange binance
      run.py start --prices simulated
      run.py start --prices btc.csv --home /srv/paper
      PAPER_DATABASE_URL=postgresql://... PAPER_PRICES=simulated run.py

    SIGTERM, Ctrl-C or a closed terminal stops it in order: what was acknowledged is committed. With --json it prints
    one document on stdout once it serves. The log goes to stderr, and as JSON to logs/ under home.
    """
    settings = settings_from(
        prices=prices,
        exchange=exchange,
        symbols=symbols,
        seed=seed,
        home=home,
        database_url=database_url,
        log_level=log_level,
    )
    _refuse_idle(settings, "ccxt", exchange=exchange)
    _refuse_idle(settings, "simulated", seed=seed)
    logs.to_terminal(settings.log_level)
    logs.to_file(settings.home, settings.log_level)
    failure: Exception | None = None
    measured = MetricsCollector()
    with (
        stoppable() as signals,
        _endpoint(settings, measured) as endpoint,
        AlertSender(channels(settings)) as sender,
        TradingSystem.start(
            settings, include_backlog=include_backlog, alarms=sender, hide=logs.secrets_hidden
        ) as system,
        measured.serving(system),
        ConsoleServer(
            socket_path(settings), {**service_commands(system, settings, allow_repl=allow_repl), **measured.commands}
        ),
    ):

        def hurry() -> None:
            system.hurry()
            sender.hurry()

        signals.urgent = hurry
        facts = _facts(system, settings, endpoint.url)
        _announce(facts)
        logger.bind(file_only=True).info("serving: {}", document(facts))
        if as_json:
            print(document(facts), flush=True)  # noqa: T201
        notify_manager(READY)
        try:
            failure = system.wait()
        finally:
            notify_manager(STOPPING)
            logger.info("stopping: no new decisions are accepted; signal again to stop at once")
            last = system.status().failures[-LAST_FAILURES:]
    if failure is not None:
        # Said here, not raised: with --json stdout has had its one document.
        for each in last if isinstance(failure, RestartLimitReached) else ():
            print_error(f"failure {each.reference}: {each.actor}, {each.kind}: {each.error}")
        print_error(str(failure))
        raise typer.Exit(failure.exit_code if isinstance(failure, PaperTradingError) else 1)
    logger.info("stopped")


@contextmanager
def _endpoint(settings: Settings, measured: MetricsCollector) -> Iterator[MetricsEndpoint]:
    """Answer at metrics_port; where the one that serves already has the port, that is what is said.

    Raises:
        LeaseHeld: a process of this home serves this database.
        SettingsError: the port cannot be had.
    """
    with ExitStack() as undo:
        try:
            endpoint = undo.enter_context(MetricsEndpoint(settings.metrics_port, measured.registry))
        except SettingsError:
            with suppress(NotRunning), ConsoleConnection(socket_path(settings)):
                msg = f"another process with home {settings.home} serves this database already"
                raise LeaseHeld(msg) from None
            raise
        yield endpoint


def _refuse_idle(settings: Settings, prices: str, **option: str | None) -> None:
    """Refuse an option that would change nothing: its user believes that it does."""
    for name, value in option.items():
        if value is not None and settings.prices != prices:
            msg = f"--{name} {value} counts with prices = {prices} only, and prices is {settings.prices}"
            raise SettingsError(msg)


def _facts(system: TradingSystem, settings: Settings, metrics: str | None) -> dict[str, Any]:
    ledger_reader = system.ledger_reader
    rows = ledger_reader.portfolios()
    default = next(row for row in rows if row["portfolio"] == DEFAULT_PORTFOLIO)
    return {
        "version": version(),
        "database": database_label(settings, system.database_url),
        "server": system.facts.server,
        "epoch": system.facts.epoch,
        "prices": system.facts.price_source,
        "real_prices": system.facts.real_prices,
        "portfolios": [
            {name: row[name] for name in ("portfolio", "currency", "cash", "total_value", "num_positions")}
            for row in rows
        ],
        "decisions_waiting": ledger_reader.waiting(),
        "decisions_expired": system.status().expired_at_intake,
        "max_decision_age": settings.max_decision_age,
        "metrics": metrics,
        "settings_that_differ": {
            name: {"setting": value, "in_effect": default[name]}
            for name, value in settings.portfolio_values().items()
            if default[name] != value
        },
    }


def _announce(facts: dict[str, Any]) -> None:
    def say(label: str, text: str) -> None:
        print(f"  {label:<10} {text}", file=sys.stderr)  # noqa: T201

    print(f"Paper trading {facts['version']}", file=sys.stderr)  # noqa: T201
    say("database", facts["database"])
    say("", facts["server"])
    say("prices", facts["prices"] + ("" if facts["real_prices"] else f" prices: {NO_PROOF}"))
    for row in facts["portfolios"]:
        held = f", {row['num_positions']} held" if row["num_positions"] else ""
        cash, total = amount(row["cash"]), amount(row["total_value"])
        say("portfolio", f"{row['portfolio']}: {cash} {row['currency']} cash, worth {total}{held}")
    say("decisions", f"{facts['decisions_waiting']} waiting")
    if facts["decisions_expired"]:
        age = f"max_decision_age = {facts['max_decision_age']:g} s"
        say("", f"{facts['decisions_expired']} expired: waited longer than {age} while nothing ran")
    if facts["metrics"] is not None:
        say("metrics", facts["metrics"])
    if facts["settings_that_differ"]:
        differing = ", ".join(
            f"{name} {_told(each['in_effect'])} (setting: {_told(each['setting'])})"
            for name, each in facts["settings_that_differ"].items()
        )
        say("note", f"portfolio {DEFAULT_PORTFOLIO} keeps its own rules: {differing}")
    print("Serving; Ctrl-C stops it.", file=sys.stderr, flush=True)  # noqa: T201


def _told(value: Any) -> str:
    return value if isinstance(value, str) else number(value)
