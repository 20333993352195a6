"""What the actors run on: the clock, the timer, their hosts, and the waiting for the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from actors.runtime.database_retry import DatabaseRetry
from actors.runtime.host import ActorHost
from actors.runtime.timer import Timer
from domain.market_data.buffer import USUAL_LIMITS, BufferLimits
from domain.types import Clock
from domain.worker_thread import WorkerThread


def run_in_thread(name: str, action: Callable[[], None]) -> None:
    """Run a short action that may wait in a daemon thread of its own."""
    WorkerThread(name, action).start()


@dataclass(frozen=True, slots=True)
class Runtime:
    """What `actors.wiring.Wiring` runs the actors on: threads, unless a test gives parts that run in its own thread.

    Attributes:
        clock: the time, for all actors.
        timer: sends messages at intervals and after a delay.
        host: the class of an actor's host.
        retry: the class that repeats an actor's calls to the database.
        run_beside: runs a named action that may wait beside the actors; returns at once.
        limits: how much market data wait for a commit.
    """

    clock: Clock
    timer: Timer
    host: type[ActorHost] = ActorHost
    retry: type[DatabaseRetry] = DatabaseRetry
    run_beside: Callable[[str, Callable[[], None]], None] = run_in_thread
    limits: BufferLimits = USUAL_LIMITS
