"""The check of an exchange's list of markets: one bad answer must not close every market."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

from domain.types import Symbol

MAX_MISSING_FRACTION = Fraction(1, 5)
"""A list that leaves out a larger part of the markets that could be traded is implausible."""
DELISTED_AFTER = 3
"""A market counts as delisted after so many answers in a row without it."""
Row: TypeAlias = Mapping[str, Any]


class ImplausibleMarketList(Exception):
    """A list of markets that cannot be right; the message gives the reason."""


class MarketListCheck:
    """Compares each list of markets with the last good one.

    Args:
        traded: the symbols that could be traded according to the last good list; none where there was no list yet.
        confirmed_after: seconds for which an exchange must leave out many markets until the list is accepted. A long
            time is the safe side: a market that is really gone has no prices, so a decision for it is rejected anyway.

    Attributes:
        awaited: symbols that the last lists left out, and that do not count as delisted yet.
    """

    def __init__(self, traded: Iterable[Symbol], confirmed_after: float) -> None:
        self.awaited: frozenset[Symbol] = frozenset()
        self._traded = frozenset(traded)
        self._confirmed_after = confirmed_after
        self._implausible_since: float | None = None
        self._rows: dict[Symbol, Row] = {}
        self._answers_without: Counter[Symbol] = Counter()

    def check(self, markets: Collection[object], now: float) -> list[Row]:
        """Accept ``markets`` as the last good list.

        Args:
            markets: as ccxt returns them.
            now: seconds of a clock that never jumps.

        Returns:
            The markets, and beside them the last known rows of those that are missing and not delisted yet.

        Raises:
            ImplausibleMarketList: it holds no market, or leaves out many of them and has not done so for long enough.
        """
        rows = {Symbol(row["symbol"]): row for row in markets if isinstance(row, Mapping) and row.get("symbol")}
        if not rows:
            raise ImplausibleMarketList("its list of markets is empty")
        # A market that is listed as suspended is not missing.
        missing = sorted(self._traded.difference(rows))
        self._answers_without = Counter({symbol: self._answers_without[symbol] + 1 for symbol in missing})
        if len(missing) > MAX_MISSING_FRACTION * len(self._traded):
            self._require_confirmation(missing, now)
        self._implausible_since = None
        self.awaited = frozenset(symbol for symbol in missing if self._answers_without[symbol] < DELISTED_AFTER)
        traded = frozenset(symbol for symbol, row in rows.items() if row.get("spot") and row.get("active") is not False)
        self._traded = traded | self.awaited or self._traded  # all closed: a later list must still hold them
        self._rows = rows | {symbol: self._rows[symbol] for symbol in self.awaited if symbol in self._rows}
        return list(self._rows.values())

    def _require_confirmation(self, missing: list[Symbol], now: float) -> None:
        if self._implausible_since is None:
            self._implausible_since = now
        if now - self._implausible_since < self._confirmed_after:
            raise ImplausibleMarketList(
                f"its list of markets leaves out {len(missing)} of {len(self._traded)}, such as {missing[0]};"
                f" it is accepted once it has done so for {self._confirmed_after:g} s"
            )
