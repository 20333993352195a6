"""The clients of a trading system, which runs in this process or in another one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any

from actors.runtime.callers import Callers
from actors.runtime.pykka_adapter import ThreadingFuture
from domain.errors import DatabaseBusy, DatabaseUnavailable, DecisionGone, OrderRejected, PaperTradingError
from domain.retry_policy import RetryPolicy
from domain.trading.decision import Decision, Outcome
from domain.types import DEFAULT_PORTFOLIO, OutcomeStatus
from domain.worker_thread import WorkerThread
from persistence.connections import engine_for, transaction
from persistence.listener import Listener
from persistence.log_once import LogErrorsOnce
from persistence.queries.row_lists import LedgerReader
from persistence.retry import retrying
from persistence.stores.decisions import insert_decisions, look_up, read_outcomes

ORDER_READ_TIMEOUT_S = 10.0
"""Seconds for which reading the row of an executed order is retried."""
POLL_INTERVAL_S = 1.0
"""Seconds between two polls for outcomes; a notification that arrives earlier triggers one at once."""


class TradingClient(ABC):
    """Sender of decisions, and reader of the ledger.

    Attributes:
        ledger_reader: queries of the ledger.
    """

    def __init__(self, database_url: str) -> None:
        self.ledger_reader = LedgerReader(database_url)

    @abstractmethod
    def submit(self, decision: Decision) -> ThreadingFuture[Outcome]:
        """Commit a decision; the future answers once its outcome is committed.

        While no process serves the database, the decision waits there; if a process starts more than
        `max_decision_age` [300 s] later, the decision expires.

        Raises:
            DatabaseUnavailable: the database is unavailable; the decision was not accepted.
            SubmissionInDoubt: the answer to COMMIT was lost; submitting the same object again is safe.
        """

    def execute_order(
        self,
        symbol: str,
        side: str,
        quantity: Decimal | str | int,
        portfolio: str = DEFAULT_PORTFOLIO,
        timeout: float = 60.0,
    ) -> dict[str, Any]:
        """Buy or sell a quantity by a decision of strategy ``manual``, and wait for the fill.

        Returns:
            The order's row: ``order_id``, ``quantity``, ``average_fill_price``, ``commission``, …

        Raises:
            OrderRejected: the order was not executed; the message is the reason.
            pykka.Timeout: there is no outcome after ``timeout`` seconds; the decision remains in force.
            DatabaseUnavailable: the decision was not accepted, or the order is executed and its row cannot be read; the
                message says which.
        """
        decision = Decision(
            symbol=symbol,
            decision=side,
            confidence=Decimal(1),
            quantity=quantity,
            portfolio=portfolio,
            strategy="manual",
        )
        outcome = self.submit(decision).get(timeout=timeout)
        if outcome.status is not OutcomeStatus.EXECUTED:
            raise OrderRejected(outcome.reason)
        return self._row_of(outcome)

    def _row_of(self, outcome: Outcome) -> dict[str, Any]:
        """Return the row of an executed order. Retries, because a caller that gets an error may order a second time."""
        policy = RetryPolicy((DatabaseUnavailable, DatabaseBusy), limit_s=ORDER_READ_TIMEOUT_S)
        try:
            return retrying(policy)(lambda: self.ledger_reader.order(outcome.order_id))
        except DatabaseUnavailable as error:
            msg = f"order {outcome.order_id} is executed, do not send it again; its row cannot be read: {error}"
            raise DatabaseUnavailable(msg) from error

    def positions(self, portfolio: str | None = DEFAULT_PORTFOLIO) -> list[dict[str, Any]]:
        """Return the open positions of a portfolio, or of all with None, valued at the last market prices."""
        return self.ledger_reader.positions(portfolio)

    def portfolio(self, name: str = DEFAULT_PORTFOLIO) -> dict[str, Any]:
        """Return a portfolio's cash, value and rules."""
        return self.ledger_reader.portfolio(name)

    def performance_summary(self, portfolio: str = DEFAULT_PORTFOLIO) -> dict[str, Any]:
        """Return ``portfolio_value``, ``total_pnl``, ``win_rate``, ``profit_factor``, ``total_trades`` and more."""
        return self.ledger_reader.performance(portfolio)


class AttachedSystem(TradingClient):
    """Client of a system in another process: it inserts decisions, and waits for outcomes by LISTEN and polling.

    Attributes:
        failures: log of the failures while it waits for outcomes, until `close`.
    """

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self.failures = LogErrorsOnce()
        self._engine = engine_for(database_url, "attached")
        self._callers = Callers()
        self._watcher = WorkerThread("outcomes", self._answer_waiting, self._cannot_read)
        self._watcher.start()
        self._listener = Listener(database_url, ["paper_outcomes"], lambda _: self._watcher.wake())
        self._listener.start()

    def __enter__(self) -> AttachedSystem:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, decision: Decision) -> ThreadingFuture[Outcome]:
        """Commit a decision; see `TradingClient.submit`."""
        try:
            with transaction(self._engine) as cursor:
                accepted = insert_decisions(cursor, [decision])[0]
        except DatabaseUnavailable as error:
            if not error.in_doubt:
                raise
            accepted = look_up(self._engine, decision, self._watcher.stopping)
        future: ThreadingFuture[Outcome] = ThreadingFuture()
        if accepted.outcome is not None:
            future.set(accepted.outcome)
        else:
            self._callers.add(accepted.decision_id, future)
            self._watcher.wake()
        return future

    def close(self) -> None:
        """Detach. Outcomes that are still awaited will be committed, but their futures fail."""
        self._watcher.stop(timeout=5)
        self._listener.stop()
        self._callers.fail_all(
            PaperTradingError("detached before the outcome arrived; it will be committed all the same")
        )
        self._engine.dispose()
        self.ledger_reader.close()

    def _cannot_read(self, error: Exception) -> float:
        self.failures.raised("cannot read outcomes until the database is available again", error)
        return POLL_INTERVAL_S

    def _answer_waiting(self) -> float:
        if ids := self._callers.ids:
            with transaction(self._engine) as cursor:
                outcomes = read_outcomes(cursor, ids)
            for id_ in ids:
                if id_ not in outcomes:
                    self._callers.answer(id_, DecisionGone(f"decision {id_} was deleted, so it has no outcome"))
                elif (outcome := outcomes[id_]) is not None:
                    self._callers.answer(id_, outcome)
        self.failures.recovered()
        return POLL_INTERVAL_S
