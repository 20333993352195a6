"""Faults of a database, by name: each begins, lasts for a while, and ends.

A fault is a context manager made from a `Scene` and a seed. It begins on entry, and has struck and ended on exit::

    with FAULTS["COMMIT of fills happens, its answer is lost"](scene, 7):
        ...                                     # decisions flow meanwhile

`tests.support.system.load.disturbed` runs a real system under each of them, and checks the result.
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
    """A running system with its database.

    Attributes:
        server: of the database.
        url: of the database, without the proxy.
        proxy: between the system and the database.
        system: the running system.
    """

    server: Server
    url: str
    proxy: Proxy
    system: TradingSystem

    def execute(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement as the administrator, without the proxy, and return its rows."""
        with self.server.connect(self.database) as admin:
            cursor = admin.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    @property
    def database(self) -> str:
        return str(conninfo_to_dict(self.url)["dbname"])


Fault = Callable[[Scene, int], AbstractContextManager[None]]

WRITERS = {
    "fills": ("PositionKeeper", "COPY paper_orders"),
    "refusals": ("DecisionWatcher", "UPDATE trading_decisions"),
    "submit()": ("DecisionWatcher", 'INSERT INTO "trading_decisions"'),
    "an attached submit()": ("attached", 'INSERT INTO "trading_decisions"'),
    "snapshots": ("Snapshotter", 'INSERT INTO "paper_portfolio_snapshots"'),
    "prices": ("PriceTracker", 'INSERT INTO "market_prices"'),
}
"""What is committed, with the name of the writer and a statement of the transaction."""
COMMITS: Mapping[Moment, str] = {
    "before": "COMMIT of {} never arrives",
    "after": "COMMIT of {} happens, its answer is lost",
    "late": "COMMIT of {} arrives when its sender is gone",
}
"""Name of the fault for each time at which a COMMIT is cut."""
BACKENDS = ("PositionKeeper", "DecisionWatcher", "PriceTracker", "lease", "listener", "attached")
"""Connections that a working system always has."""
FAULT_TIME_S = 0.3
"""How long a fault lasts."""


@contextmanager
def cut_at_messages(scene: Scene, seed: int, *, times: int = 4) -> Iterator[None]:
    """Cut every connection at a random message, several times, alternately by RST and FIN."""
    draw = random.Random(seed)
    for number in range(times):
        scene.proxy.cut_after(draw.randint(1, 150), reset=number % 2 == 0)
    yield
    scene.proxy.wait_until_struck()


@contextmanager
def one_cut_at_messages(scene: Scene, seed: int) -> Iterator[None]:
    """Cut one connection after another at a random message."""
    draw = random.Random(seed)
    for name in ("PositionKeeper", "DecisionWatcher", "attached"):
        scene.proxy.cut_after(draw.randint(1, 40), name)
    yield
    scene.proxy.wait_until_struck()


@contextmanager
def half_answers(scene: Scene, seed: int) -> Iterator[None]:
    """Pass only half of an answer, for one connection after another."""
    for name in ("DecisionWatcher", "PositionKeeper", "listener", "attached", "lease"):
        scene.proxy.halve(who=name)
    yield
    # The listener gets an answer only after a decision, the lease after a renewal; the others at once.
    for name in ("DecisionWatcher", "PositionKeeper", "attached"):
        until(partial(lambda name: name not in scene.proxy.halves, name), 10)
    scene.proxy.clear()


@contextmanager
def lost_commits(scene: Scene, seed: int, *, moment: Moment, content: str, times: int = 2) -> Iterator[None]:
    """Cut COMMITs of one writer."""
    who, of = WRITERS[content]
    scene.proxy.at_commit(moment, times, who, of=of, delay=random.Random(seed).uniform(0.1, 0.4))
    yield
    scene.proxy.wait_until_struck()


@contextmanager
def unreachable(scene: Scene, seed: int) -> Iterator[None]:
    """Cut all connections and refuse new ones for a while."""
    scene.proxy.refuse()
    scene.proxy.cut(reset=seed % 2 == 0)
    yield
    time.sleep(FAULT_TIME_S)
    scene.proxy.admit()


@contextmanager
def slow(scene: Scene, seed: int) -> Iterator[None]:
    """Delay every packet by some milliseconds."""
    scene.proxy.delay(0.002, jitter=0.008, seed=seed)
    yield
    time.sleep(FAULT_TIME_S)
    scene.proxy.delay(0)


