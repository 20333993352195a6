"""The real behaviours over a database in memory, and decisions for them."""

from __future__ import annotations

from typing import Any

from actors.messages import Submit
from actors.runtime.pykka_adapter import ThreadingFuture
from domain.trading.decision import Decision
from domain.types import DecisionId
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepper import Stepper
from tests.support.values.builders import instrument, rules, uid

INSTRUMENTS = [
    instrument("BTC/USDT"),
    instrument("ETH/USDT"),
    instrument("DEAD/USDT"),
    instrument("X/EUR", currency="EUR"),
]


def opened(memory: MemoryDatabase) -> MemoryDatabase:
    """Add the usual portfolio; return the database."""
    memory.open_portfolio(rules())
    return memory


def begun(database: MemoryDatabase) -> Stepper:
    """Return a stepper with all actors ready, BTC at 100 and ETH at 10."""
    started = Stepper(database, INSTRUMENTS, seed=1)
    started.run()
    assert started.ready
    started.quote({"BTC/USDT": "100", "ETH/USDT": "10"})
    started.run()
    return started


def put(stepper: Stepper, number: int = 1, **changes: Any) -> DecisionId:
    fields = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": "0.8", "uid": uid(number), **changes}
    return stepper.database.add(Decision(**fields), stepper.clock.now())


def status(stepper: Stepper, id_: DecisionId) -> tuple[str, str] | None:
    outcome = stepper.database.rows[id_].outcome
    return (outcome.status.value, outcome.reason) if outcome else None


def submit(stepper: Stepper, number: int = 1, **changes: Any) -> Submit:
    fields = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": "0.8", "uid": uid(number), **changes}
    message = Submit(Decision(**fields), ThreadingFuture(), ThreadingFuture())
    stepper.tell("DecisionWatcher", message)
    return message
