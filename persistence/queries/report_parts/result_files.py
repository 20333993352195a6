"""The results of a report as CSV: round trips, results by group, and buying and holding. Their rows are in no table.

PostgreSQL computes the first two, so that a year of them needs no memory here; `domain.analytics.trade_stats` defines
the same groups for screens, and a test compares both.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from domain.analytics.report_parts.buy_and_hold import BuyAndHold
from domain.analytics.trade_stats import CONFIDENCE_BUCKETS, NO_STRATEGY, UNKNOWN
from domain.trading.arithmetic import plain

# In each statement, {portfolio} is a condition on the column of that name, and {since} and {until} bound the period.
OPENINGS = """
openings AS (
    SELECT DISTINCT ON (f.position_id) f.position_id, f.asset_class, o.decision_id, o.strategy, f.filled_at,
           CASE f.side WHEN 'BUY' THEN 'LONG' ELSE 'SHORT' END AS side
    FROM paper_fills f JOIN paper_orders o USING (order_id) WHERE f.{portfolio}
    ORDER BY f.position_id, coalesce(f.version, o.seq)
), ended AS (
    SELECT t.position_id, (array_agg(t.symbol ORDER BY t.exit_time))[1] AS symbol, min(t.portfolio) AS portfolio,
           min(t.entry_time) AS opened_at, max(t.exit_time) AS closed_at, sum(t.realized_pnl) AS gross_pnl,
           sum(t.commission) AS commission, sum(t.net_pnl) AS net_pnl,
           (array_agg(t.order_id ORDER BY t.exit_time DESC) FILTER (WHERE t.closes))[1] AS closing_order_id
    FROM paper_trades t WHERE t.{portfolio} GROUP BY t.position_id
    HAVING bool_or(t.closes) AND max(t.exit_time) >= {since} AND max(t.exit_time) < {until}
)
"""

TIME = """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""

EXIT_BY = """CASE WHEN o.order_id IS NULL THEN 'write-off' WHEN o.parent IS NULL THEN 'decision'
            WHEN o.order_type = 'trailing_stop' THEN 'trailing stop'
            WHEN o.order_type IN ('stop', 'stop_limit') THEN 'stop loss' ELSE 'take profit' END"""
"""What made a position flat, by the order ``o`` of its last closing."""

ROUND_TRIPS = f"""
WITH {OPENINGS}
SELECT e.portfolio, e.position_id, e.symbol, p.asset_class, p.side, nullif(p.strategy, '') AS strategy,
       {TIME.format("e.opened_at")} AS opened_at, {TIME.format("e.closed_at")} AS closed_at,
       e.closed_at - e.opened_at AS hold_duration, trim_scale(e.gross_pnl) AS gross_pnl,
       trim_scale(e.commission) AS commission, trim_scale(e.net_pnl) AS net_pnl, p.decision_id,
       trim_scale(d.confidence::text::numeric) AS confidence, d.reasoning, o.decision_id AS exit_decision_id,
       {EXIT_BY} AS exit_by,
       CASE WHEN o.parent IS NULL THEN x.reasoning END AS exit_reasoning
FROM ended e
LEFT JOIN openings p USING (position_id)
LEFT JOIN trading_decisions d ON d.id = p.decision_id
LEFT JOIN paper_orders o ON o.order_id = e.closing_order_id
LEFT JOIN trading_decisions x ON x.id = o.decision_id
ORDER BY e.closed_at, e.position_id
"""