@contextmanager
def frozen(scene: Scene, seed: int, *, seconds: float = 0.5, then_cut: bool = False) -> Iterator[None]:
    """Hold back everything for a while; then pass it on, or cut every connection."""
    scene.proxy.freeze()
    yield
    time.sleep(seconds)
    if then_cut:
        scene.proxy.cut()
    scene.proxy.thaw()


@contextmanager
def cut_unnoticed(scene: Scene, seed: int) -> Iterator[None]:
    """Cut connections, but let the server notice only after a while."""
    scene.proxy.cut(unnoticed=FAULT_TIME_S)
    yield
    time.sleep(2 * FAULT_TIME_S)


@contextmanager
def terminated(scene: Scene, seed: int) -> Iterator[None]:
    """End one session of the program after the other, as an administrator may."""
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
    """Stop the server, or crash it, and start it after a while."""
    scene.server.stop(immediate=immediate)
    try:
        yield
        time.sleep(FAULT_TIME_S / 2)
    finally:
        scene.server.start()


@contextmanager
def backend_killed(scene: Scene, seed: int) -> Iterator[None]:
    """Kill a process of the server, so that it ends all sessions and recovers from its log."""
    yield
    if not isinstance(scene.server, LocalServer):  # its processes cannot be killed from here
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
    """Change settings of the database, and so of each new session, for a while."""

    def alter(setting: LiteralString) -> None:
        with scene.server.connect() as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} " + setting).format(sql.Identifier(scene.database)))
        _terminate(scene, "%")

    alter(on)
    try:
        yield
        time.sleep(FAULT_TIME_S)
    finally:
        alter(off)


READ_ONLY = partial(altered, on="SET default_transaction_read_only = on", off="RESET default_transaction_read_only")
"""As after a failover, or with a full disk on some hosts."""
SERIALIZABLE = partial(
    altered, on="SET default_transaction_isolation = serializable", off="RESET default_transaction_isolation"
)
"""Causes real serialization failures, if any."""
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
    """Let a writer's statements, or its COMMITs, fail with an SQLSTATE.

    Args:
        scene: the running system.
        seed: not used.
        state: the SQLSTATE.
        on: the statements that fail.
        late: only COMMIT fails.
        times: how often; a sequence counts, because it is not rolled back.
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
        # Without CASCADE, which would need more locks.
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
    """Lock a row that the PositionKeeper needs next, then one that it holds, so that it fails with 40P01."""
    with scene.server.connect(scene.database) as session:
        before = _deadlocks(scene)
        session.execute("SET deadlock_timeout = '20s'")  # so that the PositionKeeper is the victim
        session.execute("BEGIN")
        session.execute("SELECT FROM paper_trading_config FOR UPDATE")
        yield
        until(lambda: bool(scene.execute(BLOCKED, session.info.backend_pid)), 10)
        # The waiting group has locked its decisions, so this statement waits for it in turn.
        session.execute("SELECT FROM trading_decisions WHERE processed_at IS NULL FOR UPDATE")
        session.execute("ROLLBACK")
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
    """Lose all wake-ups: the listener's connections are cut as soon as they are made."""
    scene.proxy.at_commit("before", 1_000, "listener", sql="LISTEN")
    scene.proxy.cut("listener")
    yield
    time.sleep(FAULT_TIME_S)
    scene.proxy.clear()


def _faults() -> dict[str, Fault]:
    faults: dict[str, Fault] = {
        "all connections are cut at any message": cut_at_messages,
        "single connections are cut at any message": one_cut_at_messages,
        "half an answer arrives": half_answers,
        "the database cannot be reached": unreachable,
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
    for moment, name in COMMITS.items():
        for content in WRITERS:
            faults[name.format(content)] = partial(lost_commits, moment=moment, content=content)
    for state in RETRIED_STATES:
        faults[f"fills fail with {state}"] = partial(raising, state=state)
        faults[f"COMMIT of fills fails with {state}"] = partial(raising, state=state, late=True)
        faults[f"refusals fail with {state}"] = partial(raising, state=state, on="UPDATE ON trading_decisions")
    return faults


RETRIED_STATES = {
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
"""SQLSTATEs after which a retry may succeed: no crash, and no refused decision."""
FAULTS: Mapping[str, Fault] = _faults()
