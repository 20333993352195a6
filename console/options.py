"""Options that several commands share, and the settings that result from them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from actors.settings import Settings
from console import logs

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
    str | None, typer.Option("--log-level", metavar="LEVEL", help="TRACE, DEBUG, INFO, WARNING or ERROR.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="Number of rows, the newest first.")]
Portfolio = Annotated[str | None, typer.Option("--portfolio", metavar="NAME", help="Only this portfolio.")]


def settings_from(**options: Any) -> Settings:
    """Return the settings in effect; ``options`` that are not None take precedence.

    Raises:
        SettingsError: a setting is wrong.
    """
    # First, because an error message might contain the URL.
    logs.hide_password(str(options.get("database_url") or ""))
    settings = Settings(**{name: value for name, value in options.items() if value is not None})
    for url in settings.urls():
        logs.hide_password(url)
    for address in settings.addresses():
        logs.hide_address(address)
    for text in settings.secret_texts():
        logs.hide_text(text)
    return settings


def quiet_settings(level: str = "WARNING", /, **options: Any) -> Settings:
    """Return the settings for a short command, which logs from ``level`` on unless a level is set."""
    settings = settings_from(**options)
    logs.to_terminal(settings.log_level if "log_level" in settings.model_fields_set else level)
    return settings
