"""Criteria of a validation, and the result of checking one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any

from domain.trading.arithmetic import ZERO, multiply, plain, round_to

MAX_EVIDENCE_ITEMS = 20
HUNDRED = Decimal(100)
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Swept:
    """The sweeps from which a strategy came: the more variants were tried, the more of the best one is luck.

    Attributes:
        trials: how many were tried, at least 1.
        deviation: the standard deviation of their Sharpe ratios, of one day.
    """

    trials: int
    deviation: Decimal


@dataclass(frozen=True, slots=True)
class Criteria:
    """The values that a portfolio must reach. A run keeps the criteria of its start. Ratios are fractions.

    Attributes:
        min_days: whole UTC days with at least one snapshot.
        min_win_rate: win rate over round trips.
        min_sharpe: annualised Sharpe ratio.
        max_drawdown: drawdown of the value.
        min_trades: number of round trips.
        min_net: amount that the net result of closings and the change of the value must exceed.
        min_psr: PSR(0); a result that meets all other criteria but has a lower one is underpowered.
        min_uptime: share of the time in which a process served.
        max_restarts: number of crashes and hangs of actors.
        max_no_price: share of the decisions that were rejected because no price arrived in time.
        outcome_grace: seconds after its deadline within which a decision must have its outcome.
        swept: the sweeps from which the strategies came; None: no sweep of them is stored.
    """

    min_days: int = 14
    min_win_rate: Decimal = Decimal("0.55")
    min_sharpe: Decimal = Decimal("1.5")
    max_drawdown: Decimal = Decimal("0.10")
    min_trades: int = 20
    min_net: Decimal = ZERO
    min_psr: Decimal = Decimal("0.95")
    min_uptime: Decimal = Decimal("0.99")
    max_restarts: int = 5
    max_no_price: Decimal = Decimal("0.05")
    outcome_grace: int = 300
    swept: Swept | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the criteria for JSON, with amounts and ratios as text."""
        values = {name: getattr(self, name) for name in LIMITS}
        document: dict[str, object] = {
            name: plain(value) if isinstance(value, Decimal) else value for name, value in values.items()
        }
        if self.swept is not None:
            document["swept"] = {"trials": self.swept.trials, "deviation": plain(self.swept.deviation)}
        return document

    @classmethod
    def from_settings(cls, settings: object) -> Criteria:
        """Return the criteria of the settings ``validation_…``."""
        return cls(**{name: getattr(settings, f"validation_{name}") for name in LIMITS})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Criteria:
        """Return the criteria from the result of `to_dict`. A missing one, of an older version, has its default."""
        kinds = {
            field.name: Decimal if field.type == "Decimal" else int for field in fields(cls) if field.name in LIMITS
        }
        stored: dict[str, Any] = {name: kind(values[name]) for name, kind in kinds.items() if name in values}
        swept = values.get("swept")
        if swept is not None:
            stored["swept"] = Swept(int(swept["trials"]), Decimal(swept["deviation"]))
        return cls(**stored)


LIMITS = tuple(field.name for field in fields(Criteria) if field.name != "swept")
"""The criteria that are settings."""


class CriterionState(StrEnum):
    """Whether a criterion is met."""

    MET = "met"
    NOT_MET = "not met"
    NOT_YET = "not yet"


@dataclass(frozen=True, slots=True)
class Criterion:
    """The result of checking one criterion. Texts are for people, apart from the name.

    Attributes:
        name: for programs, such as ``win_rate``.
        title: such as *win rate*.
        required: such as *at least 55 %*.
        seen: the actual value; without one, the reason.
        passed: True where the value is good enough. An undefined metric never is.
        evidence: ids, dates and the like; at most 20, followed by *and 12 more*.
        waits_for: what is missing, and when it is known, where the criterion cannot be judged yet; else empty.
        final: True where it is not met, and cannot be met any more in this run.
    """

    name: str
    title: str
    required: str
    seen: str
    passed: bool
    evidence: tuple[str, ...] = ()
    waits_for: str = ""
    final: bool = False

    @property
    def state(self) -> CriterionState:
        """Whether it is met, is not, or cannot be judged yet."""
        if self.passed:
            return CriterionState.MET
        return CriterionState.NOT_YET if self.waits_for else CriterionState.NOT_MET


def shortened(evidence: Sequence[str], count: int | None = None) -> tuple[str, ...]:
    """Return the first items, followed by the number of the others.

    Args:
        evidence: the items, most important first.
        count: number of all items, where ``evidence`` was shortened before.
    """
    more = (len(evidence) if count is None else count) - min(len(evidence), MAX_EVIDENCE_ITEMS)
    return (*evidence[:MAX_EVIDENCE_ITEMS], f"and {more} more") if more > 0 else tuple(evidence)


def format_percent(fraction: Decimal, required: Decimal | None = None) -> str:
    """Format a fraction as a percentage: *58.33 %*; with all digits where rounding would make it equal to the limit."""
    return f"{format_ratio(multiply(fraction, HUNDRED), None if required is None else multiply(required, HUNDRED))} %"


def format_limit(fraction: Decimal) -> str:
    """Format a required fraction as a percentage with all digits: *55 %*."""
    return f"{plain(multiply(fraction, HUNDRED))} %"


def format_ratio(value: Decimal, required: Decimal | None = None) -> str:
    """Format a number with two decimals; with all digits where rounding would make it equal to the limit."""
    rounded = round_to(value, CENT)
    return plain(value if required is not None and rounded == required != value else rounded)
