"""The books, which the PositionKeeper reads and writes: one transaction for a group of fills."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

import psycopg

from domain.errors import DecisionsEnded, Fenced
from domain.immutable_map import ImmutableMap
from domain.trading.arithmetic import CONTEXT, STORED_QUANTUM, plain
from domain.trading.bookkeeping import Result, Trade
from domain.trading.orders import RULES_VERSION, Costs, ExecutionRules, Order
from domain.trading.portfolio import PortfolioRules, PortfolioState, Position, Taken
from domain.types import Generation, PortfolioName, PositionSide, PriceRule, Symbol
from persistence.connections import transaction
from persistence.lease import writing
from persistence.rows import Row, columns_of, copy_rows, from_row, insert_rows, named_rows, one_row
from persistence.stores.store import Store

FIXED = ("position_id", "portfolio", "asset_class", "symbol", "side", "strategy", "opened_at")
"""Columns of a position that no fill changes."""

READ_POSITIONS = f"""
SELECT {", ".join(columns_of(Position, ("last_price",)))}, portfolio, current_price AS last_price FROM paper_positions
"""

RULES = (*columns_of(PortfolioRules, ("costs", "execution", "halted")), *columns_of(Costs), *columns_of(ExecutionRules))
"""Columns of a portfolio's rules."""

READ_RULES = f"""
SELECT {", ".join(RULES)}, current_capital, h.reason AS halted
FROM paper_trading_config c LEFT JOIN v_paper_halted h USING (portfolio) ORDER BY portfolio
"""

# No order uses a quote that is a minute older than the newest order.
READ_TAKEN = """
SELECT portfolio, symbol, price_seen_at AS seen_at,
       coalesce(sum(quantity) FILTER (WHERE side = 'BUY'), 0) AS bought,
       coalesce(sum(quantity) FILTER (WHERE side = 'SELL'), 0) AS sold
FROM (
    SELECT f.portfolio, f.symbol, f.side, f.price_seen_at, least(f.quantity, f.touch_size) AS quantity,
           max(f.price_seen_at) OVER (PARTITION BY f.portfolio, f.symbol) AS newest
    FROM paper_orders o
    -- OFFSET 0 keeps it a lookup for each order: without statistics a join would read the fills of all time.
    CROSS JOIN LATERAL (SELECT * FROM paper_fills WHERE order_id = o.order_id AND touch_size IS NOT NULL OFFSET 0) f
    WHERE o.created_at > (SELECT max(created_at) FROM paper_orders) - interval '1 minute'
) recent
WHERE price_seen_at = newest GROUP BY portfolio, symbol, price_seen_at
"""
"""What the portfolios' orders took from the touch of the newest quote of each symbol."""


