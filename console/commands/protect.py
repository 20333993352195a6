"""``run.py protect``: gives positions that are held already a stop and targets."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any

import typer

from actors.settings import Settings
from console.cli import wrong_usage
from console.commands.decide import order_terms
from console.completion import symbol_names
from console.database import opened
from console.display.format import number
from console.options import AsJson, Portfolio, with_settings
from console.outcomes import STRATEGY, Sender, not_sent, print_outcomes
from console.sending import own_limit
from domain.errors import NotRunning
from domain.program import command_name
from domain.trading.decision import Decision
from domain.types import DEFAULT_PORTFOLIO, Action
from persistence.queries.row_lists import LedgerReader, not_running_message


@with_settings
def protect(
    settings: Settings,
    symbol: Annotated[
        str | None,
        typer.Argument(
            metavar="SYMBOL", help="The market of the position, such as BTC/USDT.", autocompletion=symbol_names
        ),
    ] = None,
    stop_loss: Annotated[
        str | None,
        typer.Option("--stop-loss", metavar="P|N%", help="Sell at this price, or N % below the average entry price."),
    ] = None,
    take_profit: Annotated[
        list[str] | None,
        typer.Option(
            "--take-profit",
            metavar="P|N%[:SHARE]",
            help="Sell at this price, or N % above the average entry price. Several with shares, such as 5%:0.5.",
        ),
    ] = None,
    trailing_stop: Annotated[
        str | None,
        typer.Option("--trailing-stop", metavar="D|N%", help="A stop that follows the market at a distance."),
    ] = None,
    all_unprotected: Annotated[
        bool,
        typer.Option("--all-unprotected", help="Give each position without a stop the default exits of its portfolio."),
    ] = False,
    portfolio: Portfolio = None,
    as_json: AsJson = False,
) -> None:
    r"""Give a position a stop and targets, and wait for the outcome.

    \b
      run.py protect BTC/USDT --stop-loss 5% --take-profit 10%
      run.py protect BTC/USDT --trailing-stop 3% --portfolio default
      run.py protect --all-unprotected

    It sends a decision PROTECT of strategy manual. What no exit closes gets these exits; a take-profit that has no stop
    gets the stop, and a stop that has no take-profit gets that. With --all-unprotected they are default_stop_loss and
    default_take_profit of the portfolio; a position of a portfolio without default_stop_loss is named. Exit 1 if a
    position is not protected.
    """
    exits = order_terms(stop_loss=stop_loss, take_profit=take_profit, trailing_stop=trailing_stop)
    if all_unprotected and (symbol is not None or exits):
        raise wrong_usage("--all-unprotected takes neither SYMBOL nor exits", "protect")
    if not all_unprotected and (symbol is None or not exits):
        raise wrong_usage(
            "protect needs SYMBOL and --stop-loss, --take-profit or --trailing-stop; or --all-unprotected", "protect"
        )
    # Refuses wrong input before any database is opened.
    decision = Decision(decision=Action.PROTECT, symbol=symbol or "-", strategy=STRATEGY, **exits)
    with opened(settings) as url, closing(LedgerReader(url)) as reader:
        if portfolio is not None:
            reader.require_portfolio(portfolio)
        sender = Sender(url, reader, own_limit(settings))
        if not all_unprotected:
            results = [sender.send(decision.model_copy(update={"portfolio": portfolio or DEFAULT_PORTFOLIO}))]
        else:
            results = _protect_all(sender, reader, portfolio)
    print_outcomes(as_json, results, "Every position has a stop.")


def _protect_all(sender: Sender, reader: LedgerReader, portfolio: str | None) -> list[dict[str, Any]]:
    """Send a PROTECT without exits of its own for each position that no stop closes whole; return the outcomes."""
    positions = reader.positions(portfolio)
    unprotected = [row for row in positions if (row["stop_quantity"] or 0) < row["quantity"]]
    if unprotected and not (served := reader.served())["running"]:
        raise NotRunning(f"{not_running_message(served)}; nothing was sent")
    stops = {row["portfolio"]: row["default_stop_loss"] for row in reader.portfolios()}
    results = []
    for row in unprotected:
        name, symbol = row["portfolio"], row["symbol"]
        if stops.get(name) is None:
            detail = (
                f"portfolio {name} has no default_stop_loss for its {number(row['quantity'])} {symbol}; set it with"
                f" `{command_name()} portfolio set {name} --default-stop-loss 0.05`, or name a stop:"
                f" `{command_name()} protect {symbol} --portfolio {name} --stop-loss 5%`"
            )
            results.append(not_sent(Action.PROTECT, row, "no_default", detail))
        else:
            results.append(
                sender.send(
                    Decision(decision=Action.PROTECT, symbol=symbol, confidence=1, portfolio=name, strategy=STRATEGY)
                )
            )
    return results
