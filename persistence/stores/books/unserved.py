"""Requests that end the life of a portfolio, carried out while no service runs: by the same steps as by the actors."""

from __future__ import annotations

from contextlib import closing

from domain.errors import DatabaseUnavailable
from domain.trading.account.changes import AccountChange
from domain.trading.account.requests import AccountKind, AccountRefusal, AccountRequest
from domain.trading.open_orders.sequencer import Sequencer
from domain.types import Clock, Epoch, Instant
from persistence.connections import transaction
from persistence.lease import Lease
from persistence.rows import one_row
from persistence.stores.books.account import read_pending
from persistence.stores.ledger import LedgerStore

OF_CASH = frozenset({AccountKind.DEPOSIT, AccountKind.WITHDRAWAL})
"""Kinds of requests that need no market data either; earlier ones of the portfolio come first."""


def carry_out(database_url: str, request_id: int, clock: Clock) -> None:
    """Carry out a request to close or reset a portfolio, and the deposits and withdrawals before it.

    It begins no epoch: nothing is served. Where something serves after all, the lock is taken, and the service does it.

    Args:
        database_url: of the database.
        request_id: of the request.
        clock: the time of the events.

    Raises:
        LeaseHeld: something serves the database.
        DatabaseError: the database does not answer.
    """
    lease = Lease.take(database_url)
    try:
        with closing(LedgerStore(database_url, lease)) as ledger:
            with transaction(ledger.engine) as cursor:
                lease.epoch = Epoch(*one_row(cursor, "SELECT epoch FROM paper_lease"))
                pending = read_pending(cursor, [])
            of = {one.portfolio for one in pending if one.id == request_id}
            for one in pending:
                if one.id == request_id or (one.id < request_id and one.portfolio in of and one.kind in OF_CASH):
                    _carry_out(ledger, one, Instant.of(clock))
    finally:
        lease.release()


def _carry_out(ledger: LedgerStore, request: AccountRequest, now: Instant) -> None:
    sequencer, generation = Sequencer(), ledger.last_generation()
    sequencer.begin(ledger.load())
    answer = sequencer.on_account_event(request, now)
    if answer is None:
        raise DatabaseUnavailable(f"the portfolio of request {request.id} cannot be read")
    if isinstance(answer, AccountRefusal):
        ledger.refuse_account(generation, answer)
    else:
        ledger.commit_account(generation, request, [AccountChange(*one) for one in answer])
