"""``run.py decide``: sends one decision, and can wait for its outcome."""

from __future__ import annotations

import os
import sys
from contextlib import closing, suppress
from decimal import Decimal
from typing import Annotated, Any

import typer
from loguru import logger

from actors.settings import Settings
from console.cli import DEFAULT_WAIT, WAITS, print_error, wrong_usage
from console.completion import one_of, portfolio_names, symbol_names
from console.database import opened
from console.display.format import answer, sentence, terminal
from console.errors import OutputFailed
from console.options import AsJson, grouped, with_settings
from console.sending import QueuedUntil, is_open, own_limit, queued_until, send, wait_for_outcome
from console.validation_guard import confirm_end, end_runs
from domain.errors import DecisionGone, NotRunning
from domain.trading.arithmetic import divide, exact_number, plain
from domain.trading.decision import Accepted, Decision, reason_code
from domain.trading.open_orders.targets import parse_targets
from domain.trading.open_orders.terms import ANY_SYMBOL
from domain.types import DEFAULT_PORTFOLIO, Action, OrderType, OutcomeStatus
from domain.wording import one_line
from persistence.queries.row_lists import LedgerReader

ORDER_OPTIONS = {
    "order_type": Annotated[
        str | None,
        typer.Option("--order-type", metavar="TYPE", help="market [default], limit, stop, stop_limit, trailing_stop."),
    ],
    "limit": Annotated[
        str | None, typer.Option("--limit", metavar="P", help="The worst price of a limit or stop_limit order.")
    ],
    "stop": Annotated[
        str | None, typer.Option("--stop", metavar="P", help="The price that triggers a stop or stop_limit order.")
    ],
    "time_in_force": Annotated[
        str | None,
        typer.Option("--time-in-force", metavar="GTC|IOC|FOK|GTD|DAY", help="How long the order may rest [GTC]."),
    ],
    "order_expires_at": Annotated[
        str | None, typer.Option("--order-expires-at", metavar="TIME", help="The end of an order with GTD.")
    ],
    "post_only": Annotated[
        bool | None, typer.Option("--post-only", help="Reject a limit order that would not rest first.")
    ],
    "reduce_only": Annotated[
        bool | None, typer.Option("--reduce-only", help="For a SELL: it works in a halted portfolio, too.")
    ],
    "stop_loss": Annotated[
        str | None,
        typer.Option(
            "--stop-loss", metavar="P|N%", help="For a BUY or PROTECT: sell at this price, or N % below the entry."
        ),
    ],
    "take_profit": Annotated[
        list[str] | None,
        typer.Option(
            "--take-profit",
            metavar="P|N%[:SHARE]",
            help="For a BUY or PROTECT: sell at this price, or N % above the entry. Several with shares: 5%:0.5.",
        ),
    ],
    "trail": Annotated[
        str | None,
        typer.Option("--trail", metavar="D|N%", help="For a trailing_stop order: how far it follows the market."),
    ],
    "trailing_stop": Annotated[
        str | None,
        typer.Option("--trailing-stop", metavar="D|N%", help="For a BUY or PROTECT: a stop that follows the market."),
    ],
    "target": Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="WHAT",
            help="For a CANCEL or AMEND: a decision's id or key, or an order. For a CANCEL also: symbol, all.",
        ),
    ],
}
COLUMNS = {"limit": "limit_price", "stop": "stop_price"}
"""Options that have a shorter name than the field of the decision."""
NOT_COMPARED = {"uid", "idempotency_key", "reasoning", "current_price", "asset_class"}
"""Fields in which a decision that is sent again may differ from the first."""
PERCENTAGES = {"stop_loss", "take_profit", "trail", "trailing_stop"}
"""Options that take an amount or a percentage."""
HUNDRED = Decimal(100)


def order_terms(**options: Any) -> dict[str, Any]:
    """Return the fields of a decision that say how its order is executed; an exit ``5%`` is the fraction 0.05."""
    terms: dict[str, Any] = {}
    targets = options.pop("take_profit", None) or []
    if len(targets) == 1 and ":" not in targets[0]:
        options["take_profit"] = targets[0]
    elif targets:
        if not all(":" in target for target in targets):
            raise wrong_usage("several --take-profit need shares, such as 5%:0.5", "decide")
        options["take_profits"] = ",".join(targets)
    for option, value in options.items():
        if value is None:
            continue
        name = COLUMNS.get(option, option)
        fraction = _fraction(value) if option in PERCENTAGES else None
        terms |= {name: value} if fraction is None else {f"{name}_pct": fraction}
    return terms


def _fraction(text: str) -> str | None:
    """Return a percentage as a fraction; None where the text is no percentage."""
    if not text.endswith("%"):
        return None
    try:
        return plain(divide(exact_number(text[:-1]), HUNDRED))  # type: ignore[arg-type]
    except ValueError:
        return text  # the decision refuses it, and names it as it was typed


with_order_terms = grouped("terms", ORDER_OPTIONS, order_terms)
"""Gives a command the ``terms`` of an order."""


