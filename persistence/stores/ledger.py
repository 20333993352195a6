"""The books, which the PositionKeeper reads and writes: one transaction for a group of fills."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import psycopg

from domain.errors import DecisionsEnded, Fenced
from domain.trading.arithmetic import CONTEXT, plain
from domain.trading.orders import Costs
from domain.trading.portfolio import Applied, Portfolio, PortfolioRules, Position
from domain.types import Generation, PortfolioName, PositionId, PositionSide, Symbol
from persistence.connections import engine_for, transaction
from persistence.lease import FENCE, Lease, writing
from persistence.stores.decisions import id_type

PRICE_STEP = Decimal("1e-18")

# The fence and the end of the decisions in one statement.
END_EXECUTED = f"""
WITH {FENCE}, ended AS (
    UPDATE trading_decisions d
    SET status = 'executed', outcome_reason = o.reason, order_id = o.order_id, processed_at = clock_timestamp()
    FROM unnest(%(ids)s::{{id_type}}[], %(reasons)s::text[], %(order_ids)s::uuid[]) AS o(id, reason, order_id)
    WHERE d.id = o.id AND d.processed_at IS NULL AND EXISTS (SELECT FROM fence)
    RETURNING d.id
)
SELECT EXISTS (SELECT FROM fence), ARRAY(SELECT id FROM ended)
"""

ORDER_COLUMNS = (
    "order_id, decision_id, portfolio, asset_class, leg, seq, symbol, side, order_type, quantity, limit_price, status, "
    "filled_quantity, average_fill_price, commission, slippage, strategy, config_revision, equity, marks, "
    "created_at, filled_at"
)
FILL_COLUMNS = (
    "order_id, fill_no, position_id, portfolio, asset_class, symbol, side, quantity, price, base_price, price_time, "
    "price_seen_at, price_source, bid, ask, slippage_rate, notional, commission, cash_delta, asset_delta, filled_at"
)
TRADE_COLUMNS = (
    "position_id, order_id, fill_no, portfolio, asset_class, symbol, side, quantity, entry_price, exit_price, cost, "
    "exit_notional, entry_commission, exit_commission, entry_time, exit_time, hold_duration, realized_pnl, commission, "
    "net_pnl, closes, strategy"
)

SAVE_POSITIONS = """
INSERT INTO paper_positions (position_id, portfolio, asset_class, symbol, side, quantity, cost, entry_commission,
                             entry_price, current_price, position_value, unrealized_pnl, strategy, opened_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (position_id) DO UPDATE
SET quantity = excluded.quantity, cost = excluded.cost, entry_commission = excluded.entry_commission,
    entry_price = excluded.entry_price, current_price = excluded.current_price,
    position_value = excluded.position_value, unrealized_pnl = excluded.unrealized_pnl
"""

READ_RULES = """
SELECT portfolio, currency, initial_capital, current_capital, commission_pct, min_commission, slippage_pct,
       max_position_size, decision_confidence_threshold, min_notional, default_risk_score, revision, created_at,
       h.reason AS halted
FROM paper_trading_config c LEFT JOIN v_paper_halted h USING (portfolio) ORDER BY portfolio
"""


class LedgerStore:
    """The books in the database: one connection, one transaction at a time, fenced by epoch and generation."""

    def __init__(self, database_url: str, lease: Lease) -> None:
        self.engine = engine_for(database_url, "PositionKeeper", writer="PositionKeeper", hot=True)
        self._lease = lease

    def raise_generation(self, generation: Generation) -> None:
        """Commit ``generation``; wait for an open transaction of an older one.

        Raises:
            Fenced: another process holds the lease now, or a later generation has begun.
        """
        with writing(self.engine, self._lease, "generation") as cursor:
            # An equal generation is a COMMIT whose answer was lost; a higher one means that this thread was abandoned.
            raised = cursor.execute(
                "UPDATE paper_generation SET generation = %(new)s WHERE generation <= %(new)s", {"new": generation}
            )
            if not raised.rowcount:
                raise Fenced(f"generation {generation} of epoch {self._lease.epoch} is over")

    def last_generation(self) -> Generation:
        """Return the last committed generation."""
        with transaction(self.engine) as cursor:
            row = cursor.execute("SELECT generation FROM paper_generation").fetchone()
        assert row is not None
        return Generation(row[0])

    def load(self) -> tuple[Portfolio, ...]:
        """Return the committed state of every portfolio, without its history."""
        with transaction(self.engine) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            rules = cursor.execute(READ_RULES).fetchall()
            # The index (portfolio, seq) gives each last number at once, with any length of history.
            last = cursor.execute(
                "SELECT portfolio, (SELECT max(seq) FROM paper_orders o WHERE o.portfolio = c.portfolio)"
                " FROM paper_trading_config c"
            ).fetchall()
            rows = cursor.execute(
                "SELECT portfolio, position_id, symbol, asset_class, side, quantity, cost, entry_commission,"
                " current_price, opened_at, strategy FROM paper_positions"
            ).fetchall()
        seqs = {name: seq or 0 for name, seq in last}
        positions: dict[str, dict[Symbol, Position]] = {}
        for row in rows:
            positions.setdefault(row[0], {})[Symbol(row[2])] = _position(row)
        return tuple(
            Portfolio(_rules_from_row(row), CONTEXT.plus(row[3]), seqs[row[0]], positions.get(row[0], {}))
            for row in rules
        )

    def rules(self) -> tuple[PortfolioRules, ...]:
        """Return the current rules of every portfolio."""
        with transaction(self.engine) as cursor:
            return tuple(_rules_from_row(row) for row in cursor.execute(READ_RULES).fetchall())

    def commit(self, generation: Generation, group: Sequence[Applied]) -> None:
        """Write a group of fills, in their order, with the ends of their orders and decisions, in one transaction.

        Args:
            generation: of the decision path that made the group.
            group: each fill with the portfolio's state after it; later states build on earlier ones.

        Raises:
            Fenced: generation or epoch is not the current one, or a portfolio was deleted and created again.
            DecisionsEnded: some decisions had ended already, or are gone.
            DatabaseUnavailable: with ``in_doubt`` only a reload shows whether the COMMIT happened.
            DatabaseBusy: a lock or deadlock; the same group may be written again.
            WriteRefused: the database refuses a value.
        """
        self._lease.require()
        with transaction(self.engine, "fills") as cursor:
            self._end_decisions(cursor, generation, group)
            _copy(cursor, f"COPY paper_orders ({ORDER_COLUMNS}) FROM STDIN", [_order_row(a) for a in group])
            _copy(cursor, f"COPY paper_fills ({FILL_COLUMNS}) FROM STDIN", [_fill_row(a) for a in group])
            trades = [_trade_row(applied) for applied in group if applied.trade is not None]
            if trades:
                _copy(cursor, f"COPY paper_trades ({TRADE_COLUMNS}) FROM STDIN", trades)
            self._save_state(cursor, group)

    def record_audit(self, portfolios: int, differences: Mapping[PortfolioName, str]) -> None:
        """Store a comparison of memory with the database and halt the portfolios that differ, in one transaction.

        Args:
            portfolios: number of compared portfolios.
            differences: a message for each portfolio that differs.

        Raises:
            Fenced: another process holds the lease now; nothing was written.
            DatabaseUnavailable: with ``in_doubt`` if it is not known whether the COMMIT happened.
        """
        with writing(self.engine, self._lease) as cursor:
            cursor.execute(
                "INSERT INTO paper_audits (epoch, portfolios, differences) VALUES (%s, %s, %s)",
                [self._lease.epoch, portfolios, json.dumps(list(differences.values()))],
            )
            for name, difference in differences.items():
                cursor.execute(
                    "INSERT INTO paper_halts (portfolio, halted, reason, by_whom) VALUES (%s, true, %s, 'audit')",
                    [name, f"audit: {difference}"[:1000]],
                )

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def _end_decisions(self, cursor: psycopg.Cursor, generation: Generation, group: Sequence[Applied]) -> None:
        orders = [applied.fill.order for applied in group]
        ids = [order.decision_id for order in orders]
        row = cursor.execute(
            END_EXECUTED.format(id_type=id_type(ids)),
            {
                "epoch": self._lease.epoch,
                "generation": generation,
                "ids": ids,
                "reasons": [applied.sentence for applied in group],
                "order_ids": [order.order_id for order in orders],
            },
        ).fetchone()
        assert row is not None
        is_current, ended = row
        if not is_current:
            raise Fenced(f"generation {generation} of epoch {self._lease.epoch} does not write any more")
        missing = set(ids).difference(ended)
        if missing:
            raise DecisionsEnded(missing)

    @staticmethod
    def _save_state(cursor: psycopg.Cursor, group: Sequence[Applied]) -> None:
        last = {applied.portfolio.name: applied.portfolio for applied in group}
        touched = {applied.position_id: applied for applied in group}
        flat = [position_id for position_id, applied in touched.items() if applied.position is None]
        if flat:
            cursor.execute("DELETE FROM paper_positions WHERE position_id = ANY(%s)", [flat])
        held = [_position_row(applied) for applied in touched.values() if applied.position is not None]
        if held:
            cursor.executemany(SAVE_POSITIONS, held)
        cursor.executemany(
            "UPDATE paper_trading_config SET current_capital = %s"
            " WHERE portfolio = %s AND created_at = coalesce(%s, created_at)",
            [(portfolio.cash, name, portfolio.rules.created_at) for name, portfolio in last.items()],
        )
        if cursor.rowcount != len(last):
            # The cash in memory is that of the deleted portfolio.
            raise Fenced("a portfolio was deleted and created again under the same name")


def _copy(cursor: psycopg.Cursor, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _order_row(applied: Applied) -> tuple[object, ...]:
    fill = applied.fill
    order = fill.order
    marks = json.dumps({symbol: plain(mark) for symbol, mark in order.marks.items()})
    return (
        order.order_id, order.decision_id, order.portfolio, order.instrument.asset_class, order.leg, order.seq,
        order.instrument.symbol, order.side.value, order.order_type.value, order.quantity, order.limit_price, "filled",
        fill.quantity, fill.price, fill.commission, fill.slippage, order.strategy, order.revision, order.equity, marks,
        order.created_at, fill.filled_at,
    )  # fmt: skip


def _fill_row(applied: Applied) -> tuple[object, ...]:
    fill = applied.fill
    order, quote = fill.order, fill.order.quote
    return (
        order.order_id, fill.fill_no, applied.position_id, order.portfolio, order.instrument.asset_class,
        order.instrument.symbol, order.side.value, fill.quantity, fill.price, quote.price, quote.price_time,
        quote.seen_at, quote.source, quote.bid, quote.ask, fill.slippage_rate, fill.notional, fill.commission,
        applied.cash_delta, applied.asset_delta, fill.filled_at,
    )  # fmt: skip


def _trade_row(applied: Applied) -> tuple[object, ...]:
    trade = applied.trade
    assert trade is not None
    entry_price = CONTEXT.quantize(CONTEXT.divide(trade.cost, trade.quantity), PRICE_STEP)
    return (
        trade.position_id, trade.order_id, trade.fill_no, trade.portfolio, trade.asset_class, trade.symbol,
        trade.side.value, trade.quantity, entry_price, trade.exit_price, trade.cost, trade.exit_notional,
        trade.entry_commission, trade.exit_commission, trade.entry_time, trade.exit_time,
        trade.exit_time - trade.entry_time, trade.gross, trade.commission, trade.net, trade.closes, trade.strategy,
    )  # fmt: skip


def _position_row(applied: Applied) -> tuple[object, ...]:
    position = applied.position
    assert position is not None
    mark = position.last_price
    return (
        position.position_id, applied.portfolio.name, position.asset_class, position.symbol, position.side.value,
        position.quantity, position.cost, position.entry_commission,
        CONTEXT.quantize(position.entry_price, PRICE_STEP), mark, position.value(mark), position.unrealized(mark),
        position.strategy, position.opened_at,
    )  # fmt: skip


def _position(row: tuple[object, ...]) -> Position:
    _, position_id, symbol, asset_class, side, quantity, cost, entry_commission, price, opened_at, strategy = row
    return Position(
        position_id=PositionId(position_id),  # type: ignore[arg-type]
        symbol=Symbol(str(symbol)),
        asset_class=str(asset_class),
        side=PositionSide(str(side)),
        quantity=quantity,  # type: ignore[arg-type]
        cost=cost,  # type: ignore[arg-type]
        entry_commission=entry_commission,  # type: ignore[arg-type]
        last_price=price,  # type: ignore[arg-type]
        opened_at=opened_at,  # type: ignore[arg-type]
        strategy=strategy,  # type: ignore[arg-type]
    )


def _rules_from_row(row: Sequence[Any]) -> PortfolioRules:
    name, currency, initial, _cash, commission, minimum, slippage, size, threshold, notional, risk, *rest = row
    return PortfolioRules(
        portfolio=PortfolioName(name),
        currency=currency,
        initial_capital=initial,
        costs=Costs(slippage, commission, minimum),
        max_position_size=size,
        decision_confidence_threshold=threshold,
        min_notional=notional,
        default_risk_score=risk,
        revision=rest[0],
        created_at=rest[1],
        halted=rest[2],
    )
