"""The table of prices in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from domain.errors import DatabaseUnavailable
from domain.market_data.awaited_splits import LastPrices
from domain.market_data.price_second import PriceSecond
from domain.trading.quotes import Bar, PricePoint
from domain.types import Symbol


@dataclass
class MemoryPrices:
    """The table of prices.

    Attributes:
        prices: its rows.
        away: whether the database does not answer.
    """

    prices: list[PriceSecond] = field(default_factory=list, kw_only=True)
    away: bool = field(default=False, kw_only=True)

    def read(self, reply_to: Callable[[LastPrices | None], None]) -> None:
        points: dict[Symbol, PricePoint | None] = dict.fromkeys(self.held_symbols())
        splits = self.split_times()
        for one in self.prices:
            counts = one.last.symbol not in splits or one.last.seen_at > splits[one.last.symbol]
            points[one.last.symbol] = one.last.point if counts else None
        reply_to(None if self.away else LastPrices(points))

    def held_symbols(self) -> Iterable[Symbol]:
        """Return the symbols with open positions."""
        return ()

    def split_times(self) -> Mapping[Symbol, datetime]:
        """Return when symbols of positions were split last: their earlier prices do not count."""
        return {}

    def offer(self, prices: Sequence[PriceSecond]) -> None:
        self.prices.extend(prices)

    def stored(self, symbol: Symbol, since: datetime, until: datetime) -> tuple[Bar, ...]:
        """Return the rows of a symbol whose extremes are all of that time; the database returns others, too."""
        if self.away:
            raise DatabaseUnavailable("the database is away")
        return tuple(
            Bar(
                symbol=symbol, open=row.last.price, high=row.high, low=row.low, close=row.last.price,
                begin=before.last.seen_at, end=row.last.seen_at, seen=row.last.seen, source=row.last.source,
                real=False, recovered=True,
            )
            for before, row in pairwise(one for one in self.prices if one.last.symbol == symbol)
            if before.last.seen_at >= since and row.last.seen_at <= until
        )  # fmt: skip

    def forget(self, before: datetime) -> None:
        """Keep everything."""
