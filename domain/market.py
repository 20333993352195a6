"""What the world outside says: instruments, quotes, and the spelling of symbols."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.arithmetic import PRICE_QUANTUM, QUANTITY_STEP, ZERO
from domain.words import Symbol

NOT_REAL = frozenset({"simulated", "file"})
"""Price sources whose results prove nothing about real markets."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """What can be traded, and the venue's rules for it.

    Attributes:
        symbol: the venue's spelling.
        quote: the currency of its prices; None where the symbol has no quote, then it is the portfolio's.
        tick: prices are multiples of it.
        step: quantities are multiples of it.
        min_notional: the venue's smallest order value; the portfolio's own minimum counts if it is larger.
        asset_class: ``crypto``, ``equity``, …
        min_quantity: the venue's smallest order quantity.
        not_traded: why it cannot be traded now, in words that follow its symbol (``is delisted or suspended at
            kraken``); None where it can.
    """

    symbol: Symbol
    quote: str | None
    tick: Decimal = PRICE_QUANTUM
    step: Decimal = QUANTITY_STEP
    min_notional: Decimal = ZERO
    asset_class: str = "crypto"
    min_quantity: Decimal = ZERO
    not_traded: str | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """A price as this process saw it.

    Attributes:
        price: the base price: last trade, or the middle of bid and ask.
        price_time: when the source says that it was the price.
        seen_at: when this process saw it, or saw it confirmed.
        source: the name of the price source.
    """

    symbol: Symbol
    price: Decimal
    price_time: datetime
    seen_at: datetime
    source: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    volume: Decimal | None = None


FEW = 500
"""Up to so many symbols, all of them are compared with a misspelled one."""


class SymbolBook:
    """Resolves what people type to the venue's symbol.

    >>> book = SymbolBook([Instrument(Symbol("BTC/USDT"), "USDT")])
    >>> book.resolve("btc-usdt").symbol
    'BTC/USDT'
    """

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._by_symbol: dict[str, Instrument] = {}
        self._by_letters: dict[str, list[Instrument]] = {}
        for instrument in instruments:
            self._by_symbol[instrument.symbol] = instrument
            self._by_letters.setdefault(_letters(instrument.symbol), []).append(instrument)

    def __len__(self) -> int:
        return len(self._by_symbol)

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Every instrument, by the venue's spelling."""
        return self._by_symbol

    def resolve(self, typed: str) -> Instrument | str:
        """Return the instrument meant, or a sentence that says why there is none."""
        exact = self._by_symbol.get(typed)
        meant = [exact] if exact is not None else self._by_letters.get(_letters(typed), [])
        traded = [instrument for instrument in meant if instrument.not_traded is None]
        if len(traded) == 1:
            return traded[0]
        if traded:
            return f"{typed!r} could be any of {', '.join(sorted(i.symbol for i in traded))}"
        if meant:
            return f"{meant[0].symbol} {meant[0].not_traded}"
        near = self._near(typed)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return f"{typed!r} is not traded here{hint}"

    def _near(self, typed: str) -> list[str]:
        name = typed.upper()
        # A venue may have thousands, and whoever sends one misspelled symbol may send many.
        few = len(self) <= FEW
        alike = [symbol for symbol in self._by_symbol if few or symbol[:1] == name[:1]]
        return difflib.get_close_matches(name, alike, n=3)


class PriceListener(Protocol):
    """Who hears the prices. Called from the source's thread; puts a message in a mailbox, never blocks or raises."""

    def book_known(self, book: SymbolBook) -> None:
        """Take what can be traded; comes before the first price of each start."""
        ...

    def quotes_seen(self, quotes: Sequence[Quote]) -> None:
        """Take prices seen at one moment."""
        ...

    def source_ended(self, reason: str) -> None:
        """Take the sentence that says why no more prices come: a file's end, or a failure. Not sent after a stop."""
        ...


class PriceSource(Protocol):
    """Where prices come from.

    Attributes:
        name: ``simulated``, ``file``, or the exchange's id; stands in ``Quote.source``.
        real: False where results at its prices are marked as simulated or from a file.
    """

    name: str
    real: bool

    @property
    def notes(self) -> Sequence[str]:
        """What people should know of its prices, a sentence each: how long the bars of a file are taken to be."""
        ...

    @property
    def troubles(self) -> Sequence[str]:
        """What it tries again and again at this moment because it fails, a sentence each. From any thread."""
        ...

    @property
    def book(self) -> SymbolBook | None:
        """What can be traded, None until it is known."""
        ...

    def start(self, listener: PriceListener) -> None:
        """Begin to deliver, on a daemon thread of its own; return at once. After a stop or an end it may start again.

        Raises:
            RuntimeError: it is running.
        """
        ...

    def subscribe(self, symbols: Collection[Symbol]) -> None:
        """Ask for the prices of ``symbols``, and for one of each at once; also of those asked for before.

        Symbols are the venue's, or as people type them while the book is not known. A source that plays everything
        anyway ignores it. May be called before the start, from any thread; never blocks.
        """
        ...

    def unsubscribe(self, symbols: Collection[Symbol]) -> None:
        """Prices of ``symbols`` are not needed any more. From any thread; never blocks."""
        ...

    def stop(self) -> None:
        """Deliver nothing more; return when the thread has ended, within 1 s. Again, or before a start: nothing."""
        ...


def _letters(symbol: str) -> str:
    return "".join(character for character in symbol.upper() if character not in "/-_: ")
