"""``run.py halt`` and ``run.py resume``: stop and resume trading in one portfolio or in all."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from console.database import opened
from console.display.format import answer
from console.options import AsJson, DatabaseUrl, Home, LogLevel, Portfolio, quiet_settings
from persistence.stores import halts

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason; rejected decisions repeat it.")]


def halt(
    reason: Reason,
    portfolio: Portfolio = None,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""Halt trading in one portfolio, or in all: decisions are rejected as *halted*, with the reason.

    \b
      run.py halt --reason "exchange under attack"
      run.py halt --portfolio aggressive --reason "reviewing its losses"

    It applies from the next decision sized, also after restarts. Open positions stay open; run.py resume ends it.
    """
    _insert(portfolio, reason, as_json, home, database_url, log_level, halted=True)


def resume(
    reason: Reason,
    portfolio: Portfolio = None,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""Resume trading in one portfolio, or in all.

    \b
      run.py resume --reason "all clear"

    Decisions that were rejected in the meantime stay rejected.
    """
    _insert(portfolio, reason, as_json, home, database_url, log_level, halted=False)


def _insert(
    portfolio: str | None,
    reason: str,
    as_json: bool,
    home: str | None,
    database_url: str | None,
    log_level: str | None,
    *,
    halted: bool,
) -> None:
    settings = quiet_settings(home=home, database_url=database_url, log_level=log_level)
    who = current_user()
    with opened(settings) as url:
        halts.insert(url, portfolio, reason, who, halted=halted)
    done = {"portfolio": portfolio, "halted": halted, "reason": reason, "by_whom": who}
    target = f"portfolio {portfolio}" if portfolio is not None else "every portfolio"
    answer(as_json, done, lambda: print(f"{target} {'is halted' if halted else 'is resumed'}: {reason}"))  # noqa: T201


def current_user() -> str:
    """Return the name of the user who runs the command."""
    try:
        return getpass.getuser()[:100]
    except (KeyError, OSError):  # no entry for this uid, as in some containers
        return "unknown user"
