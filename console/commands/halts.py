"""``run.py halt`` and ``run.py resume``: nothing is traded, until it may be again."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from console.database import opened
from console.display.format import answer
from console.options import AsJson, DatabaseUrl, Home, LogLevel, Portfolio, quiet_settings
from persistence.stores import halts

Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; decisions that are rejected say it.")]


def halt(
    reason: Why,
    portfolio: Portfolio = None,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""Trade nothing more in one portfolio, or in any: decisions are rejected as *halted*, with the reason.

    \b
      run.py halt --reason "exchange under attack"
      run.py halt --portfolio aggressive --reason "reviewing its losses"

    It counts from the next decision sized, also for what runs later. What is held stays; run.py resume ends it.
    """
    _insert(portfolio, reason, as_json, home, database_url, log_level, halted=True)


def resume(
    reason: Why,
    portfolio: Portfolio = None,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""Trade again.

    \b
      run.py resume --reason "all clear"

    Decisions that were rejected meanwhile stay rejected.
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
    who = user()
    with opened(settings) as url:
        halts.insert(url, portfolio, reason, who, halted=halted)
    done = {"portfolio": portfolio, "halted": halted, "reason": reason, "by_whom": who}
    which = f"portfolio {portfolio}" if portfolio is not None else "every portfolio"
    answer(as_json, done, lambda: print(f"{which} {'is halted' if halted else 'trades again'}: {reason}"))  # noqa: T201


def user() -> str:
    """Return who runs this."""
    try:
        return getpass.getuser()[:100]
    except (KeyError, OSError):  # no entry for this uid, as in some containers
        return "somebody"
