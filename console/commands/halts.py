"""``run.py halt`` and ``run.py resume``: stop and resume trading in one portfolio or in all."""

from __future__ import annotations

import getpass
from contextlib import closing
from typing import Annotated

import typer

from actors.settings import Settings
from console.database import opened
from console.display.format import answer
from console.options import AsJson, Portfolio, Reason, with_settings
from domain.errors import InvalidRequest
from domain.wording import joined
from persistence.queries.row_lists import LedgerReader
from persistence.stores import halts

ResumeReason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason, for the record.")]


@with_settings
def halt(settings: Settings, reason: Reason, portfolio: Portfolio = None, as_json: AsJson = False) -> None:
    r"""Halt trading in one portfolio, or in all: decisions are rejected as *halted*, with the reason.

    \b
      run.py halt --reason "exchange under attack"
      run.py halt --portfolio aggressive --reason "reviewing its losses"

    It applies from the next decision sized, also after restarts. Open positions stay open; run.py resume ends it.
    """
    _insert(settings, portfolio, reason, as_json, halted=True)


@with_settings
def resume(
    settings: Settings, reason: ResumeReason = "resumed", portfolio: Portfolio = None, as_json: AsJson = False
) -> None:
    r"""Resume trading in one portfolio, or in all.

    \b
      run.py resume
      run.py resume --portfolio aggressive --reason "all clear"

    Decisions that were rejected in the meantime stay rejected.
    """
    _insert(settings, portfolio, reason, as_json, halted=False)


def _insert(settings: Settings, portfolio: str | None, reason: str, as_json: bool, *, halted: bool) -> None:
    if not reason.strip():
        raise InvalidRequest("--reason must not be empty")
    who = current_user()
    with opened(settings) as url:
        with closing(LedgerReader(url)) as ledger_reader:
            before = [row["portfolio"] for row in ledger_reader.halted()]
        halts.insert(url, portfolio, reason, who, halted=halted)
    were_halted = [name for name in before if portfolio in {None, name}]
    done = {"portfolio": portfolio, "halted": halted, "reason": reason, "by_whom": who, "were_halted": were_halted}
    target = f"portfolio {portfolio}" if portfolio is not None else "every portfolio"
    if halted:
        text = f"{target} is halted: {reason}"
    elif were_halted:
        text = f"portfolio {joined(were_halted)} trades again: {reason}"
    else:
        text = "no portfolio was halted" if portfolio is None else f"{target} was not halted"
    answer(as_json, done, text)


def current_user() -> str:
    """Return the name of the user who runs the command."""
    try:
        return getpass.getuser()[:100]
    except (KeyError, OSError):  # no entry for this uid, as in some containers
        return "unknown user"
