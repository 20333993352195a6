"""The question before an action of a person that ends a validation run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from console.commands.halts import current_user
from console.display.format import confirmed
from domain.errors import InvalidRequest, WouldEndValidation
from domain.program import command_name
from persistence.connections import pool, transaction
from persistence.queries.open_runs import run_ended_by, why_it_ends
from persistence.queries.row_lists import LedgerReader
from persistence.stores import validation_runs


def confirm_end(
    ledger_reader: LedgerReader, portfolios: Sequence[str], strategy: str | None = None, *, yes: bool = False
) -> list[str]:
    """Ask before an action that ends validation runs; return the names of these runs, which still go on.

    Args:
        ledger_reader: of the database.
        portfolios: that the action is about.
        strategy: of a decision, which ends no run that is bound to it; None: the action ends any run.
        yes: it was confirmed already.

    Raises:
        WouldEndValidation: there is no terminal on which to ask.
        InvalidRequest: the answer was no.
    """
    names = []
    for portfolio in dict.fromkeys(portfolios):
        if (run := run_ended_by(ledger_reader, [portfolio], strategy)) is None or run[0] in names:
            continue
        sentence = why_it_ends(*run, strategy)
        if not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
            stop = f"{command_name()} validate stop {run[0]} --reason TEXT"
            raise WouldEndValidation(f"{sentence}; end the run first: {stop}")
        if not yes and not confirmed(f"{sentence}. End the run?"):
            raise InvalidRequest("nothing was done")
        names.append(run[0])
    return names


def end_runs(url: str, names: Sequence[str], action: str) -> None:
    """End validation runs because of an action of this user."""
    if names:
        with pool(url, "validate") as engine, transaction(engine) as cursor:
            for name in names:
                validation_runs.end(cursor, validation_runs.run_named(cursor, name), f"{current_user()}: {action}")


def end_changed_runs(url: str, names: Sequence[str]) -> None:
    """End the runs among ``names`` that a change of this user has ended."""
    if names:
        with pool(url, "validate") as engine, transaction(engine) as cursor:
            validation_runs.end_changed(cursor)