class LedgerStore(Store):
    """The books in the database: one connection, one transaction at a time, fenced by epoch and generation."""

    ACTOR, HOT = "PositionKeeper", True

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
            return Generation(*one_row(cursor, "SELECT generation FROM paper_generation"))

    def load(self) -> tuple[PortfolioState, ...]:
        """Return the committed state of every portfolio, without its history."""
        with transaction(self.engine) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            rules = named_rows(cursor, READ_RULES)
            # The index (portfolio, seq) gives each last number at once, with any length of history.
            last = cursor.execute(
                "SELECT portfolio, (SELECT max(seq) FROM paper_orders o WHERE o.portfolio = c.portfolio)"
                " FROM paper_trading_config c"
            ).fetchall()
            rows = named_rows(cursor, READ_POSITIONS)
            taken_rows = named_rows(cursor, READ_TAKEN)
        seqs = {name: seq or 0 for name, seq in last}
        positions: dict[str, dict[Symbol, Position]] = defaultdict(dict)
        for row in rows:
            positions[row["portfolio"]][row["symbol"]] = from_row(Position, row, side=PositionSide(row["side"]))
        taken: dict[str, dict[Symbol, Taken]] = defaultdict(dict)
        for row in taken_rows:
            taken[row["portfolio"]][row["symbol"]] = Taken(row["seen_at"], row["bought"], row["sold"])
        return tuple(
            PortfolioState(
                rules=_rules(row),
                cash=CONTEXT.plus(row["current_capital"]),
                version=seqs[name],
                positions=ImmutableMap(positions[name]),
                taken=ImmutableMap(taken[name]),
            )
            for row in rules
            for name in [row["portfolio"]]
        )

    def rules(self) -> tuple[PortfolioRules, ...]:
        """Return the current rules of every portfolio."""
        with transaction(self.engine) as cursor:
            return tuple(map(_rules, named_rows(cursor, READ_RULES)))

    def commit(self, generation: Generation, group: Sequence[Result]) -> None:
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
            orders = [result.order for result in group]
            ids = [order.decision_id for order in orders]
            reasons, order_ids = [result.sentence for result in group], [order.order_id for order in orders]
            ended = self._end_decisions(cursor, generation, ids=ids, statuses=[], reasons=reasons, order_ids=order_ids)
            if missing := set(ids) - ended:
                raise DecisionsEnded(missing)
            marks, numbers = shared_marks(group)
            copy_rows(cursor, "paper_marks", marks)
            copy_rows(cursor, "paper_orders", map(order_row, group, numbers))
            copy_rows(cursor, "paper_fills", map(fill_row, group))
            trades = (trade_row(result.trade) for result in group if result.trade is not None)
            copy_rows(cursor, "paper_trades", trades)
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
            messages = json.dumps(list(differences.values()))
            audit = {"epoch": self._lease.epoch, "portfolios": portfolios, "differences": messages}
            insert_rows(cursor, "paper_audits", [audit])
            halts = [
                {"portfolio": name, "halted": True, "reason": f"audit: {difference}"[:1000], "by_whom": "audit"}
                for name, difference in differences.items()
            ]
            insert_rows(cursor, "paper_halts", halts)

    @staticmethod
    def _save_state(cursor: psycopg.Cursor, group: Sequence[Result]) -> None:
        last = {result.state.name: result.state for result in group}
        touched = {result.position_id: result for result in group}
        flat = [position_id for position_id, result in touched.items() if result.position is None]
        if flat:
            cursor.execute("DELETE FROM paper_positions WHERE position_id = ANY(%s)", [flat])
        save_positions(
            cursor,
            [position_row(a.state.name, a.position) for a in touched.values() if a.position is not None],
        )
        cursor.executemany(
            "UPDATE paper_trading_config SET current_capital = %s"
            " WHERE portfolio = %s AND created_at = coalesce(%s, created_at)",
            [(portfolio.cash, name, portfolio.rules.created_at) for name, portfolio in last.items()],
        )
        if cursor.rowcount != len(last):
            # The cash in memory is that of the deleted portfolio.
            raise Fenced("a portfolio was deleted and created again under the same name")


def save_positions(cursor: psycopg.Cursor, rows: Sequence[Row]) -> None:
    """Insert positions, or update what fills change in them."""
    changing = ", ".join(f"{name} = excluded.{name}" for name in (rows[0] if rows else ()) if name not in FIXED)
    insert_rows(cursor, "paper_positions", rows, f"ON CONFLICT (position_id) DO UPDATE SET {changing}")


def shared_marks(group: Sequence[Result]) -> tuple[list[Row], list[int | None]]:
    """Return the rows of ``paper_marks``, and for each order the number of its row; None where it needs no marks.

    Orders of a portfolio that were sized with one table of marks share a row. It holds what any of them needs.
    """
    tables: dict[tuple[object, ...], tuple[Order, dict[Symbol, Decimal]]] = {}
    numbers: list[int | None] = []
    for result in group:
        order, sizing = result.order, result.event.sizing
        others = sizing.other_marks()
        if not others:
            numbers.append(None)
            continue
        # A position without a mark counts at its last fill's price, which is no part of the table.
        unmarked = sorted((symbol, others[symbol]) for symbol in others.keys() - sizing.marks.keys())
        first, marks = tables.setdefault((order.portfolio, id(sizing.marks), *unmarked), (order, {}))
        marks.update(others)
        numbers.append(first.seq)
    rows: list[Row] = [
        {
            "portfolio": first.portfolio, "marks_no": first.seq, "at": first.created_at,
            "marks": json.dumps({symbol: plain(mark) for symbol, mark in marks.items()}),
        }
        for first, marks in tables.values()
    ]  # fmt: skip
    return rows, numbers


