"""The price sources by name. A new one is a module of this package with a function `from_options`, and a line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from domain.trading.quotes import PriceSource
from domain.types import Clock

SOURCES = {
    "ccxt": "market.exchange.ccxt_source",
    "simulated": "market.simulated",
    "history": "market.files.history_source",
}
"""By the value of the setting ``prices``: the module of the source, which is imported only where it is used."""
NOT_RECORDED = frozenset({"ccxt", "simulated"})
"""The sources whose prices are made now; those of all others were recorded."""
FILE = "market.files.file_source"
"""The module for every other value, which is the path of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What a price source may need; docs/settings.md describes the settings of these names.

    Attributes:
        home: the program's folder.
        clock: gives the times at which prices are seen.
        price_speed: ``math.inf`` plays recorded prices as fast as they can be handled.
    """

    prices: str
    home: Path
    clock: Clock
    exchange: str
    exchange_options: Mapping[str, Any]
    exchange_trusted_hosts: Sequence[str] = ()
    symbols: Sequence[str] | None
    seed: int
    price_interval: float
    price_speed: float
    price_from: datetime | None
    price_to: datetime | None
    price_spread: Decimal
    max_price_age: float
    max_quote_lag: float
    quote_currency: str | None = None


class SourceModule(Protocol):
    """A module with a price source."""

    def from_options(self, options: SourceOptions) -> PriceSource:
        """Return the source, without starting it or connecting to anything.

        Raises:
            SettingsError: an option is wrong; the message names the setting.
        """


def open_source(options: SourceOptions) -> PriceSource:
    """Return the price source that ``options.prices`` names, without starting it; never another one in its place.

    Raises:
        SettingsError: an option is wrong; the message names the setting.
    """
    module = cast("SourceModule", import_module(SOURCES.get(options.prices, FILE)))
    return module.from_options(options)
