"""The rules of the portfolio of a backtest, from a file: the names are those of ``paper_trading_config``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.currencies import about_one_dollar
from domain.errors import SettingsError
from domain.trading.arithmetic import exact_number
from domain.trading.orders import Costs, ExecutionRules
from domain.trading.portfolio import PortfolioRules
from domain.types import FeeRule, PortfolioName, PriceRule
from domain.wording import did_you_mean, quoted, requirement

Number = Annotated[Decimal, BeforeValidator(exact_number)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Amount = Annotated[Number, Field(ge=0, lt=Decimal("1e20"))]


def _no_null(value: object) -> object:
    """TOML has no null: a level that is not wanted is written ``"none"``."""
    return None if value == "none" else value


class RulesInFile(BaseModel):
    """The rules that a file may state; what it leaves out comes from the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: Annotated[str, Field(pattern="^[A-Z0-9]{2,20}$")]
    initial_capital: Annotated[Number, Field(gt=0, lt=Decimal("1e20"))]
    commission_pct: Annotated[Number, Field(ge=0, le=Decimal("0.1"))]
    min_commission: Amount
    slippage_pct: Annotated[Number, Field(ge=0, le=Decimal("0.05"))]
    max_position_size: Annotated[Number, Field(gt=0, le=1)]
    decision_confidence_threshold: Fraction
    min_notional: Amount
    default_risk_score: Fraction
    price_rule: PriceRule = PriceRule.QUOTE
    max_touch_share: Fraction = Decimal(1)
    fill_on_touch: bool = False
    max_bar_share: Annotated[Number, Field(gt=0, le=1)] = Decimal("0.1")
    fees: FeeRule = FeeRule.OWN
    default_stop_loss: Annotated[Annotated[Number, Field(gt=0, lt=1)] | None, BeforeValidator(_no_null)] = None
    default_take_profit: Annotated[Annotated[Number, Field(gt=0)] | None, BeforeValidator(_no_null)] = None


RULES = tuple(RulesInFile.model_fields)
"""The names of the rules."""


def read_rules(file: Path) -> Mapping[str, Any]:
    """Return what a file of TOML states, numbers as they are written.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise SettingsError(f"portfolio rules {file}: cannot read it: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"portfolio rules {file}: no TOML: {error}") from None
    unknown = sorted(values.keys() - set(RULES))
    if unknown:
        hint = did_you_mean(unknown[0], RULES) or f"; there are {', '.join(RULES)}"
        raise SettingsError(f"portfolio rules {file}: there is no rule {quoted(unknown[0])}{hint}")
    return values


def portfolio_rules(name: str, values: Mapping[str, Any]) -> PortfolioRules:
    """Return the rules of a portfolio.

    Args:
        name: of the portfolio.
        values: of `RulesInFile`.

    Raises:
        SettingsError: a value is not valid.
    """
    try:
        rules = RulesInFile.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{first['loc'][0]} = {first['input']}: {requirement(first)}") from None
    return PortfolioRules(
        portfolio=PortfolioName(name),
        currency=rules.currency,
        initial_capital=rules.initial_capital,
        costs=Costs(
            rules.slippage_pct, rules.commission_pct, rules.min_commission, dollar=about_one_dollar(rules.currency)
        ),
        max_position_size=rules.max_position_size,
        decision_confidence_threshold=rules.decision_confidence_threshold,
        min_notional=rules.min_notional,
        default_risk_score=rules.default_risk_score,
        execution=ExecutionRules(
            rules.price_rule, rules.max_touch_share, rules.fill_on_touch, rules.max_bar_share
        ),
        fees=rules.fees,
        default_stop_loss=rules.default_stop_loss,
        default_take_profit=rules.default_take_profit,
    )  # fmt: skip
