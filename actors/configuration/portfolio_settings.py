"""Settings of a portfolio: they create the row of the portfolio ``default``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from actors.configuration.price_settings import PriceSettings
from actors.configuration.settings_reference import Unit
from actors.configuration.settings_types import Amount, FeeRuleName, Fraction, PriceRuleName
from domain.trading.arithmetic import multiply, plain
from domain.trading.decision import Number
from domain.wording import CURRENCY


class PortfolioSettings(PriceSettings):
    """The settings of a portfolio, and those before them; `actors.settings.Settings` has all of them."""

    initial_capital: Annotated[Number, Field(gt=0, lt=Decimal("1e20")), Unit("money")] = Field(
        Decimal(10_000), description="Cash at the start.", examples=[50_000]
    )
    currency: Annotated[str, Field(pattern=CURRENCY)] = Field(
        "USDT", description="Currency of the account; amounts of money are in it.", examples=["USD"]
    )
    commission_pct: Annotated[Number, Field(ge=0, le=Decimal("0.1")), Unit("fraction")] = Field(
        Decimal("0.001"), description="Commission, as a fraction of the order's value.", examples=[Decimal("0.0026")]
    )
    fees: FeeRuleName = Field(
        "own",
        description="`own`: `commission_pct`. `venue`: the venue's rates, where it states them.",
        examples=["venue"],
    )
    min_commission: Amount = Field(Decimal(1), description="Smallest commission of an order.", examples=[0])
    slippage_pct: Annotated[Number, Field(ge=0, le=Decimal("0.05")), Unit("fraction")] = Field(
        Decimal("0.0005"),
        description="Base rate of slippage; order type, order size and a random factor change it.",
        examples=[Decimal("0.001")],
    )
    price_rule: PriceRuleName = Field(
        "quote",
        description="`quote`: a BUY meets the ask and a SELL the bid, where both are known. `last`: the last trade.",
        examples=["last"],
    )
    max_touch_share: Fraction = Field(
        Decimal(1),
        description="Share of the size at bid or ask that an order takes without a surcharge for its size.",
        examples=[Decimal("0.5")],
    )
    max_position_size: Annotated[Number, Field(gt=0, le=1), Unit("fraction")] = Field(
        Decimal("0.20"), description="Largest position, as a fraction of equity.", examples=[Decimal("0.1")]
    )
    decision_confidence_threshold: Fraction = Field(
        Decimal("0.6"), description="A decision with a lower confidence is ignored.", examples=[Decimal("0.7")]
    )
    min_notional: Amount = Field(
        Decimal(10),
        description="Smallest value of an order; the venue's own minimum counts where it is larger.",
        examples=[25],
    )
    default_risk_score: Fraction = Field(
        Decimal("0.3"),
        description="Risk score of a decision that has none. 0 leaves the size of a BUY as it is, 1 halves it.",
        examples=[Decimal("0.5")],
    )

    @model_validator(mode="after")
    def _check_that_an_order_is_possible(self) -> Self:
        largest = multiply(self.initial_capital, self.max_position_size)
        if self.min_notional > largest:
            msg = (
                f"settings contradict each other: an order must be worth min_notional = {plain(self.min_notional)}, and"
                f" a position may cost initial_capital × max_position_size = {plain(largest)}, so nothing could be"
                " bought"
            )
            raise ValueError(msg)
        return self

    def portfolio_values(self) -> Mapping[str, object]:
        """Return the values of a new ``default`` portfolio."""
        names = (
            "initial_capital", "currency", "commission_pct", "fees", "min_commission", "slippage_pct", "price_rule",
            "max_touch_share", "max_position_size", "decision_confidence_threshold", "min_notional",
            "default_risk_score",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}
