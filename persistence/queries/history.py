"""The history of a portfolio, from which its performance metrics are computed, from one snapshot of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import psycopg
from sqlalchemy.engine import Engine

from domain.analytics.performance import History
from domain.analytics.returns import Valuation
from domain.analytics.round_trips import Execution
from domain.trading.account.trades import Trade
from domain.types import PositionSide
from persistence.connections import transaction
from persistence.rows import columns_of, one_row
from persistence.stores import portfolios

Progress = Callable[[int, int], None]
"""Called with the number of rows read and the number of all rows."""
T = TypeVar("T")
ROWS_PER_CHUNK = 1_000
"""Rows that are converted before progress is reported and other threads may run."""

# A closed portfolio has no days after its end. A database that was filled by hand may have snapshots that are older
# than the row of their portfolio.
OPENING = """
SELECT least(paper_now(), c.closed_at), c.initial_capital,
       least(c.created_at, (SELECT min(s.time) FROM v_paper_snapshots s WHERE s.portfolio = c.portfolio)),
       EXISTS (SELECT FROM paper_account_events e
               WHERE e.portfolio = c.portfolio AND e.kind IN ('deposit', 'withdrawal'))
FROM paper_trading_config c WHERE c.portfolio = %s
"""

TRADES = f"""
SELECT {", ".join(columns_of(Trade))}
FROM paper_trades WHERE portfolio = %(portfolio)s ORDER BY exit_time, order_id, fill_no
"""

# Side and strategy of a position are those of the fill that opened it: an order that rested may fill long after later
# ones. Before orders rested, the number of an order was the version of its fill. An order's slippage is that of its
# first fill. An adopted table of decisions may hold floats.
EXECUTIONS = """
SELECT f.position_id, f.symbol, f.asset_class,
       first_value(CASE f.side WHEN 'BUY' THEN 'LONG' ELSE 'SHORT' END) OVER held,
       first_value(o.strategy) OVER held,
       f.notional, f.commission, CASE f.fill_no WHEN 1 THEN o.slippage ELSE 0 END, f.filled_at,
       coalesce(f.spread_cost, 0), o.decision_id, d.confidence::text::numeric
FROM paper_fills f JOIN paper_orders o USING (order_id) LEFT JOIN trading_decisions d ON d.id = o.decision_id
WHERE f.portfolio = %(portfolio)s
WINDOW held AS (PARTITION BY f.position_id ORDER BY coalesce(f.version, o.seq))
ORDER BY coalesce(f.version, o.seq)
"""

# All snapshots, or those of a period and the last one before it.
VALUATIONS = """
SELECT time, total_value, positions_value, net_deposits FROM v_paper_snapshots WHERE portfolio = %(portfolio)s
AND time >= coalesce((SELECT max(time) FROM v_paper_snapshots
                      WHERE portfolio = %(portfolio)s AND time <= %(since)s), '-infinity')
AND time <= coalesce(%(until)s::timestamptz, 'infinity')
ORDER BY time
"""

# Of those, the ones that determine daily closes and the largest drawdown: each peak, each new low after it, and the
# last of each day and of all. They are a few thousand rows of a year of minutes, and give the same metrics.
THINNED = f"""
WITH line AS (
    SELECT *, lead(time) OVER (ORDER BY time) AS next,
           max(total_value) OVER (ORDER BY time ROWS UNBOUNDED PRECEDING) AS peak
    FROM ({VALUATIONS}) valuations
), falls AS (
    SELECT *, min(total_value) OVER (
                  PARTITION BY peak ORDER BY time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS low
    FROM line
)
SELECT time, total_value, positions_value, net_deposits FROM falls
WHERE total_value = peak OR low IS NULL OR total_value < low OR next IS NULL
   OR date_trunc('day', time - interval '1 microsecond', 'UTC')
      <> date_trunc('day', next - interval '1 microsecond', 'UTC')
ORDER BY time
"""


@contextmanager
def consistent_read(engine: Engine) -> Iterator[psycopg.Cursor]:
    """Run a read-only transaction in which all queries see the same snapshot of the database."""
    with transaction(engine) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield cursor


def read_history(
    cursor: psycopg.Cursor,
    portfolio: str,
    progress: Progress | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    thinned: bool = False,
) -> History:
    """Return everything that the performance metrics of a portfolio are computed from.

    Args:
        cursor: of `consistent_read`.
        portfolio: its id.
        progress: called as rows are read; a year of minute snapshots takes seconds.
        since: read the snapshots from then on, and the last one before, which `History.during` needs. None: all.
        until: read the snapshots up to then. None: all.
        thinned: leave out snapshots that neither daily closes nor the largest drawdown need: a year of minutes then
            takes the database's time instead of seconds of this process. `exposure` would differ.

    Raises:
        UnknownPortfolio: there is none of that name.
    """
    opening = cursor.execute(OPENING, [portfolio]).fetchone()
    if opening is None:
        raise portfolios.unknown(portfolio)
    now, capital, first, has_flows = opening
    reader = _Reader(cursor, {"portfolio": portfolio, "since": since, "until": until}, progress)
    return History.full(
        opening=Valuation(first, capital),
        until=now,
        trades=reader.read(TRADES, _with_side(Trade, 6)),
        executions=reader.read(EXECUTIONS, _with_side(Execution, 3)),
        # Peaks and falls of the value mean nothing where cash was paid in or out.
        valuations=reader.read(THINNED if thinned and not has_flows else VALUATIONS, Valuation._make),
    )


class _Reader:
    """Reads rows and reports the progress."""

    def __init__(self, cursor: psycopg.Cursor, parameters: Mapping[str, object], progress: Progress | None) -> None:
        self._cursor = cursor
        self._parameters = parameters
        self._progress = progress
        self._done = 0
        self._all = 0
        if progress is None:
            return
        (self._all,) = one_row(
            cursor,
            "SELECT (SELECT count(*) FROM paper_trades WHERE portfolio = %(portfolio)s)"
            " + (SELECT count(*) FROM paper_fills WHERE portfolio = %(portfolio)s)"
            f" + (SELECT count(*) FROM ({VALUATIONS}) valuations)",
            parameters,
        )

    def read(self, statement: str, convert: Callable[[tuple[Any, ...]], T]) -> tuple[T, ...]:
        """Return the converted rows."""
        values: list[T] = []
        # Streamed: the database goes on while rows are converted, and memory does not hold them twice.
        size = ROWS_PER_CHUNK if psycopg.capabilities.has_stream_chunked() else 1
        rows = self._cursor.stream(statement.encode(), self._parameters, size=size)
        while chunk := list(islice(rows, ROWS_PER_CHUNK)):
            values.extend(map(convert, chunk))
            self._done += len(chunk)
            if self._progress is not None:
                self._progress(self._done, self._all)
        return tuple(values)


def _with_side(kind: Callable[..., T], position: int) -> Callable[[tuple[Any, ...]], T]:
    """Return the function that makes a ``kind`` of a row, which has the text of a `PositionSide` at ``position``."""
    return lambda row: kind(*row[:position], PositionSide(row[position]), *row[position + 1 :])
