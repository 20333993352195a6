"""What can go wrong with a database, by name: each fault begins, is there for a while, and is over.

A fault takes a `Scene` and a seed; entered, it disturbs; left, it is over, and has struck::

    with FAULTS["COMMIT of fills happens, its answer is lost"](scene, 7):
        ...                                     # decisions flow meanwhile

`tests.support.system.load.disturbed` runs a real system under any of them, and says what has to hold afterwards.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from actors import TradingSystem
from tests.support.database.proxy import Proxy
from tests.support.database.proxy_link import Moment
from tests.support.database.server import Server
from tests.support.database.servers import LocalServer
from tests.support.system.running_system import until


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a fault strikes.

    Attributes:
        server: that has the database.
        url: of the database, past the proxy.
        proxy: by way of which the system reaches it.
        system: that runs.
    """

    server: Server
    url: str
    proxy: Proxy
    system: TradingSystem

    def execute(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement as the administrator, past the proxy, and return its rows."""
        with self.server.connect(self.database) as admin:
            cursor = admin.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    @property
    def database(self) -> str:
        return str(conninfo_to_dict(self.url)["dbname"])


Fault = Callable[[Scene, int], AbstractContextManager[None]]

WRITERS = {
    "fills": ("PositionKeeper", "COPY paper_orders"),
    "refusals": ("DecisionWatcher", "SET status = o.status"),
    "submit()": ("DecisionWatcher", "INSERT INTO trading_decisions"),
    "an attached submit()": ("attached", "INSERT INTO trading_decisions"),
    "snapshots": ("Snapshotter", "INSERT INTO paper_portfolio_snapshots"),
    "prices": ("PriceTracker", "INSERT INTO market_prices"),
}
"""Who commits what, and a statement of that transaction."""
COMMITS: Mapping[Moment, str] = {
    "before": "COMMIT of {} never arrives",
    "after": "COMMIT of {} happens, its answer is lost",
    "late": "COMMIT of {} arrives when its sender is gone",
}
"""What is said of each moment at which a COMMIT is cut."""
BACKENDS = ("PositionKeeper", "DecisionWatcher", "PriceTracker", "lease", "listener", "attached")
"""Connections that are always there while a system works."""
PAUSE = 0.3
"""Seconds of a fault that is there for a while."""


@contextmanager
def cut_at_messages(scene: Scene, seed: int, *, times: int = 4) -> Iterator[None]:
    """Every connection is cut at some message or other, now by RST, now by FIN, several times."""
    draw = random.Random(seed)
    for number in range(times):
        scene.proxy.cut_after(draw.randint(1, 150), reset=number % 2 == 0)
    yield
    scene.proxy.wait_until_struck()


@contextmanager
def one_cut_at_messages(scene: Scene, seed: int) -> Iterator[None]:
    """One connection after another is cut at some message of its own."""
    draw = random.Random(seed)
    for name in ("PositionKeeper", "DecisionWatcher", "attached"):
        scene.proxy.cut_after(draw.randint(1, 40), name)
    yield
    scene.proxy.wait_until_struck()


@contextmanager
def half_answers(scene: Scene, seed: int) -> Iterator[None]:
    """Half of an answer arrives, for one connection after another."""
    for name in ("DecisionWatcher", "PositionKeeper", "listener", "attached", "lease"):
        scene.proxy.halve(who=name)
    yield
    # The listener hears something only when decisions come, the lease when it renews; the others at once.
    for name in ("DecisionWatcher", "PositionKeeper", "attached"):
        until(partial(lambda wanted: wanted not in scene.proxy.halves, name), 10)
    scene.proxy.clear()


@contextmanager
def lost_commits(scene: Scene, seed: int, *, moment: Moment, what: str, times: int = 2) -> Iterator[None]:
    """COMMITs of one writer are cut at a moment."""
    who, of = WRITERS[what]
    scene.proxy.at_commit(moment, times, who, of=of, delay=random.Random(seed).uniform(0.1, 0.4))
    yield
    scene.proxy.wait_until_struck()


@contextmanager
def away(scene: Scene, seed: int) -> Iterator[None]:
    """Connections are cut and new ones refused for a while."""
    scene.proxy.refuse()
    scene.proxy.cut(reset=seed % 2 == 0)
    yield
    time.sleep(PAUSE)
    scene.proxy.admit()


@contextmanager
def slow(scene: Scene, seed: int) -> Iterator[None]:
    """Every packet takes some milliseconds."""
    scene.proxy.delay(0.002, jitter=0.008, seed=seed)
    yield
    time.sleep(PAUSE)
    scene.proxy.delay(0)


@contextmanager
def frozen(scene: Scene, seed: int, *, seconds: float = 0.5, then_cut: bool = False) -> Iterator[None]:
    """Nothing arrives for a while; then all of it does, or every connection is cut."""
    scene.proxy.freeze()
    yield
    time.sleep(seconds)
    if then_cut:
        scene.proxy.cut()
    scene.proxy.thaw()


@contextmanager
def cut_unnoticed(scene: Scene, seed: int) -> Iterator[None]:
    """Connections are cut, and the server takes them for alive for a while."""
    scene.proxy.cut(unnoticed=PAUSE)
    yield
    time.sleep(2 * PAUSE)


@contextmanager
def terminated(scene: Scene, seed: int) -> Iterator[None]:
    """An administrator ends one session of ours after the other."""
    yield
    names = list(BACKENDS)
    random.Random(seed).shuffle(names)
    for name in names:
        until(partial(_terminate, scene, name), 10)


def _terminate(scene: Scene, name: str) -> bool:
    ended = scene.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE %s",
        f"paper-trading {name}",
    )
    return bool(ended)


@contextmanager
def restarted(scene: Scene, seed: int, *, immediate: bool) -> Iterator[None]:
    """The server is stopped, or crashes, and comes back after a while."""
    scene.server.stop(immediate=immediate)
    try:
        yield
        time.sleep(PAUSE / 2)
    finally:
        scene.server.start()


@contextmanager
def backend_killed(scene: Scene, seed: int) -> Iterator[None]:
    """A process of the server is killed, so the server ends all sessions and recovers from its log."""
    yield
    if not isinstance(scene.server, LocalServer):  # its processes are out of reach
        scene.server.restart(immediate=True)
        return
    ((pid,),) = scene.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s LIMIT 1",
        f"paper-trading {BACKENDS[seed % len(BACKENDS)]}",
    )
    os.kill(pid, signal.SIGKILL)
    until(scene.server.answers)


@contextmanager
def altered(scene: Scene, seed: int, *, on: LiteralString, off: LiteralString) -> Iterator[None]:
    """The database has other settings for a while, and so has each new session."""

    def alter(setting: LiteralString) -> None:
        with scene.server.connect() as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} " + setting).format(sql.Identifier(scene.database)))
        _terminate(scene, "%")

    alter(on)
    try:
        yield
        time.sleep(PAUSE)
    finally:
        alter(off)


READ_ONLY = partial(altered, on="SET default_transaction_read_only = on", off="RESET default_transaction_read_only")
"""As after a failover, or with a full disk at some hosts."""
SERIALIZABLE = partial(
    altered, on="SET default_transaction_isolation = serializable", off="RESET default_transaction_isolation"
)
"""Real serialization failures, if any come about."""
FULL = partial(altered, on="CONNECTION LIMIT 0", off="CONNECTION LIMIT -1")


RAISING: LiteralString = """
CREATE SEQUENCE IF NOT EXISTS fault_raised;
CREATE OR REPLACE FUNCTION fault_raise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('fault_raised') <= {times} THEN
        RAISE EXCEPTION 'raised by a test' USING ERRCODE = {state};
    END IF;
    RETURN NULL;
END $$;
GRANT USAGE ON SEQUENCE fault_raised TO PUBLIC;
"""


@contextmanager
def raising(
    scene: Scene,
    seed: int,
    *,
    state: str,
    on: LiteralString = "INSERT ON paper_orders",
    late: bool = False,
    times: int = 2,
) -> Iterator[None]:
    """A writer's statements, or else its COMMITs, fail with an SQLSTATE, so many times.

    Args:
        scene: where.
        seed: not used.
        state: the SQLSTATE.
        on: which statements.
        late: only COMMIT fails.
        times: how many; a sequence counts them, because it is not rolled back.
    """
    event = f"CONSTRAINT TRIGGER fault AFTER {on} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    if not late:
        event = f"TRIGGER fault AFTER {on} FOR EACH STATEMENT"
    with scene.server.connect(scene.database) as admin:
        admin.execute(sql.SQL(RAISING).format(times=sql.Literal(times), state=sql.Literal(state)))
        admin.execute(f"CREATE {event} EXECUTE FUNCTION fault_raise()")
    try:
        yield
        until(lambda: scene.execute("SELECT last_value >= %s FROM fault_raised", times) == [(True,)], 10)
    finally:
        # Not CASCADE, which would wait for more locks than this.
        table = on.split()[-1]
        until(lambda: _dropped(scene, f"DROP TRIGGER fault ON {table}"), 10)
        scene.execute("DROP FUNCTION fault_raise; DROP SEQUENCE fault_raised")


def _dropped(scene: Scene, statement: str) -> bool:
    try:
        scene.execute(f"SET lock_timeout = '1s'; {statement}")
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        return False
    return True


@contextmanager
def deadlock(scene: Scene, seed: int) -> Iterator[None]:
    """Somebody locks what the PositionKeeper needs next, and wants what it has: it is the victim, and says 40P01."""
    with scene.server.connect(scene.database) as somebody:
        before = _deadlocks(scene)
        somebody.execute("SET deadlock_timeout = '20s'")  # so that the others look first
        somebody.execute("BEGIN")
        somebody.execute("SELECT FROM paper_trading_config FOR UPDATE")
        yield
        until(lambda: bool(scene.execute(BLOCKED, somebody.info.backend_pid)), 10)
        # The decisions of the group that waits are locked: whoever takes all of them waits for it in turn.
        somebody.execute("SELECT FROM trading_decisions WHERE processed_at IS NULL FOR UPDATE")
        somebody.execute("ROLLBACK")
        until(lambda: _deadlocks(scene) > before, 10)


BLOCKED = """
SELECT pid FROM pg_stat_activity
WHERE application_name = 'paper-trading PositionKeeper' AND %s = ANY(pg_blocking_pids(pid))
"""


def _deadlocks(scene: Scene) -> int:
    ((count,),) = scene.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return int(count)


@contextmanager
def listener_lost(scene: Scene, seed: int) -> Iterator[None]:
    """Nobody hears wake-ups: the listener's connections are cut as soon as they are made."""
    scene.proxy.at_commit("before", 1_000, "listener", sql="LISTEN")
    scene.proxy.cut("listener")
    yield
    time.sleep(PAUSE)
    scene.proxy.clear()


def _faults() -> dict[str, Fault]:
    faults: dict[str, Fault] = {
        "all connections are cut at any message": cut_at_messages,
        "single connections are cut at any message": one_cut_at_messages,
        "half an answer arrives": half_answers,
        "the database cannot be reached": away,
        "every packet is late": slow,
        "nothing arrives for a while": frozen,
        "nothing arrives for a while, then connections are cut": partial(frozen, then_cut=True),
        "the server does not notice that connections are gone": cut_unnoticed,
        "an administrator ends our sessions": terminated,
        "the server is restarted": partial(restarted, immediate=False),
        "the server crashes": partial(restarted, immediate=True),
        "a process of the server is killed": backend_killed,
        "the database is read-only": READ_ONLY,
        "the database is serializable": SERIALIZABLE,
        "no connection is left": FULL,
        "a deadlock": deadlock,
        "wake-ups are lost": listener_lost,
    }
    for moment, sentence in COMMITS.items():
        for what in WRITERS:
            faults[sentence.format(what)] = partial(lost_commits, moment=moment, what=what)
    for state in WAITED_OUT:
        faults[f"fills fail with {state}"] = partial(raising, state=state)
        faults[f"COMMIT of fills fails with {state}"] = partial(raising, state=state, late=True)
        faults[f"refusals fail with {state}"] = partial(raising, state=state, on="UPDATE ON trading_decisions")
    return faults


WAITED_OUT = {
    "08006": "connection failure",
    "25006": "read-only",
    "40001": "serialization failure",
    "40P01": "deadlock",
    "53100": "disk full",
    "53200": "out of memory",
    "53300": "too many connections",
    "55P03": "lock timeout",
    "57014": "statement timeout",
    "57P01": "administrator's shutdown",
    "57P03": "cannot connect now",
    "58030": "input/output error",
    "XX000": "internal error",
}
"""SQLSTATEs after which the same may go well later: never a crash, never a decision refused."""
FAULTS: Mapping[str, Fault] = _faults()
