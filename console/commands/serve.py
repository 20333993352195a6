"""``run.py start``: runs the service until a signal stops it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

import typer
from loguru import logger

from actors.configuration.settings_sources import file_in_use
from actors.runtime.timer import SystemClock
from actors.settings import Settings
from actors.system import TradingSystem
from console import logs
from console.alerts.channels import channels
from console.alerts.sender import AlertSender
from console.alerts.trading import TradingMessages, quiet_seconds
from console.cli import print_error
from console.database import database_label
from console.debug.protocol import ConsoleConnection, socket_path
from console.debug.server import ConsoleServer
from console.display.format import NO_PROOF, document, money, number, print_document
from console.errors import exit_code_of
from console.heap import leave_start_uncollected
from console.listing.since import parse_duration
from console.metrics.collector import MetricsCollector
from console.metrics.endpoint import MetricsEndpoint
from console.options import AsJson, Config, DatabaseUrl, Home, LogLevel, Prices, Utc, settings_from
from console.service.actions import service_commands
from console.service_manager import READY, STOPPING, notify_manager
from console.signals import stoppable
from console.streams import print_for_people
from domain.clocks.database_clock import DatabaseClock
from domain.errors import DatabaseError, LeaseHeld, NotRunning, RestartLimitReached, SettingsError
from domain.files.descriptors import limit_problem, raise_open_files_limit
from domain.redaction.mask import mask
from domain.types import DEFAULT_PORTFOLIO
from domain.wording import counted, one_line
from market.registry import NOT_RECORDED
from persistence.server_releases import outdated
from persistence.sessions.encryption import weakness_of
from persistence.version import version

MAX_PRINTED_FAILURES = 5
"""Number of failures that are printed if the restart limit is reached."""


def start(
    prices: Prices = None,
    exchange: Annotated[
        str | None,
        typer.Option(
            "--exchange", metavar="ID", help="ccxt's id of the exchange [kraken]; of the history, the one to play."
        ),
    ] = None,
    symbols: Annotated[
        str | None,
        typer.Option(
            "--symbols",
            metavar="LIST",
            help="Separated by commas: simulated, played of the history, or watched from the start.",
        ),
    ] = None,
    seed: Annotated[str | None, typer.Option("--seed", metavar="N", help="Seed of the simulated market.")] = None,
    price_speed: Annotated[
        str | None,
        typer.Option(
            "--price-speed",
            metavar="N|max",
            help="Speed of simulated and recorded prices: 60 is a minute a second; max, for recorded ones, as fast as "
            "they can be handled.",
        ),
    ] = None,
    price_from: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Play recorded prices from this date or time (UTC).")
    ] = None,
    price_to: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Play recorded prices up to this date or time (UTC).")
    ] = None,
    include_backlog: Annotated[
        bool,
        typer.Option("--include-backlog", help="Also trade the old rows of an adopted table, as copies."),
    ] = False,
    max_age: Annotated[
        str | None,
        typer.Option(
            "--max-age",
            metavar="AGE",
            help="With --include-backlog: how old those rows may be, such as 12h or 7d [max_decision_age].",
        ),
    ] = None,
    allow_repl: Annotated[
        bool, typer.Option("--allow-repl", help="Allow a Python prompt in this process, through the debug console.")
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
    _utc: Utc = False,
) -> None:
    r"""Run the service: it takes decisions by SQL, from `run.py decide` and from Python, and gives each one outcome.

    \b
      run.py start --exchange binance
      run.py start --prices simulated
      run.py start --prices btc.csv --price-speed max --from 2025-01-01
      PAPER_DATABASE_URL=postgresql://... PAPER_PRICES=simulated run.py

    SIGTERM, Ctrl-C or a closed terminal stops it in order: everything acknowledged is committed. With --json it prints
    one document on stdout once it is ready. The log goes to stderr, and as JSON to logs/ under home.
    """
    settings = settings_from(
        config=config,
        prices=prices,
        exchange=exchange,
        symbols=symbols,
        seed=seed,
        price_speed=price_speed,
        price_from=price_from,
        price_to=price_to,
        home=home,
        database_url=database_url,
        log_level=log_level,
    )
    if settings.prices != "history":  # of several exchanges in the history it says which is played
        _refuse_ineffective(settings, "ccxt", exchange=exchange)
    _refuse_ineffective(settings, "simulated", seed=seed)
    backlog_max_age = _backlog_max_age(max_age, include_backlog=include_backlog)
    _refuse_ineffective_for_file(settings, {"--from": price_from, "--to": price_to})
    logs.to_terminal(settings.log_level)
    logs.to_file(settings.home, settings.log_level)
    if (problem := limit_problem(raise_open_files_limit())) is not None:
        logger.warning("{}", problem)
    failure: Exception | None = None
    metrics_collector = MetricsCollector()
    rules, clock = settings.message_rules(), DatabaseClock(SystemClock())
    sender = AlertSender(channels(settings), quiet=partial(quiet_seconds, rules, clock))
    messages = TradingMessages(rules, sender.notify_all, clock) if rules else None
    with (
        stoppable() as signals,
        _endpoint(settings, metrics_collector) as endpoint,
        sender,
        TradingSystem.start(
            settings,
            clock=clock,
            include_backlog=include_backlog,
            backlog_max_age=backlog_max_age,
            alarms=sender,
            observer=messages,
            hide=mask,
        ) as system,
        _sending(messages, system),
        metrics_collector.serving(system),
        ConsoleServer(
            socket_path(settings),
            {**service_commands(system, settings, allow_repl=allow_repl), **metrics_collector.commands},
        ),
    ):

        def hurry() -> None:
            system.hurry()
            sender.hurry()

        signals.urgent = hurry
        facts = _facts(system, settings, endpoint)
        if facts["server_outdated"] is not None:
            logger.warning("{}", facts["server_outdated"])
        _announce(facts)
        for sentence in facts["warnings"]:
            logger.warning("{}", sentence)
        logger.bind(file_only=True).info("serving: {}", document(facts))
        if as_json:
            print_document(facts)
        try:
            notify_manager(READY)
            leave_start_uncollected()
            failure = signals.until(system.wait)
        finally:
            notify_manager(STOPPING)
            logger.info("stopping: no new decisions are accepted; signal again to stop at once")
            last = system.status().failures[-MAX_PRINTED_FAILURES:]
    if failure is not None:
        # Printed here, not raised: with --json stdout already has its one document.
        for crash in last if isinstance(failure, RestartLimitReached) else ():
            print_error(f"failure {crash.reference}: {crash.actor}, {crash.kind}: {crash.error}")
        print_error(str(failure))
        raise typer.Exit(exit_code_of(failure))
    logger.info("stopped")


def _sending(messages: TradingMessages | None, system: TradingSystem) -> AbstractContextManager[None]:
    """Send messages about trading, if any are wanted, while the block runs."""
    if messages is None:
        return nullcontext()
    facts = system.facts
    return messages.serving(system.database_url, facts.price_source, real_prices=facts.real_prices)


@contextmanager
def _endpoint(settings: Settings, metrics_collector: MetricsCollector) -> Iterator[MetricsEndpoint]:
    """Serve the metrics at metrics_port and metrics_socket while the block runs.

    Raises:
        LeaseHeld: another service of this home and database has them.
        SettingsError: one of them cannot be opened.
    """
    with ExitStack() as undo:
        try:
            endpoint = MetricsEndpoint(settings.metrics_port, metrics_collector.registry, settings.metrics_socket)
            undo.enter_context(endpoint)
        except SettingsError:
            with suppress(NotRunning), ConsoleConnection(socket_path(settings)):
                raise LeaseHeld(f"another process with home {settings.home} already serves this database") from None
            raise
        yield endpoint


def _refuse_ineffective(settings: Settings, prices: str, **option: str | None) -> None:
    """Refuse an option that has no effect with these settings."""
    for name, value in option.items():
        if value is not None and settings.prices != prices:
            raise SettingsError(f"--{name} {value} applies to prices = {prices} only, but prices is {settings.prices}")


def _refuse_ineffective_for_file(settings: Settings, options: Mapping[str, str | None]) -> None:
    """Refuse an option that concerns recorded prices only, with other prices."""
    for name, value in options.items():
        if value is not None and settings.prices in NOT_RECORDED:
            raise SettingsError(f"{name} {value} applies to recorded prices only, but prices is {settings.prices}")


def _backlog_max_age(text: str | None, *, include_backlog: bool) -> timedelta | None:
    if text is None:
        return None
    if not include_backlog:
        raise SettingsError(f"--max-age {text} applies to --include-backlog only")
    return parse_duration("--max-age", text)


def _facts(system: TradingSystem, settings: Settings, endpoint: MetricsEndpoint) -> dict[str, Any]:
    ledger_reader = system.ledger_reader
    rows = ledger_reader.portfolios()
    default = next(row for row in rows if row["portfolio"] == DEFAULT_PORTFOLIO)
    return {
        "version": version(),
        "settings_file": file_in_use(settings.home),
        "database": database_label(settings, system.database_url),
        "server": system.facts.server,
        "server_outdated": outdated(system.facts.server, embedded=settings.url is None),
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
        "metrics": endpoint.url,
        "metrics_socket": None if endpoint.socket_path is None else str(endpoint.socket_path),
        "warnings": _warnings(system, settings),
        "settings_that_differ": {
            name: {"setting": value, "in_effect": default[name]}
            for name, value in settings.portfolio_values().items()
            if default[name] != value
        },
    }


def _warnings(system: TradingSystem, settings: Settings) -> list[str]:
    """Return what an operator should know: an unprotected way to the database, prices that are not the exchange's."""
    warnings = [*system.facts.price_notes] if settings.prices == "ccxt" else []
    with suppress(DatabaseError):  # it has just answered; if it does not any more, the service says so
        if (weakness := weakness_of(system.database_url)) is not None:
            warnings.append(weakness)
    return warnings


