"""Status of a running system, read at any moment without disturbing the actors. It holds no secrets."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any

from actors.messages import Describe
from actors.runtime.host import ActorHost
from domain.failures import Failure

DESCRIBE_TIMEOUT_S = 0.1
"""Seconds within which an actor must describe its state; else it is busy, and its current message is shown instead."""


@dataclass(frozen=True, slots=True)
class ActorStatus:
    """Status of one actor.

    Attributes:
        actor: name of the actor.
        state: ``idle``, ``busy``, ``waiting`` (for the database), ``suspended`` (by hand) or ``ended``.
        doing: kind of the message in hand.
        busy_for: seconds since it took the message in hand; None while there is none.
        waiting_since: time since which it finds the database unavailable.
        restarts: number of crashes and hangs, each with a restart.
        handled: number of messages handled.
        mailbox: number of waiting messages.
        most: largest number of messages that ever waited.
        restarted_by_hand: number of restarts that a person asked for; ``restarts`` does not contain them.
    """

    actor: str
    state: str
    doing: str | None
    busy_for: float | None
    waiting_since: datetime | None
    restarts: int
    handled: int
    mailbox: int
    most: int
    restarted_by_hand: int = 0


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """Status of the whole system.

    Attributes:
        actors: status of each actor.
        intake_paused_since: time since which intake is paused because the database is unavailable; None while it runs.
        intake_paused_by: the error that the database gives again and again; None if there is none, or it is away.
        lease_held: whether the lease's connection is open; without it nothing is written.
        lease_renewed_ago: seconds since the lease was renewed; it is renewed every 5 s while the database is available.
        prices: health of the price source; None while the PriceTracker is busy.
        failures: the last failures, the newest last; a restart by hand is none.
        quarantined: number of decisions and messages that this process has put aside.
        dead_letters: number of messages to an actor that had ended.
        prices_dropped: number of prices that were not stored.
        no_decision_since: time of the last decision, while that is longer ago than `alert_no_decision_after`.
        free_bytes: free space under home; None where it cannot be read.
        disk_problem: a sentence while a disk is nearly full.
        clock_problem: a sentence while the clocks of this machine and the database disagree, or were set.
        open_files_limit: number of files and connections that the process may have open at once.
        expired_at_intake: number of decisions that had waited longer than `max_decision_age` when they were taken in.
    """

    actors: tuple[ActorStatus, ...]
    intake_paused_since: datetime | None
    lease_held: bool
    lease_renewed_ago: float | None
    prices: Mapping[str, Any] | None
    failures: tuple[Failure, ...]
    quarantined: int
    dead_letters: int
    prices_dropped: int
    expired_at_intake: int = 0
    no_decision_since: datetime | None = None
    free_bytes: int | None = None
    disk_problem: str | None = None
    intake_paused_by: str | None = None
    clock_problem: str | None = None
    open_files_limit: int | None = None


def status_of(host: ActorHost) -> ActorStatus:
    """Return the status of an actor."""
    activity = host.activity
    doing, waiting = activity.doing, activity.waiting_since
    state = "busy" if doing is not None else "idle"
    if waiting is not None or (doing is not None and activity.in_call):
        state = "waiting"
    if host.mailbox.suspended:
        state = "suspended"
    if not host.alive:
        state = "ended"
    return ActorStatus(
        actor=host.name,
        state=state,
        doing=doing.what if doing is not None else None,
        busy_for=time.monotonic() - doing.since if doing is not None else None,
        waiting_since=waiting.time if waiting is not None else None,
        restarts=activity.failed,
        handled=activity.handled,
        mailbox=len(host.mailbox),
        most=host.mailbox.max_waiting,
        restarted_by_hand=activity.restarted_by_hand,
    )


def state_of(host: ActorHost) -> Mapping[str, Any] | None:
    """Return an actor's state in memory; None if it does not answer within `DESCRIBE_TIMEOUT_S`."""
    answer: SimpleQueue[Mapping[str, Any]] = SimpleQueue()
    host.address.tell(Describe(answer.put))
    try:
        return answer.get(timeout=DESCRIBE_TIMEOUT_S)
    except Empty:
        return None