@with_settings
@with_order_terms
def decide(
    settings: Settings,
    terms: dict[str, Any],
    decision: Annotated[
        str,
        typer.Argument(
            metavar="BUY|SELL|HOLD|CANCEL|AMEND|PROTECT",
            help="The decision; case does not matter.",
            autocompletion=one_of(Action),
        ),
    ],
    symbol: Annotated[
        str | None,
        typer.Argument(
            metavar="SYMBOL",
            help="The market, such as BTC/USDT; a CANCEL or AMEND may leave it out.",
            autocompletion=symbol_names,
        ),
    ] = None,
    confidence: Annotated[
        str | None,
        typer.Option(
            "--confidence", metavar="0..1", help="Confidence; a higher one buys more. Only for a BUY, SELL or HOLD."
        ),
    ] = None,
    risk_score: Annotated[
        str | None,
        typer.Option("--risk-score", metavar="0..1", help="Risk; lowers the budget by up to half [0.3]."),
    ] = None,
    reasoning: Annotated[
        str | None, typer.Option("--reasoning", metavar="TEXT", help="Reason; stored with it.")
    ] = None,
    quantity: Annotated[
        str | None,
        typer.Option("--quantity", metavar="Q", help="Quantity; else a BUY is sized and a SELL closes the position."),
    ] = None,
    portfolio: Annotated[
        str | None,
        typer.Option(
            "--portfolio",
            metavar="NAME",
            help="The portfolio that trades [default].",
            autocompletion=portfolio_names,
        ),
    ] = None,
    strategy: Annotated[
        str | None, typer.Option("--strategy", metavar="NAME", help="The strategy that decides, for the report.")
    ] = None,
    current_price: Annotated[
        str | None,
        typer.Option("--current-price", metavar="P", help="The price that you saw; only stored."),
    ] = None,
    expires_at: Annotated[
        str | None,
        typer.Option("--expires-at", metavar="TIME", help="Expire if not sized by then, such as 2026-01-31T12:00:00Z."),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", metavar="KEY", help="The same key again returns the first decision."),
    ] = None,
    wait: Annotated[
        str | None,
        typer.Option(
            "--wait",
            metavar="[accepted|open|ended]",
            help="Wait until it is committed, until its order rests, or for the outcome. Alone: for a market order "
            "ended, else open. Exit 0 for any outcome, 3 if the service is not running.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    r"""The decision is committed when this returns; the service makes an order of it, or records why not.

    If the service is not running, the decision waits for its start, for max_decision_age [300 s] at most. A portfolio
    under validation rejects decisions of other strategies: then it asks whether to end the run, and exits 2 without a
    terminal.

    \b
      run.py decide BUY BTC/USDT --confidence 0.75
      run.py decide SELL eth-usdt --confidence 0.9 --quantity 0.1 --wait
      run.py decide BUY BTC/USDT --confidence 0.8 --stop-loss 5% --take-profit 10%
      run.py decide BUY BTC/USDT --confidence 0.8 --trailing-stop 3% \
        --take-profit 5%:0.5 --take-profit 10%:0.5
      run.py decide BUY BTC/USDT --confidence 0.8 --order-type limit \
        --limit 95000 --wait
      run.py decide SELL BTC/USDT --confidence 1 --order-type trailing_stop \
        --trail 2%
      run.py decide PROTECT BTC/USDT --stop-loss 5%
      run.py decide CANCEL --target 17
    """
    if wait not in {None, DEFAULT_WAIT, *WAITS}:
        raise wrong_usage(f"--wait is {', '.join(WAITS[:-1])} or {WAITS[-1]}, or stands alone", "decide")
    action = decision.strip().upper()
    if symbol is None and action in {Action.BUY, Action.SELL, Action.HOLD, Action.PROTECT}:
        raise wrong_usage("Missing argument 'SYMBOL'", "decide")
    if confidence is None and action in {Action.BUY, Action.SELL, Action.HOLD}:
        raise wrong_usage("Missing option '--confidence'", "decide")
    values = {
        "decision": decision, "symbol": symbol, "confidence": confidence, "risk_score": risk_score,
        "reasoning": reasoning, "quantity": quantity, "portfolio": portfolio, "strategy": strategy,
        "current_price": current_price, "expires_at": expires_at, "idempotency_key": idempotency_key, **terms,
    }  # fmt: skip
    # Refuses wrong input before any database is opened.
    requested = Decision(**{name: value for name, value in values.items() if value is not None})
    sent: Accepted | None = None
    result: dict[str, Any] | None = None
    queue: QueuedUntil | None = None
    waits = wait not in {None, WAITS[0]}
    try:
        with opened(settings) as url, closing(LedgerReader(url)) as ledger_reader:
            if requested.portfolio != DEFAULT_PORTFOLIO:  # the first start creates it
                ledger_reader.require_portfolio(requested.portfolio)
            runs = confirm_end(ledger_reader, [requested.portfolio], requested.strategy or "")
            end_runs(url, runs, f"decide {requested.decision} {requested.symbol}")
            sent = send(url, requested)
            own = own_limit(settings)
            until_open = wait == "open" or (wait == DEFAULT_WAIT and requested.order_type is not OrderType.MARKET)
            row = (
                wait_for_outcome(url, ledger_reader, sent.decision_id, own, until_open=until_open)
                if waits
                else ledger_reader.decision(sent.decision_id)
            )
            running = bool(ledger_reader.served()["running"])
            queue = None if running or _has_state(row) else queued_until(ledger_reader, row, own)
            result = _to_dict(row, requested, running=running, queue=queue)
    except (NotRunning, DecisionGone):
        raise
    except Exception as error:
        if sent is None:
            raise
        # It is committed: after an exit code of failure, a script would send it again.
        logger.bind(file_only=True).opt(exception=error).error("after decision {} was committed", sent.decision_id)
        problem = "its outcome cannot be read" if result is None else "a later step failed"
        print_error(f"decision {sent.decision_id} is committed; {problem}: {error or type(error).__name__}")
    _print(as_json, result or _unread_to_dict(sent, requested), with_outcome=waits)
    if queue is not None and not as_json:
        print_error(f"The service is not running: {queue.message}")


def _has_state(row: dict[str, Any]) -> bool:
    """Return whether a decision has ended, or its order rests."""
    return row["processed_at"] is not None or is_open(row)


def _to_dict(row: dict[str, Any], requested: Decision, *, running: bool, queue: QueuedUntil | None) -> dict[str, Any]:
    resubmitted = row["uid"] != requested.uid
    reached = _has_state(row)
    return {
        "decision_id": row["id"],
        "uid": row["uid"],
        "decision": row["decision"],
        "symbol": row["symbol"],
        "target": row["target"],
        "portfolio": row["portfolio"],
        "sent_before": resubmitted,
        "differs_from_first": _differences(row, requested) if resubmitted else [],
        "running": running,
        "expires_unless_served": queue.until if queue is not None else None,
        "outcome": row["status"] if reached else None,
        "code": reason_code(row["status"], row["outcome_reason"] or "") if reached else None,
        "reason": row["outcome_reason"],
        "order_id": row["order_id"],
    }


def _unread_to_dict(sent: Accepted, requested: Decision) -> dict[str, Any]:
    """Return the result for a committed decision whose row cannot be read; unknown values are None."""
    outcome = sent.outcome
    return {
        "decision_id": sent.decision_id,
        "uid": requested.uid,
        "decision": requested.decision,
        "symbol": requested.symbol,
        "target": requested.target,
        "portfolio": requested.portfolio,
        "sent_before": None,
        "differs_from_first": [],
        "running": None,
        "expires_unless_served": None,
        "outcome": outcome.status if outcome is not None else None,
        "code": outcome.code if outcome is not None else None,
        "reason": outcome.reason if outcome is not None else None,
        "order_id": outcome.order_id if outcome is not None else None,
    }


def _differences(row: dict[str, Any], requested: Decision) -> list[str]:
    """Return the fields in which the first decision of an idempotency key differs from ``requested``."""
    fields = [name for name in Decision.model_fields if name not in NOT_COMPARED]
    defaults = {name: Decision.model_fields[name].default for name in fields}
    # In an adopted table a column that has a default here may be empty.
    first = {name: defaults[name] if row[name] is None else row[name] for name in fields}
    first["take_profits"] = parse_targets(first["take_profits"])
    return [name for name in fields if first[name] != getattr(requested, name)]


def _print(as_json: bool, result: dict[str, Any], *, with_outcome: bool) -> None:
    """Print the result; a failure to print is not a failure of the committed decision."""
    try:
        answer(as_json, result, lambda: _print_result(result, with_outcome=with_outcome or bool(result["sent_before"])))
        sys.stdout.flush()
    except (OSError, UnicodeEncodeError, OutputFailed) as error:
        reason = error.__cause__ or error
        with suppress(OSError, UnicodeEncodeError):
            print_error(f"decision {result['decision_id']} is committed; the answer cannot be printed: {reason}")
        with suppress(OSError):  # else Python fails at the end when it flushes its buffer
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_result(result: dict[str, Any], *, with_outcome: bool) -> None:
    out = terminal()
    if result["sent_before"]:
        state = "was sent before"
    elif result["running"] is not False or result["outcome"]:
        state = "accepted"
    else:
        state = "queued; the service is not running"
    if with_outcome and result["outcome"] == OutcomeStatus.OPEN and not result["sent_before"]:
        reason = str(result["reason"] or "").removeprefix("open: ")
        out.print(f"decision {result['decision_id']} is open: {sentence(reason or result['symbol'])}")
        return
    names = [result["target"]] if result["target"] is not None else []
    names += [result["symbol"]] if result["symbol"] != ANY_SYMBOL else []
    out.print(one_line(f"decision {result['decision_id']} {state}: {result['decision']} {' '.join(names)}"))
    if result["differs_from_first"]:
        fields = ", ".join(result["differs_from_first"])
        out.print(f"The first decision stays unchanged; this one differs in {fields}.")
    if with_outcome and result["outcome"]:
        reason = str(result["reason"] or "").removeprefix(f"{result['outcome']}: ")  # not "expired: expired: at …"
        out.print(f"{result['outcome']}: {sentence(reason)}")
