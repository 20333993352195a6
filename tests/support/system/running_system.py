"""A real system in this process, and steps that tests of it share."""

from __future__ import annotations

import random
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid5

import pytest

from actors import Settings, TradingSystem
from actors.ports import Alarms
from actors.runtime.timer import SystemClock
from console import logs
from domain.trading.instruments import Instrument
from domain.types import Symbol
from persistence.queries.row_lists import LedgerReader
from tests.support.database.server import one_transaction
from tests.support.exchange.fixed_price_source import FixedPriceSource

PRICES = {"BTC/USDT": "110485.85", "ETH/USDT": "3950.01", "SOL/USDT": "190.25"}

UID_NAMESPACE = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
FIRST_BUYS = [("BTC/USDT", "0.01"), ("ETH/USDT", "0.3")]

INSERT = (
    "INSERT INTO trading_decisions (uid, symbol, decision, confidence, quantity, portfolio)"
    " VALUES (%s, %s, %s, %s, %s, %s)"
)


def isolated_settings(url: str, **changes: Any) -> Settings:
    """Return settings from the arguments alone; polls stay rare, so that tests rely on wake-ups."""
    return Settings.isolated(database_url=url, **changes)


@contextmanager
def running_system(
    url: str, alarms: Alarms | None = None, *, source: type[FixedPriceSource] = FixedPriceSource, **changes: Any
) -> Iterator[TradingSystem]:
    """Run a system at prices that stand still and are confirmed ten times a second; DEAD/USDT has no price.

    What it logs does not appear on stderr, as if it were a process of its own: a command that runs beside it prints
    there only what it says itself.
    """
    instruments = [Instrument(Symbol(symbol), "USDT") for symbol in [*PRICES, "DEAD/USDT"]]
    prices = source(PRICES, SystemClock(), 0.1, instruments)
    with (
        _stderr_of_this_thread(),
        TradingSystem.start(isolated_settings(url, **changes), source=prices, alarms=alarms) as system,
    ):
        yield system


@contextmanager
def _stderr_of_this_thread() -> Iterator[None]:
    """Have the log print on stderr only what the current thread logs."""
    thread, write = threading.current_thread(), logs._write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "_write", lambda line: write(line) if threading.current_thread() is thread else None)
        yield


def decision_rows(count: int, seed: int = 1) -> list[tuple[Any, ...]]:
    """Return rows of decisions whose outcomes do not depend on refusals (tests/unit/actors/test_actor_laws.py)."""
    draw = random.Random(seed)
    first = [(uuid5(UID_NAMESPACE, f"{seed}:{n}"), s, "BUY", "1", q, "default") for n, (s, q) in enumerate(FIRST_BUYS)]
    rest = [
        (
            uuid5(UID_NAMESPACE, f"{seed}:{n}"),
            draw.choice(["BTC/USDT", "eth-usdt", "NOPE"]),
            draw.choice(["BUY", "SELL", "HOLD"]),
            draw.choice(["0.5", "0.9"]),
            None,
            "default",
        )
        for n in range(len(FIRST_BUYS), count)
    ]
    amounts = {"BTC/USDT": ["0.0001", "0.00012345"], "eth-usdt": ["0.003", "0.00323456"], "NOPE": ["1"]}
    return first + [(*row[:4], draw.choice(amounts[row[1]]), row[5]) for row in rest]


def insert_decisions(url: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert decisions in one transaction, as an agent would; see `INSERT` for the columns."""
    with one_transaction(url) as connection:
        connection.cursor().executemany(INSERT, rows)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until ``condition`` is true, by polling."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        pause.wait(0.02)


def all_ended(ledger_reader: LedgerReader) -> bool:
    """Return whether each decision and each request for an account has an outcome."""
    requests = ledger_reader.rows("SELECT FROM paper_account_requests WHERE status = 'pending' LIMIT 1")
    return ledger_reader.waiting() == 0 and not requests


def until_all_ended(ledger_reader: LedgerReader, seconds: float = 30.0) -> None:
    """Wait until each decision and each request for an account has an outcome."""
    until(lambda: all_ended(ledger_reader), seconds)


def ledger_rows(ledger_reader: LedgerReader) -> list[dict[str, Any]]:
    """Return all orders and fills to the last digit, without the times."""
    return ledger_reader.rows(
        "SELECT o.portfolio, o.seq, d.uid, o.order_id, o.symbol, o.side, o.quantity, o.equity, f.price, f.commission,"
        " f.cash_delta, f.slippage_rate, d.outcome_reason"
        " FROM paper_orders o JOIN paper_fills f USING (order_id) JOIN trading_decisions d ON d.id = o.decision_id"
        " ORDER BY o.portfolio, o.seq"
    )


def assert_sound(ledger_reader: LedgerReader, count: int) -> None:
    """Assert that the books balance and that ``count`` decisions have one outcome each."""
    assert ledger_reader.ledger_differences() == []
    assert ledger_reader.waiting() == 0
    assert sum(ledger_reader.outcomes().values()) == count


def next_line(process: subprocess.Popen[str], seconds: float = 60.0) -> str:
    """Return the next line of a process's stdout; "" after its end.

    The process must print one line at a time: a second line that came with the first is not seen.
    """
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    assert ready, f"{process.args} printed nothing within {seconds:g} s"
    return process.stdout.readline()
