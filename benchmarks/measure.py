"""The measurements: decisions a second, and the time from a committed INSERT to the committed fill."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from benchmarks.bare import Group, Mirror
from benchmarks.database import connect
from benchmarks.decisions import COLUMNS, Row

WINDOW = 500
"""Decisions under way that are asked for at once; named one by one, so that the primary key is used for certain."""
LIMIT = 120.0
"""Seconds after which a measurement ends with an error."""
INSERT = f"INSERT INTO trading_decisions ({COLUMNS}) VALUES ({{}}) RETURNING id"
PLACES = sql.SQL(INSERT)


@dataclass(frozen=True, slots=True)
class Burst:
    """Decisions that were all there at once.

    Attributes:
        count: of decisions.
        seconds: from the COMMIT that inserted them all until the COMMIT that ended the last one was heard of.
        commits: transactions that ended them.
    """

    count: int
    seconds: float
    commits: int

    @property
    def rate(self) -> float:
        """Decisions a second."""
        return self.count / self.seconds


@dataclass(frozen=True, slots=True)
class Delays:
    """Milliseconds that decisions took, one by one.

    Attributes:
        seen: until the committed outcome was read in another session.
        processed: until ``processed_at``, the first statement of the transaction that wrote the fill.
    """

    seen: Sequence[float]
    processed: Sequence[float]


def burst(database_url: str, rows: Sequence[Row]) -> Burst:
    """Insert decisions in one transaction and wait until the system has ended them all.

    The clock runs from the sending of that COMMIT, which wakes the system. It stops at the notification that follows
    the last outcome's COMMIT; which one that is, is asked after each. A portfolio's decisions end in their order, so it
    suffices to ask for the last one of each.
    """
    with connect(database_url) as connection, connect(database_url) as listener:
        listener.execute("LISTEN paper_outcomes")
        with connection.transaction(), connection.cursor() as cursor:
            with cursor.copy(f"COPY trading_decisions ({COLUMNS}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            # Nobody else sees these rows yet, and nothing else is pending.
            pending = "FROM trading_decisions WHERE processed_at IS NULL AND status = 'pending'"
            newest = cursor.execute(f"SELECT max(id), count(*) {pending} GROUP BY portfolio").fetchall()
            assert sum(count for _, count in newest) == len(rows)
            last = [id_ for id_, _ in newest]
            begin = time.perf_counter()
        commits = 0
        while time.perf_counter() < begin + LIMIT:
            for _ in listener.notifies(timeout=1):
                end = time.perf_counter()
                commits += 1
                left = "SELECT id FROM trading_decisions WHERE id = ANY(%s) AND processed_at IS NULL"
                last = [id_ for (id_,) in connection.execute(left, [last]).fetchall()]
                if not last:
                    return Burst(len(rows), end - begin, commits)
    msg = f"the system has not ended {len(rows)} decisions within {LIMIT:g} s"
    raise RuntimeError(msg)


def bare_burst(mirror: Mirror, groups: Sequence[Group]) -> Burst:
    """Write what the system wrote, with the bare loop."""
    return Burst(sum(len(group.ids) for group in groups), mirror.seconds(groups), len(groups))


def trickle(database_url: str, rows: Sequence[Row], rate: float) -> Delays:
    """Insert decisions one by one, evenly, and find out how long each took; every time is of the server's clock.

    One session inserts and, in the same message, asks for the time after COMMIT. Another one, woken by the notification
    that follows a fill's COMMIT, reads the outcomes that it finds and the time: a decision counts from the one until
    the other, the wake-up and the query of that second session included.

    Args:
        database_url: where the system works.
        rows: decisions.
        rate: decisions a second.
    """
    inserted: list[tuple[int, datetime]] = []
    failed: list[BaseException] = []

    def insert() -> None:
        try:
            with connect(database_url) as connection:
                begin = time.perf_counter()
                for number, row in enumerate(rows):
                    time.sleep(max(0.0, begin + number / rate - time.perf_counter()))
                    inserted.append(_insert(connection, row))
        except BaseException as error:  # noqa: BLE001 - the thread that waits for this one raises it
            failed.append(error)

    seen: dict[int, tuple[datetime, datetime]] = {}
    deadline = time.perf_counter() + len(rows) / rate + LIMIT
    with connect(database_url) as reader, connect(database_url) as listener:
        listener.execute("LISTEN paper_outcomes")
        first = reader.execute("SELECT coalesce(max(id), 0) FROM trading_decisions").fetchone()
        assert first is not None
        done: int = first[0]
        inserter = threading.Thread(target=insert, name="inserter", daemon=True)
        inserter.start()
        ended = (
            "SELECT id, processed_at, clock_timestamp() FROM trading_decisions"
            " WHERE id = ANY(%s) AND processed_at IS NOT NULL"
        )
        while len(seen) < len(rows) and not failed and time.perf_counter() < deadline:
            for _ in listener.notifies(timeout=1):
                for id_, processed_at, now in reader.execute(ended, [list(range(done + 1, done + WINDOW))]).fetchall():
                    seen.setdefault(id_, (processed_at, now))
                # All ids up to this one are known, so that the next query reads few rows.
                while done + 1 in seen:
                    done += 1
                if len(seen) == len(rows):
                    break
        inserter.join(timeout=5)
    if failed:
        raise failed[0]
    if len(seen) < len(rows):
        msg = f"the system has ended {len(seen)} of {len(rows)} decisions within {LIMIT:g} s"
        raise RuntimeError(msg)
    return Delays(
        [_milliseconds(seen[id_][1], committed) for id_, committed in inserted],
        [_milliseconds(seen[id_][0], committed) for id_, committed in inserted],
    )


def bare_trickle(mirror: Mirror, groups: Sequence[Group], rate: float) -> list[float]:
    """Write groups of one at the same pace with the bare loop; return the milliseconds of each transaction."""
    begin = time.perf_counter()
    taken = []
    for number, group in enumerate(groups):
        time.sleep(max(0.0, begin + number / rate - time.perf_counter()))
        taken.append(1000 * mirror.seconds([group]))
    return taken


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that ``percent`` of the values do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _insert(connection: psycopg.Connection, row: Row) -> tuple[int, datetime]:
    values = sql.SQL(", ").join(map(sql.Literal, row))
    statements = sql.SQL("BEGIN; {}; COMMIT; SELECT clock_timestamp()").format(PLACES.format(values))
    with connection.cursor() as cursor:
        cursor.execute(statements)
        answers = [cursor.fetchone() if result.description else None for result in cursor.results()]
    (id_,), (committed,) = [answer for answer in answers if answer is not None]
    return id_, committed


def _milliseconds(later: datetime, earlier: datetime) -> float:
    return (later - earlier).total_seconds() * 1000
