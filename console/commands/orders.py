"""``run.py orders``, ``run.py cancel`` and ``run.py flatten``: what rests in the market, and how to end it."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated, Any

import typer

from actors.settings import Settings
from console.cli import wrong_usage
from console.commands.list_rows import Cells, print_list
from console.database import opened
from console.display.format import amount, answer, moment, number, price
from console.display.resting import trail_of
from console.errors import FAILURE
from console.options import AsJson, Limit, Portfolio, with_settings
from console.sending import send, wait_for_outcome
from domain.errors import InvalidRequest, NotRunning
from domain.trading.decision import ANY_SYMBOL, Decision, reason_code
from domain.trading.open_orders.terms import TARGETED
from domain.trading.portfolio import AUDIT_HALT
from domain.types import DEFAULT_PORTFOLIO, Action, OutcomeStatus
from domain.wording import counted
from persistence.queries.open_orders import flat_symbol, open_orders, portfolios_with_orders
from persistence.queries.references import portfolio_of_target
from persistence.queries.row_lists import LedgerReader, not_running_message

STRATEGY = "manual"
"""The strategy of the decisions that these commands send, as of `TradingClient.execute_order`."""

ORDERS: Cells = {
    "time": lambda row: moment(row["created_at"]),
    "decision": lambda row: f"#{row['decision_id']}",
    "portfolio": lambda row: row["portfolio"],
    "symbol": lambda row: row["symbol"],
    "side": lambda row: row["side"],
    "type": lambda row: row["order_type"],
    "quantity": lambda row: number(row["quantity"]),
    "average price": lambda row: price(row["average_fill_price"]),
    "commission": lambda row: amount(row["commission"]),
    "slippage": lambda row: amount(row["slippage"]),
    "status": lambda row: row["status"],
}
OPEN_ORDERS: Cells = {
    "decision": lambda row: f"#{row['decision_id']}",
    "leg": lambda row: str(row["leg"]),
    "portfolio": lambda row: row["portfolio"],
    "symbol": lambda row: row["symbol"],
    "side": lambda row: row["side"],
    "type": lambda row: row["order_type"],
    "quantity": lambda row: number(row["quantity"]),
    "filled": lambda row: number(row["filled_quantity"]),
    "limit": lambda row: price(row["limit_price"]),
    "stop": lambda row: price(row["stop_price"]),
    "trail": trail_of,
    "reserved": lambda row: amount(row["reserved"] or None),
    "since": lambda row: moment(row["created_at"]),
    "expires": lambda row: moment(row["order_expires_at"]),
}


@with_settings
def orders(
    settings: Settings,
    portfolio: Portfolio = None,
    limit: Limit = 50,
    only_open: Annotated[bool, typer.Option("--open", help="Only the orders that rest in the market.")] = False,
    as_json: AsJson = False,
) -> None:
    r"""List orders, newest first. Slippage is an amount: the cost of the fill beyond the quoted price.

    \b
      run.py orders --limit 10
      run.py orders --open

    With --open it lists what rests in the market, oldest first: leg 1 is the order of the decision itself, 2 its stop,
    3 its take-profit; stop is the present one of a trailing stop, trail its distance; reserved is the cash that it
    holds back; since is the time of its acceptance.
    """
    if only_open:
        print_list("open orders", lambda reader: open_orders(reader, portfolio), OPEN_ORDERS, as_json, settings)
    else:
        print_list("orders", lambda reader: reader.orders(portfolio, limit), ORDERS, as_json, settings)


@with_settings
def cancel(
    settings: Settings,
    target: Annotated[
        str | None,
        typer.Argument(metavar="TARGET", help="A decision's id, uid or idempotency key, or the id of an order."),
    ] = None,
    portfolio: Portfolio = None,
    symbol: Annotated[
        str | None, typer.Option("--symbol", metavar="S", help="Cancel every open order of this market.")
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
        sender = Sender(url, reader, settings.max_decision_age)
        results = [sender.cancel(name, target or "all", symbol) for name in portfolios]
    print_outcomes(as_json, results, "No order is open.")


@with_settings
def flatten(
    settings: Settings,
    portfolio: Portfolio = None,
    symbol: Annotated[
        str | None, typer.Option("--symbol", metavar="S", help="Only the positions in this market.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm, in a script.")] = False,
    as_json: AsJson = False,
) -> None:
    r"""Close positions at market, after their open orders are cancelled; wait for the outcomes.

    \b
      run.py flatten
      run.py flatten --portfolio default --symbol BTC/USDT --yes

    It asks for confirmation in a terminal, and needs --yes in a script. Exit 1 if a position is not closed. It
    works in a halted portfolio, too, unless the audit halted it: then the positions and their stops stay.
    """
    with opened(settings) as url, closing(LedgerReader(url)) as reader:
        if portfolio is not None:
            reader.require_portfolio(portfolio)
        wanted = None if symbol is None else flat_symbol(symbol)
        positions = [row for row in reader.positions(portfolio) if wanted in {None, flat_symbol(row["symbol"])}]
        if positions and not (served := reader.served())["running"]:
            raise NotRunning(f"{not_running_message(served)}; nothing was sent")
        if positions:
            _require_confirmation(positions, yes=yes)
        sender = Sender(url, reader, settings.max_decision_age)
        halted = {row["portfolio"]: row["reason"] for row in reader.halted() if row["reason"].startswith(AUDIT_HALT)}
        results = []
        for row in positions:
            if row["portfolio"] in halted:
                # Its SELL would be rejected after the CANCEL, and the position would have lost its stop.
                results.append(_not_sent(row, f"halted: {halted[row['portfolio']]}"))
            else:
                results += sender.close(row["portfolio"], row["symbol"])
    print_outcomes(as_json, results, "No position is open.")


def _require_confirmation(positions: list[dict[str, Any]], *, yes: bool) -> None:
    if yes:
        return
    names = ", ".join(f"{number(row['quantity'])} {row['symbol']} of {row['portfolio']}" for row in positions)
    question = f"flatten closes {counted(len(positions), 'position')} at market: {names}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidRequest(f"{question}; confirm it with --yes")
    if not typer.confirm(f"{question}. Really?", err=True):
        raise InvalidRequest("nothing was done")


def _not_sent(position: dict[str, Any], reason: str) -> dict[str, Any]:
    """Return the result for a position that cannot be closed now."""
    return {
        "decision_id": None,
        "decision": Action.SELL,
        "symbol": position["symbol"],
        "portfolio": position["portfolio"],
        "target": None,
        "outcome": OutcomeStatus.REJECTED,
        "code": "halted",
        "reason": reason,
        "order_id": None,
    }


class Sender:
    """Sends decisions one after the other, and waits for each outcome.

    Args:
        url: of the database.
        reader: of its ledger.
        age: `max_decision_age` of the command.
    """

    def __init__(self, url: str, reader: LedgerReader, age: float) -> None:
        self._url = url
        self._reader = reader
        self._age = age

    def cancel(self, portfolio: str, target: str, symbol: str | None) -> dict[str, Any]:
        """Cancel what a target or a symbol names in a portfolio; return the outcome."""
        return self.send(
            Decision(
                decision="CANCEL",
                symbol=symbol or ANY_SYMBOL,
                confidence=1,
                target=target if symbol is None else "symbol",
                portfolio=portfolio,
                strategy=STRATEGY,
            )
        )

    def close(self, portfolio: str, symbol: str) -> list[dict[str, Any]]:
        """Cancel the open orders of a symbol, then sell the position; return the outcomes."""
        resting = [row for row in open_orders(self._reader, portfolio) if row["symbol"] == symbol]
        results = [self.cancel(portfolio, "symbol", symbol)] if resting else []
        sell = Decision(
            decision="SELL", symbol=symbol, confidence=1, portfolio=portfolio, strategy=STRATEGY, reduce_only=True
        )
        return [*results, self.send(sell)]

    def send(self, decision: Decision) -> dict[str, Any]:
        """Send a decision; return its outcome."""
        sent = send(self._url, decision)
        row = wait_for_outcome(self._url, self._reader, sent.decision_id, self._age)
        return {
            "decision_id": row["id"],
            "decision": decision.decision,
            "symbol": decision.symbol,
            "portfolio": decision.portfolio,
            "target": decision.target,
            "outcome": row["status"],
            "code": reason_code(row["status"], row["outcome_reason"] or ""),
            "reason": row["outcome_reason"],
            "order_id": row["order_id"],
        }


def print_outcomes(as_json: bool, results: list[dict[str, Any]], none: str) -> None:
    """Print the outcomes; end with a failure if one was not executed."""

    def print_results() -> None:
        for result in results:
            targeted = result["decision"] in TARGETED
            what = result["decision"].lower() if targeted else f"SELL {result['symbol']}"
            reason = str(result["reason"] or "").removeprefix(f"{result['outcome']}: ")
            name = f"decision {result['decision_id']}, {what}: {result['outcome']}"
            if result["decision_id"] is None:
                name = f"{what} of {result['portfolio']}: not sent"
            print(f"{name}: {reason}")  # noqa: T201
        if not results:
            print(none)  # noqa: T201

    answer(as_json, {"decisions": results}, print_results)
    # A CANCEL of flatten whose orders have just ended by themselves is no failure: the position is closed all the same.
    closes = [result for result in results if result["decision"] is not Action.CANCEL]
    if any(result["outcome"] != OutcomeStatus.EXECUTED for result in closes or results):
        raise typer.Exit(FAILURE)
