"""``run.py replay``: computes the events of a portfolio again from what is stored, and compares every digit."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from actors.settings import Settings
from console.completion import portfolio_names
from console.database import opened
from console.display.format import answer, terminal
from console.errors import FAILURE
from console.options import AsJson, with_settings
from domain.trading.arithmetic import plain
from domain.wording import counted, one_line
from persistence.replay.reading import open_ledger
from persistence.replay.replaying import Replayed, replay
from persistence.replay.resting import NonEvents

PortfolioOf = Annotated[
    str,
    typer.Argument(metavar="PORTFOLIO", help="Its name; NAME@LIFE: an earlier life.", autocompletion=portfolio_names),
]


@with_settings
def replay_command(settings: Settings, portfolio: PortfolioOf, as_json: AsJson = False) -> None:
    r"""Compute the events of a portfolio again, and compare them with what is stored, to the last digit.

    \b
      run.py replay default
      run.py replay default@1 --json

    It begins with the initial capital and folds fills, order events, deposits and splits by the rules of the books,
    each from its own evidence: the quote of a fill, the rules of its order. Exit code 1: a digit differs; the first
    one is named. It only reads, also while the service runs; a role that reads suffices.
    """
    with opened(settings) as url, open_ledger(url, portfolio) as ledger:
        result, non_events = replay(ledger), ledger.non_events
    answer(as_json, _document(result, non_events), lambda: _print(result, non_events))
    if result.difference is not None:
        raise typer.Exit(FAILURE)


def _document(result: Replayed, non_events: NonEvents) -> dict[str, Any]:
    difference = result.difference
    return {
        "portfolio": result.portfolio,
        "same": difference is None,
        "version": result.state.version,
        "cash": result.state.cash,
        "counts": {name.replace(" ", "_"): number for name, number in sorted(result.counts.items())},
        "difference": None if difference is None else difference._asdict(),
        "non_events": non_events._asdict(),
    }


def _print(result: Replayed, non_events: NonEvents) -> None:
    out, state = terminal(), result.state
    parts = [f"{number:,} {name}" for name, number in sorted(result.counts.items())]
    rested = non_events.checked + non_events.not_checked
    of_kinds = f" ({', '.join(parts)})" if parts else ""
    shows = f"stored prices show of {non_events.checked:,} that the market did not reach them"
    rest = f", and nothing of {non_events.not_checked:,}" if non_events.not_checked else ""
    lines = [
        f"Portfolio {result.portfolio}: {counted(state.version, 'event')} computed again{of_kinds}",
        f"{counted(rested, 'order')} rested without a fill{f'; {shows}{rest}' if rested else ''}",
    ]
    if (one := result.difference) is None:
        lines.append(f"The same to the last digit: cash {plain(state.cash)} {state.rules.currency}")
    else:
        at = f"Event {one.version}, {one.subject}" if one.version is not None else one.subject
        lines.append(f"The first difference: {at}: {one.column} is stored as {one.stored}, computed is {one.computed}")
    for line in lines:
        out.print(one_line(line))
