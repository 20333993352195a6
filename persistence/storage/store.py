"""What grows: hourly sizes of the tables, and the thinning of prices that nothing rests on."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb

from domain.analytics.report_parts.buy_and_hold import USUAL
from persistence import schema
from persistence.connections import transaction
from persistence.lease import writing
from persistence.rows import one_row
from persistence.storage.sizes import table_sizes
from persistence.stores.store import Store

SAMPLE_AGE = timedelta(minutes=59)
"""A new sample is stored when the last one is older, whatever process stored it."""
SAMPLES_KEPT = timedelta(days=90)
LATE_COMMIT = timedelta(hours=1)
"""A decision may be committed this long after its `created_at`, and is still found."""
BATCH = timedelta(hours=2)
"""Length of the time whose prices of one symbol are thinned in one transaction: 7 200 rows, some 100 ms."""

LAST_SAMPLE = "SELECT max(at) FROM paper_storage_samples WHERE at <= %s"
LETTERS = "translate(upper(symbol), '/-_: ', '')"
"""As `domain.trading.instruments` compares the spellings of a symbol."""
# Orders have the symbol of the market, decisions that of their sender. A position or a fill has an order.
TRADED = f"""
SELECT DISTINCT {LETTERS} FROM (
    SELECT symbol FROM trading_decisions WHERE created_at >= %(since)s
    UNION ALL SELECT symbol FROM paper_orders WHERE created_at >= %(since)s
    UNION ALL SELECT symbol FROM paper_positions
    UNION ALL SELECT symbol FROM trading_decisions WHERE processed_at IS NULL
) named WHERE symbol IS NOT NULL
"""
ADD_TRADED = """
INSERT INTO paper_traded_symbols (letters, found_at) SELECT unnest(%s::text[]), %s ON CONFLICT DO NOTHING
"""
ADD_SAMPLE = """
INSERT INTO paper_storage_samples (at, database_bytes, tables) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""
FORGET_SAMPLES = "DELETE FROM paper_storage_samples WHERE at < %s"
# Steps from one symbol to the next along the key, instead of over all prices.
UNTRADED = f"""
WITH RECURSIVE known AS (
    (SELECT symbol FROM market_prices ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (SELECT m.symbol FROM market_prices m WHERE m.symbol > known.symbol ORDER BY m.symbol LIMIT 1)
    FROM known WHERE known.symbol IS NOT NULL
)
SELECT symbol FROM known
WHERE symbol IS NOT NULL AND {LETTERS} NOT IN (SELECT letters FROM paper_traded_symbols)
  AND regexp_replace(symbol, '[/:_-].*', '') <> ALL(%s) AND EXISTS (SELECT FROM paper_storage_samples)
ORDER BY symbol
"""
"""Without a sample it is not known what was traded. Reports compare with holding the usual symbols, traded or not."""
NEXT_SPAN = """
SELECT date_trunc('minute', %(before)s), date_trunc('minute', (
    SELECT m.time FROM market_prices m
    WHERE m.symbol = %(symbol)s AND m.time < date_trunc('minute', %(before)s) AND m.time >= coalesce(
        (SELECT until FROM paper_thinned_prices WHERE symbol = %(symbol)s), '-infinity')
    ORDER BY m.time LIMIT 1))
"""
# The last price of each minute stays, and becomes the bar of its minute: with the extremes of all. These are unknown
# where one row has none.
THIN = """
WITH minutes AS (
    SELECT source, date_trunc('minute', time) AS minute, max(time) AS last,
           CASE WHEN bool_and(high IS NOT NULL) THEN max(high) END AS high,
           CASE WHEN bool_and(low IS NOT NULL) THEN min(low) END AS low,
           max(bid_high) AS bid_high, min(ask_low) AS ask_low
    FROM market_prices WHERE symbol = %(symbol)s AND time >= %(begin)s AND time < %(end)s
    GROUP BY 1, 2 HAVING count(*) > 1
), kept AS (
    UPDATE market_prices m SET high = n.high, low = n.low, bid_high = n.bid_high, ask_low = n.ask_low
    FROM minutes n
    WHERE m.symbol = %(symbol)s AND m.time >= %(begin)s AND m.time < %(end)s AND m.source = n.source AND m.time = n.last
), removed AS (
    DELETE FROM market_prices m USING minutes n
    WHERE m.symbol = %(symbol)s AND m.time >= %(begin)s AND m.time < %(end)s
      AND m.source = n.source AND m.time >= n.minute AND m.time < n.last
    RETURNING 1
)
SELECT count(*) FROM removed
"""
STORE_PROGRESS = """
INSERT INTO paper_thinned_prices AS t (symbol, until, removed) VALUES (%s, %s, %s)
ON CONFLICT (symbol) DO UPDATE SET until = excluded.until, removed = t.removed + excluded.removed
"""


class StorageStore(Store):
    """The tables of the storage job, and the prices that it thins, on a connection of its own."""

    ACTOR = "Storage"

    def sample(self, at: datetime) -> bool:
        """Store the sizes of the tables and the symbols that were traded, unless the last sample is young.

        Args:
            at: the present time.

        Returns:
            Whether a sample was stored.

        Raises:
            Fenced: another process holds the lease now.
            DatabaseUnavailable: the database does not answer.
        """
        # Read first, without the lease's row: the first time all decisions are read, which may take minutes.
        with transaction(self.engine) as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            (last,) = one_row(cursor, LAST_SAMPLE, [at])
            if last is not None and at - last < SAMPLE_AGE:
                return False
            database, sizes = table_sizes(cursor, schema.own_tables())
            traded = _traded(cursor, last)
        with writing(self.engine, self._lease) as cursor:
            cursor.execute(ADD_TRADED, [traded, at])
            cursor.execute(ADD_SAMPLE, [at, database, Jsonb(sizes)])
            cursor.execute(FORGET_SAMPLES, [at - SAMPLES_KEPT])
        return True

    def untraded_symbols(self) -> list[str]:
        """Return the symbols whose prices may be thinned; none before the first sample.

        No decision, order or position ever named them, and reports do not compare with them by default.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        with transaction(self.engine) as cursor:
            return [symbol for (symbol,) in cursor.execute(UNTRADED, [list(USUAL)]).fetchall()]

    def thin(self, symbol: str, before: datetime) -> int | None:
        """Thin the next hours of a symbol's prices from before a time to one a minute, in one transaction.

        How far it came is stored with it, so that it goes on there after a crash. The time is the caller's: a database
        whose clock was set ahead would thin all.

        Returns:
            The number of rows removed; None where nothing is left to do.

        Raises:
            Fenced: another process holds the lease now.
            DatabaseUnavailable: the database does not answer.
        """
        with writing(self.engine, self._lease) as cursor:
            cutoff, begin = one_row(cursor, NEXT_SPAN, {"symbol": symbol, "before": before})
            if begin is None:
                return None
            end = min(begin + BATCH, cutoff)
            (removed,) = one_row(cursor, THIN, {"symbol": symbol, "begin": begin, "end": end})
            cursor.execute(STORE_PROGRESS, [symbol, end, removed])
            return int(removed)


def _traded(cursor: psycopg.Cursor, last: datetime | None) -> list[str]:
    since = last - LATE_COMMIT if last is not None else None
    rows = cursor.execute(TRADED, {"since": since or "-infinity"}).fetchall()
    return [letters for (letters,) in rows]
