"""A real system in this process, for tests of what happens while it runs."""

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

import psycopg
from loguru import logger

from actors import Settings, TradingSystem
from actors.ports import Alarms
from actors.runtime.timer import SystemClock
from domain.trading.instruments import Instrument
from domain.types import Symbol
from market.simulated import StandingMarket
from persistence.queries.row_lists import LedgerReader

PRICES = {"BTC/USDT": "110485.85", "ETH/USDT": "3950.01", "SOL/USDT": "190.25"}

NAMES = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
BEGIN = [("BTC/USDT", "0.01"), ("ETH/USDT", "0.3")]

INSERT = (
    "INSERT INTO trading_decisions (uid, symbol, decision, confidence, quantity, portfolio)"
    " VALUES (%s, %s, %s, %s, %s, %s)"
)


def settings(url: str, **changes: Any) -> Settings:
    """Settings from nothing but the arguments: prices stand still, polls are rare so that wake-ups must do."""
    return Settings.isolated(database_url=url, **changes)


@contextmanager
def running(url: str, alarms: Alarms | None = None, **changes: Any) -> Iterator[TradingSystem]:
    """A system at prices that stand still, confirmed ten times a second; DEAD/USDT has none."""
    instruments = [Instrument(Symbol(symbol), "USDT") for symbol in [*PRICES, "DEAD/USDT"]]
    source = StandingMarket(PRICES, SystemClock(), 0.1, instruments)
    with TradingSystem.start(settings(url, **changes), source=source, alarms=alarms) as system:
        yield system


def decisions(count: int, seed: int = 1) -> list[tuple[Any, ...]]:
    """Decisions whose outcomes do not depend on refusals before them: see tests/unit/actors/test_actor_laws.py."""
    draw = random.Random(seed)
    first = [(uuid5(NAMES, f"{seed}:{n}"), s, "BUY", "1", q, "default") for n, (s, q) in enumerate(BEGIN)]
    rest = [
        (
            uuid5(NAMES, f"{seed}:{n}"),
            draw.choice(["BTC/USDT", "eth-usdt", "NOPE"]),
            draw.choice(["BUY", "SELL", "HOLD"]),
            draw.choice(["0.5", "0.9"]),
            None,
            "default",
        )
        for n in range(len(BEGIN), count)
    ]
    amounts = {"BTC/USDT": ["0.0001", "0.00012345"], "eth-usdt": ["0.003", "0.00323456"], "NOPE": ["1"]}
    return first + [(*row[:4], draw.choice(amounts[row[1]]), row[5]) for row in rest]


def insert(url: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert decisions in one transaction, as an agent would; see `INSERT` for the columns."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(INSERT, rows)


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that another process does, and that nobody announces."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        pause.wait(0.02)


def until_all_ended(ledger_reader: LedgerReader, seconds: float = 30.0) -> None:
    """Wait until no decision is without outcome."""
    until(lambda: ledger_reader.waiting() == 0, seconds)


def ledger(ledger_reader: LedgerReader) -> list[dict[str, Any]]:
    """What was done, to the last digit, without the times."""
    return ledger_reader.rows(
        "SELECT o.portfolio, o.seq, d.uid, o.order_id, o.symbol, o.side, o.quantity, o.equity, f.price, f.commission,"
        " f.cash_delta, f.slippage_rate, d.outcome_reason"
        " FROM paper_orders o JOIN paper_fills f USING (order_id) JOIN trading_decisions d ON d.id = o.decision_id"
        " ORDER BY o.portfolio, o.seq"
    )


def assert_sound(ledger_reader: LedgerReader, decisions: int) -> None:
    """One outcome each, books balanced."""
    assert ledger_reader.ledger_differences() == []
    assert ledger_reader.waiting() == 0
    assert sum(ledger_reader.outcomes().values()) == decisions


def next_line(process: subprocess.Popen[str], seconds: float = 60.0) -> str:
    """What a process prints next on its stdout; "" once that has ended.

    Only for one line at a time: what was read together with a line before is not waited for.
    """
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    assert ready, f"{process.args} printed nothing within {seconds:g} s"
    return process.stdout.readline()


@contextmanager
def logged(room: str) -> Iterator[list[str]]:
    """What one room says in the log from INFO on: what an earlier test left running may still say something."""
    lines: list[str] = []
    sink = logger.add(
        lambda line: lines.append(line.rstrip("\n")), level="INFO", format="{level} {message}", filter=room
    )
    yield lines
    logger.remove(sink)
