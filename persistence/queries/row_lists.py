"""Rows for the console, reports and callers, as dictionaries. Amounts are Decimals, times are UTC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.analytics.trade_stats import NO_STRATEGY
from domain.errors import DecisionGone
from domain.trading.decision import Decision
from domain.types import DecisionId
from persistence.connections import engine_for, reading
from persistence.lease_session import LEASE_TIMEOUT_S, SESSION_WITH_LEASE
from persistence.queries.listing.row_filter import HAS_STRATEGY, NAMED_ID, Listing, RowFilter, RowList
from persistence.rows import selected, selected_columns
from persistence.storage.growth import Storage, storage
from persistence.stores import portfolios

Row = Mapping[str, Any]

# An adopted table's old rows may hold infinity, or a year that Python cannot represent.
READABLE_TIME = "CASE WHEN {0} >= '0001-01-02' AND {0} < '9999-12-30' THEN {0} END AS {0}"
TIMES = {"created_at", "expires_at"}
DECISION_COLUMNS = (
    "id", "created_at", "status", "outcome_reason", "order_id", "processed_at",
    *(name for name in Decision.model_fields if name != "asset_class"), "sent_by", "received_at",
)  # fmt: skip
LABEL = "label"
"""Column of a list of a table: what people call the portfolio, in whose place the table has an id."""
DECISION_LABEL = "paper_portfolio_label(paper_portfolio_at(d.portfolio, least(d.created_at, d.received_at)))"
"""What people call the portfolio of a decision ``d``: its name, or an earlier life of it."""

DECISIONS = RowList(
    f"""
SELECT {", ".join(READABLE_TIME.format(name) if name in TIMES else name for name in DECISION_COLUMNS)},
       {DECISION_LABEL} AS label
FROM trading_decisions d {{where}}""",
    time="d.created_at",
    of_portfolio=portfolios.DECIDED_IN.format(NAMED_ID),
    order="d.created_at DESC, d.id DESC",
)

ORDERS = RowList(
    "SELECT *, paper_portfolio_label(portfolio) AS label FROM paper_orders {where}",
    time="created_at",
    order="created_at DESC",
    unlisted=frozenset({
        "asset_class", "marks", "marks_no", "rules_version", "tick", "since", "since_at", "step", "min_quantity",
        "min_notional", "quote_currency",
    }),
)  # fmt: skip
TRADES = RowList(
    "SELECT *, paper_portfolio_label(portfolio) AS label FROM paper_trades {where}",
    time="exit_time",
    order="exit_time DESC",
    unlisted=frozenset({"asset_class", "fill_no", "cost", "exit_notional", "entry_commission", "exit_commission"}),
)

STOP_OF_POSITION = """
SELECT min(price) FILTER (WHERE place = 1) AS stop_price, sum(quantity) AS stop_quantity,
       sum(quantity) FILTER (WHERE place = 1) AS first_stop_quantity, min(order_expires_at) AS stop_expires_at
FROM (
    SELECT paper_stop_price(o) AS price, o.quantity - o.filled_quantity AS quantity, o.order_expires_at,
           rank() OVER (ORDER BY paper_stop_price(o) * CASE p.side WHEN 'LONG' THEN -1 ELSE 1 END) AS place
    FROM paper_orders o
    WHERE o.status = 'open' AND o.portfolio = p.portfolio_id AND o.symbol = p.symbol AND o.triggered_at IS NULL
      AND o.stop_price IS NOT NULL AND o.side = CASE p.side WHEN 'LONG' THEN 'SELL' ELSE 'BUY' END
) stops
"""
"""Of a position ``p`` of the view: the price of the stop that the market meets first, the quantity that all its stops
close together, the quantity of those at that price, and when the first of all expires."""

# As the index of pending decisions has it.
WAITING = "SELECT count(*) AS number FROM trading_decisions WHERE processed_at IS NULL AND status = 'pending'"

POSITIONS = RowList(
    f"""
