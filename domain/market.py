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
    """

    symbol: Symbol
    quote: str | None
    tick: Decimal = PRICE_QUANTUM
    step: Decimal = QUANTITY_STEP
    min_notional: Decimal = ZERO
    asset_class: str = "crypto"


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
        if exact is not None:
            return exact
        meant = self._by_letters.get(_letters(typed), [])
        if len(meant) == 1:
            return meant[0]
        if meant:
            return f"{typed!r} could be any of {', '.join(sorted(i.symbol for i in meant))}"
        near = difflib.get_close_matches(typed.upper(), self._by_symbol, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return f"{typed!r} is not traded here{hint}"


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
        """Ask for the prices of ``symbols`` too; a source that plays everything anyway ignores it."""
        ...

    def stop(self) -> None:
        """Deliver nothing more; return when the thread has ended, within 1 s. Again, or before a start: nothing."""
        ...


def _letters(symbol: str) -> str:
    return "".join(character for character in symbol.upper() if character not in "/-_: ")
