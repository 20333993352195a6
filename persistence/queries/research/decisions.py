"""The decisions of a portfolio, as a tape for a backtest."""

from __future__ import annotations

from typing import Any, NamedTuple

from domain.trading.decision import Decision
from domain.trading.portfolio import PortfolioState
from persistence.connections import pool
from persistence.queries.history import consistent_read
from persistence.rows import named_rows
from persistence.stores.books.loading import read_states
from persistence.stores.portfolios import DECIDED_IN, portfolio_id

# An adopted table may hold floats, whose text is their shortest exact form; and so may its ids be of any type.
NUMBERS = (
    "confidence", "risk_score", "quantity", "limit_price", "stop_price", "stop_loss", "stop_loss_pct", "take_profit",
    "take_profit_pct", "trail", "trail_pct", "trailing_stop", "trailing_stop_pct",
)  # fmt: skip
OTHERS = tuple(
    name for name in Decision.model_fields
    if name not in {*NUMBERS, "reasoning", "current_price", "take_profits", "uid", "asset_class"}
)  # fmt: skip
# A decision counts from when the database got it: what its sender states may be any time before.
DECISIONS = f"""
SELECT d.id::text AS id, d.uid::text AS uid, d.order_id::text AS order_id, d.take_profits::text AS take_profits,
       greatest(d.created_at, d.received_at) AS created_at,
       {", ".join(f"d.{name}::text::numeric AS {name}" for name in NUMBERS)},
       {", ".join(f"d.{name}" for name in OTHERS)}
FROM trading_decisions d
WHERE {DECIDED_IN.format("%(portfolio)s")} ORDER BY greatest(d.created_at, d.received_at), d.id
"""


class PortfolioDecisions(NamedTuple):
    """The decisions of a portfolio.

    Attributes:
        state: the present one, with its rules.
        rows: in the order in which the database got them.
    """

    state: PortfolioState
    rows: list[dict[str, Any]]


def read_decisions(database_url: str, name: str) -> PortfolioDecisions:
    """Return the decisions of a portfolio, and its present rules.

    Args:
        database_url: of the database; a role that reads suffices.
        name: of the portfolio; ``name@life`` for an earlier life.

    Raises:
        UnknownPortfolio: there is none of that name.
    """
    with pool(database_url, "tape") as engine, consistent_read(engine) as cursor:
        id_ = portfolio_id(cursor, name)
        state = next(one for one in read_states(cursor) if one.name == id_)
        return PortfolioDecisions(state, named_rows(cursor, DECISIONS, {"portfolio": id_}))
