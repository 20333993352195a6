"""What a running system says of itself, at any moment, without disturbing anybody. No secrets."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any

from actors.messages import Describe
from actors.runtime.host import ActorHost
from domain.failures import Failure

DESCRIBED_WITHIN = 0.1
"""Seconds that an actor gets to tell what it has in memory; it is busy otherwise, and what it does is told instead."""


@dataclass(frozen=True, slots=True)
class ActorStatus:
    """What an actor does now.

    Attributes:
        state: ``idle``, ``busy``, ``waiting`` (for the database), ``suspended`` (by hand) or ``ended``.
        doing: kind of the message in hand.
        busy_for: seconds since its last sign of life; None where nothing is in hand.
        waiting_since: since when it finds the database away.
        restarts: how often it crashed or hung, and was begun afresh.
        mailbox: messages that wait.
        most: as many as ever waited.
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


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """What the whole system does now.

    Attributes:
        intake_paused_since: since when no decision is taken because the database is away; None while they are.
        lease_held: whether the lease's connection is there; without it nothing is written.
        lease_renewed_ago: seconds since it was renewed, every 5 s while the database is there.
        prices: the price source's health; None while the PriceTracker is busy.
        failures: the last ones, the newest last.
        quarantined: decisions and messages that this process has put aside.
        dead_letters: messages to an actor that has ended.
        prices_dropped: prices that were not stored.
        expired_at_intake: decisions that had waited longer than `max_decision_age` when they were taken in.
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


def status_of(post: ActorHost) -> ActorStatus:
    """Return what the actor at a post does now."""
    activity = post.activity
    doing, waiting = activity.doing, activity.waiting_since
    state = "busy" if doing is not None else "idle"
    if waiting is not None or (doing is not None and activity.in_call):
        state = "waiting"
    if post.mailbox.suspended:
        state = "suspended"
    if not post.alive:
        state = "ended"
    return ActorStatus(
        actor=post.name,
        state=state,
        doing=doing.what if doing is not None else None,
        busy_for=time.monotonic() - doing.since if doing is not None else None,
        waiting_since=waiting,
        restarts=activity.failed,
        handled=activity.handled,
        mailbox=len(post.mailbox),
        most=post.mailbox.most,
    )


def described(posts: Iterable[ActorHost], within: float = DESCRIBED_WITHIN) -> dict[str, Mapping[str, Any] | None]:
    """Return what actors have in memory; None for one that does not tell in time, because it is busy."""
    asked: dict[str, SimpleQueue[Mapping[str, Any]]] = {}
    for post in posts:
        asked[post.name] = SimpleQueue()
        post.address.tell(Describe(asked[post.name].put))
    deadline = time.monotonic() + within
    found: dict[str, Mapping[str, Any] | None] = {}
    for name, answer in asked.items():
        try:
            found[name] = answer.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            found[name] = None
    return found
