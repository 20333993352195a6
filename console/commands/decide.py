"""``run.py decide``: sends one decision, and may wait for its outcome."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from loguru import logger

from console.cli import print_error
from console.database import opened
from console.display.format import answer
from console.options import AsJson, DatabaseUrl, Home, LogLevel, quiet_settings
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
from persistence.connections import Engine, engine_for, transaction
from persistence.lease import RENEWAL_INTERVAL_S
from persistence.listener import wake_ups
from persistence.queries.row_lists import LedgerReader
from persistence.stores.decisions import insert_decisions, look_up

SERVICE_CHECK_INTERVAL_S = 2.0
"""Seconds after which somebody who waits makes sure that something still serves."""


def decide(
    decision: Annotated[str, typer.Argument(metavar="BUY|SELL|HOLD", help="What to do; case does not matter.")],
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="The market, such as BTC/USDT.")],
    confidence: Annotated[str, typer.Option("--confidence", metavar="0..1", help="How sure; it sizes a BUY.")],
    risk_score: Annotated[
        str | None, typer.Option("--risk-score", metavar="0..1", help="Lowers the budget by up to half [0.3].")
    ] = None,
    reasoning: Annotated[str | None, typer.Option("--reasoning", metavar="TEXT", help="Why; kept with it.")] = None,
    quantity: Annotated[
        str | None,
        typer.Option("--quantity", metavar="Q", help="How much; else a BUY is sized and a SELL closes the position."),
    ] = None,
    portfolio: Annotated[
        str | None, typer.Option("--portfolio", metavar="NAME", help="The pot of money [default].")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option("--strategy", metavar="NAME", help="Whose decision it is, for the figures.")
    ] = None,
    current_price: Annotated[
        str | None, typer.Option("--current-price", metavar="P", help="The price that you saw; evidence only.")
    ] = None,
    expires_at: Annotated[
        str | None,
        typer.Option("--expires-at", metavar="TIME", help="Not to be sized later, such as 2026-01-31T12:00:00Z."),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", metavar="KEY", help="The same key again gives the first decision's answer."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Print the outcome; 0 whatever it is, 3 with nothing running.")
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""It is committed when this returns; what runs, or runs later, makes an order of it or says why not.

    With nothing running it waits for a start, for max_decision_age [300 s] at most.

    \b
      run.py decide BUY BTC/USDT --confidence 0.75
      run.py decide SELL eth-usdt --confidence 0.9 --quantity 0.1 --wait
    """
    given = {
        "decision": decision, "symbol": symbol, "confidence": confidence, "risk_score": risk_score,
        "reasoning": reasoning, "quantity": quantity, "portfolio": portfolio, "strategy": strategy,
        "current_price": current_price, "expires_at": expires_at, "idempotency_key": idempotency_key,
    }  # fmt: skip
    # Wrong input is told before any database is opened.
    wanted = Decision(**{name: value for name, value in given.items() if value is not None})
    settings = quiet_settings(home=home, database_url=database_url, log_level=log_level)
    sent: Accepted | None = None
    result: dict[str, Any] | None = None
    queue: _Queue | None = None
    try:
        with opened(settings) as url:
            ledger_reader = LedgerReader(url)
            try:
                if wanted.portfolio != DEFAULT_PORTFOLIO:  # which the first start makes
                    ledger_reader.require_portfolio(wanted.portfolio)
                sent = _insert(url, wanted)
                age = settings.max_decision_age
                row = (
                    _awaited(url, ledger_reader, sent.decision_id, age)
                    if wait
                    else ledger_reader.decision(sent.decision_id)
                )
                running = bool(ledger_reader.served()["running"])
                queue = None if running or row["processed_at"] is not None else _queue(ledger_reader, row, age)
                result = _told(row, wanted, running=running, queue=queue)
            finally:
                ledger_reader.close()
    except (NotRunning, DecisionGone):
        raise
    except Exception as error:
        if sent is None:
            raise
        # It is committed: with a failure's exit code a script would send it once more.
        logger.bind(file_only=True).opt(exception=error).error("after decision {} was committed", sent.decision_id)
        what = "what became of it cannot be read" if result is None else "afterwards something failed"
        print_error(f"decision {sent.decision_id} is committed; {what}: {error or type(error).__name__}")
    _print(as_json, result or _unread(sent, wanted), with_outcome=wait)
    if queue is not None and not as_json:
        print_error(f"nothing serves this database now: {queue.sentence}")


@dataclass(frozen=True, slots=True)
class _Queue:
    """What becomes of a decision while nothing runs.

    Attributes:
        until: the moment from which on a start expires it; None: it waits for as long as it takes.
    """

    until: datetime | None
    sentence: str


