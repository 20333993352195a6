"""The job that measures and thins: when it does what, and what it does about errors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from actors.supervision.storage_job import BATCH_PAUSE_S, RETRY_INTERVAL_S, StorageJob
from domain.errors import DatabaseUnavailable, Fenced
from tests.support.captured_log import captured_log

DAY = timedelta(days=1)
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Hands:
    seconds = 0.0

    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return self.seconds


class Tables:
    """Tables that note what is asked of them; ``batches`` has what thinning answers by symbol."""

    def __init__(self, **batches: list[int | Exception | None]) -> None:
        self.calls: list[str] = []
        self.batches = batches
        self.error: Exception | None = None

    def sample(self, at: datetime) -> bool:
        assert at == NOON
        self.calls.append("sample")
        if self.error is not None:
            raise self.error
        return True

    def untraded_symbols(self) -> list[str]:
        self.calls.append("symbols")
        return list(self.batches)

    def thin(self, symbol: str, before: datetime) -> int | None:
        self.calls.append(f"{symbol} {(NOON - before).days} d")
        answer = self.batches[symbol].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.calls.append("close")


def rounds(job: StorageJob, number: int) -> Iterator[float | None]:
    """Do what the thread does in so many rounds; yield their pauses."""
    for _ in range(number):
        try:
            yield job._round()
        except Exception as error:  # noqa: BLE001
            yield job._failed(error)


def test_symbols_are_thinned_batch_by_batch_and_all_is_looked_at_again_after_an_hour() -> None:
    tables, hands = Tables(A=[7, 0, None, None], B=[None, None]), Hands()
    job = StorageJob(tables, hands, DAY)
    assert [BATCH_PAUSE_S] * 4 + [3_600.0] == list(rounds(job, 5))
    assert ["sample", "symbols", "A 1 d", "A 1 d", "A 1 d", "B 1 d"] == tables.calls
    hands.seconds = 3_600.0
    assert [BATCH_PAUSE_S, BATCH_PAUSE_S, 3_600.0] == list(rounds(job, 3))
    assert ["sample", "symbols", "A 1 d", "B 1 d"] == tables.calls[6:]


def test_without_an_age_nothing_is_thinned() -> None:
    tables = Tables(A=[1])
    assert [3_600.0, 3_600.0] == list(rounds(StorageJob(tables, Hands(), None), 2))
    assert ["sample"] == tables.calls


def test_a_batch_that_failed_is_done_again_and_the_cause_is_logged_once() -> None:
    tables = Tables(A=[DatabaseUnavailable("away"), ValueError("broken"), ValueError("broken"), 3, None])
    job = StorageJob(tables, Hands(), DAY)
    with captured_log("actors.supervision.storage_job") as log:
        pauses = list(rounds(job, 6))
    assert [BATCH_PAUSE_S, *[RETRY_INTERVAL_S] * 3, BATCH_PAUSE_S, 3_600.0] == pauses
    assert ["sample", "symbols", *["A 1 d"] * 5] == tables.calls
    warning = "WARNING cannot measure or thin tables, retrying: ValueError: broken"
    assert [warning, "INFO the storage job goes on"] == log


def test_it_ends_where_another_process_has_the_lease_and_closes_once_stopped() -> None:
    tables = Tables()
    tables.error = Fenced("epoch 1 does not write any more")
    job = StorageJob(tables, Hands(), DAY)
    assert [None] == list(rounds(job, 1))
    job.start()
    job.stop()
    assert ["sample", "close"] == tables.calls


@pytest.mark.parametrize("minutes", [10, 59])
def test_the_next_look_is_an_hour_after_the_last(minutes: int) -> None:
    tables, hands = Tables(), Hands()
    job = StorageJob(tables, hands, DAY)
    list(rounds(job, 1))
    hands.seconds = minutes * 60.0
    assert [(60 - minutes) * 60.0] == list(rounds(job, 1))
