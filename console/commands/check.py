"""``run.py check``: the settings in effect, the source of each, and whether the database can be used."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from actors.configuration.settings_reference import VARIABLE_PREFIX, SettingReference, setting_references
from actors.configuration.settings_sources import file_in_use, setting_origins
from actors.runtime.timer import SystemClock
from actors.settings import Settings
from actors.system import price_source
from console.alerts.channels import channels
from console.cli import print_error
from console.database import connected, database_label, require_usable
from console.display.format import answer, number, print_fact, terminal
from console.display.table import full_table
from console.errors import FAILURE
from console.options import AsJson, Config, DatabaseUrl, Home, LogLevel, Prices, Utc, quiet_settings
from domain.errors import ExchangeUnreachable, SettingsError
from domain.program import command_name
from domain.redaction.mask import mask
from domain.trading.instruments import InstrumentCatalog
from domain.trading.quotes import PriceSource
from domain.types import DEFAULT_PORTFOLIO, FeeRule
from domain.wording import did_you_mean
from persistence import schema
from persistence.embedded.shared_socket import missing_socket
from persistence.queries.open_orders import other_source, other_source_sentence
from persistence.queries.row_lists import LedgerReader
from persistence.server_releases import outdated
from persistence.sessions.encryption import weakness_of

EXCHANGE_TIMEOUT_S = 5.0
"""How long the exchange may take to answer."""


def check(
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="NAME", help="Explain one setting, and check nothing."),
    ] = None,
    prices: Prices = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the exchange.")] = False,
    as_json: AsJson = False,
    config: Config = None,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
    _utc: Utc = False,
) -> None:
    r"""Each setting with its value and its source, passwords masked; then the price source and the database.

    It asks the exchange for its markets, for 5 s at most, and does all that a start would do with the tables, such as
    the adoption of an existing table of decisions, which it undoes: what the start would refuse is an error here. An
    embedded database is created or started for the check. The exit code is 2 if a setting is wrong, and 1 if a start
    would not use the database or the exchange cannot be reached.

    \b
      run.py check
      run.py check --explain max_position_size
      PAPER_DATABASE_URL=postgresql://... run.py check --json
    """
    if explain is not None:
        _explain(explain, as_json)
        return
    options = {"prices": prices, "home": home, "database_url": database_url, "log_level": log_level}
    settings = quiet_settings(config=config, **options)
    names = {name for name, value in options.items() if value is not None}
    origins, file = setting_origins(Settings.model_fields, names, home), file_in_use(home)
    values = settings.redacted()
    source = price_source(settings, SystemClock())
    channels(settings)
    # A person sees the settings even if the database then cannot be used.
    if not as_json:
        out = terminal()
        # The file's whole path stands below: in each row it would leave no space for the values.
        short = {file: Path(file).name} if file is not None else {}
        rows = [(name, value or "–", short.get(origins[name], origins[name])) for name, value in values.items()]
        out.print(full_table(out, ["setting", "value", "from"], rows))
        print_fact(out, "settings", file if file is not None else "no settings file")
        for note in source.notes:
            print_fact(out, "prices", note, "yellow" if getattr(source, "live", False) else "")
    with connected(settings) as url:
        server = require_usable(url)
        database = {
            "where": database_label(settings, url), "server": server, "schema_current": schema.is_current(url),
            "server_outdated": outdated(server, embedded=settings.url is None),
            "weakness": weakness_of(url),
            "socket_missing": missing_socket(settings.home) if settings.url is None else None,
        }  # fmt: skip
        fees = {"portfolios": _fees(settings, url), "notes": venue_notes(source.catalog)}
        others = _other_sources(url, source.name)
    unreachable = None if offline else _unreachable(source)
    document = {
        "settings_file": file,
        "settings": {name: {"value": value, "from": origins[name]} for name, value in values.items()},
        "prices": {"source": source.name, "real": source.real, "notes": list(source.notes), "unreachable": unreachable},
        "other_source": others,
        "database": database,
        "fees": fees,
    }
    answer(as_json, document, lambda: _print_database(database, fees, others))
    if unreachable is not None:
        if not as_json:
            print_error(unreachable)
        raise typer.Exit(FAILURE)


def _unreachable(source: PriceSource) -> str | None:
    """Return why the exchange of a price source cannot be reached; None where it can be, and for other sources."""
    if (require_reachable := getattr(source, "require_reachable", None)) is not None:
        try:
            require_reachable(EXCHANGE_TIMEOUT_S)
        except ExchangeUnreachable as error:
            return mask(str(error))
    return None


def _other_sources(url: str, source: str) -> list[dict[str, Any]]:
    """Return the portfolios that have another price source than this one."""
    if not schema.is_current(url):
        return []
    with closing(LedgerReader(url)) as reader:
        return other_source(reader, source)


def _fees(settings: Settings, url: str) -> dict[str, dict[str, Any]]:
    """Return whose rates each portfolio pays; before the first start that of the settings, for the default one."""
    if not schema.is_current(url):
        return {DEFAULT_PORTFOLIO: {"fees": settings.fees, "commission_pct": settings.commission_pct}}
    with closing(LedgerReader(url)) as reader:
        rows = [row for row in reader.portfolios() if row["closed_at"] is None]
    return {row["portfolio"]: {name: row[name] for name in ("fees", "commission_pct")} for row in rows}


def venue_notes(catalog: InstrumentCatalog | None) -> list[str]:
    """Return where the rates of the venue are not known, as sentences."""
    if catalog is None:
        return ["the venue's rates are known after the first start, which loads its markets"]
    traded = [one for one in catalog.instruments.values() if one.not_traded is None]
    without = sorted(one.symbol for one in traded if one.maker_fee is None or one.taker_fee is None)
    if not without:
        return []
    of = "all" if len(without) == len(traded) else f"{len(without)} of {len(traded)}"
    more = f", such as {without[0]}" if len(without) < len(traded) else ""
    return [f"the venue's maker and taker rates are not both known for {of} markets{more}: commission_pct counts there"]


def _explain(name: str, as_json: bool) -> None:
    wanted = name.strip().lower().removeprefix(VARIABLE_PREFIX.lower())
    references = {reference.name: reference for reference in setting_references(Settings.model_fields)}
    if wanted not in references:
        suggestion = did_you_mean(wanted, references) or f"; {command_name()} check lists them"
        raise SettingsError(f"{name!r} is not a setting{suggestion}")
    reference = references[wanted]
    answer(as_json, reference, lambda: _print_reference(reference))


def _print_reference(reference: SettingReference) -> None:
    out = terminal()
    out.print(f"{reference.name}: {reference.meaning.replace('`', '')}\n", soft_wrap=True, markup=False)
    rows = {
        "unit": reference.unit,
        "default": reference.default or "none",
        "allowed": reference.allowed,
        "paper.toml": reference.example,
        "variable": reference.variable,
    }
    for heading, text in rows.items():
        if text:
            print_fact(out, heading, text)


def _print_database(database: dict[str, Any], fees: dict[str, Any], others: list[dict[str, Any]]) -> None:
    state = "schema up to date" if database["schema_current"] else "schema is created or upgraded by the next start"
    out = terminal()
    out.print()
    print_fact(out, "database", f"{database['where']}; {database['server']}; {state}")
    for name in ("server_outdated", "weakness", "socket_missing"):
        if database[name] is not None:
            print_fact(out, "", database[name], "yellow")
    for row in others:
        print_fact(out, "prices", other_source_sentence(row), "yellow")
    for portfolio, rule in fees["portfolios"].items():
        own = f"commission_pct {number(rule['commission_pct'])}"
        of_venue = rule["fees"] == FeeRule.VENUE
        print_fact(out, "fees", f"{portfolio}: {f'the venue, else {own}' if of_venue else own}")
    if any(rule["fees"] == FeeRule.VENUE for rule in fees["portfolios"].values()):
        for note in fees["notes"]:
            print_fact(out, "fees", note)
