"""The age of a decision, and the session in which it was sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from domain.trading.decision import PendingDecision, Reason, Refusal, refuse
from domain.trading.instruments import NO_CALENDARS, Calendars, Instrument
from domain.trading.open_orders.terms import WITHOUT_ENTRY
from domain.trading.sessions.calendar import NoSession, Session, session_of
from domain.types import Instant, OrderType, TimeInForce


@dataclass(frozen=True, slots=True)
class AgeLimit:
    """When a decision is too old to be sized.

    Attributes:
        max_age: None: no limit.
        calendars: of the symbols that have sessions.
    """

    max_age: timedelta | None = None
    calendars: Calendars = NO_CALENDARS


NO_AGE_LIMIT = AgeLimit()


def day_session(decision: PendingDecision, instrument: Instrument) -> Session | NoSession | None:
    """Return the session at whose close the order of a decision with DAY ends; None where it has another time in force.

    It is the session in which the decision was sent; where it was sent outside sessions, the next one.
    """
    if decision.terms.time_in_force is not TimeInForce.DAY:
        return None
    if instrument.calendar is None:
        return NoSession(f"{instrument.symbol} has no sessions; use GTC or GTD")
    return session_of(instrument.calendar, decision.sent_at)


def waited(decision: PendingDecision, now: Instant, calendar: str | None, since: timedelta) -> timedelta:
    """Return how long a decision has waited; negative before the session for which it waits.

    A limit or stop order that is sent outside sessions waits for the next one, so the time counts from its opening.

    Args:
        decision: the decision.
        now: the present moment.
        calendar: of its symbol.
        since: how long it waits by the clock alone.
    """
    if calendar is None or decision.terms.order_type is OrderType.MARKET:
        return since
    session = session_of(calendar, sent := decision.sent_at)
    if isinstance(session, NoSession) or session.opens <= sent:
        return since
    return min(since, now.time - session.opens)


def expire_if_stale(decision: PendingDecision, now: Instant, limit: AgeLimit) -> Refusal | None:
    """Refuse a decision that has waited longer than ``limit``, for example during a downtime."""
    max_age = limit.max_age
    if max_age is None or decision.action in WITHOUT_ENTRY:
        return None  # for what rests, and for protection, it is never too late
    if (age := decision.age(now)) <= max_age:
        return None
    if waited(decision, now, limit.calendars.of(decision.symbol), age) <= max_age:
        return None
    sentence = f"it waited since {decision.created_at:%Y-%m-%d %H:%M:%S} UTC"
    return refuse(decision, Reason.EXPIRED, f"{sentence}, max_decision_age = {max_age.total_seconds():g} s")
