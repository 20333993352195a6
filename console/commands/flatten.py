"""``run.py flatten``: closes positions at market, and cancels their open orders."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated, Any

import typer

from actors.settings import Settings
from console.completion import symbol_names
from console.database import opened
from console.display.format import confirmed, number
from console.options import AsJson, Portfolio, with_settings
from console.outcomes import Sender, not_sent, nothing_in, print_outcomes
from console.sending import own_limit
from console.validation_guard import confirm_end, end_runs
from domain.errors import InvalidRequest, NotRunning
from domain.trading.portfolio import AUDIT_HALT
from domain.types import Action
from domain.wording import counted
from persistence.queries.listing.row_filter import flat_symbol
from persistence.queries.row_lists import LedgerReader, not_running_message


@with_settings
def flatten(
    settings: Settings,
    portfolio: Portfolio = None,
    symbol: Annotated[
        str | None,
        typer.Option("--symbol", metavar="S", help="Only the positions in this market.", autocompletion=symbol_names),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm, in a script.")] = False,
    as_json: AsJson = False,
) -> None:
    r"""Close positions at market, after their open orders are cancelled; wait for the outcomes.

    \b
      run.py flatten
      run.py flatten --portfolio default --symbol BTC/USDT --yes

    It asks for confirmation in a terminal, and needs --yes in a script. It ends the validation runs of the portfolios
    that hold these positions. Exit 1 if a position is not closed. It
    works in a halted portfolio, too, unless the audit halted it: then the positions and their stops stay.
    """
    with opened(settings) as url, closing(LedgerReader(url)) as reader:
        if portfolio is not None:
            reader.require_portfolio(portfolio)
        wanted = None if symbol is None else flat_symbol(symbol)
        held = reader.positions(portfolio)
        positions = [row for row in held if wanted in {None, flat_symbol(row["symbol"])}]
        none = "No position is open."
        if symbol is not None and not positions:
            none = nothing_in(reader, "position", symbol, (row["symbol"] for row in held))
        if positions and not (served := reader.served())["running"]:
            raise NotRunning(f"{not_running_message(served)}; nothing was sent")
        if positions:
            require_confirmation(positions, "flatten", yes=yes)
            names = confirm_end(reader, [row["portfolio"] for row in positions], yes=yes)
            end_runs(url, names, "flatten")
        sender = Sender(url, reader, own_limit(settings))
        halted = {row["portfolio"]: row["reason"] for row in reader.halted() if row["reason"].startswith(AUDIT_HALT)}
        results = []
        for row in positions:
            if row["portfolio"] in halted:
                # Its SELL would be rejected after the CANCEL, and the position would have lost its stop.
                results.append(not_sent(Action.SELL, row, "halted", f"halted: {halted[row['portfolio']]}"))
            else:
                results += sender.close(row["portfolio"], row["symbol"])
    print_outcomes(as_json, results, none)


def require_confirmation(positions: list[dict[str, Any]], command: str, *, yes: bool) -> None:
    """Ask before positions are closed.

    Args:
        positions: that are closed.
        command: that closes them.
        yes: it was confirmed already.

    Raises:
        InvalidRequest: the answer was no, or there is no terminal on which to ask.
    """
    if yes:
        return
    names = ", ".join(f"{number(row['quantity'])} {row['symbol']} of {row['portfolio']}" for row in positions)
    question = f"{command} closes {counted(len(positions), 'position')} at market: {names}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidRequest(f"{question}; confirm it with --yes")
    if not confirmed(f"{question}. Really?"):
        raise InvalidRequest("nothing was done")
