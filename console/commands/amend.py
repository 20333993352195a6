"""``run.py amend``: gives an order that rests in the market a new quantity, price, trail or end."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from actors.settings import Settings
from console.cli import wrong_usage
from console.commands.decide import order_terms
from console.database import opened
from console.options import AsJson, Portfolio, with_settings
from console.outcomes import Sender, print_outcomes
from console.sending import own_limit
from domain.trading.decision import Decision
from domain.types import DEFAULT_PORTFOLIO
from persistence.queries.references import portfolio_of_target
from persistence.queries.row_lists import LedgerReader


@with_settings
def amend(
    settings: Settings,
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A decision's id, uid or idempotency key, or the id of an order.")
    ],
    quantity: Annotated[
        str | None, typer.Option("--quantity", metavar="Q", help="The new quantity, with what is filled already.")
    ] = None,
    limit: Annotated[str | None, typer.Option("--limit", metavar="P", help="The new limit price.")] = None,
    stop: Annotated[
        str | None, typer.Option("--stop", metavar="P", help="The new price that triggers a stop or stop_limit order.")
    ] = None,
    trail: Annotated[
        str | None,
        typer.Option("--trail", metavar="D|N%", help="The new distance of a trailing_stop order from its mark."),
    ] = None,
    order_expires_at: Annotated[
        str | None, typer.Option("--order-expires-at", metavar="TIME", help="The new end of the order.")
    ] = None,
    portfolio: Portfolio = None,
    as_json: AsJson = False,
) -> None:
    r"""Give an open order new values, and wait for the outcome; what is not given stays.

    \b
      run.py amend 17 --limit 95500
      run.py amend 17 --quantity 0.02 --limit 95500
      run.py amend 17 --trail 2%
      run.py orders --open --json     the ids of stops and take-profits
      run.py amend 8a1f0c8e-0000-5000-8000-000000000000 --stop 93000

    It sends a decision AMEND of strategy manual to the portfolio of TARGET. The order passes the checks of a new one; a
    limit order that the market meets now takes at once. Only a smaller quantity alone keeps its place among orders of
    the same price. Exit 1 if the AMEND is not executed.
    """
    new = order_terms(quantity=quantity, limit=limit, stop=stop, trail=trail, order_expires_at=order_expires_at)
    if not new:
        raise wrong_usage("amend needs --quantity, --limit, --stop, --trail or --order-expires-at", "amend")
    # Refuses wrong input before any database is opened.
    decision = Decision(decision="AMEND", target=target, strategy="manual", **new)
    with opened(settings) as url, closing(LedgerReader(url)) as reader:
        if portfolio is not None:
            reader.require_portfolio(portfolio)
        owner = portfolio or portfolio_of_target(reader, target) or DEFAULT_PORTFOLIO
        result = Sender(url, reader, own_limit(settings)).send(decision.model_copy(update={"portfolio": owner}))
    print_outcomes(as_json, [result], "No order is open.")
