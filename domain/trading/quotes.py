"""Quotes, and the sources that they come from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.trading.instruments import InstrumentCatalog
from domain.types import Symbol

NOT_REAL = frozenset({"simulated", "file"})
"""Price sources whose results prove nothing about real markets."""


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


class PriceListener(Protocol):
    """Who hears the prices. Called from the source's thread; puts a message in a mailbox, never blocks or raises."""

    def instruments_loaded(self, catalog: InstrumentCatalog) -> None:
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
        """What people should know of its prices, a sentence each: the assumed length of the bars of a file."""
        ...

    @property
    def troubles(self) -> Sequence[str]:
        """What it tries again and again at this moment because it fails, a sentence each. From any thread."""
        ...

    @property
    def catalog(self) -> InstrumentCatalog | None:
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

        Symbols are the venue's, or as people type them while the catalog is not known. A source that plays everything
        anyway ignores it. May be called before the start, from any thread; never blocks.
        """
        ...

    def unsubscribe(self, symbols: Collection[Symbol]) -> None:
        """Prices of ``symbols`` are not needed any more. From any thread; never blocks."""
        ...

    def stop(self) -> None:
        """Deliver nothing more; return when the thread has ended, within 1 s. Again, or before a start: nothing."""
        ...
