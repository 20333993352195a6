"""The metrics that come from the database: value of each portfolio, waiting decisions, holder of the lease.

They are read every few seconds for years. So each query uses an index and must end within 1 s (`SET_TIMEOUT`), and of
the snapshots only those that are newer than the last read are read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from loguru import logger
from sqlalchemy import Connection, exc, text

from domain.trading.arithmetic import ZERO, add, divide, subtract
from domain.trading.decision import EARLIEST_TIME
from persistence.connections import engine_for, reading
from persistence.error_translation import first_line
from persistence.queries.live_view import PORTFOLIOS, POSITIONS, WAITING, Row, with_value
from persistence.queries.row_lists import SERVED
from persistence.rows import selected

SET_TIMEOUT = "SET LOCAL statement_timeout = '1s'"
SNAPSHOTS_PER_READ = 20_000
"""Snapshots per query, which takes some 50 ms."""
READ_TIME_S = 0.4
"""Part of a scrape's time that may go into reading snapshots."""

LAST_AUDIT = "SELECT paper_now() - at AS ago FROM paper_audits ORDER BY at DESC LIMIT 1"
SIZES = "SELECT database_bytes, tables FROM paper_storage_samples WHERE at <= paper_now() ORDER BY at DESC LIMIT 1"
CREATED = "SELECT portfolio AS portfolio_id, created_at FROM paper_trading_config"

# Without this a planner that has no statistics reads and sorts the whole table for each query.
ALONG_THE_INDEX = "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)"

# The definition is that of v_paper_performance_metrics, which reads all snapshots. Only a deposit or withdrawal during
# a fall makes a difference: here it moves the peak by its amount, there it scales what follows.
FALLS = """
WITH line AS (
    SELECT time, total_value - net_deposits AS gained, net_deposits FROM v_paper_snapshots
    WHERE portfolio = :portfolio AND time > :last ORDER BY time LIMIT :number
), peaks AS (
    SELECT time, gained, net_deposits, greatest(CAST(:peak AS numeric), max(gained) OVER (ORDER BY time)) AS peak
    FROM line
)
SELECT count(*) AS number, max(time) AS last, max(peak) AS peak,
       max((peak - gained) / (peak + net_deposits)) FILTER (WHERE peak + net_deposits > 0) AS deepest
FROM peaks
"""


@dataclass(frozen=True, slots=True)
class Decline:
    """The drawdown of a portfolio, as far as its snapshots have been read.

    Attributes:
        peak: the highest value less the deposits until then, at least the initial capital.
        last: time of the newest snapshot read.
        deepest: the largest fall from a peak, as a fraction of it.
        complete: whether all snapshots have been read.
    """

    peak: Decimal
    last: datetime = EARLIEST_TIME
    deepest: Decimal = ZERO
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """A portfolio with its drawdown.

    Attributes:
        row: of `persistence.queries.live_view.PORTFOLIOS`, with ``worth`` and ``held``.
        drawdown: fall from the highest value to the current one, a fraction; None until all snapshots have been read.
        max_drawdown: the largest fall between snapshots or now; None until all snapshots have been read.
    """

    row: Row
    drawdown: Decimal | None
    max_drawdown: Decimal | None


@dataclass(frozen=True, slots=True)
class Reading:
    """The metrics from one snapshot of the database.

    Attributes:
        portfolios: with their drawdowns.
        waiting: decisions without outcome, at most `persistence.queries.live_view.MAX_WAITING`.
        served: holder of the lease, since when, and whether it runs; see `persistence.queries.row_lists.SERVED`.
        audited_ago: time since the last audit, by any process; None if there was none.
        database_bytes: size of the whole database, as last measured, at most an hour ago; None before.
        table_bytes: size of each table with its indexes, at the same time.
    """

    portfolios: Sequence[Standing]
    waiting: int
    served: Mapping[str, Any]
    audited_ago: timedelta | None
    database_bytes: int | None = None
    table_bytes: Mapping[str, int] = field(default_factory=dict)


class MetricsReader:
    """Reads metrics on one read-only connection, in one thread at a time.

    Args:
        database_url: of the database.
        read_time: seconds of a call in which snapshots are read; a long history takes several calls.
    """

    def __init__(self, database_url: str, read_time: float = READ_TIME_S) -> None:
        self._read_time = read_time
        engine = engine_for(database_url, "metrics")
        self._engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        # By id and creation time: a new portfolio may take the id of a deleted one.
        self._declines: dict[tuple[str, datetime], Decline] = {}

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def look(self) -> Reading:
        """Return the current metrics.

        Raises:
            DatabaseError: the database does not answer, or not in time.
        """
        with reading(self._engine) as connection:
            connection.execute(text(SET_TIMEOUT))
            positions = selected(connection, POSITIONS)
            portfolios = [with_value(row, positions) for row in selected(connection, PORTFOLIOS)]
            waiting = selected(connection, WAITING)[0]["number"]
            served = selected(connection, SERVED)[0]
            audits = selected(connection, LAST_AUDIT)
            samples: list[Row] = selected(connection, SIZES) or [{"database_bytes": None, "tables": {}}]
            created = {row["portfolio_id"]: row["created_at"] for row in selected(connection, CREATED)}
            ids = [row["portfolio_id"] for row in portfolios]
            capitals = {(id_, created[id_]): row["initial_capital"] for id_, row in zip(ids, portfolios, strict=True)}
            self._declines = {key: self._declines.get(key, Decline(capital)) for key, capital in capitals.items()}
            self._read_history(connection)
        standings = [_standing(row, self._declines[key]) for row, key in zip(portfolios, capitals, strict=True)]
        audited_ago = audits[0]["ago"] if audits else None
        return Reading(standings, waiting, served, audited_ago, samples[0]["database_bytes"], samples[0]["tables"])

    def _read_history(self, connection: Connection) -> None:
        """Read the snapshots that are newer than the last read; after an error the next call reads them."""
        end = time.monotonic() + self._read_time
        try:
            connection.execute(text(ALONG_THE_INDEX))
            for key in self._declines:
                self._read_on(connection, key, end)
        except exc.DBAPIError as error:
            logger.debug("the history of snapshots is read later: {}", first_line(error))

    def _read_on(self, connection: Connection, key: tuple[str, datetime], end: float) -> None:
        while time.monotonic() < end:
            before = self._declines[key]
            parameters = {"portfolio": key[0], "last": before.last, "peak": before.peak, "number": SNAPSHOTS_PER_READ}
            (row,) = selected(connection, FALLS, **parameters)
            self._declines[key] = Decline(
                peak=row["peak"] or before.peak,
                last=row["last"] or before.last,
                deepest=max(before.deepest, row["deepest"] or ZERO),
                complete=row["number"] < SNAPSHOTS_PER_READ,
            )
            if self._declines[key].complete:
                return
        self._declines[key] = replace(self._declines[key], complete=False)


def _standing(row: Row, decline: Decline) -> Standing:
    if not decline.complete:
        return Standing(row, None, None)
    gained = subtract(row["worth"], row["net_deposits"])
    peak = max(decline.peak, gained)
    in_money = add(peak, row["net_deposits"])
    fall = divide(subtract(peak, gained), in_money) if in_money > ZERO else ZERO
    return Standing(row, fall, max(fall, decline.deepest))
