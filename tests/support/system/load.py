"""Decisions through three interfaces during faults, and the assertions that must hold afterwards."""

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
from tests.support.database.server import Server, one_transaction
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
"""Names of portfolios, after the interface that their decisions use."""
SUBMIT_INTERVAL_S = 0.01
"""Seconds between two decisions of a caller."""
MIN_ACCEPTED = 10
"""Number of decisions of each caller that must be accepted."""


class Caller:
    """A thread that submits one decision after another, and records the answers.

    Attributes:
        accepted: futures of the accepted decisions, by uid.
        refused: errors of the decisions that were not accepted, by uid; none of them may be in the table.
        in_doubt: number of decisions whose acceptance was in doubt; each was submitted again.
        failure: an error that `submit` must not raise.
    """

    def __init__(self, client: TradingClient, portfolio: str) -> None:
        self.accepted: dict[UUID, ThreadingFuture[Outcome]] = {}
        self.refused: dict[UUID, DatabaseError] = {}
        self.in_doubt = 0
        self.failure: Exception | None = None
        self._client = client
        self._portfolio = portfolio
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=portfolio, daemon=True)

    def __enter__(self) -> Caller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def summary(self) -> str:
        """Return what the caller has done so far, for the report of a failure."""
        counts = f"{len(self.accepted)} accepted, {len(self.refused)} refused, {self.in_doubt} in doubt"
        last = [repr(error) for error in self.refused.values()][-1:]
        return f"caller {self._portfolio}: {counts}, failure {self.failure!r}, last refusal {last}"

    def _run(self) -> None:
        for number in itertools.count():
            decision = Decision(
                symbol="ETH/USDT",
                decision="HOLD" if number % 3 == 2 else "BUY",  # so that both writers of outcomes have work
                confidence=1,
                quantity="0.003",
                portfolio=self._portfolio,
                uid=uuid5(UID_NAMESPACE, f"{self._portfolio}:{number}"),
            )
            try:
                self._submit(decision)
            except Exception as error:  # noqa: BLE001 - asserted at the end
                self.failure = error
                return
            if self._stop.wait(SUBMIT_INTERVAL_S):
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
            self._stop.wait(SUBMIT_INTERVAL_S)


@dataclass(slots=True)
class Report:
    """The result of a disturbed run.

    Attributes:
        ledger_reader: queries of the database, past the proxy; open until the run's `with` ends.
        callers: callers by portfolio.
        log_lines: warnings and errors that were logged.
        counts: counts of the proxy.
        generation: the last generation.
    """

    ledger_reader: LedgerReader
    callers: dict[str, Caller]
    log_lines: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    generation: int = 0


