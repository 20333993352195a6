"""What goes on while faults are injected: a real system, decisions by SQL and by `submit()`, and what stirs them up."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from actors import Decision, TradingSystem
from actors.messages import Execute, SourceEnded
from actors.runtime.address import CURRENT
from actors.runtime.pykka_adapter import Future
from actors.supervision.messages import Replace
from domain.errors import PaperTradingError
from domain.trading.decision import Outcome
from persistence import schema
from persistence.stores import portfolios
from tests.faults.matrix import Needs, Point, who
from tests.support.system.running_system import INSERT, isolated_settings, running_system

CAPITAL = 1_000_000
PORTFOLIOS = ("default", "second", "third")
SETTINGS: dict[str, Any] = {
    "initial_capital": CAPITAL,
    "check_interval": 0.2,
    "snapshot_interval": 1,
    "audit_interval": 0.7,
    "max_price_age": 0.5,
    # Faults come much faster than in life: none of them is to be slowed down by those before it, or to end the process.
    "max_restarts": 1_000,
    "restart_window": 0.05,
    "hang_timeout": 3.0,
}
SYMBOLS = ("BTC/USDT", "btc-usdt", "ETH/USDT", "ETHUSDT", "SOL/USDT", "SOL/USDT")
QUANTITIES = {
    "B": ("0.01", "0.0145", "0.00012345"),
    "b": ("0.01", "0.5"),
    "E": ("0.3", "0.33333333"),
    "S": ("7", "0.7"),
}
Accepted = Callable[[uuid.UUID, Future[Outcome]], None]
Row = tuple[uuid.UUID, str, str, str, str | None, str]


def prepare(url: str) -> None:
    """Make the tables, and the portfolios."""
    schema.upgrade(url)
    values = isolated_settings(url, **SETTINGS).portfolio_values()
    for name in PORTFOLIOS:
        portfolios.create(url, name, values)


@contextmanager
def serving(url: str, **changes: Any) -> Iterator[TradingSystem]:
    """A real system on that database, at prices that stand still."""
    with running_system(url, **(SETTINGS | changes)) as system:
        yield system


def drawn(draw: random.Random, count: int) -> list[Row]:
    """Decisions of every kind: with and without quantity, partial closes, and all that is refused."""
    rows = [a_decision(draw) for _ in range(count - 3)]
    rows.insert(draw.randrange(len(rows)), (_uid(draw), "DEAD/USDT", "BUY", "1", "1", draw.choice(PORTFOLIOS)))
    rows.insert(draw.randrange(len(rows)), (_uid(draw), "BTC/USDT", "BUY", "1", "0.01", "nobody"))
    rows.insert(draw.randrange(len(rows)), (_uid(draw), "BTC/USDT", "HOLD", "1", None, draw.choice(PORTFOLIOS)))
    return rows


def a_decision(draw: random.Random) -> Row:
    """A decision whose outcome depends on the portfolio as it stands."""
    symbol = draw.choice([*SYMBOLS, *SYMBOLS, "NOPE/USDT"])
    quantity = draw.choice([None, *QUANTITIES.get(symbol[0], ("1",))])
    confidence = draw.choice(["0.59", "0.6", "0.75", "0.8", "1"])
    return (
        _uid(draw), symbol, draw.choice(["BUY", "BUY", "BUY", "SELL", "SELL"]), confidence, quantity,
        draw.choice(PORTFOLIOS),
    )  # fmt: skip


def _uid(draw: random.Random) -> uuid.UUID:
    return uuid.UUID(int=draw.getrandbits(128), version=4)


def send(system: TradingSystem, url: str, rows: list[Row], accepted: Accepted) -> None:
    """Send two thirds of the decisions by SQL, the rest by `submit()`, in turns.

    Args:
        system: that serves them.
        url: of its database.
        rows: the decisions.
        accepted: called for each that `submit()` accepted, as soon as it returned, with the future that it returned.
    """
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        for begin in range(0, len(rows), 6):
            with connection.transaction():
                cursor.executemany(INSERT, rows[begin : begin + 4])
            for uid, symbol, decision, confidence, quantity, portfolio in rows[begin + 4 : begin + 6]:
                wanted = Decision(
                    symbol=symbol, decision=decision, confidence=confidence, quantity=quantity, portfolio=portfolio,
                    uid=uid,
                )  # fmt: skip
                with suppress(PaperTradingError):  # refused, or in doubt: then nothing was promised
                    accepted(uid, system.submit(wanted))


def stir(system: TradingSystem, point: Point, *, rebuild: bool = False) -> None:
    """Do what a point needs, besides decisions."""
    match point.needs:
        case Needs.CRASH:
            system.crash(point.who if point.who != "failures" else "Sizer")
        case Needs.ANY_CRASH:
            system.crash("Snapshotter")
            system.crash("ExecutionSimulator")
        case Needs.ENDED:
            system._wiring.address("PriceTracker").tell(SourceEnded("the test has it end"))
        case Needs.BY_HAND:
            system._wiring.address("Supervisor").tell(Replace("Sizer"))
        case Needs.REBUILD | Needs.START if rebuild:
            system.crash("Sizer")


class Meddler:
    """A hook that brings about, once, what a point needs and only a hook can do."""

    def __init__(self, url: str, needs: Needs) -> None:
        self.released = threading.Event()
        self._url = url
        self._needs = needs
        self._done = False

    def __call__(self, moment: str, what: str) -> None:
        """Meddle, if this is the moment."""
        if self._done:
            return
        match self._needs, who(), moment, what:
            case Needs.GONE, "ExecutionSimulator", "takes", "Execute":
                self._done = True
                self._cancel()
            case Needs.AWAY, "DecisionWatcher", "commits", "refusals":
                self._done = True
                disconnect(self._url, "DecisionWatcher")
            case Needs.HANG, "ExecutionSimulator", "takes", "Execute":
                self._done = True
                self.released.wait(30)

    def again(self) -> None:
        """Meddle once more."""
        self._done = False

    def _cancel(self) -> None:
        (message,) = in_hand()
        assert isinstance(message, Execute)
        with psycopg.connect(self._url) as connection:
            connection.execute(
                "UPDATE trading_decisions SET status = 'cancelled', processed_at = now() WHERE id = %s",
                [message.sized.decision_id],
            )


def in_hand() -> list[Any]:
    """Return what the actor of this thread handles now."""
    return getattr(CURRENT.sender, "in_hand", [])


def disconnect(url: str, actor: str) -> None:
    """End an actor's connections; return when they have ended."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = current_database()",
            [f"paper-trading {actor}"],
        )
