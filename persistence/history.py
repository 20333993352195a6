"""What the figures of a portfolio are computed from, as it stood at one moment."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy.engine import Engine

from domain.errors import UnknownPortfolio
from domain.performance import History
from domain.portfolio import Trade
from domain.returns import Valuation
from domain.trips import Execution
from domain.wording import quoted
from domain.words import OrderId, PortfolioName, PositionId, PositionSide, Symbol
from persistence.engine import transaction

# A database that was put together by hand may have snapshots that are older than the row of their portfolio.
OPENING = """
SELECT now(), c.initial_capital,
       least(c.created_at, (SELECT min(s.time) FROM paper_portfolio_snapshots s WHERE s.portfolio = c.portfolio))
FROM paper_trading_config c WHERE c.portfolio = %s
"""

TRADES = """
SELECT position_id, order_id, fill_no, portfolio, symbol, asset_class, side, quantity, cost, exit_notional, exit_price,
       entry_commission, exit_commission, entry_time, exit_time, strategy, closes
FROM paper_trades WHERE portfolio = %s ORDER BY exit_time, order_id, fill_no
"""

# Side and strategy of a position are those of the order that opened it; an order's slippage stands with its first fill.
EXECUTIONS = """
SELECT f.position_id, f.symbol, f.asset_class,
       first_value(CASE f.side WHEN 'BUY' THEN 'LONG' ELSE 'SHORT' END) OVER held,
       first_value(o.strategy) OVER held,
       f.notional, f.commission, CASE f.fill_no WHEN 1 THEN o.slippage ELSE 0 END, f.filled_at
FROM paper_fills f JOIN paper_orders o USING (order_id) WHERE f.portfolio = %s
WINDOW held AS (PARTITION BY f.position_id ORDER BY o.seq, f.fill_no)
ORDER BY o.seq, f.fill_no
"""

VALUATIONS = (
    "SELECT time, total_value, positions_value FROM paper_portfolio_snapshots WHERE portfolio = %s ORDER BY time"
)


def read_history(engine: Engine, portfolio: str) -> History:
    """Return everything that the figures of a portfolio rest on, all of it as of one moment of the database's clock.

    Args:
        engine: of the database.
        portfolio: its name.

    Raises:
        UnknownPortfolio: there is none of that name.
        DatabaseUnavailable: the database does not answer.
    """
    with transaction(engine) as cursor:
        # What is committed while these four statements run would be in some of them and not in others.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        opened = cursor.execute(OPENING, [portfolio]).fetchone()
        if opened is None:
            msg = f"there is no portfolio {quoted(portfolio)}; `run.py portfolio list` shows those that exist"
            raise UnknownPortfolio(msg)
        until, capital, since = opened
        return History.whole(
            opening=Valuation(since, capital),
            until=until,
            trades=tuple(_trade(row) for row in cursor.execute(TRADES, [portfolio])),
            executions=tuple(_execution(row) for row in cursor.execute(EXECUTIONS, [portfolio])),
            valuations=tuple(Valuation(*row) for row in cursor.execute(VALUATIONS, [portfolio])),
        )


def _trade(row: tuple[Any, ...]) -> Trade:
    position, order, fill_no, portfolio, symbol, asset_class, side, *rest = row
    ids = PositionId(position), OrderId(order), fill_no, PortfolioName(portfolio), Symbol(symbol)
    return Trade(*ids, asset_class, PositionSide(side), *rest)


def _execution(row: tuple[Any, ...]) -> Execution:
    position, symbol, asset_class, side, strategy, notional, commission, slippage, at = row
    costs = notional, commission, Decimal(slippage), at
    return Execution(PositionId(position), Symbol(symbol), asset_class, PositionSide(side), strategy, *costs)
