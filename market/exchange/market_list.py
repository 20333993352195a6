"""Which answers to the question what an exchange trades to believe: one bad answer must not close every market."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from domain.types import Symbol

LOST = 5
"""An answer that leaves out more than one of so many markets that could be traded is doubtful."""


class DoubtfulMarkets(Exception):
    """A list of markets that is not to be believed; the message says why."""


class MarketListCheck:
    """Compares each list of markets with the last good one.

    Args:
        traded: the symbols that could be traded according to the last good list; none where there was no list yet.
        confirmed_after: seconds for which an exchange has to leave out many markets until it is believed. Late is the
            safe side: a market that is really gone has no prices, so a decision for it is rejected all the same.
    """

    def __init__(self, traded: Iterable[Symbol], confirmed_after: float) -> None:
        self._traded = frozenset(traded)
        self._confirmed_after = confirmed_after
        self._doubted_since: float | None = None

    def check(self, markets: Collection[object], now: float) -> None:
        """Take ``markets`` as the last good list.

        Args:
            markets: as ccxt gives them.
            now: seconds of a clock that never jumps.

        Raises:
            DoubtfulMarkets: it holds no market, or leaves out many and has not done so for long enough.
        """
        rows = {Symbol(row["symbol"]): row for row in markets if isinstance(row, Mapping) and row.get("symbol")}
        if not rows:
            msg = "its list of markets is empty"
            raise DoubtfulMarkets(msg)
        # A market that is listed as suspended is no missing one: the exchange says so itself.
        missing = sorted(self._traded.difference(rows))
        if LOST * len(missing) > len(self._traded):
            self._doubt(missing, now)
        self._doubted_since = None
        traded = frozenset(symbol for symbol, row in rows.items() if row.get("spot") and row.get("active") is not False)
        self._traded = traded or self._traded  # where all are closed for a while, they are still to be missed

    def _doubt(self, missing: list[Symbol], now: float) -> None:
        if self._doubted_since is None:
            self._doubted_since = now
        if now - self._doubted_since < self._confirmed_after:
            msg = (
                f"its list of markets leaves out {len(missing)} of {len(self._traded)}, such as {missing[0]};"
                f" it is believed once it has done so for {self._confirmed_after:g} s"
            )
            raise DoubtfulMarkets(msg)
