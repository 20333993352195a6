"""The instruments of recorded prices."""

from __future__ import annotations

from dataclasses import replace

from domain.currencies import quote_currency as known_quote
from domain.trading.instruments import Instrument
from domain.types import Symbol
from market.history.storage.manifest import NOTHING_STATED, InstrumentValues


def recorded_instrument(
    symbol: Symbol, quote_currency: str | None, values: InstrumentValues = NOTHING_STATED
) -> Instrument:
    """Return the instrument of a recorded symbol.

    Args:
        symbol: as it is recorded.
        quote_currency: of the prices of a symbol whose name does not tell it; None: it is unknown.
        values: what is stated of it.
    """
    instrument = Instrument(symbol, values.quote or known_quote(symbol) or quote_currency)
    if values.tick is not None:
        instrument = replace(instrument, tick=values.tick)
    if values.step is not None:
        instrument = replace(instrument, step=values.step)
    if values.min_notional is not None:
        instrument = replace(instrument, min_notional=values.min_notional)
    return instrument
