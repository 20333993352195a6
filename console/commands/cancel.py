"""``run.py cancel``: ends orders that rest in the market."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from actors.settings import Settings
from console.cli import wrong_usage
from console.completion import symbol_names
from console.database import opened
from console.options import AsJson, Portfolio, with_settings
from console.outcomes import Sender, nothing_in, print_outcomes
from console.sending import own_limit
from domain.types import DEFAULT_PORTFOLIO
from persistence.queries.open_orders import open_orders, portfolios_with_orders
from persistence.queries.references import portfolio_of_target
from persistence.queries.row_lists import LedgerReader


@with_settings
def cancel(
    settings: Settings,
    target: Annotated[
        str | None,
        typer.Argument(metavar="TARGET", help="A decision's id, uid or idempotency key, or the id of an order."),
    ] = None,
    portfolio: Portfolio = None,
    symbol: Annotated[
        str | None,
        typer.Option(
            "--symbol", metavar="S", help="Cancel every open order of this market.", autocompletion=symbol_names
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Cancel every open order.")] = False,
    as_json: AsJson = False,
) -> None:
    r"""Cancel one order, those of a market, or all; wait for the outcome.

    \b
      run.py cancel 17
      run.py cancel --symbol BTC/USDT --portfolio default
      run.py cancel --all

    It sends a decision CANCEL of strategy manual to the portfolio of TARGET; with --symbol or --all to each portfolio
    that has such orders. A decision that is not sized yet is cancelled, too. A stop or take-profit of a position is an
    order as well: without it the position is not protected. Exit 1 if a CANCEL is not executed.
    """
    if (target is not None) + (symbol is not None) + everything != 1:
        raise wrong_usage("cancel needs TARGET, --symbol or --all, and only one of them", "cancel")
    with opened(settings) as url, closing(LedgerReader(url)) as reader:
        if portfolio is not None:
            reader.require_portfolio(portfolio)
            portfolios = [portfolio]
        elif target is not None:
            portfolios = [portfolio_of_target(reader, target) or DEFAULT_PORTFOLIO]
        else:
            portfolios = portfolios_with_orders(reader, symbol)
        sender = Sender(url, reader, own_limit(settings))
        results = [sender.cancel(name, target or "all", symbol) for name in portfolios]
        none = "No order is open."
        if symbol is not None and not results:
            none = nothing_in(reader, "order", symbol, (row["symbol"] for row in open_orders(reader, portfolio)))
    print_outcomes(as_json, results, none)
