"""``run.py decide``: sends one decision, and may wait for its outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from console.database import opened
from console.options import AsJson, DatabaseUrl, Home, LogLevel, quiet_settings
from console.output import answer
from domain.decision import Decision, reason_code
from domain.errors import InvalidDecision, NotRunning, WriteRefused
from domain.words import DEFAULT_PORTFOLIO, DecisionId
from persistence.decisions import insert_decisions
from persistence.engine import connect, engine_for, transaction, translated
from persistence.lease import RENEWAL
from persistence.queries import Books

LOOK_AGAIN = 2.0
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
    with opened(settings) as url:
        books = Books(url)
        try:
            if wanted.portfolio != DEFAULT_PORTFOLIO:  # which the first start makes
                books.require_portfolio(wanted.portfolio)
            id_ = _insert(url, wanted)
            row = _awaited(url, books, id_) if wait else books.decision(id_)
            told = _told(row, wanted, running=bool(books.served()["running"]))
        finally:
            books.close()
    answer(as_json, told, lambda: _tell(told, with_outcome=wait or told["sent_before"]))


def _insert(url: str, decision: Decision) -> DecisionId:
    engine = engine_for(url, "decide")
    try:
        with transaction(engine) as cursor:
            return insert_decisions(cursor, [decision])[0].decision_id
    except WriteRefused as error:
        raise InvalidDecision(str(error), "write_refused") from error
    finally:
        engine.dispose()


def _awaited(url: str, books: Books, id_: DecisionId) -> dict[str, Any]:
    """Return the decision's row once it has its outcome.

    Raises:
        NotRunning: nothing serves the database, or not any more.
    """
    with translated(), connect(url, "decide") as connection:
        connection.execute("LISTEN paper_outcomes")
        while True:
            # In this order: what has stopped meanwhile may have ended this decision last.
            served = books.served()
            row = books.decision(id_)
            if row["processed_at"] is not None:
                return row
            # Without the lock for a moment: its database may have been restarted, and it is about to lock again.
            just_seen = served["renewed_ago"] is not None and served["renewed_ago"] < 2 * timedelta(seconds=RENEWAL)
            if not served["running"] and not just_seen:
                msg = f"decision {id_} queued, nothing running: no outcome to wait for"
                raise NotRunning(msg)
            for _ in connection.notifies(timeout=LOOK_AGAIN, stop_after=1):
                pass


def _told(row: dict[str, Any], wanted: Decision, *, running: bool) -> dict[str, Any]:
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
        "outcome": row["status"] if ended else None,
        "code": reason_code(row["status"], row["outcome_reason"] or "") if ended else None,
        "reason": row["outcome_reason"],
        "order_id": row["order_id"],
    }


def _differences(row: dict[str, Any], wanted: Decision) -> list[str]:
    """Return in what the first decision of an idempotency key is another one than ``wanted``."""
    asks = ("symbol", "decision", "confidence", "risk_score", "quantity", "portfolio", "strategy", "expires_at")
    return [name for name in asks if row[name] != getattr(wanted, name)]


def _tell(told: dict[str, Any], *, with_outcome: bool) -> None:
    what = "decision {decision_id} {how}: {decision} {symbol}"
    if told["sent_before"]:
        how = "was sent before"
    elif told["running"] or told["outcome"]:
        how = "accepted"
    else:
        how = "queued, nothing running"
    print(what.format(how=how, **told))  # noqa: T201
    if told["differs_from_first"]:
        print(f"It stays as it was: this time {', '.join(told['differs_from_first'])} would be other.")  # noqa: T201
    if with_outcome and told["outcome"]:
        reason = str(told["reason"] or "").removeprefix(f"{told['outcome']}: ")  # not "expired: expired: at …"
        print(f"{told['outcome']}: {reason}")  # noqa: T201
