"""Settings of a portfolio: they create the row of the portfolio ``default``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import Field, model_validator

from actors.configuration.price_settings import PriceSettings
from actors.configuration.settings_reference import Unit
from actors.configuration.settings_types import Amount, FeeRuleName, Fraction, PriceRuleName
from domain.currencies import smallest_amounts
from domain.errors import SettingsError
from domain.trading.arithmetic import ZERO, multiply, plain
from domain.trading.decision import Number
from domain.wording import CURRENCY

DEFAULT_CURRENCY = "USDT"
MAX_COMMISSION_SHARE = Decimal("0.001")
"""A smallest commission that is a larger share of a portfolio's capital must have been set by hand."""


class PortfolioSettings(PriceSettings):
    """The settings of a portfolio, and those before them; `actors.settings.Settings` has all of them."""

    initial_capital: Annotated[Number, Field(gt=0, lt=Decimal("1e20")), Unit("money")] = Field(
        Decimal(10_000), description="Cash at the start.", examples=[50_000]
    )
    currency: Annotated[str, Field(pattern=CURRENCY)] = Field(
        DEFAULT_CURRENCY, description="Currency of the account; amounts of money are in it.", examples=["USD"]
    )
    commission_pct: Annotated[Number, Field(ge=0, le=Decimal("0.1")), Unit("fraction")] = Field(
        Decimal("0.001"), description="Commission, as a fraction of the order's value.", examples=[Decimal("0.0026")]
    )
    fees: FeeRuleName = Field(
        "own",
        description="`own`: `commission_pct`. `venue`: the venue's rates, where it states them.",
        examples=["venue"],
    )
    min_commission: Amount = Field(
        default_factory=lambda values: smallest_amounts(values.get("currency", DEFAULT_CURRENCY)).min_commission,
        description="Smallest commission of an order, in `currency`. The default is worth about a dollar: 1 of USDT or "
        "EUR, 100 of JPY, 0.00001 of BTC, 0 of a currency that is not known. One above 0.1 % of `initial_capital` is "
        "refused where it is the default.",
        examples=[0],
    )
    slippage_pct: Annotated[Number, Field(ge=0, le=Decimal("0.05")), Unit("fraction")] = Field(
        Decimal("0.0005"),
        description="Base rate of slippage. A market order pays twice that on average, so that 0.0005 costs it about "
        "0.1 %; a large order pays more, a limit order less, and a random factor of 0.5 to 1.5 changes each.",
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
        default_factory=lambda values: smallest_amounts(values.get("currency", DEFAULT_CURRENCY)).min_notional,
        description="Smallest value of an order, in `currency`; the venue's own minimum counts where it is larger. The "
        "default is worth about 10 dollars.",
        examples=[25],
    )
    default_risk_score: Fraction = Field(
        Decimal("0.3"),
        description="Risk score of a decision that has none. 0 leaves the size of a BUY as it is, 1 halves it.",
        examples=[Decimal("0.5")],
    )

    @model_validator(mode="after")
    def _check_that_an_order_is_possible(self) -> Self:
        if not self.model_fields_set & {"min_notional", "initial_capital", "max_position_size"}:
            return self  # `new_portfolio` refuses a default that is too large; existing portfolios have their own
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

    def new_portfolio(self, values: Mapping[str, object] = MappingProxyType({})) -> Mapping[str, object]:
        """Return the values of a new portfolio: ``values``, and for the rest those of the settings.

        Amounts of the settings are in their currency; for another currency its own defaults count.

        Raises:
            SettingsError: the smallest commission is above 0.1 % of the capital, and nobody set it.
        """
        currency = values.get("currency", self.currency)
        amounts = smallest_amounts(str(currency))._asdict() if currency != self.currency else {}
        new = {**self.portfolio_values(), **amounts, **values}
        capital, minimum = new["initial_capital"], new["min_commission"]
        assert isinstance(capital, Decimal)
        assert isinstance(minimum, Decimal)
        by_hand = "min_commission" in values or (not amounts and "min_commission" in self.model_fields_set)
        if not by_hand and minimum > multiply(capital, MAX_COMMISSION_SHARE) > ZERO:
            raise SettingsError(
                f"the smallest commission of an order would be {plain(minimum)} {currency}, more than 0.1 % of the"
                f" capital, {plain(capital)}; set min_commission to what your broker takes, or to 0"
            )
        return new
