"""What each actor gets from the process that runs it: the addresses of all actors, and what its database work needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from actors.introspection.counters import Counters
from actors.introspection.outcome_log import OutcomeLog
from actors.ports import Address
from actors.runtime.database_retry import DatabaseRetry


@dataclass(frozen=True, slots=True)
class Routes:
    """The address of each actor. An actor that wants an answer passes its own address on."""

    decision_watcher: Address
    sizer: Address
    execution_simulator: Address
    position_keeper: Address
    price_tracker: Address
    snapshotter: Address
    supervisor: Address


@dataclass(frozen=True, slots=True)
class PathServices:
    """What an actor on the decision path needs beside its table.

    Attributes:
        retry: repeats database calls; it belongs to one actor.
        wake_later: sends `Wake` to this actor after a short time.
        wake_again: sends `Wake` to this actor behind the messages that wait for it now.
        counters: counts what happens in this process.
        outcomes: logs the outcomes of decisions.
    """

    retry: DatabaseRetry
    wake_later: Callable[[], None]
    wake_again: Callable[[], None]
    counters: Counters
    outcomes: OutcomeLog
