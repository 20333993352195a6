"""Mean reversion with bracket orders: buys what has fallen far below its mean, with a stop and a target.

The measure of distance are the bands of J. Bollinger, Bollinger on Bollinger Bands (2001): standard deviations of the
last closes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from domain.trading.decision import Part
from research.strategy import Intent, Parameters, Strategy
from research.view import Bar, View


class MeanReversionParameters(Parameters):
    """Parameters of `MeanReversion`.

    Attributes:
        bars: over which mean and deviation are computed.
        deviations: so far below the mean it buys.
        stop: distance of the stop from the entry price, a fraction.
        target: distance of the target from it, a fraction.
    """

    bars: Annotated[int, Field(ge=3)] = 20
    deviations: Annotated[float, Field(gt=0)] = 2.0
    stop: Part = Decimal("0.02")
    target: Part = Decimal("0.02")


class MeanReversion(Strategy[MeanReversionParameters]):
    """Buys below the lower band; the exits of the bracket sell."""

    def __init__(self, parameters: MeanReversionParameters) -> None:
        super().__init__(parameters)
        self.warm_up = parameters.bars

    def on_bar(self, bar: Bar, view: View) -> Intent | None:
        """Return a BUY with a stop and a target where the close is below the lower band and nothing is held."""
        closes = view.closes(self.parameters.bars)
        if bar.price >= closes.mean() - self.parameters.deviations * closes.std() or view.position():
            return None
        return Intent.buy(stop_loss_pct=self.parameters.stop, take_profit_pct=self.parameters.target)
