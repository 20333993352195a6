"""Options that several commands share, and the settings that result from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, get_type_hints

import typer

from actors.configuration.settings_sources import choose_settings_file
from actors.configuration.settings_types import LOG_LEVELS
from actors.settings import Settings
from console import logs
from console.completion import one_of, portfolio_names
from console.display.times import show_utc
from domain.redaction.mask import KNOWN
from domain.redaction.spellings import of_address, of_service, of_text, of_url, spellings

Command = Callable[..., None]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, amounts as strings.")]
Home = Annotated[
    str | None,
    typer.Option("--home", metavar="FOLDER", help="Folder of embedded database and logs [~/.paper-trading]."),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="postgresql://user@host:5432/database; set a URL with a password as PAPER_DATABASE_URL, since options "
        "are visible in the list of processes. Default: an embedded PostgreSQL.",
    ),
]
LogLevel = Annotated[
    str | None,
    typer.Option(
        "--log-level",
        metavar="LEVEL",
        help="TRACE, DEBUG, INFO, WARNING or ERROR.",
        autocompletion=one_of(LOG_LEVELS),
    ),
]
Config = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The settings file [paper.toml in the working folder, in home, or in ~/.config/paper-trading].",
    ),
]
Utc = Annotated[
    bool,
    typer.Option("--utc", callback=show_utc, is_eager=True, help="Show times in UTC, not in the local time zone."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="Number of rows, the newest first.")]
Portfolio = Annotated[
    str | None,
    typer.Option("--portfolio", metavar="NAME", help="Only this portfolio.", autocompletion=portfolio_names),
]
Prices = Annotated[
    str | None,
    typer.Option(
        "--prices", metavar="SOURCE", help="ccxt [default], simulated, history, or the path of recorded prices."
    ),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason; rejected decisions repeat it.")]


def grouped(name: str, options: Mapping[str, Any], build: Callable[..., Any]) -> Callable[[Command], Command]:
    """Return a decorator of commands, by which a group of options is one parameter of the command.

    Args:
        name: the command's parameter.
        options: `Annotated` type of each option; all have the default None.
        build: returns the parameter's value from the options.
    """

    def decorate(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        group = [
            Parameter(option, Parameter.KEYWORD_ONLY, default=None, annotation=kind) for option, kind in options.items()
        ]
        own = [
            parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])
            for parameter in signature(command).parameters.values()
            if parameter.name != name
        ]

        @wraps(command)
        def run(**values: Any) -> None:
            command(**{name: build(**{option: values.pop(option) for option in options})}, **values)

        # Typer reads the options from both.
        run.__signature__ = Signature([*own, *group])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *group)}
        return run

    return decorate


def settings_from(**options: Any) -> Settings:
    """Return the settings in effect; ``options`` that are not None take precedence.

    Raises:
        SettingsError: a setting is wrong.
    """
    options.pop("utc", None)  # its callback has done what it does
    choose_settings_file(options.pop("config", None))
    # First, because an error message might contain the URL.
    _remember(str(options.get("database_url") or ""))
    settings = Settings(**{name: value for name, value in options.items() if value is not None})
    _remember(*settings.urls(), *settings.addresses(), *settings.alert_addresses())
    KNOWN.remember(text for address in settings.addresses() for text in of_address(address))
    KNOWN.remember(text for address in settings.alert_addresses() for text in of_service(address))
    KNOWN.remember(text for secret in settings.secret_texts() for text in of_text(secret))
    return settings


def _remember(*urls: str) -> None:
    """Mask the passwords of URLs, and those of this environment, in all logs and messages."""
    from persistence.sessions.address import secrets_of  # noqa: PLC0415 - help and completion need no driver

    KNOWN.remember(spellings(password for url in urls for password in secrets_of(url)))
    KNOWN.remember(spellings(filter(None, [os.environ.get("PGPASSWORD")])))
    proxies = [value for name, value in os.environ.items() if name.lower().endswith("_proxy")]
    KNOWN.remember(text for proxy in proxies for text in of_url(proxy))


def quiet_settings(level: str = "WARNING", /, **options: Any) -> Settings:
    """Return the settings for a short command, which logs from ``level`` on unless a level is set."""
    settings = settings_from(**options)
    logs.to_terminal(settings.log_level if "log_level" in settings.model_fields_set else level)
    return settings


FILE_OPTIONS = {"config": Config, "home": Home, "log_level": LogLevel, "utc": Utc}
with_settings = grouped("settings", {**FILE_OPTIONS, "database_url": DatabaseUrl}, quiet_settings)
"""Gives a command its ``settings``, from the options that most commands have."""
with_home = grouped("settings", FILE_OPTIONS, quiet_settings)
"""Gives a command that needs no database its ``settings``."""
