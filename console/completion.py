"""Completion in shells: which command is being typed, and the names that an option may have.

The options ``--install-completion`` and ``--show-completion`` are typer's. The script that they install calls the
program at each press of the tab key, with the typed words in a variable. So it must answer at once: it imports no
command but the one whose options are asked for, and asks the database only for names in it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable

import typer

from domain.program import command_name

OPTIONS = ("--install-completion", "--show-completion")
TYPED = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")
"""Variables in which typer's scripts pass what was typed, by the shell."""


def words_to_complete() -> list[str] | None:
    """Return the words that were typed after the program's name; None where a shell does not ask for completions."""
    if f"_{command_name()}_COMPLETE".replace("-", "_").upper() not in os.environ:
        return None
    typed = next((os.environ[name] for name in TYPED if name in os.environ), "")
    try:
        words = shlex.split(typed)
    except ValueError:  # within quotation marks
        words = typed.split()
    return words[1:] or [""]


def one_of(words: Iterable[str]) -> Callable[[str], list[str]]:
    """Return the completion of an option that takes one of some words."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in words if name.startswith(incomplete)]

    return complete


def portfolio_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the names of portfolios that begin with ``incomplete``; none where the database does not answer."""
    return one_of(_names(context, "portfolio_names"))(incomplete)


def symbol_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the symbols with a price, a position or an open order that begin with ``incomplete``."""
    return one_of(_names(context, "symbol_names"))(incomplete)


def _names(context: typer.Context, query: str) -> list[str]:
    # Only now: each of these imports takes longer than the rest.
    from console.database import running_url  # noqa: PLC0415
    from console.options import settings_from  # noqa: PLC0415
    from persistence.queries import references  # noqa: PLC0415

    try:
        options = {name: context.params.get(name) for name in ("config", "home", "database_url")}
        url = running_url(settings_from(**options))
        names = [] if url is None else getattr(references, query)(url)
        return [name for name in names if name.isprintable()]  # a shell would show it as it is
    except Exception:  # noqa: BLE001 - a shell would show the error within what is being typed
        return []