def _announce(facts: dict[str, Any]) -> None:
    def say(label: str, text: str) -> None:
        print_for_people(f"  {label:<10} {one_line(text)}")

    print_for_people(f"Paper trading {facts['version']}")
    say("settings", str(facts["settings_file"] or "no settings file"))
    say("database", facts["database"])
    say("", facts["server"])
    say("prices", facts["prices"] + ("" if facts["real_prices"] else f" prices: {NO_PROOF}"))
    for row in facts["portfolios"]:
        positions = f", {counted(row['num_positions'], 'position')}" if row["num_positions"] else ""
        cash, total = money(row["cash"], row["currency"]), money(row["total_value"], row["currency"])
        say("portfolio", f"{row['portfolio']}: {cash} {row['currency']} cash, value {total}{positions}")
    say("decisions", f"{facts['decisions_waiting']} waiting")
    if facts["decisions_expired"]:
        age = f"max_decision_age = {facts['max_decision_age']:g} s"
        say("", f"{facts['decisions_expired']} expired: older than {age} when the service started")
    for place in (facts["metrics"], facts["metrics_socket"]):
        if place is not None:
            say("metrics", place)
    if facts["settings_that_differ"]:
        differing = ", ".join(
            f"{name} {_value_text(values['in_effect'])} (setting: {_value_text(values['setting'])})"
            for name, values in facts["settings_that_differ"].items()
        )
        say("note", f"portfolio {DEFAULT_PORTFOLIO} keeps its own rules: {differing}")
    print_for_people("Serving; stop with Ctrl-C.")


def _value_text(value: Any) -> str:
    return value if isinstance(value, str) else number(value)