SELECT p.*, s.stop_price, s.stop_quantity, s.first_stop_quantity, s.stop_expires_at
FROM v_paper_open_positions p CROSS JOIN LATERAL ({STOP_OF_POSITION}) s {{where}}""",
    time="opened_at",
    of_portfolio=f"portfolio_id = {NAMED_ID}",
    order="portfolio, symbol",
    limited_order="opened_at DESC, portfolio, symbol",
)
KNOWN_STRATEGIES = f"""
SELECT coalesce({HAS_STRATEGY}, :none) AS strategy FROM trading_decisions
UNION SELECT coalesce({HAS_STRATEGY}, :none) FROM paper_orders ORDER BY 1
"""
"""It reads both tables."""

SERVED = f"""
SELECT l.epoch, l.holder, nullif(l.started_at, '-infinity') AS started_at,
       nullif(r.renewed_at, '-infinity') AS renewed_at, g.generation,
       CASE WHEN isfinite(r.renewed_at) THEN paper_now() - r.renewed_at END AS renewed_ago,
       locked_by IS NOT NULL AND r.serving AND r.renewed_at > paper_now() - interval '{LEASE_TIMEOUT_S:g} seconds'
           AS running, locked_by
FROM paper_lease l, paper_lease_renewal r, paper_generation g, (SELECT {SESSION_WITH_LEASE} AS locked_by) k
"""
"""The serving process, by the database's clock: its session lives, and it has renewed the lease lately."""

# A CANCEL, AMEND or PROTECT names an order that it is about, or that it placed: the fills of that are not its own.
ENDED_DECISIONS = f"""
SELECT d.id, {DECISION_LABEL} AS portfolio, d.symbol, d.decision, d.confidence, d.status, d.outcome_reason,
       o.side, o.filled_quantity AS quantity, o.average_fill_price AS price,
       (SELECT sum(t.net_pnl) FROM paper_trades t WHERE t.order_id = o.order_id) AS net_pnl, e.stop, e.target
FROM trading_decisions d
LEFT JOIN paper_orders o ON o.order_id = d.order_id AND o.filled_quantity > 0
                        AND upper(btrim(d.decision)) NOT IN ('CANCEL', 'AMEND', 'PROTECT')
LEFT JOIN LATERAL (SELECT max(paper_stop_price(x)) AS stop, min(x.limit_price) AS target
                   FROM paper_orders x WHERE x.parent = o.order_id) e ON true
WHERE d.id = ANY(:ids) AND (d.processed_at IS NOT NULL OR d.status = 'open') ORDER BY d.processed_at, d.id
"""

EXECUTION_COUNTS = "SELECT (SELECT count(*) FROM paper_fills) AS fills, (SELECT count(*) FROM paper_trades) AS trades"

PRICE_SOURCES = """
SELECT price_source, bool_and(real_prices) AS real FROM v_paper_fill_sources GROUP BY price_source ORDER BY 1
"""

LAST_DECISION_AGE = """
SELECT paper_now() AS now,
       (SELECT settings ->> 'max_decision_age' FROM paper_processes ORDER BY epoch DESC LIMIT 1) AS age
"""


# A wrong clock has left them; `v_paper_snapshots` leaves them out.
FUTURE_SNAPSHOTS = """
SELECT count(*) AS number, max(time) AS last FROM paper_portfolio_snapshots
WHERE time > paper_now() + interval '2 seconds' AND (CAST(:portfolio AS text) IS NULL OR portfolio = :portfolio)
"""

ACCOUNT_REQUESTS = """
SELECT r.id, paper_portfolio_label(coalesce(e.portfolio, r.portfolio)) AS portfolio, r.kind, r.symbol,
       r.new_symbol, r.amount, r.price,
       r.ratio_new, r.ratio_old, r.reason,
       r.author, r.requested_at, r.status, r.outcome, r.ended_at, e.version, e.at, e.quantity_before, e.quantity,
       e.cash_delta, e.cash, e.orders
FROM paper_account_requests r LEFT JOIN paper_account_events e ON e.request_id = r.id
WHERE CAST(:portfolio AS text) IS NULL
   OR coalesce(coalesce(e.portfolio, r.portfolio) = (SELECT paper_portfolio_id(:portfolio)), true)
ORDER BY r.id DESC, e.portfolio LIMIT :limit
"""


