"""Prices that are old although they arrive: by the clock of the exchange, or because it repeats one answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta

from loguru import logger

from domain.alarms import AlarmKind, Notify
from domain.log_once import LogOnce
from domain.market_data.frozen import FrozenSymbols
from domain.trading.freshness.age import Fresh
from domain.trading.prices import why_old
from domain.trading.quotes import Quote
from domain.types import Symbol


class StalePrices:
    """Marks the quotes of frozen symbols, and reports each symbol whose quotes are old once, and its end.

    Args:
        max_quote_lag: how long a lively symbol may repeat one answer.
        notify: sends the alarm for a frozen symbol.
    """

    def __init__(self, max_quote_lag: timedelta, notify: Notify) -> None:
        self._frozen_symbols = FrozenSymbols(max_quote_lag)
        self._notify = notify
        self._old_log = LogOnce.to(logger)
        self._frozen: dict[Symbol, str] = {}
        self._old: dict[Symbol, str] = {}

    def judge(self, quote: Quote) -> Quote:
        """Return a quote, marked as frozen where it is."""
        if quote.freshness is None or quote.is_trade:
            return quote
        symbol, is_frozen = quote.symbol, self._frozen_symbols.see(quote)
        if is_frozen:
            quote = replace(quote, freshness=replace(quote.freshness, fresh=Fresh.NOTHING, frozen=True))
            if symbol not in self._frozen:
                self._frozen[symbol] = self._frozen_text(quote)
                self._report(self._frozen[symbol])
        elif self._frozen.pop(symbol, None) is not None:
            self._report(f"price source {quote.source} sends new prices of {symbol} again", over=True)
        assert quote.freshness is not None  # see above
        if quote.freshness.fresh is Fresh.NOTHING and not is_frozen:
            self._old[symbol] = f"{why_old(quote)}; it fills nothing"
            self._old_log.failed(self._old[symbol], key=symbol)
        elif self._old.pop(symbol, None) is not None:
            self._old_log.recovered(f"price source {quote.source} sends fresh prices of {symbol} again", key=symbol)
        return quote

    @property
    def frozen(self) -> list[Symbol]:
        """The symbols that are frozen at this moment."""
        return sorted(self._frozen)

    @property
    def reasons(self) -> list[str]:
        """A sentence for each symbol whose quotes are old at this moment."""
        return [*self._frozen.values(), *self._old.values()]

    def _frozen_text(self, quote: Quote) -> str:
        since = self._frozen_symbols.last_change(quote.symbol)
        assert since is not None  # it has changed often
        at = f"{since.time.astimezone(UTC):%H:%M:%S} UTC"
        return f"price source {quote.source} has repeated one price of {quote.symbol} since {at}; it fills nothing"

    def _report(self, text: str, *, over: bool = False) -> None:
        logger.log("INFO" if over else "WARNING", "{}", text)
        self._notify(AlarmKind.PRICE_SOURCE_SILENT, text, over=over)
