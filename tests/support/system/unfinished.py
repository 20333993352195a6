"""What a running system has not finished, and what each of its parts does meanwhile: for a wait that gave up."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from loguru import logger
from psycopg.rows import dict_row

from actors import TradingSystem
from actors.runtime.stacks import stack_of
from tests.support.system.running_system import all_ended, until

MAX_LOG_LINES = 600
"""The newest lines of the log that are kept."""
MAX_VALUE_LENGTH = 1_500
"""Characters of one value of an actor's state."""
MAX_WAITING = 20
"""Messages of a mailbox, the oldest."""

QUERIES = {
    "pending decisions": """
        SELECT id, uid, symbol, decision, portfolio, order_type, target, status, created_at, clock_timestamp() AS now
        FROM trading_decisions WHERE processed_at IS NULL AND status = 'pending' ORDER BY created_at, id LIMIT 20
        """,
    "pending requests for accounts": """
        SELECT * FROM paper_account_requests WHERE status = 'pending' ORDER BY id LIMIT 20
        """,
    "open orders": """
        SELECT order_id, decision_id, portfolio, symbol, side, order_type, quantity, limit_price, stop_price, status
        FROM paper_orders WHERE status = 'open' ORDER BY portfolio, symbol LIMIT 60
        """,
    "sessions of the database": """
        SELECT pid, application_name, state, wait_event_type, wait_event, clock_timestamp() - state_change AS since,
               pg_blocking_pids(pid) AS blocked_by, left(query, 200) AS query
        FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY pid
        """,
}


@contextmanager
def log_kept() -> Iterator[deque[str]]:
    """Keep the newest lines of the log, from DEBUG on."""
    lines: deque[str] = deque(maxlen=MAX_LOG_LINES)
    sink = logger.add(
        lambda line: lines.append(line.rstrip("\n")),
        level="DEBUG",
        format="{time:HH:mm:ss.SSS} {thread.name} {level} {message} {extra}",
    )
    try:
        yield lines
    finally:
        logger.remove(sink)


def unfinished(system: TradingSystem, url: str) -> str:
    """Return what is pending in the database, the state, mailbox and stack of each actor, and the other threads."""
    return "\n".join([*_in_the_database(url), *_in_the_actors(system), *_in_the_threads(system)])


def _in_the_database(url: str) -> Iterator[str]:
    try:
        with psycopg.connect(url, row_factory=dict_row) as connection:
            for what, query in QUERIES.items():
                rows = connection.execute(query).fetchall()
                yield f"-- {what}: {len(rows)}"
                yield from (_of_row(row) for row in rows)
    except psycopg.Error as error:
        yield f"-- the database cannot be read: {error}"


def _of_row(row: dict[str, Any]) -> str:
    return "   " + " ".join(f"{name}={value}" for name, value in row.items() if value is not None)


def _in_the_actors(system: TradingSystem) -> Iterator[str]:
    inspector = system.inspector
    for status in inspector.actors():
        doing = f", {status.doing} for {status.busy_for:.1f} s" if status.busy_for is not None else ""
        yield f"-- {status.actor}: {status.state}{doing}, {status.restarts} restarts, {status.handled} handled"
        for name, value in inspector.state(status.actor).items():
            yield f"   {name}: {str(value)[:MAX_VALUE_LENGTH]}"
        mailbox = inspector.inbox(status.actor, MAX_WAITING)
        if mailbox["waiting"]:
            yield f"   {mailbox['waiting']} messages wait: {[one['message'] for one in mailbox['first']]}"
        yield from _of_stack(inspector.stack(status.actor))


def _in_the_threads(system: TradingSystem) -> Iterator[str]:
    for thread in threading.enumerate():
        if thread.name not in system.inspector.names:
            yield f"-- thread {thread.name}:"
            yield from _of_stack(stack_of(thread) or "its thread is gone\n")


def _of_stack(stack: str) -> Iterator[str]:
    """Yield the last places of a stack: those before are pykka's and Python's own."""
    places = [line.strip() for line in stack.splitlines() if line.startswith("  File")]
    yield from (f"   at {place.removeprefix('File ')}" for place in places[-8:])


@dataclass(frozen=True, slots=True)
class Completion:
    """Waits for a running system to finish its work; where it does not, the error says what it is about.

    Attributes:
        url: of its database.
        log: see `log_kept`.
    """

    system: TradingSystem
    url: str
    log: Sequence[str] = ()

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until ``condition`` is true.

        Raises:
            AssertionError: it is not within ``seconds``; the message says what is not finished.
        """
        try:
            until(condition, seconds)
        except AssertionError as error:
            lines = [f"{error}:", unfinished(self.system, self.url), "-- the log:", *self.log]
            raise AssertionError("\n".join(lines)) from None

    def until_all_ended(self, seconds: float) -> None:
        """Wait until each decision and each request for an account has an outcome; see `until`."""
        self.until(lambda: all_ended(self.system.ledger_reader), seconds)
