"""Buy and hold: what every other strategy has to beat."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from domain.trading.decision import Fraction
from research.strategy import Intent, Parameters, Strategy
from research.view import Bar, View


class BuyAndHoldParameters(Parameters):
    """Parameters of `BuyAndHold`.

    Attributes:
        confidence: of the one decision; at 0.8 and no risk a BUY uses all of ``max_position_size``.
    """

    confidence: Fraction = Field(default=Decimal("0.8"))


class BuyAndHold(Strategy[BuyAndHoldParameters]):
    """Buys each symbol at its first bar, and keeps it."""

    def __init__(self, parameters: BuyAndHoldParameters) -> None:
        super().__init__(parameters)
        self._bought: set[str] = set()

    def on_bar(self, bar: Bar, view: View) -> Intent | None:  # noqa: ARG002
        """Return the one BUY of a symbol."""
        if bar.symbol in self._bought:
            return None
        self._bought.add(bar.symbol)
        return Intent.buy(confidence=self.parameters.confidence, risk_score=Decimal(0))