class LedgerReader:
    """Reads rows of the ledger.

    Attributes:
        url: of the database; it may hold a password.
    """

    def __init__(self, database_url: str) -> None:
        self.url = database_url
        self._engine = engine_for(database_url, "reader", pool_size=2)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def rows(self, statement: str, **parameters: object) -> list[dict[str, Any]]:
        """Return the rows of a query as dictionaries.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        with reading(self._engine) as connection:
            return selected(connection, statement, **parameters)

    def listing(self, row_list: RowList, wanted: RowFilter) -> Listing:
        """Return the wanted rows of a list; none of a portfolio that does not exist."""
        with reading(self._engine) as connection:
            columns, rows = selected_columns(connection, row_list.query(wanted), **wanted.parameters)
        names = tuple(name for name in columns if name not in row_list.unlisted and name != LABEL)
        labels = [{"portfolio": row[LABEL]} if LABEL in row else {} for row in rows]
        values = [{name: _exact_value(row[name]) for name in names} for row in rows]
        return Listing(names, [row | label for row, label in zip(values, labels, strict=True)])

    def strategies(self) -> list[str]:
        """Return the strategies of all decisions and orders; ``(none)`` stands for those without one."""
        return [row["strategy"] for row in self.rows(KNOWN_STRATEGIES, none=NO_STRATEGY)]

    def decisions(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the last decisions with their outcomes, newest first."""
        return self.listing(DECISIONS, RowFilter(limit=limit)).rows

    def decision(self, decision_id: object) -> dict[str, Any]:
        """Return one decision with its outcome.

        Raises:
            DecisionGone: there is no such row.
        """
        rows = self.rows(
            f"SELECT d.*, {DECISION_LABEL} AS label FROM trading_decisions d WHERE id = :id", id=decision_id
        )
        if not rows:
            raise DecisionGone(f"there is no decision {decision_id}; if there was one, its row was deleted")
        return exact(labelled(rows[0]))

    def decision_id(self, uid: object) -> DecisionId:
        """Return the id of the decision that was sent with ``uid``.

        Raises:
            DecisionGone: there is no such row.
        """
        rows = self.rows("SELECT id FROM trading_decisions WHERE uid = :uid", uid=uid)
        if not rows:
            raise DecisionGone(f"there is no decision of uid {uid}")
        id_: DecisionId = rows[0]["id"]
        return id_

    def ended_decisions(self, ids: Iterable[int]) -> list[dict[str, Any]]:
        """Return the decisions of ``ids`` that have ended or are open, each with its fills, trades and exits."""
        return self.rows(ENDED_DECISIONS, ids=list(ids))

    def execution_counts(self) -> tuple[int, int]:
        """Return the number of fills and the number of trades."""
        (row,) = self.rows(EXECUTION_COUNTS)
        return row["fills"], row["trades"]

    def orders(self, portfolio: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """Return the last orders, newest first."""
        return self.listing(ORDERS, RowFilter(portfolio, limit=limit)).rows

    def order(self, order_id: object) -> dict[str, Any]:
        """Return one order."""
        return self.rows("SELECT * FROM paper_orders WHERE order_id = :order_id", order_id=order_id)[0]

    def trades(self, portfolio: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """Return the last trades, newest first."""
        return self.listing(TRADES, RowFilter(portfolio, limit=limit)).rows

    def positions(self, portfolio: str | None = None) -> list[dict[str, Any]]:
        """Return the open positions, valued at the last market prices; columns ``stop_…`` are about their stops."""
        return self.listing(POSITIONS, RowFilter(portfolio)).rows

    def portfolios(self) -> list[dict[str, Any]]:
        """Return each portfolio's rules and value, earlier lives after all present ones."""
        return self.rows(
            f"SELECT v.*, {', '.join(f'c.{name}' for name in portfolios.CHANGEABLE)}, c.revision, c.created_at,"
            " h.reason AS halted FROM v_paper_portfolio_overview v"
            " JOIN paper_trading_config c ON c.portfolio = v.portfolio_id"
            " LEFT JOIN v_paper_halted h USING (portfolio_id)"
            " ORDER BY c.replaced_at IS NOT NULL, c.name, c.life"
        )

    def currencies(self) -> dict[str, str]:
        """Return the currency of each portfolio."""
        rows = self.rows("SELECT paper_portfolio_label(portfolio) AS portfolio, currency FROM paper_trading_config")
        return {row["portfolio"]: row["currency"] for row in rows}

    def portfolio(self, name: str) -> dict[str, Any]:
        """Return one portfolio's rules and value.

        Raises:
            UnknownPortfolio: there is none of that name.
        """
        portfolio_id = self.portfolio_id(name)
        return next(row for row in self.portfolios() if row["portfolio_id"] == portfolio_id)

    def portfolio_id(self, name: str) -> str:
        """Return the id of the portfolio that people name, which all tables refer to.

        Args:
            name: that of the portfolio, for its present life; ``name@life`` for an earlier one.

        Raises:
            UnknownPortfolio: there is none; with the most similar name in its message.
        """
        (row,) = self.rows("SELECT paper_portfolio_id(:name) AS id", name=name)
        if row["id"] is None:
            raise portfolios.unknown(name, [other["portfolio"] for other in self.rows(portfolios.NAMES)])
        return str(row["id"])

    def require_portfolio(self, name: str) -> None:
        """Raise unless there is a portfolio of that name; see `portfolio_id`.

        Raises:
            UnknownPortfolio: with the most similar name in its message.
        """
        self.portfolio_id(name)

    def account_requests(self, portfolio: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """Return the last requests for accounts with the events that they became, the newest first."""
        return self.rows(ACCOUNT_REQUESTS, portfolio=portfolio, limit=limit)

    def performance(self, name: str) -> dict[str, Any]:
        """Return one portfolio's row of ``v_paper_performance_metrics``.

        Raises:
            UnknownPortfolio: there is none of that name.
        """
        rows = self.rows(
            "SELECT * FROM v_paper_performance_metrics WHERE portfolio_id = paper_portfolio_id(:name)", name=name
        )
        if not rows:
            self.portfolio(name)
        return rows[0]

    def ledger_differences(self) -> list[dict[str, Any]]:
        """Return a row with a message for each difference in the books; none while they balance."""
        return self.rows("SELECT * FROM v_paper_ledger_check")

    def outcomes(self) -> dict[str, int]:
        """Return the number of decisions of each status."""
        counts = self.rows("SELECT status, count(*) AS number FROM trading_decisions GROUP BY status ORDER BY status")
        return {row["status"]: row["number"] for row in counts}

    def waiting(self) -> int:
        """Return the number of decisions without an outcome whose order does not rest either."""
        return int(self.rows(WAITING)[0]["number"])

    def quarantined(self) -> int:
        """Return the number of decisions and messages in quarantine, because an actor crashed on them twice."""
        return int(self.rows("SELECT count(*) AS number FROM v_paper_quarantine")[0]["number"])

    def quarantine(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the last decisions and messages in quarantine, newest first."""
        return self.rows("SELECT * FROM v_paper_quarantine ORDER BY at DESC LIMIT :limit", limit=limit)

    def halted(self) -> list[dict[str, Any]]:
        """Return the halted portfolios, each with the reason, the author and the time of the halt."""
        return self.rows("SELECT * FROM v_paper_halted ORDER BY portfolio")

    def future_snapshots(self, portfolio: str | None = None) -> dict[str, Any]:
        """Return the number of snapshots that are dated in the future, and the time of the last; None without one."""
        return self.rows(FUTURE_SNAPSHOTS, portfolio=portfolio)[0]

    def storage(self) -> Storage:
        """Return the size of the database, and by how much it grows."""
        return storage(self._engine)

    def price_sources(self) -> dict[str, list[str]]:
        """Return the sources of the prices of all fills; see `by_reality`."""
        return by_reality((row["price_source"], row["real"]) for row in self.rows(PRICE_SOURCES))

    def last_decision_age(self) -> tuple[datetime, float | None]:
        """Return the database's time, and the last process's `max_decision_age`; None if it stored none."""
        (row,) = self.rows(LAST_DECISION_AGE)
        return row["now"], None if row["age"] is None else float(row["age"])

    def served(self) -> dict[str, Any]:
        """Return the holder of the lease, since when, whether it runs now, and the session that has the lease."""
        return self.rows(SERVED)[0]


def labelled(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a table with what people call its portfolio, in place of the id."""
    label = row.pop(LABEL)
    return {**row, "portfolio": label}


def not_running_message(served: Mapping[str, Any]) -> str:
    """Return a message that nothing serves the database, with the last process and the session that has the lease.

    Args:
        served: result of `LedgerReader.served`.
    """
    if served["renewed_at"] is None:
        message = "The service is not running, and nothing has served this database yet"
    else:
        last = f"{served['holder']} renewed its lease last at {served['renewed_at']:%Y-%m-%d %H:%M:%S} UTC"
        message = f"The service is not running ({last})"
    if (session := served["locked_by"]) is None:
        return message
    doing = "is starting, upgrading, restoring or hanging"
    return f"{message}; a process of this program has its lease and {doing}: {session}"


def by_reality(sources: Iterable[tuple[str, bool]]) -> dict[str, list[str]]:
    """Return the names of price sources, and of those whose prices are not a real market's, for JSON.

    Args:
        sources: each with whether its prices are real.
    """
    reality = dict(sources)
    return {
        "price_sources": list(reality),
        "price_sources_not_real": [name for name, real in reality.items() if not real],
    }


def exact(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a decision with exact values: an adopted table may have floats, and times without zone, which are UTC."""
    return {name: _exact_value(value) for name, value in row.items()}


def _exact_value(value: object) -> object:
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value