def _queue(ledger_reader: LedgerReader, row: dict[str, Any], own_age: float) -> _Queue:
    """Return until when a decision waits for a start.

    Args:
        ledger_reader: of the database.
        row: the decision's.
        own_age: `max_decision_age` of this command. That of the last process comes first: most likely the next process
            has the same, and this command may run with other settings than the service.
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
    engine = engine_for(url, "decide")
    try:
        with transaction(engine) as cursor:
            return insert_decisions(cursor, [decision])[0]
    except WriteRefused as error:
        raise InvalidDecision(str(error), "write_refused") from error
    except DatabaseUnavailable as error:
        if not error.in_doubt:
            raise
        return _look_up(engine, decision)
    finally:
        engine.dispose()


def _look_up(engine: Engine, decision: Decision) -> Accepted:
    try:
        return look_up(engine, decision, threading.Event())
    except SubmissionInDoubt as error:
        msg = (
            f"no answer came, so whether the decision of uid {decision.uid} is in is not known: look for it with"
            " `run.py decisions --json` before you send it again, or send with an --idempotency-key"
        )
        raise DatabaseUnavailable(msg, in_doubt=True) from error


def _awaited(url: str, ledger_reader: LedgerReader, id_: DecisionId, age: float) -> dict[str, Any]:
    """Return the decision's row once it has its outcome.

    Raises:
        NotRunning: nothing serves the database, or not any more.
    """
    with wake_ups(url, "decide", "paper_outcomes") as wait:
        while True:
            # In this order: what has stopped meanwhile may have ended this decision last.
            served = ledger_reader.served()
            row = ledger_reader.decision(id_)
            if row["processed_at"] is not None:
                return row
            # Without the lock for a moment: its database may have been restarted, and it is about to lock again.
            just_seen = served["renewed_ago"] is not None and served["renewed_ago"] < 2 * timedelta(
                seconds=RENEWAL_INTERVAL_S
            )
            if not served["running"] and not just_seen:
                fate = _queue(ledger_reader, row, age).sentence
                msg = f"decision {id_} queued, nothing running: no outcome to wait for; {fate}"
                raise NotRunning(msg)
            wait(SERVICE_CHECK_INTERVAL_S)


def _told(row: dict[str, Any], wanted: Decision, *, running: bool, queue: _Queue | None) -> dict[str, Any]:
    again = row["uid"] != wanted.uid
    ended = row["processed_at"] is not None
    return {
        "decision_id": row["id"],
        "uid": row["uid"],
        "decision": row["decision"],
        "symbol": row["symbol"],
        "portfolio": row["portfolio"],
        "sent_before": again,
        "differs_from_first": _differences(row, wanted) if again else [],
        "running": running,
        "expires_unless_served": queue.until if queue is not None else None,
        "outcome": row["status"] if ended else None,
        "code": reason_code(row["status"], row["outcome_reason"] or "") if ended else None,
        "reason": row["outcome_reason"],
        "order_id": row["order_id"],
    }


def _unread(sent: Accepted, wanted: Decision) -> dict[str, Any]:
    """Return what is known of a committed decision whose row cannot be read; None is what is not."""
    outcome = sent.outcome
    return {
        "decision_id": sent.decision_id,
        "uid": wanted.uid,
        "decision": wanted.decision,
        "symbol": wanted.symbol,
        "portfolio": wanted.portfolio,
        "sent_before": None,
        "differs_from_first": [],
        "running": None,
        "expires_unless_served": None,
        "outcome": outcome.status if outcome is not None else None,
        "code": outcome.code if outcome is not None else None,
        "reason": outcome.reason if outcome is not None else None,
        "order_id": outcome.order_id if outcome is not None else None,
    }


def _differences(row: dict[str, Any], wanted: Decision) -> list[str]:
    """Return in what the first decision of an idempotency key is another one than ``wanted``."""
    asks = ("symbol", "decision", "confidence", "risk_score", "quantity", "portfolio", "strategy", "expires_at")
    return [name for name in asks if row[name] != getattr(wanted, name)]


def _print(as_json: bool, result: dict[str, Any], *, with_outcome: bool) -> None:
    """Print the answer; that nobody can read it does not make the committed decision a failure."""
    try:
        answer(as_json, result, lambda: _tell(result, with_outcome=with_outcome or bool(result["sent_before"])))
        sys.stdout.flush()
    except (OSError, UnicodeEncodeError) as error:
        with suppress(OSError, UnicodeEncodeError):
            print_error(f"decision {result['decision_id']} is committed; the answer cannot be printed: {error}")
        with suppress(OSError):  # Python would complain about what is left in the buffer, and end with a failure
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(told: dict[str, Any], *, with_outcome: bool) -> None:
    what = "decision {decision_id} {how}: {decision} {symbol}"
    if told["sent_before"]:
        how = "was sent before"
    elif told["running"] is not False or told["outcome"]:
        how = "accepted"
    else:
        how = "queued, nothing running"
    print(what.format(how=how, **told))  # noqa: T201
    if told["differs_from_first"]:
        print(f"It stays as it was: this time {', '.join(told['differs_from_first'])} would be other.")  # noqa: T201
    if with_outcome and told["outcome"]:
        reason = str(told["reason"] or "").removeprefix(f"{told['outcome']}: ")  # not "expired: expired: at …"
        print(f"{told['outcome']}: {reason}")  # noqa: T201
