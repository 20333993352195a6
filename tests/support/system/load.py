"""Decisions through three doors while something goes wrong, and what has to hold afterwards."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import psycopg
from loguru import logger

from actors import Decision, TradingSystem
from actors.client import TradingClient
from actors.messages import Prices, SendPrices
from actors.runtime.pykka_adapter import ThreadingFuture
from domain.errors import DatabaseBusy, DatabaseError, DatabaseUnavailable, SubmissionInDoubt
from domain.trading.decision import Outcome
from persistence import schema
from persistence.queries.row_lists import LedgerReader
from persistence.stores import portfolios
from tests.support.database.faults import FAULTS, Scene
from tests.support.database.proxy import Proxy
from tests.support.database.server import Server
from tests.support.system.running_system import (
    INSERT,
    UID_NAMESPACE,
    assert_sound,
    decision_rows,
    ledger_rows,
    running_system,
    until,
    until_all_ended,
)

CALLERS = ("submits", "attached")
"""Portfolios, and the doors by which their decisions come."""
BETWEEN = 0.01
"""Seconds between two decisions of a caller."""
LEAST = 10
"""Decisions of each caller that were accepted."""


class Caller:
    """Submits one decision after another, and remembers what it was told.

    Attributes:
        accepted: futures of what was accepted, by uid.
        refused: what was not accepted, with the reason: none of it may be in the table.
        in_doubt: how often nobody could say; the same decision was submitted again then.
        failure: what should never have been raised.
    """

    def __init__(self, client: TradingClient, portfolio: str) -> None:
        self.accepted: dict[UUID, ThreadingFuture[Outcome]] = {}
        self.refused: dict[UUID, DatabaseError] = {}
        self.in_doubt = 0
        self.failure: Exception | None = None
        self._client = client
        self._portfolio = portfolio
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name=portfolio, daemon=True)

    def __enter__(self) -> Caller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join(60)

    def _run(self) -> None:
        for number in itertools.count():
            decision = Decision(
                symbol="ETH/USDT",
                decision="HOLD" if number % 3 == 2 else "BUY",  # both writers of outcomes have to do
                confidence=1,
                quantity="0.003",
                portfolio=self._portfolio,
                uid=uuid5(UID_NAMESPACE, f"{self._portfolio}:{number}"),
            )
            try:
                self._submit(decision)
            except Exception as error:  # noqa: BLE001 - told at the end
                self.failure = error
                return
            if self._enough.wait(BETWEEN):
                return

    def _submit(self, decision: Decision) -> None:
        in_doubt = False
        while True:
            try:
                self.accepted[decision.uid] = self._client.submit(decision)
            except SubmissionInDoubt:
                self.in_doubt += not in_doubt
                in_doubt = True
            except DatabaseError as error:
                if not in_doubt:  # nothing was accepted, this time or before
                    self.refused[decision.uid] = error
                    return
            else:
                return
            self._enough.wait(BETWEEN)


@dataclass(slots=True)
class Report:
    """What came of a disturbed run.

    Attributes:
        books: the database, past the proxy; open until the run's `with` ends.
        callers: by portfolio.
        said: warnings and errors that were logged.
        counts: of the proxy.
        generation: the last.
    """

    ledger_reader: LedgerReader
    callers: dict[str, Caller]
    said: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    generation: int = 0


@contextmanager
def disturbed(
    server: Server, url: str, faults: Sequence[str], *, count: int = 120, seed: int = 1, rounds: int = 1
) -> Iterator[Report]:
    """Run a system under faults, one after the other, and check what has to hold whatever they are.

    A third of the decisions comes before the faults, the same during and after them.

    Args:
        server: that has the database.
        url: of the database, which is empty.
        faults: their names.
        count: decisions by the SQL door.
        seed: of decisions and faults.
        rounds: how often each fault strikes.
    """
    schema.upgrade(url)
    for name in CALLERS:
        portfolios.create(url, name, {"initial_capital": 1_000_000_000})
    ledger_reader = LedgerReader(url)
    with ExitStack() as undo:
        undo.callback(ledger_reader.close)
        said: list[str] = []
        undo.callback(logger.remove, logger.add(lambda line: said.append(str(line)), level="WARNING"))
        proxy = undo.enter_context(Proxy(url))
        system = undo.enter_context(running_system(proxy.url_for(url), check_interval=0.2, snapshot_interval=1))
        attached = undo.enter_context(TradingSystem.attach(proxy.url_for(url)))
        callers = {name: Caller(client, name) for name, client in zip(CALLERS, [system, attached], strict=True)}
        scene = Scene(server, url, proxy, system)
        wanted = decision_rows(count, seed)
        strikes = [(name, number) for number in range(rounds) for name in faults]
        with ExitStack() as doors:
            for caller in callers.values():
                doors.enter_context(caller)
            feed(url, wanted[: count // 3])
            during = wanted[count // 3 : 2 * count // 3]
            size = -(-len(during) // len(strikes))
            for strike, (name, number) in enumerate(strikes):
                with FAULTS[name](scene, seed + number):
                    prices_go_on(system)
                    feed(url, during[strike * size : (strike + 1) * size], patient=False)
                feed(url, during[strike * size : (strike + 1) * size])
            feed(url, wanted[2 * count // 3 :])
            until(lambda: all(len(caller.accepted) >= LEAST or caller.failure for caller in callers.values()))
        until_all_ended(ledger_reader)
        assert_kept(system, ledger_reader, callers, count)
        assert undisturbed(server, count, seed) == [
            row for row in ledger_rows(ledger_reader) if row["portfolio"] == "default"
        ]
        assert [] == [line for line in said if "crashed" in line or "Traceback" in line], "\n".join(said)
        yield Report(ledger_reader, callers, said, Counter(proxy.counts), ledger_reader.served()["generation"])


def assert_kept(system: TradingSystem, ledger_reader: LedgerReader, callers: Mapping[str, Caller], count: int) -> None:
    """Nothing is lost and nothing happened twice, whatever anybody was told."""
    assert system.wait(0) is None
    for name, caller in callers.items():
        assert caller.failure is None, repr(caller.failure)
        answers = {uid: future.get(timeout=20) for uid, future in caller.accepted.items()}
        rows = ledger_reader.rows(
            "SELECT uid, status, order_id, decision FROM trading_decisions WHERE portfolio = :name", name=name
        )
        # What a caller is told is that the database is away or busy, never that it or its URL is wrong.
        assert {DatabaseUnavailable, DatabaseBusy} >= set(map(type, caller.refused.values())), caller.refused
        stored = {row["uid"]: (row["status"], row["order_id"]) for row in rows}
        assert {} == {uid: error for uid, error in caller.refused.items() if uid in stored}
        assert {uid: (answer.status, answer.order_id) for uid, answer in answers.items()} == stored
        assert {"BUY executed", "HOLD ignored"} == {f"{row['decision']} {row['status']}" for row in rows}
    assert_sound(ledger_reader, count + sum(len(caller.accepted) for caller in callers.values()))


_undisturbed: dict[tuple[str, int, int], list[dict[str, Any]]] = {}


def undisturbed(server: Server, count: int, seed: int) -> list[dict[str, Any]]:
    """The ledger of the same decisions with nothing going wrong."""
    key = (server.name, count, seed)
    if key not in _undisturbed:
        url = server.create_database()
        try:
            with running_system(url) as system:
                feed(url, decision_rows(count, seed))
                until_all_ended(system.ledger_reader)
                _undisturbed[key] = ledger_rows(system.ledger_reader)
        finally:
            server.drop_database(url)
    return _undisturbed[key]


def feed(url: str, rows: Sequence[tuple[Any, ...]], size: int = 10, *, patient: bool = True) -> None:
    """Insert decisions as an agent does that has uids, in order, a few a transaction, each once.

    Args:
        url: past the proxy.
        rows: see `tests.support.system.running_system.INSERT`.
        size: rows of one transaction.
        patient: wait for a database that is away, or else leave the rest to the next call with the same rows.
    """
    for begin in range(0, len(rows), size):
        done = until if patient else _once
        done(lambda part=rows[begin : begin + size]: _inserted(url, part))  # type: ignore[misc]


def _once(action: Callable[[], bool]) -> None:
    action()


def _inserted(url: str, rows: Sequence[tuple[Any, ...]]) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2, options="-c lock_timeout=1s") as agent, agent.cursor() as cursor:
            cursor.executemany(f"{INSERT} ON CONFLICT (uid) DO NOTHING", rows)
    except psycopg.Error:
        return False
    return True


def prices_go_on(system: TradingSystem) -> None:
    """The PriceTracker hears prices now, wherever the database is."""
    begun = datetime.now(UTC)
    until(lambda: newest_price(system) > begun, 3)


def newest_price(system: TradingSystem) -> datetime:
    """When the PriceTracker saw the last price; one that has just begun saw none."""
    answer: ThreadingFuture[Prices] = ThreadingFuture()
    system._wiring.address("PriceTracker").tell(SendPrices(answer.set))
    quotes = answer.get(timeout=3).quotes.values()
    return max((quote.seen_at for quote in quotes), default=datetime.min.replace(tzinfo=UTC))