GROUPS = f"""
WITH {OPENINGS}, records AS (
    SELECT portfolio, position_id, symbol, NULL::numeric AS trip, realized_pnl AS gross, net_pnl AS net,
           0::numeric AS commission, 0::numeric AS slippage, 0::numeric AS spread, 0::numeric AS traded
    FROM paper_trades WHERE {{portfolio}} AND exit_time >= {{since}} AND exit_time < {{until}}
    UNION ALL
    SELECT f.portfolio, f.position_id, f.symbol, NULL, 0, 0, f.commission,
           CASE f.fill_no WHEN 1 THEN o.slippage ELSE 0 END, coalesce(f.spread_cost, 0), f.notional
    FROM paper_fills f JOIN paper_orders o USING (order_id)
    WHERE f.{{portfolio}} AND f.filled_at >= {{since}} AND f.filled_at < {{until}}
    UNION ALL
    SELECT portfolio, position_id, symbol, net_pnl, 0, 0, 0, 0, 0, 0 FROM ended
)
SELECT r.portfolio, g.dimension, g.name, count(r.trip) AS total_trades,
       count(*) FILTER (WHERE r.trip > 0) AS winning_trades,
       count(*) FILTER (WHERE r.trip < 0) AS losing_trades,
       trim_scale(round(count(*) FILTER (WHERE r.trip > 0)::numeric / nullif(count(r.trip), 0), 12)) AS win_rate,
       trim_scale(sum(r.gross)) AS gross_pnl, trim_scale(sum(r.net)) AS net_pnl,
       trim_scale(sum(r.commission)) AS total_commission, trim_scale(sum(r.slippage)) AS total_slippage,
       trim_scale(sum(r.spread)) AS total_spread, trim_scale(sum(r.traded)) AS traded
FROM records r
LEFT JOIN openings p USING (position_id)
LEFT JOIN trading_decisions d ON d.id = p.decision_id
CROSS JOIN LATERAL (
    SELECT least(floor(d.confidence::text::numeric * {CONFIDENCE_BUCKETS}), {CONFIDENCE_BUCKETS - 1}) AS bucket) b
CROSS JOIN LATERAL (VALUES
    (1, 'symbol', r.symbol), (2, 'strategy', coalesce(nullif(p.strategy, ''), '{NO_STRATEGY}')),
    (3, 'confidence', coalesce(round(b.bucket / {CONFIDENCE_BUCKETS}, 1) || ' to '
                               || round((b.bucket + 1) / {CONFIDENCE_BUCKETS}, 1), '{UNKNOWN}')),
    (4, 'hour', coalesce(to_char(p.filled_at AT TIME ZONE 'UTC', 'HH24:00'), '{UNKNOWN}')),
    (5, 'asset_class', p.asset_class), (6, 'side', p.side)) g (place, dimension, name)
GROUP BY r.portfolio, g.place, g.dimension, g.name ORDER BY r.portfolio, g.place, g.name COLLATE "C"
"""

HOLDING_COLUMNS = "portfolio", "name", "symbols", "traded", "named", "since", "until", "change", "reason"


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A file whose rows a query computes.

    Attributes:
        file: name of the file, without ``.csv``.
        query: a SELECT.
        texts: its columns with texts from outside, which a spreadsheet could run as formulas.
    """

    file: str
    query: str
    texts: tuple[str, ...]


RESULT_FILES = (
    ResultFile("round_trips", ROUND_TRIPS, ("portfolio", "symbol", "strategy", "reasoning", "exit_reasoning")),
    ResultFile("results_by_group", GROUPS, ("portfolio", "name")),
)
HOLDING_FILE = "buy_and_hold"


def result_query(
    file: ResultFile, portfolio: sql.Composable, since: sql.Composable, until: sql.Composable
) -> sql.Composed:
    """Return the SELECT of a file.

    Args:
        file: one of `RESULT_FILES`.
        portfolio: condition on the column ``portfolio``.
        since: beginning of the period.
        until: end of the period, not in it.
    """
    return sql.SQL(file.query).format(portfolio=portfolio, since=since, until=until)


def holding_rows(portfolio: str, results: Sequence[BuyAndHold]) -> bytes:
    """Return what buying and holding brought as lines of CSV, without the header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for one in results:
        change = "" if one.change.value is None else plain(one.change.value)
        writer.writerow([
            portfolio, one.name, " ".join(one.symbols), str(one.traded).lower(), str(one.named).lower(),
            f"{one.since:%Y-%m-%dT%H:%M:%S.%fZ}", f"{one.until:%Y-%m-%dT%H:%M:%S.%fZ}", change, one.change.reason or "",
        ])  # fmt: skip
    return text.getvalue().encode()