def order_row(result: Result, marks_no: int | None = None) -> dict[str, object]:
    """Return the row of ``paper_orders``."""
    # The values of enumerations: psycopg looks up how to send a member anew each time, which shows in the rate.
    order, sizing, fill = result.order, result.event.sizing, result.fill
    return {
        "order_id": order.order_id, "decision_id": order.decision_id, "portfolio": order.portfolio,
        "asset_class": order.instrument.asset_class, "leg": order.leg, "seq": order.seq,
        "symbol": order.instrument.symbol, "side": order.side.value, "order_type": order.order_type.value,
        "quantity": order.quantity, "limit_price": order.limit_price, "status": "filled",
        "filled_quantity": fill.quantity, "average_fill_price": fill.price, "commission": fill.commission,
        "slippage": fill.slippage, "strategy": order.strategy, "config_revision": sizing.rules_revision,
        "equity": sizing.equity, "created_at": order.created_at, "filled_at": fill.filled_at,
        "price_rule": order.execution.price_rule.value, "rules_version": RULES_VERSION, "tick": order.instrument.tick,
        "marks_no": marks_no,
    }  # fmt: skip


def fill_row(result: Result) -> dict[str, object]:
    """Return the row of ``paper_fills``."""
    order, fill, quote, costs = result.order, result.fill, result.fill.quote, result.fill.costs
    return {
        "order_id": order.order_id, "fill_no": fill.fill_no, "position_id": result.position_id,
        "portfolio": order.portfolio, "asset_class": order.instrument.asset_class, "symbol": order.instrument.symbol,
        "side": order.side.value, "quantity": fill.quantity, "price": fill.price, "base_price": fill.base_price,
        "price_time": quote.price_time, "price_seen_at": quote.seen_at, "price_source": quote.source,
        "real_prices": quote.real, "last_price": quote.price, "bid": quote.bid, "ask": quote.ask,
        "bid_size": quote.bid_size, "ask_size": quote.ask_size, "last_size": quote.last_size,
        "touch_size": fill.touch_size, "liquidity": fill.liquidity.value, "slippage_rate": fill.slippage_rate,
        "notional": fill.notional, "commission": fill.commission, "cash_delta": result.cash_delta,
        "asset_delta": result.asset_delta, "filled_at": fill.filled_at, "spread_cost": costs.spread,
        "slippage_cost": costs.slippage, "size_cost": costs.size, "random_cost": costs.random,
    }  # fmt: skip


def trade_row(trade: Trade) -> dict[str, object]:
    """Return the row of ``paper_trades``."""
    return {
        "position_id": trade.position_id, "order_id": trade.order_id, "fill_no": trade.fill_no,
        "portfolio": trade.portfolio, "asset_class": trade.asset_class, "symbol": trade.symbol,
        "side": trade.side.value, "quantity": trade.quantity,
        "entry_price": CONTEXT.quantize(CONTEXT.divide(trade.cost, trade.quantity), STORED_QUANTUM),
        "exit_price": trade.exit_price, "cost": trade.cost, "exit_notional": trade.exit_notional,
        "entry_commission": trade.entry_commission, "exit_commission": trade.exit_commission,
        "entry_time": trade.entry_time, "exit_time": trade.exit_time,
        "hold_duration": trade.exit_time - trade.entry_time, "realized_pnl": trade.gross,
        "commission": trade.commission, "net_pnl": trade.net, "closes": trade.closes, "strategy": trade.strategy,
    }  # fmt: skip


def position_row(portfolio: str, position: Position) -> dict[str, object]:
    """Return the row of ``paper_positions``."""
    mark = position.last_price
    return {
        "position_id": position.position_id, "portfolio": portfolio, "asset_class": position.asset_class,
        "symbol": position.symbol, "side": position.side.value, "quantity": position.quantity, "cost": position.cost,
        "entry_commission": position.entry_commission,
        "entry_price": CONTEXT.quantize(position.entry_price, STORED_QUANTUM), "current_price": mark,
        "position_value": position.value(mark), "unrealized_pnl": position.unrealized(mark),
        "strategy": position.strategy, "opened_at": position.opened_at,
    }  # fmt: skip


def _rules(row: Row) -> PortfolioRules:
    execution = from_row(ExecutionRules, row, price_rule=PriceRule(str(row["price_rule"])))
    return from_row(PortfolioRules, row, costs=from_row(Costs, row), execution=execution)
