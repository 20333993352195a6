"""Instruments: markets with their trading rules, and the resolution of the symbols that people type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from domain.currencies import split_name
from domain.immutable.records import replace
from domain.trading.arithmetic import PRICE_QUANTUM, QUANTITY_STEP, ZERO
from domain.types import Symbol
from domain.wording import did_you_mean


@dataclass(frozen=True, slots=True)
class Instrument:
    """A market that can be traded, with the venue's rules.

    Attributes:
        symbol: the venue's spelling.
        quote: the currency of its prices; None where it is not known: then it is not bought.
        tick: prices are multiples of it.
        step: quantities are multiples of it.
        min_notional: the venue's smallest order value; a larger minimum of the portfolio overrides it.
        asset_class: ``crypto``, ``equity``, …
        min_quantity: the venue's smallest order quantity.
        not_traded: why it cannot be traded now, as a clause that follows its symbol (``is delisted or suspended at
            kraken``); None where it can.
        maker_fee: the venue's commission rate for makers, a fraction; None where it states none.
        taker_fee: the same for takers.
        calendar: code of the exchange whose sessions it has; None where it has none.
    """

    symbol: Symbol
    quote: str | None
    tick: Decimal = PRICE_QUANTUM
    step: Decimal = QUANTITY_STEP
    min_notional: Decimal = ZERO
    asset_class: str = "crypto"
    min_quantity: Decimal = ZERO
    not_traded: str | None = None
    # An order keeps the rates that it pays with its costs, so its instrument is the same without them.
    maker_fee: Decimal | None = field(default=None, compare=False)
    taker_fee: Decimal | None = field(default=None, compare=False)
    # An order with a session keeps its calendar itself.
    calendar: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Unresolved:
    """The reason why a symbol stands for no instrument that can be traded: a sentence for a person."""

    reason: str


@dataclass(frozen=True, slots=True)
class Calendars:
    """The exchanges whose sessions symbols have.

    Attributes:
        by_symbol: code of the exchange by symbol, in any usual spelling.
    """

    by_symbol: Mapping[str, str] = field(default_factory=dict)

    def of(self, symbol: str) -> str | None:
        """Return the calendar of a symbol in any usual spelling; None where it has no sessions."""
        if not self.by_symbol:
            return None
        typed = _letters(symbol)
        return next((calendar for name, calendar in self.by_symbol.items() if _letters(name) == typed), None)


NO_CALENDARS = Calendars()
"""No symbol has sessions."""

FULL_COMPARISON_LIMIT = 500
"""A misspelled symbol is compared with every symbol of a catalogue of at most this size."""


class InstrumentCatalog:
    """Instruments by symbol; resolves the spellings that people type.

    >>> catalog = InstrumentCatalog([Instrument(Symbol("BTC/USDT"), "USDT")])
    >>> catalog.resolve("btc-usdt").symbol
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
        """All instruments, by the venue's symbol."""
        return self._by_symbol

    def with_calendars(self, calendars: Calendars) -> InstrumentCatalog:
        """Return the same instruments with their calendars."""
        if not calendars.by_symbol:
            return self
        return InstrumentCatalog(replace(one, calendar=calendars.of(one.symbol)) for one in self._by_symbol.values())

    def resolve(self, typed: str) -> Instrument | Unresolved:
        """Return the instrument that ``typed`` stands for, or the reason why there is none."""
        exact = self._by_symbol.get(typed)
        if exact is not None and exact.not_traded is None:
            return exact
        matches = [exact] if exact is not None else self._by_letters.get(_letters(typed), [])
        traded = [instrument for instrument in matches if instrument.not_traded is None]
        if len(traded) == 1:
            return traded[0]
        if traded:
            return Unresolved(f"{typed!r} could be any of {', '.join(sorted(i.symbol for i in traded))}")
        if matches:
            return Unresolved(f"{matches[0].symbol} {matches[0].not_traded}")
        # In the spelling of a vendor, such as EURUSD=X and XBTUSD. What comes behind a colon makes it another market.
        pair = split_name(typed) if ":" not in typed else None
        named = self._by_symbol.get(f"{pair.base}/{pair.quote}") if pair is not None else None
        if named is not None and named.not_traded is None:
            return named
        # A venue may have thousands of symbols, and a sender of one misspelled symbol may send many.
        compare_all = len(self) <= FULL_COMPARISON_LIMIT
        candidates = [symbol for symbol in self._by_symbol if compare_all or symbol[:1] == typed[:1].upper()]
        return Unresolved(f"{typed!r} is not traded here{did_you_mean(typed, candidates, most=3)}")


def same_letters(one: str, other: str) -> bool:
    """Return whether two spellings are those of one symbol, such as ``btc-usdt`` and ``BTC/USDT``."""
    return _letters(one) == _letters(other)


def _letters(symbol: str) -> str:
    return "".join(character for character in symbol.upper() if character not in "/-_: ")
