"""Which splits the stored prices have not followed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import psycopg

from domain.market_data.awaited_splits import AwaitedSplit
from domain.trading.account.requests import SAME_UNITS, Ratio
from domain.types import Symbol
from persistence.rows import named_rows, one_row

# A portfolio that a split has left out gets it later, when the price has followed it already.
BOOKED = """
SELECT e.request_id, e.symbol, e.ratio_new, e.ratio_old, s.price_source, min(e.at) AS at
FROM paper_account_events e
JOIN v_paper_portfolio_sources s ON s.portfolio_id = e.portfolio AND NOT s.other_source
WHERE e.kind = 'split' AND e.symbol IN (SELECT p.symbol FROM paper_positions p WHERE p.split_at IS NOT NULL)
  AND NOT EXISTS (
    SELECT FROM paper_account_events o JOIN paper_positions p ON p.portfolio = e.portfolio AND p.symbol = e.symbol
    WHERE o.kind = 'split' AND o.symbol = e.symbol AND (o.ratio_new, o.ratio_old) = (e.ratio_new, e.ratio_old)
      AND o.at > p.opened_at AND o.at < e.at
      AND NOT EXISTS (SELECT FROM paper_account_events m
                      WHERE m.portfolio = e.portfolio AND m.request_id = o.request_id)
  )
GROUP BY e.request_id, e.symbol, e.ratio_new, e.ratio_old, s.price_source ORDER BY e.symbol, at
"""
"""The splits of symbols that are held; one of several portfolios is one."""

BEFORE = """
SELECT (SELECT price FROM market_prices WHERE symbol = %(symbol)s AND source = %(source)s AND time <= %(at)s
        ORDER BY time DESC LIMIT 1)
"""

FOLLOWED = """
SELECT EXISTS (SELECT FROM market_prices
               WHERE symbol = %(symbol)s AND source = %(source)s AND time > %(since)s
                 AND time <= coalesce(%(until)s::timestamptz, 'infinity') AND price <> %(border)s
                 AND (price < %(border)s) = %(falls)s),
       (SELECT max(time) - interval '1 minute' FROM market_prices WHERE symbol = %(symbol)s)
"""


class AwaitedSplitReader:
    """Reads the splits that stored prices have not followed; each stored price is read once, however often it is asked.

    A split without a stored price before it is taken as followed.
    """

    def __init__(self) -> None:
        self._followed: set[int] = set()
        self._read_until: dict[int, datetime] = {}

    def read(self, cursor: psycopg.Cursor) -> dict[Symbol, AwaitedSplit]:
        """Return what is awaited, by symbol."""
        booked = named_rows(cursor, BOOKED)
        awaited: dict[Symbol, AwaitedSplit] = {}
        for row, following in zip_longest(booked, booked[1:]):
            symbol = Symbol(row["symbol"])
            until = following["at"] if following is not None and following["symbol"] == symbol else None
            split = _after(cursor, awaited.pop(symbol, None), row)
            if split is not None and not self._is_followed(cursor, split, row, until):
                awaited[symbol] = split
        return awaited

    def _is_followed(
        self, cursor: psycopg.Cursor, split: AwaitedSplit, row: Mapping[str, Any], until: datetime | None
    ) -> bool:
        """Return whether a price up to the next split of the symbol, or up to now, followed."""
        number = row["request_id"]
        if number in self._followed:
            return True
        values = {
            "symbol": row["symbol"], "source": row["price_source"], "border": split.border, "falls": split.falls,
            "since": self._read_until.get(number, row["at"]), "until": until,
        }  # fmt: skip
        is_followed, read_until = one_row(cursor, FOLLOWED, values)
        if is_followed:
            self._followed.add(number)
        # What the last seconds bring is stored a little later.
        self._read_until[number] = max(read_until or row["at"], row["at"])
        return bool(is_followed)


def _after(cursor: psycopg.Cursor, before: AwaitedSplit | None, row: Mapping[str, Any]) -> AwaitedSplit | None:
    """Return what is awaited after a split that is in the books."""
    ratio = Ratio(row["ratio_new"], row["ratio_old"])
    if before is not None:
        return before.then(ratio, row["at"])
    values = {"symbol": row["symbol"], "source": row["price_source"], "at": row["at"]}
    price: Decimal | None = one_row(cursor, BEFORE, values)[0]
    return AwaitedSplit(SAME_UNITS, row["at"], price).then(ratio, row["at"]) if price is not None else None
