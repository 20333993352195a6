"""Sending of decisions by short commands: one commit, then the wait for what becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from actors.settings import Settings
from domain.errors import DatabaseUnavailable, InvalidDecision, NotRunning, SubmissionInDoubt, WriteRefused
from domain.trading.decision import Accepted, Decision
from domain.trading.instruments import Calendars
from domain.trading.open_orders.terms import WITHOUT_ENTRY
from domain.trading.sessions.calendar import NoSession, Session, session_of
from domain.trading.sessions.decision_age import AgeLimit
from domain.types import Action, DecisionId, OrderType, OutcomeStatus, TimeInForce
from persistence.connections import Engine, pool, transaction
from persistence.lease import RENEWAL_INTERVAL_S
from persistence.listener import wake_ups
from persistence.queries.row_lists import LedgerReader
from persistence.stores.intake.submissions import insert_decisions, look_up

SERVICE_CHECK_INTERVAL_S = 2.0
"""Interval at which a waiting command checks that the service still runs."""


@dataclass(frozen=True, slots=True)
class QueuedUntil:
    """Queued decision while the service is not running.

    Attributes:
        until: time from which on the next start expires it; None: without limit.
    """

    until: datetime | None
    message: str


def own_limit(settings: Settings) -> AgeLimit:
    """Return the age limit, and the calendars, by the settings of a command."""
    age = settings.max_decision_age
    return AgeLimit(timedelta(seconds=age) if age > 0 else None, Calendars(settings.calendars))


def queued_until(ledger_reader: LedgerReader, row: Mapping[str, Any], own: AgeLimit) -> QueuedUntil:
    """Return until when a decision waits for the service to start.

    Args:
        ledger_reader: of the database.
        row: of the decision.
        own: by the settings of this command. `max_decision_age` of the last process takes precedence: the next process
            most likely has the same, while this command may have other settings than the service.
    """
    now, stored_age = ledger_reader.last_decision_age()
    own_age = own.max_age.total_seconds() if own.max_age is not None else 0
    limits = list(_limits(row, own_age if stored_age is None else stored_age, own.calendars))
    if not limits:
        return QueuedUntil(None, f"decision {row['id']} waits until the service starts")
    until, rule = min(limits)
    if until <= now:
        return QueuedUntil(until, f"decision {row['id']} expires at the next start ({rule})")
    moment = f"{until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return QueuedUntil(until, f"decision {row['id']} expires unless the service starts before {moment} ({rule})")


def _limits(row: Mapping[str, Any], age: float, calendars: Calendars) -> Iterator[tuple[datetime, str]]:
    """Yield the times from which on a decision expires at the next start, each with the rule."""
    if row["expires_at"] is not None:
        yield row["expires_at"], "its expires_at"
    if Action(row["decision"].strip().upper()) in WITHOUT_ENTRY:
        return  # their age does not count, and the terms of an AMEND are those of its target
    if row["order_expires_at"] is not None:
        yield row["order_expires_at"], "its order_expires_at"
    # As the intake counts it; an older row has one of the two.
    sent = min(time for time in (row["created_at"], row["received_at"]) if time is not None)
    rule = f"max_decision_age = {age:g} s"
    calendar = calendars.of(row["symbol"])
    session = session_of(calendar, sent) if calendar is not None else NoSession("the symbol has no calendar")
    if isinstance(session, Session):
        if row["time_in_force"] == TimeInForce.DAY:
            yield session.closes, f"the close of {session.calendar}"
        if session.opens > sent and row["order_type"] != OrderType.MARKET:
            sent, rule = session.opens, f"{rule} after the opening of {session.calendar}"
    if age > 0:
        yield sent + timedelta(seconds=age), rule


def send(url: str, decision: Decision) -> Accepted:
    """Commit a decision; one whose uid or idempotency key exists already is found instead.

    Raises:
        InvalidDecision: the database refuses it.
        DatabaseUnavailable: it is not stored, or it is unknown whether it is; the message says which.
    """
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


def is_open(row: Mapping[str, Any]) -> bool:
    """Return whether the order of a decision rests in the market, by the decision's row."""
    return row["processed_at"] is None and row["status"] == OutcomeStatus.OPEN


def wait_for_outcome(
    url: str, ledger_reader: LedgerReader, id_: DecisionId, own: AgeLimit, *, until_open: bool = False
) -> dict[str, Any]:
    """Wait for a decision's outcome; return its row.

    Args:
        url: of the database.
        ledger_reader: of the database.
        id_: of the decision.
        own: see `queued_until`.
        until_open: wait only until its order rests, if it does.

    Raises:
        NotRunning: the service is not running, or has stopped.
    """
    with wake_ups(url, "decide", "paper_outcomes") as wait:
        while True:
            # In this order: a service that stops in between may have ended this decision before.
            served = ledger_reader.served()
            row = ledger_reader.decision(id_)
            if row["processed_at"] is not None or (until_open and is_open(row)):
                return row
            # A service may be without its lock for a moment after a restart of the database.
            recently_renewed = served["renewed_ago"] is not None and served["renewed_ago"] < 2 * timedelta(
                seconds=RENEWAL_INTERVAL_S
            )
            if not served["running"] and not recently_renewed:
                raise NotRunning(_not_running(ledger_reader, row, own))
            wait(SERVICE_CHECK_INTERVAL_S)


def _not_running(ledger_reader: LedgerReader, row: dict[str, Any], own: AgeLimit) -> str:
    """Return why there is no outcome to wait for while no service runs."""
    if is_open(row):
        return f"decision {row['id']} is open, but the service is not running: its order rests until the next start"
    queue = queued_until(ledger_reader, row, own)
    return f"decision {row['id']} is queued, but the service is not running: no outcome to wait for; {queue.message}"
