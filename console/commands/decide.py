"""``run.py decide``: sends one decision, and can wait for its outcome."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from loguru import logger

from actors.settings import Settings
from console.cli import print_error
from console.database import opened
from console.display.format import answer
from console.options import AsJson, with_settings
from domain.errors import (
    DatabaseUnavailable,
    DecisionGone,
    InvalidDecision,
    NotRunning,
    SubmissionInDoubt,
    WriteRefused,
)
from domain.trading.decision import Accepted, Decision, reason_code
from domain.types import DEFAULT_PORTFOLIO, DecisionId
from persistence.connections import Engine, pool, transaction
from persistence.lease import RENEWAL_INTERVAL_S
from persistence.listener import wake_ups
from persistence.queries.row_lists import LedgerReader
from persistence.stores.decisions import insert_decisions, look_up

SERVICE_CHECK_INTERVAL_S = 2.0
"""Interval at which a waiting command checks that the service still runs."""


@with_settings
def decide(
    settings: Settings,
    decision: Annotated[str, typer.Argument(metavar="BUY|SELL|HOLD", help="The decision; case does not matter.")],
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="The market, such as BTC/USDT.")],
    confidence: Annotated[
        str, typer.Option("--confidence", metavar="0..1", help="Confidence; a higher one buys more.")
    ],
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
        str | None, typer.Option("--portfolio", metavar="NAME", help="The portfolio that trades [default].")
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
        bool,
        typer.Option("--wait", help="Wait for the outcome; exit 0 for any, 3 if the service is not running."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    r"""The decision is committed when this returns; the service makes an order of it, or records why not.

    If the service is not running, the decision waits for its start, for max_decision_age [300 s] at most.

    \b
      run.py decide BUY BTC/USDT --confidence 0.75
      run.py decide SELL eth-usdt --confidence 0.9 --quantity 0.1 --wait
    """
    values = {
        "decision": decision, "symbol": symbol, "confidence": confidence, "risk_score": risk_score,
        "reasoning": reasoning, "quantity": quantity, "portfolio": portfolio, "strategy": strategy,
        "current_price": current_price, "expires_at": expires_at, "idempotency_key": idempotency_key,
    }  # fmt: skip
    # Refuses wrong input before any database is opened.
    requested = Decision(**{name: value for name, value in values.items() if value is not None})
    sent: Accepted | None = None
    result: dict[str, Any] | None = None
    queue: _Queue | None = None
    try:
        with opened(settings) as url, closing(LedgerReader(url)) as ledger_reader:
            if requested.portfolio != DEFAULT_PORTFOLIO:  # the first start creates it
                ledger_reader.require_portfolio(requested.portfolio)
            sent = _insert(url, requested)
            age = settings.max_decision_age
            row = (
                _wait_for_outcome(url, ledger_reader, sent.decision_id, age)
                if wait
                else ledger_reader.decision(sent.decision_id)
            )
            running = bool(ledger_reader.served()["running"])
            queue = None if running or row["processed_at"] is not None else _queue(ledger_reader, row, age)
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
    _print(as_json, result or _unread_to_dict(sent, requested), with_outcome=wait)
    if queue is not None and not as_json:
        print_error(f"The service is not running: {queue.message}")


@dataclass(frozen=True, slots=True)
class _Queue:
    """Queued decision while the service is not running.

    Attributes:
        until: time from which on the next start expires it; None: without limit.
    """

    until: datetime | None
    message: str


def _queue(ledger_reader: LedgerReader, row: dict[str, Any], own_age: float) -> _Queue:
    """Return until when a decision waits for the service to start.

    Args:
        ledger_reader: of the database.
        row: of the decision.
        own_age: `max_decision_age` of this command. The value of the last process takes precedence: the next process
            most likely has the same, while this command may have other settings than the service.
    """
    now, age = ledger_reader.last_decision_age()
    age = own_age if age is None else age
    limits = [(row["expires_at"], "its expires_at")] if row["expires_at"] is not None else []
    if age > 0:
        limits.append((row["created_at"] + timedelta(seconds=age), f"max_decision_age = {age:g} s"))
    if not limits:
        return _Queue(None, f"decision {row['id']} waits until the service starts")
    until, rule = min(limits)
    if until <= now:
        return _Queue(until, f"decision {row['id']} expires at the next start ({rule})")
    moment = f"{until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return _Queue(until, f"decision {row['id']} expires unless the service starts before {moment} ({rule})")


def _insert(url: str, decision: Decision) -> Accepted:
    with pool(url, "decide") as engine:
        try:
            with transaction(engine) as cursor:
                return insert_decisions(cursor, [decision])[0]
        except WriteRefused as error:
            raise InvalidDecision(str(error), "write_refused") from error
        except DatabaseUnavailable as error:
            if not error.in_doubt:
                raise
            return _look_up(engine, decision)


def _look_up(engine: Engine, decision: Decision) -> Accepted:
    try:
        return look_up(engine, decision, threading.Event())
    except SubmissionInDoubt as error:
        msg = (
            f"the database did not answer, so it is unknown whether decision uid {decision.uid} is stored; check"
            " with `run.py decisions --json` before you send it again, or send it with an --idempotency-key"
        )
        raise DatabaseUnavailable(msg, in_doubt=True) from error


def _wait_for_outcome(url: str, ledger_reader: LedgerReader, id_: DecisionId, age: float) -> dict[str, Any]:
    """Wait for a decision's outcome; return its row.

    Raises:
        NotRunning: the service is not running, or has stopped.
    """
    with wake_ups(url, "decide", "paper_outcomes") as wait:
        while True:
            # In this order: a service that stops in between may have ended this decision before.
            served = ledger_reader.served()
            row = ledger_reader.decision(id_)
            if row["processed_at"] is not None:
                return row
            # A service may be without its lock for a moment after a restart of the database.
            recently_renewed = served["renewed_ago"] is not None and served["renewed_ago"] < 2 * timedelta(
                seconds=RENEWAL_INTERVAL_S
            )
            if not served["running"] and not recently_renewed:
                queue = _queue(ledger_reader, row, age)
                raise NotRunning(
                    f"decision {id_} is queued, but the service is not running: no outcome to wait for; {queue.message}"
                )
            wait(SERVICE_CHECK_INTERVAL_S)


def _to_dict(row: dict[str, Any], requested: Decision, *, running: bool, queue: _Queue | None) -> dict[str, Any]:
    resubmitted = row["uid"] != requested.uid
    ended = row["processed_at"] is not None
    return {
        "decision_id": row["id"],
        "uid": row["uid"],
        "decision": row["decision"],
        "symbol": row["symbol"],
        "portfolio": row["portfolio"],
        "sent_before": resubmitted,
        "differs_from_first": _differences(row, requested) if resubmitted else [],
        "running": running,
        "expires_unless_served": queue.until if queue is not None else None,
        "outcome": row["status"] if ended else None,
        "code": reason_code(row["status"], row["outcome_reason"] or "") if ended else None,
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
    fields = ("symbol", "decision", "confidence", "risk_score", "quantity", "portfolio", "strategy", "expires_at")
    return [name for name in fields if row[name] != getattr(requested, name)]


def _print(as_json: bool, result: dict[str, Any], *, with_outcome: bool) -> None:
    """Print the result; a failure to print is not a failure of the committed decision."""
    try:
        answer(as_json, result, lambda: _print_result(result, with_outcome=with_outcome or bool(result["sent_before"])))
        sys.stdout.flush()
    except (OSError, UnicodeEncodeError) as error:
        with suppress(OSError, UnicodeEncodeError):
            print_error(f"decision {result['decision_id']} is committed; the answer cannot be printed: {error}")
        with suppress(OSError):  # else Python fails at the end when it flushes its buffer
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_result(result: dict[str, Any], *, with_outcome: bool) -> None:
    if result["sent_before"]:
        state = "was sent before"
    elif result["running"] is not False or result["outcome"]:
        state = "accepted"
    else:
        state = "queued; the service is not running"
    print("decision {decision_id} {state}: {decision} {symbol}".format(state=state, **result))  # noqa: T201
    if result["differs_from_first"]:
        fields = ", ".join(result["differs_from_first"])
        print(f"The first decision stays unchanged; this one differs in {fields}.")  # noqa: T201
    if with_outcome and result["outcome"]:
        reason = str(result["reason"] or "").removeprefix(f"{result['outcome']}: ")  # not "expired: expired: at …"
        print(f"{result['outcome']}: {reason}")  # noqa: T201