@contextmanager
def disturbed(
    server: Server, url: str, faults: Sequence[str], *, count: int = 120, seed: int = 1, rounds: int = 1
) -> Iterator[Report]:
    """Run a system under faults, one after the other, and assert that nothing is lost or executed twice.

    A third of the decisions comes before the faults, a third during and a third after them.

    Args:
        server: server of the database.
        url: URL of the database, which is empty.
        faults: names of the faults.
        count: number of decisions inserted by SQL.
        seed: seed of decisions and faults.
        rounds: number of times that each fault strikes.
    """
    schema.upgrade(url)
    for name in CALLERS:
        portfolios.create(url, name, {"initial_capital": 1_000_000_000})
    ledger_reader = LedgerReader(url)
    with ExitStack() as undo:
        undo.callback(ledger_reader.close)
        log_lines: list[str] = []
        undo.callback(logger.remove, logger.add(lambda line: log_lines.append(str(line)), level="WARNING"))
        proxy = undo.enter_context(Proxy(url))
        system = undo.enter_context(running_system(proxy.url_for(url), check_interval=0.2, snapshot_interval=1))
        attached = undo.enter_context(TradingSystem.attach(proxy.url_for(url)))
        callers = {name: Caller(client, name) for name, client in zip(CALLERS, [system, attached], strict=True)}
        scene = Scene(server, url, proxy, system)
        rows = decision_rows(count, seed)
        strikes = [(name, number) for number in range(rounds) for name in faults]
        with ExitStack() as active_callers:
            for caller in callers.values():
                active_callers.enter_context(caller)
            feed(url, rows[: count // 3])
            during = rows[count // 3 : 2 * count // 3]
            size = -(-len(during) // len(strikes))
            for strike, (name, number) in enumerate(strikes):
                try:
                    with FAULTS[name](scene, seed + number):
                        prices_go_on(system)
                        feed(url, during[strike * size : (strike + 1) * size], patient=False)
                except AssertionError as error:
                    for caller in callers.values():
                        error.add_note(caller.summary())
                    error.add_note("".join([f"while {name}\n", *log_lines[-10:]]))
                    raise
                feed(url, during[strike * size : (strike + 1) * size])
            feed(url, rows[2 * count // 3 :])
            until(lambda: all(len(caller.accepted) >= MIN_ACCEPTED or caller.failure for caller in callers.values()))
        until_all_ended(ledger_reader)
        assert_kept(system, ledger_reader, callers, count)
        assert undisturbed(server, count, seed) == [
            row for row in ledger_rows(ledger_reader) if row["portfolio"] == "default"
        ]
        assert [] == [line for line in log_lines if "crashed" in line or "Traceback" in line], "\n".join(log_lines)
        yield Report(ledger_reader, callers, log_lines, Counter(proxy.counts), ledger_reader.served()["generation"])


def assert_kept(system: TradingSystem, ledger_reader: LedgerReader, callers: Mapping[str, Caller], count: int) -> None:
    """Assert that no decision was lost or executed twice, and that callers got true answers."""
    assert system.wait(0) is None
    for name, caller in callers.items():
        assert caller.failure is None, repr(caller.failure)
        answers = {uid: future.get(timeout=20) for uid, future in caller.accepted.items()}
        rows = ledger_reader.rows(
            "SELECT uid, status, order_id, decision FROM trading_decisions WHERE portfolio = :name", name=name
        )
        # A caller's error says that the database is unavailable or busy, never that it or its URL is wrong.
        assert {DatabaseUnavailable, DatabaseBusy} >= set(map(type, caller.refused.values())), caller.refused
        stored = {row["uid"]: (row["status"], row["order_id"]) for row in rows}
        assert {} == {uid: error for uid, error in caller.refused.items() if uid in stored}
        assert {uid: (answer.status, answer.order_id) for uid, answer in answers.items()} == stored
        assert {"BUY executed", "HOLD ignored"} == {f"{row['decision']} {row['status']}" for row in rows}
    assert_sound(ledger_reader, count + sum(len(caller.accepted) for caller in callers.values()))


_undisturbed: dict[tuple[str, int, int], list[dict[str, Any]]] = {}


def undisturbed(server: Server, count: int, seed: int) -> list[dict[str, Any]]:
    """Return the ledger of the same decisions without faults."""
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
    """Insert decisions with uids in order, a few a transaction, each once.

    Args:
        url: URL of the database, past the proxy.
        rows: rows for `tests.support.system.running_system.INSERT`.
        size: number of rows of one transaction.
        patient: whether to wait for an unavailable database; else the next call with the same rows inserts the rest.
    """
    for begin in range(0, len(rows), size):
        insert = until if patient else _once
        insert(lambda part=rows[begin : begin + size]: _inserted(url, part))  # type: ignore[misc]


def _once(action: Callable[[], bool]) -> None:
    action()


def _inserted(url: str, rows: Sequence[tuple[Any, ...]]) -> bool:
    try:
        with one_transaction(url, connect_timeout=2, options="-c lock_timeout=1s") as agent:
            agent.cursor().executemany(f"{INSERT} ON CONFLICT (uid) DO NOTHING", rows)
    except psycopg.Error:
        return False
    return True


def prices_go_on(system: TradingSystem) -> None:
    """Assert that the PriceTracker gets prices now, whatever the state of the database."""
    before = newest_price(system)
    until(lambda: newest_price(system) > before, 3)


def newest_price(system: TradingSystem) -> datetime:
    """Return when the PriceTracker got its last price; the earliest time if it has none."""
    answer: ThreadingFuture[Prices] = ThreadingFuture()
    system._wiring.address("PriceTracker").tell(SendPrices(answer.set))
    quotes = answer.get(timeout=3).quotes.values()
    return max((quote.seen_at for quote in quotes), default=datetime.min.replace(tzinfo=UTC))
