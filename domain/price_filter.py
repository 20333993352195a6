"""Filter for implausible prices: a price far from the last one, or one like a split, is held back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum

from domain.market_data.splits import Split, split_between
from domain.trading.arithmetic import ZERO, divide, multiply
from domain.trading.quotes import Quote
from domain.types import Symbol

MAX_PRICE_RATIO = Decimal(3)
"""A price that differs from the last one by more than this factor needs confirmations."""
MIN_ANSWERS = 3
MIN_CONFIRMED_FOR = timedelta(seconds=10)
"""So many answers, over at least this time, confirm such a price."""
BOOK_RATIO = Decimal("1.1")
"""Bid and ask that differ from a price by at most this factor confirm it while it is held back as a split."""
SESSION_BREAK = timedelta(hours=4)
"""Recorded prices further apart belong to two sessions."""


class Verdict(Enum):
    """What becomes of a price."""

    ACCEPTED = "accepted"
    INVALID = "no positive number"
    SET_ASIDE = "set aside until it is confirmed"
    SELLS_ONLY = "held back as a split; the book confirms it, so it counts for SELL orders"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A price that is held back.

    Attributes:
        first: the first answer with it.
        newest: the last answer that agrees with it.
        before: the price that was accepted last.
        answers: the number of answers, each later than the one before, whose bid and ask agree.
        split: the split that it looks like; None where it looks like none.
    """

    first: Quote
    newest: Quote
    before: Decimal
    answers: int
    split: Split | None

    @property
    def held_for(self) -> timedelta:
        """How long it has been held back: by this process's clock, for recorded prices by their times."""
        if self.first.real or self.first.price_time == self.first.seen_at:
            return self.newest.seen.since(self.first.seen)
        return self.newest.price_time - self.first.price_time

    @property
    def is_confirmed(self) -> bool:
        """Whether it is confirmed as a price that differs much from the one before."""
        return self.answers >= MIN_ANSWERS and self.held_for >= MIN_CONFIRMED_FOR

    def agrees(self, quote: Quote) -> bool:
        """Return whether a price is near to it, and nearer than to the price before it."""
        mine, price = self.newest.price, quote.price
        return _near(mine, price) and _factor(mine, price) < _factor(self.before, price)


class PriceFilter:
    """Accepts prices or holds them back, for each symbol on its own.

    Args:
        split_hold: how long a price that looks like a split is held back.

    Attributes:
        suspects: the price that is held back, by symbol.
    """

    def __init__(self, split_hold: timedelta) -> None:
        self.suspects: dict[Symbol, Suspect] = {}
        self._split_hold = split_hold
        self._last: dict[Symbol, tuple[Decimal, datetime | None]] = {}

    def remember(self, symbol: Symbol, price: Decimal) -> None:
        """Set the last price of a symbol that has none yet, from the prices that an earlier process stored."""
        self._last.setdefault(symbol, (price, None))

    def forget(self, symbol: Symbol) -> Suspect | None:
        """Accept the next price of a symbol, whatever it is; return the one that was held back."""
        self._last.pop(symbol, None)
        return self.suspects.pop(symbol, None)

    def judge(self, quote: Quote, asset_class: str) -> Verdict:
        """Return whether a price may be used.

        One that differs from the last one by more than `MAX_PRICE_RATIO` needs `MIN_ANSWERS` answers over
        `MIN_CONFIRMED_FOR`. Each must be later than the one before: the same price seen again confirms nothing. Most
        exchanges do not state the time of the last trade and repeat a bad price until the next trade, so bid and ask,
        where they are known, must agree, too. One that looks like a split is held back for as long as `split_hold`.
        """
        if not quote.price.is_finite() or quote.price <= ZERO:
            return Verdict.INVALID
        if quote.symbol not in self._last:
            return self._accept(quote)
        last, last_time = self._last[quote.symbol]
        suspect = self.suspects.get(quote.symbol)
        if suspect is None or not suspect.agrees(quote):
            is_new_session = not quote.real and last_time is not None and quote.price_time - last_time >= SESSION_BREAK
            split = split_between(last, quote.price, asset_class, is_new_session=is_new_session)
            if split is None and _near(last, quote.price):
                return self._accept(quote)
            suspect = Suspect(quote, quote, last, 1 if _book_agrees(quote, MAX_PRICE_RATIO) else 0, split)
        elif _later(quote, suspect.newest) and _book_agrees(quote, MAX_PRICE_RATIO):
            first = suspect.first if suspect.answers else quote
            suspect = replace(suspect, first=first, newest=quote, answers=suspect.answers + 1)
        self.suspects[quote.symbol] = suspect
        if suspect.is_confirmed and (suspect.split is None or suspect.held_for >= self._split_hold):
            return self._accept(quote)
        counts = suspect.is_confirmed or _near(last, quote.price)
        if suspect.split is not None and counts and quote.bid and quote.ask and _book_agrees(quote, BOOK_RATIO):
            return Verdict.SELLS_ONLY
        return Verdict.SET_ASIDE

    def accepts_trade(self, quote: Quote) -> bool:
        """Return whether a single trade of the market may be used: it is not far from the last price, if one is known.

        It confirms no suspect: a price source shows the same bad trade in its quotes, too.
        """
        if (last := self._last.get(quote.symbol)) is None:
            return True
        suspect = self.suspects.get(quote.symbol)
        return _near(last[0], quote.price) and (suspect is None or not suspect.agrees(quote))

    def _accept(self, quote: Quote) -> Verdict:
        self._last[quote.symbol] = quote.price, quote.price_time
        self.suspects.pop(quote.symbol, None)
        return Verdict.ACCEPTED


def _book_agrees(quote: Quote, ratio: Decimal) -> bool:
    """Return whether bid and ask, as far as they are known, differ from the price by at most a factor."""
    sides = [price for price in (quote.bid, quote.ask) if price and price > ZERO]
    return all(_near(price, quote.price, ratio) for price in sides)


def _later(quote: Quote, suspect: Quote) -> bool:
    """Return whether a price is a later one: by the source's time, where it sends one; else by its receipt."""
    if quote.own_time is None or suspect.own_time is None:
        return quote.seen.monotonic > suspect.seen.monotonic
    return quote.own_time > suspect.own_time


def _factor(one: Decimal, other: Decimal) -> Decimal:
    return divide(max(one, other), min(one, other))


def _near(one: Decimal, other: Decimal, ratio: Decimal = MAX_PRICE_RATIO) -> bool:
    return max(one, other) <= multiply(ratio, min(one, other))
