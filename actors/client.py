"""The clients of a trading system, which runs in this process or in another one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias, get_args

from actors.runtime.callers import Callers
from actors.runtime.pykka_adapter import ThreadingFuture
from domain.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    DecisionGone,
    InvalidRequest,
    OrderRejected,
    PaperTradingError,
)
from domain.retry_policy import RetryPolicy
from domain.trading.decision import Accepted, Decision, Outcome
from domain.types import DEFAULT_PORTFOLIO, OrderType, OutcomeStatus
from domain.wording import alternatives, quoted
from domain.worker_thread import WorkerThread
from persistence.connections import engine_for, transaction
from persistence.listener import Listener
from persistence.log_once import LogErrorsOnce
from persistence.queries.open_runs import require_no_validation
from persistence.queries.row_lists import LedgerReader
from persistence.retry import retrying
from persistence.stores.intake.submissions import insert_decisions, look_up, read_outcomes

ORDER_READ_TIMEOUT_S = 10.0
"""Seconds for which reading the row of an executed order is retried."""
POLL_INTERVAL_S = 1.0
"""Seconds between two polls for outcomes; a notification that arrives earlier triggers one at once."""

Amount: TypeAlias = Decimal | str | int
Wait: TypeAlias = Literal["accepted", "open", "ended"]
"""Until when a caller waits: until the decision is committed, until its order rests, if it does, or until it ends."""


def wait_of(decision: Decision, wait: Wait | None) -> Wait:
    """Return until when a caller waits; None: until a market order ends, and until any other rests.

    Raises:
        InvalidRequest: ``wait`` is no word that is known here.
    """
    if wait is not None and wait not in get_args(Wait):
        raise InvalidRequest(f"wait = {quoted(wait)}: must be {alternatives(get_args(Wait))}")
    if wait is not None:
        return wait
    # What is no decision is refused with a sentence where it would be stored.
    is_market = not isinstance(decision, Decision) or decision.order_type is OrderType.MARKET
    return "ended" if is_market else "open"


def present_outcome(accepted: Accepted) -> Outcome:
    """Return the outcome of a decision that was just committed: ``pending``, unless it was sent before."""
    if accepted.outcome is not None:
        return accepted.outcome
    return Outcome(accepted.decision_id, OutcomeStatus.PENDING, "accepted: the decision is committed")


class TradingClient(ABC):
    """Sender of decisions, and reader of the ledger.

    Attributes:
        ledger_reader: queries of the ledger.
    """

    def __init__(self, database_url: str) -> None:
        self.ledger_reader = LedgerReader(database_url)

    @abstractmethod
    def submit(self, decision: Decision, *, wait: Wait | None = None) -> ThreadingFuture[Outcome]:
        """Commit a decision; the future answers once its outcome is committed, or its order rests.

        While no process serves the database, the decision waits there; if a process starts more than
        `max_decision_age` [300 s] later, the decision expires.

        Args:
            decision: the decision.
            wait: ``accepted``: the future answers at once, with the status ``pending``; ``open``: with the status
                ``open`` as soon as the order rests; ``ended``: only when the decision has ended, which for a resting
                order may take days. Default: ``ended`` for a market order, ``open`` for the others.

        Raises:
            InvalidRequest: ``wait`` is none of these.
            DatabaseUnavailable: the database is unavailable; the decision was not accepted.
            SubmissionInDoubt: the answer to COMMIT was lost; submitting the same object again is safe.
        """

    def execute_order(
        self,
        symbol: str,
        side: str,
        quantity: Amount,
        portfolio: str = DEFAULT_PORTFOLIO,
        timeout: float = 60.0,
        *,
        order_type: str = OrderType.MARKET,
        limit_price: Amount | None = None,
        stop_price: Amount | None = None,
        time_in_force: str | None = None,
        order_expires_at: datetime | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        stop_loss: Amount | None = None,
        stop_loss_pct: Amount | None = None,
        take_profit: Amount | None = None,
        take_profit_pct: Amount | None = None,
        take_profits: str | Sequence[Mapping[str, Amount]] | None = None,
        trail: Amount | None = None,
        trail_pct: Amount | None = None,
        trailing_stop: Amount | None = None,
        trailing_stop_pct: Amount | None = None,
        wait: Wait | None = None,
    ) -> dict[str, Any]:
        """Buy or sell a quantity by a decision of strategy ``manual``, and wait for the fill.

        An order that rests is returned as soon as it does, with ``status`` ``open``, unless ``wait`` differs; cancel it
        with ``Decision(decision="CANCEL", target=order["decision_id"])``.

        Args:
            symbol: the market.
            side: BUY or SELL.
            quantity: to trade.
            portfolio: that trades.
            timeout: seconds to wait.
            order_type: market, limit, stop, stop_limit or trailing_stop.
            limit_price: the worst price of a limit or stop_limit order.
            stop_price: the mark that triggers a stop or stop_limit order.
            time_in_force: GTC, IOC, FOK, GTD or DAY; default: GTC where the order may rest.
            order_expires_at: end of an order with GTD; aware.
            post_only: reject a limit order that would take at once.
            reduce_only: of a SELL: it works in a halted portfolio, too.
            stop_loss: of a BUY: price of the stop that protects what it bought.
            stop_loss_pct: the same as a fraction below the entry price: 0.05 is 5 %.
            take_profit: of a BUY: price at which what it bought is sold.
            take_profit_pct: the same as a fraction above the entry price.
            take_profits: several targets with shares, such as ``"110:0.5,20%:0.5"``.
            trail: distance of a trailing_stop order from the best mark since its acceptance.
            trail_pct: the same as a fraction of that mark.
            trailing_stop: of a BUY: distance of a trailing stop that protects what it bought.
            trailing_stop_pct: the same as a fraction of the best mark.
            wait: see `submit`.

        Returns:
            The order's row: ``order_id``, ``status``, ``quantity``, ``average_fill_price``, ``commission``, … With
            ``wait="accepted"`` there is no order yet: ``decision_id``, ``order_id`` None, ``status`` ``pending``.

        Raises:
            InvalidRequest: ``wait`` is none of its words.
            InvalidDecision: the arguments do not fit together; the message is one sentence.
            WouldEndValidation: the portfolio is in a validation run that is not bound to strategy ``manual``.
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
            order_type=order_type,
            limit_price=limit_price,
            stop_price=stop_price,
            time_in_force=time_in_force,
            order_expires_at=order_expires_at,
            post_only=post_only,
            reduce_only=reduce_only,
            stop_loss=stop_loss,
            stop_loss_pct=stop_loss_pct,
            take_profit=take_profit,
            take_profit_pct=take_profit_pct,
            take_profits=take_profits,
            trail=trail,
            trail_pct=trail_pct,
            trailing_stop=trailing_stop,
            trailing_stop_pct=trailing_stop_pct,
        )
        require_no_validation(self.ledger_reader, portfolio, "manual")
        outcome = self.submit(decision, wait=wait).get(timeout=timeout)
        if outcome.status is OutcomeStatus.PENDING:
            return {"decision_id": outcome.decision_id, "order_id": None, "status": outcome.status.value}
        if outcome.status not in {OutcomeStatus.EXECUTED, OutcomeStatus.OPEN}:
            raise OrderRejected(outcome.reason)
        return self._row_of(outcome)

    def _row_of(self, outcome: Outcome) -> dict[str, Any]:
        """Return the row of an order. Retries, because a caller that gets an error may order a second time."""
        policy = RetryPolicy((DatabaseUnavailable, DatabaseBusy), limit_s=ORDER_READ_TIMEOUT_S)
        try:
            return retrying(policy)(lambda: self.ledger_reader.order(outcome.order_id))
        except DatabaseUnavailable as error:
            msg = f"order {outcome.order_id} is {outcome.status}, do not send it again; its row cannot be read: {error}"
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

    def submit(self, decision: Decision, *, wait: Wait | None = None) -> ThreadingFuture[Outcome]:
        """Commit a decision; see `TradingClient.submit`."""
        until = wait_of(decision, wait)
        try:
            with transaction(self._engine) as cursor:
                accepted = insert_decisions(cursor, [decision])[0]
        except DatabaseUnavailable as error:
            if not error.in_doubt:
                raise
            accepted = look_up(self._engine, decision, self._watcher.stopping)
        future: ThreadingFuture[Outcome] = ThreadingFuture()
        rests = accepted.outcome is not None and accepted.outcome.status is OutcomeStatus.OPEN
        if until == "accepted" or (accepted.outcome is not None and (until == "open" or not rests)):
            future.set(present_outcome(accepted))
        else:
            self._callers.add(accepted.decision_id, future, until_open=until == "open")
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
                elif (outcome := outcomes[id_]) is not None and outcome.status is OutcomeStatus.OPEN:
                    self._callers.answer_open(id_, outcome)
                elif outcome is not None:
                    self._callers.answer(id_, outcome)
        self.failures.recovered()
        return POLL_INTERVAL_S
