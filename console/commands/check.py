"""``run.py check``: the settings in effect, where each comes from, and whether the database can serve."""

from __future__ import annotations

import os
import tomllib
from typing import Annotated, Any

import typer

from actors.runtime.timer import SystemClock
from actors.settings import FILE, PREFIX, Settings
from actors.system import price_source
from console.alerts.channels import channels
from console.database import connected, described
from console.display.format import answer, table, terminal
from console.display.table import printable
from console.options import AsJson, DatabaseUrl, Home, LogLevel, quiet_settings
from persistence import schema
from persistence.connections import probe


def check(
    prices: Annotated[
        str | None,
        typer.Option("--prices", metavar="SOURCE", help="ccxt, simulated, or the path of a CSV or Parquet file."),
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""Each setting with its value and where it comes from, passwords masked; then the price source and the database.

    No schema is changed; an embedded database is made or started for the moment. Ends with 2 if a setting
    is wrong, with 1 if the database cannot be used.

    \b
      run.py check
      PAPER_DATABASE_URL=postgresql://... run.py check --json
    """
    given = {"prices": prices, "home": home, "database_url": database_url, "log_level": log_level}
    settings = quiet_settings(**given)
    origins = _origins({name for name, value in given.items() if value is not None})
    shown = settings.shown()
    source = price_source(settings, SystemClock())
    channels(settings)
    # A person sees the settings even if the database then cannot be used.
    if not as_json:
        terminal().print(
            table(["setting", "value", "from"], [(name, value or "–", origins[name]) for name, value in shown.items()])
        )
        for note in source.notes:
            terminal().print(f"prices    {printable(note)}", soft_wrap=True)
    found = _database(settings)
    document = {
        "settings": {name: {"value": value, "from": origins[name]} for name, value in shown.items()},
        "prices": {"source": source.name, "notes": list(source.notes)},
        "database": found,
    }
    answer(as_json, document, lambda: _tell(found))


def _database(settings: Settings) -> dict[str, Any]:
    with connected(settings) as url:
        server = probe(url)
        current = schema.is_current(url)
        return {"where": described(settings, url), "server": server, "schema_current": current}


def _origins(options: set[str]) -> dict[str, str]:
    """Return where each setting comes from: an option, a variable, the file, or the default."""
    variables = {name.upper() for name, value in os.environ.items() if value}
    in_file = tomllib.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    origins = {}
    for name in Settings.model_fields:
        variable = f"{PREFIX}{name}".upper()
        if name in options:
            origins[name] = "option"
        elif variable in variables:
            origins[name] = variable
        else:
            origins[name] = str(FILE) if name in in_file else "default"
    return origins


def _tell(found: dict[str, Any]) -> None:
    out = terminal()
    schema_told = "schema up to date" if found["schema_current"] else "schema is made or upgraded by the next start"
    out.print(f"\ndatabase  {found['where']}; {found['server']}; {schema_told}", soft_wrap=True)
