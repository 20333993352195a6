"""The newest quotes by which decisions are sized."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from domain.trading.decision import PendingDecision
from domain.trading.freshness.age import Fresh
from domain.trading.instruments import InstrumentCatalog, Unresolved
from domain.trading.prices import may_fill, why_old
from domain.trading.quotes import Quote
from domain.types import PriceRule, Symbol


class NewestQuotes:
    """The newest quotes that may fill, by price rule, and those that are too old by their exchange's clock.

    Args:
        grace: a quote seen up to this long before a decision was received is fresh enough for it.

    Attributes:
        held_back: the symbols whose newest price is held back, each with the reason.
    """

    def __init__(self, grace: timedelta) -> None:
        self.held_back: Mapping[Symbol, str] = {}
        self._grace = grace
        self._grace_s = grace.total_seconds()
        self._by_rule: dict[PriceRule, dict[Symbol, Quote]] = {rule: {} for rule in PriceRule}
        self._old: dict[Symbol, Quote] = {}

    def take(self, quotes: Mapping[Symbol, Quote]) -> None:
        """Take quotes, each newer than the one before of its symbol."""
        for symbol, quote in quotes.items():
            if quote.freshness is None or quote.freshness.fresh is Fresh.ALL:
                for newest in self._by_rule.values():
                    newest[symbol] = quote
                self._old.pop(symbol, None)
                continue
            self._old[symbol] = quote
            for rule, newest in self._by_rule.items():
                if may_fill(quote, rule):
                    newest[symbol] = quote

    def forget(self, symbol: Symbol) -> None:
        """Drop the quotes of a symbol: none before the next one may fill."""
        for newest in (*self._by_rule.values(), self._old):
            newest.pop(symbol, None)

    def forget_until(self, symbol: Symbol, time: datetime) -> bool:
        """Drop the quotes of a symbol unless a later one than this time is known; return whether none is left."""
        newest = [quotes[symbol] for quotes in (*self._by_rule.values(), self._old) if symbol in quotes]
        if any(quote.seen_at > time for quote in newest):
            return False
        self.forget(symbol)
        return True

    def unknown(self, quotes: Iterable[Quote]) -> list[Quote]:
        """Return those of ``quotes`` whose symbol has no quote yet."""
        symbols = self._by_rule[PriceRule.QUOTE].keys() | self._old.keys()
        return [quote for quote in quotes if quote.symbol not in symbols]

    def fresh(self, decision: PendingDecision, symbol: Symbol, rule: PriceRule) -> Quote | None:
        """Return the newest quote that may fill by a price rule, if it is fresh enough for a decision."""
        quote = self._by_rule[rule].get(symbol)
        if quote is None:
            return None
        received, seen = decision.received, quote.seen
        # `Instant.since` rounds to microseconds, which keeps the order: what is within the grace in floats remains so.
        within = received.monotonic - seen.monotonic <= self._grace_s or received.since(seen) <= self._grace
        return quote if within else None

    def is_old(self, symbol: Symbol | None) -> bool:
        """Return whether the newest quote of a symbol, or a part of it, is too old by its exchange's clock."""
        return symbol in self._old

    def why_none(self, decision: PendingDecision, catalog: InstrumentCatalog | None, within: timedelta) -> str:
        """Return why a decision got no price within a time: none came, only old ones, or one that is held back."""
        resolved = catalog.resolve(decision.symbol) if catalog is not None else None
        if resolved is not None and not isinstance(resolved, Unresolved):
            if (reason := self.held_back.get(resolved.symbol)) is not None:
                return reason
            old = self._old.get(resolved.symbol)
            if old is not None and decision.received.since(old.seen) <= self._grace:
                return why_old(old)
        return f"none of {decision.symbol} was seen within {within.total_seconds():g} s"

    def describe(self) -> dict[Symbol, dict[str, Any]]:
        """Return the newest quote of each symbol, for consoles."""
        newest = self._by_rule[PriceRule.QUOTE] | self._old
        return {symbol: {"price": quote.price, "seen_at": quote.seen_at} for symbol, quote in newest.items()}
