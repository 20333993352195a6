"""The instruments of recorded prices: what is stated of them, and else what is usual for their kind."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from domain.currencies import asset_class as asset_class_of
from domain.currencies import quote_currency as known_quote
from domain.trading.arithmetic import PRICE_QUANTUM, QUANTITY_STEP, ZERO
from domain.trading.instruments import Instrument
from domain.types import Symbol
from market.history.storage.manifest import NOTHING_STATED, InstrumentValues


class Steps(NamedTuple):
    """The smallest differences of an instrument.

    Attributes:
        tick: prices are multiples of it.
        step: quantities are multiples of it.
    """

    tick: Decimal
    step: Decimal


USUAL = {
    "equity": Steps(Decimal("0.01"), Decimal(1)),
    "fx": Steps(Decimal("0.00001"), Decimal("0.01")),
    "commodity": Steps(Decimal("0.01"), Decimal("0.01")),
}
"""By asset class: shares are traded in whole pieces, unless a step is stated."""
TICK_IN_YEN = Decimal("0.001")
OTHER = Steps(PRICE_QUANTUM, QUANTITY_STEP)
"""Of coins and all else: so fine that a venue's own would not be finer."""


def recorded_instrument(
    symbol: Symbol,
    quote_currency: str | None,
    values: InstrumentValues = NOTHING_STATED,
    lowest: Decimal | None = None,
) -> Instrument:
    """Return the instrument of a recorded symbol.

    Args:
        symbol: as it is recorded.
        quote_currency: of the prices of a symbol whose name does not tell it; None: it is unknown.
        values: what is stated of it; the rest is usual for its asset class.
        lowest: its lowest price; None where unknown. The usual tick is at most a hundredth of it.
    """
    quote = values.quote or known_quote(symbol) or quote_currency
    asset_class = values.asset_class or asset_class_of(symbol)
    tick, step = USUAL.get(asset_class, OTHER)
    if asset_class == "fx" and quote == "JPY":
        tick = TICK_IN_YEN
    while lowest is not None and tick > max(lowest.scaleb(-2), PRICE_QUANTUM):
        tick = tick.scaleb(-1)
    return Instrument(
        symbol,
        quote,
        values.tick or tick,
        values.step or step,
        values.min_notional or ZERO,
        asset_class,
    )
