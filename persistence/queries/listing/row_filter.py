"""Which rows of a list are wanted: conditions in SQL, with bound values, so that the tables' indexes serve them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.analytics.trade_stats import NO_STRATEGY
from domain.types import OutcomeStatus

FLAT_SYMBOL = "regexp_replace(upper(symbol), '[^A-Z0-9]', '', 'g')"
HAS_STRATEGY = "nullif(strategy, '')"
NAMED_ID = "(SELECT paper_portfolio_id(:portfolio))"
"""The id of the wanted portfolio; as a query of its own it is computed once."""


@dataclass(frozen=True, slots=True)
class RowFilter:
    """The wanted rows of a list; None leaves a column unrestricted.

    Attributes:
        portfolio: its name; ``name@life`` for an earlier life.
        symbol: in any usual spelling.
        strategy: its name; ``(none)`` for rows without one.
        status: for lists whose rows have one.
        since: rows of this time or later; each list has its own column for it.
        limit: number of rows at most.
    """

    portfolio: str | None = None
    symbol: str | None = None
    strategy: str | None = None
    status: str | None = None
    since: datetime | None = None
    limit: int | None = None

    def conditions(self, time: str, of_portfolio: str) -> list[str]:
        """Return the conditions in SQL, whose values are those of `parameters`.

        Args:
            time: the column for `since`.
            of_portfolio: the condition for `portfolio`.
        """
        conditions = []
        if self.portfolio is not None:
            conditions.append(of_portfolio)
        if self.symbol is not None:
            # A symbol of other letters alone is flat an empty text, and equal to itself only.
            conditions.append(f"(symbol = :symbol OR :flat_symbol <> '' AND {FLAT_SYMBOL} = :flat_symbol)")
        if self.strategy is not None:
            conditions.append(f"{HAS_STRATEGY} IS NULL" if self.strategy == NO_STRATEGY else "strategy = :strategy")
        if self.status is not None:
            conditions.append("status = :status")
        if self.status == OutcomeStatus.PENDING:
            conditions.append("processed_at IS NULL")  # as the index of pending decisions has it
        if self.since is not None:
            conditions.append(f"{time} >= :since")
        return conditions

    @property
    def parameters(self) -> dict[str, object]:
        """The values of the conditions by their names; a superfluous one does no harm."""
        return {
            "portfolio": self.portfolio,
            "symbol": self.symbol,
            "flat_symbol": None if self.symbol is None else flat_symbol(self.symbol),
            "strategy": self.strategy,
            "status": self.status,
            "since": self.since,
            "limit": self.limit,
        }


@dataclass(frozen=True, slots=True)
class RowList:
    """A list of rows that can be filtered.

    Attributes:
        statement: its SELECT, with ``{where}`` in the place of the conditions.
        time: the column by which ``since`` selects.
        order: the columns by which the rows are sorted.
        limited_order: the same where the number of rows is limited, if that differs.
        of_portfolio: the condition that a row is of the wanted portfolio, which the tables have by its id.
        unlisted: columns that are left out.
    """

    statement: str
    time: str
    order: str
    limited_order: str = ""
    of_portfolio: str = f"portfolio = {NAMED_ID}"
    unlisted: frozenset[str] = frozenset()

    def query(self, wanted: RowFilter) -> str:
        """Return the SELECT of the wanted rows."""
        conditions = wanted.conditions(self.time, self.of_portfolio)
        order = self.limited_order if self.limited_order and wanted.limit is not None else self.order
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"{self.statement.format(where=where)} ORDER BY {order} LIMIT :limit"


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows of a list, as dictionaries, and their columns, which are known without a row, too."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]


def flat_symbol(symbol: str) -> str:
    """Return a symbol without separators and in upper case, by which its usual spellings are the same."""
    return re.sub(r"[^A-Z0-9]", "", symbol.upper())
