"""Decisions that short commands send one after the other, and the outcomes that they print."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer

from console.display.format import answer, sentence, terminal
from console.errors import FAILURE, UnknownSymbol
from console.sending import send, wait_for_outcome
from console.validation_guard import confirm_end, end_runs
from domain.trading.decision import Decision, reason_code
from domain.trading.open_orders.terms import ANY_SYMBOL, TARGETED
from domain.trading.sessions.decision_age import AgeLimit
from domain.types import Action, OutcomeStatus
from domain.wording import one_line
from persistence.queries.open_orders import open_orders, symbol_is_known
from persistence.queries.row_lists import LedgerReader

STRATEGY = "manual"
"""The strategy of the decisions that these commands send, as of `TradingClient.execute_order`."""


class Sender:
    """Sends decisions one after the other, and waits for each outcome.

    Args:
        url: of the database.
        reader: of its ledger.
        own: the age limit of the command.
    """

    def __init__(self, url: str, reader: LedgerReader, own: AgeLimit) -> None:
        self._url = url
        self._reader = reader
        self._own = own

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
        """Send a decision; return its outcome. A validation run that rejects it ends after a question."""
        names = confirm_end(self._reader, [decision.portfolio], decision.strategy or "")
        end_runs(self._url, names, f"{decision.decision} {decision.symbol} of strategy {decision.strategy}")
        sent = send(self._url, decision)
        row = wait_for_outcome(self._url, self._reader, sent.decision_id, self._own)
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


def not_sent(action: Action, position: dict[str, Any], code: str, reason: str) -> dict[str, Any]:
    """Return the result for a position for which nothing is sent."""
    return {
        "decision_id": None,
        "decision": action,
        "symbol": position["symbol"],
        "portfolio": position["portfolio"],
        "target": None,
        "outcome": OutcomeStatus.REJECTED,
        "code": code,
        "reason": reason,
        "order_id": None,
    }


def nothing_in(reader: LedgerReader, what: str, symbol: str, symbols: Iterable[str]) -> str:
    """Return the sentence that nothing is open in a symbol.

    Args:
        reader: of the ledger.
        what: is not open: order or position.
        symbol: as it was typed.
        symbols: of all that are open.

    Raises:
        UnknownSymbol: no order, position or price of the symbol is known, so it may be mistyped.
    """
    names = ", ".join(sorted(set(symbols)))
    others = f"{what}s are open in {names}" if names else f"no {what} is open in any symbol"
    if not symbol_is_known(reader, symbol):
        raise UnknownSymbol(f"no order, position or price of {symbol!r} is known; {others}")
    return f"No {what} is open in {symbol}; {others}."


def print_outcomes(as_json: bool, results: list[dict[str, Any]], none: str) -> None:
    """Print the outcomes; end with a failure if one was not executed."""

    def print_results() -> None:
        out = terminal()
        for result in results:
            targeted = result["decision"] in TARGETED
            what = result["decision"].lower() if targeted else f"{result['decision']} {result['symbol']}"
            reason = str(result["reason"] or "").removeprefix(f"{result['outcome']}: ")
            name = f"decision {result['decision_id']}, {what}: {result['outcome']}"
            if result["decision_id"] is None:
                name = f"{what} of {result['portfolio']}: not sent"
            out.print(f"{one_line(name)}: {sentence(reason)}")
        if not results:
            out.print(none)

    answer(as_json, {"decisions": results}, print_results)
    # A CANCEL of flatten whose orders have just ended by themselves is no failure: the position is closed all the same.
    closes = [result for result in results if result["decision"] is not Action.CANCEL]
    if any(result["outcome"] != OutcomeStatus.EXECUTED for result in closes or results):
        raise typer.Exit(FAILURE)
