"""Failures are stored from a thread of their own: one that is refused keeps none of the others waiting."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from domain.failures import Failure, FailureKind
from domain.types import Generation
from persistence import schema
from persistence.lease import Lease
from persistence.stores.failures import FailureRecorder, FailureStore
from tests.support.system.running_system import until

TOO_LARGE = 2**63
"""No bigint holds it, so the database refuses the row."""


@pytest.fixture
def recorder(embedded_url: str) -> Iterator[FailureRecorder]:
    lease = Lease.take(embedded_url)
    schema.upgrade(embedded_url)
    lease.begin_epoch()
    made = FailureRecorder(FailureStore(embedded_url, lease))
    yield made
    made.close()
    lease.release()


def failure(number: int, epoch: int = 1) -> Failure:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    return Failure(epoch, number, at, FailureKind.CRASH, Generation(1), "Sizer", "Decide", None, "error", "traceback")


def test_a_refused_failure_does_not_block_the_others(recorder: FailureRecorder, embedded_url: str) -> None:
    with psycopg.connect(embedded_url, autocommit=True) as connection:
        # While the table is locked, all failures wait together.
        with connection.transaction():
            connection.execute("LOCK TABLE paper_failures")
            for number in (1, TOO_LARGE, 2, 3):
                recorder.record(failure(number))

        def stored() -> list[int]:
            return [row[0] for row in connection.execute("SELECT number FROM paper_failures ORDER BY number")]

        until(lambda: stored() == [1, 2, 3])
        until(lambda: recorder.dropped == 1)
        recorder.record(failure(4))
        until(lambda: stored() == [1, 2, 3, 4])
    assert 1 == recorder.dropped
