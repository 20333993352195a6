"""What the gate asks for: the criteria, and how one that was looked at is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from domain.trading.arithmetic import ZERO, multiply, plain, round_to

MOST_EVIDENCE = 20
HUNDRED = Decimal(100)
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Criteria:
    """What must be reached; those of a run are the ones in effect when it began. Ratios are fractions.

    Attributes:
        min_days: whole UTC days with at least one snapshot.
        min_win_rate: over round trips.
        min_sharpe: annualised.
        max_drawdown: of the value.
        min_trades: round trips.
        min_net: what closings and the value must have brought more than, an amount.
        min_psr: PSR(0), below which what meets all other criteria is underpowered.
        min_uptime: of the time.
        max_restarts: crashes and hangs of actors.
        max_no_price: share of the decisions that were rejected for want of a price in time.
        outcome_grace: seconds after its deadline at which a decision must have its outcome.
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

    def to_dict(self) -> dict[str, object]:
        """Return them for JSON: amounts and ratios as text."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: plain(value) if isinstance(value, Decimal) else value for name, value in values.items()}

    @classmethod
    def from_settings(cls, settings: object) -> Criteria:
        """Return those that settings have under their names, each behind ``validation_``."""
        return cls(**{field.name: getattr(settings, f"validation_{field.name}") for field in fields(cls)})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Criteria:
        """Return what `to_dict` returned; one that was not known then has its default."""
        kinds = {field.name: Decimal if field.type == "Decimal" else int for field in fields(cls)}
        given: dict[str, Any] = {name: kind(values[name]) for name, kind in kinds.items() if name in values}
        return cls(**given)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion as it was looked at; all texts are for people.

    Attributes:
        name: for programs, such as ``win_rate``.
        title: such as *win rate*.
        required: such as *at least 55 %*.
        seen: what there is; where there is no number, why.
        passed: whether that is enough. A figure that does not exist is not.
        evidence: ids, dates and the like; at most some 20, then *and 12 more*.
    """

    name: str
    title: str
    required: str
    seen: str
    passed: bool
    evidence: tuple[str, ...] = ()


def shortened(evidence: Sequence[str], count: int | None = None) -> tuple[str, ...]:
    """Return the first of them, and how many more there are.

    Args:
        evidence: in the order in which it counts.
        count: of all, where ``evidence`` was cut before.
    """
    more = (len(evidence) if count is None else count) - min(len(evidence), MOST_EVIDENCE)
    return (*evidence[:MOST_EVIDENCE], f"and {more} more") if more > 0 else tuple(evidence)


def format_percent(fraction: Decimal, beside: Decimal | None = None) -> str:
    """Write a fraction for a person: *58.33 %*; in full where rounded it would look like the limit that it is not."""
    return f"{format_ratio(multiply(fraction, HUNDRED), None if beside is None else multiply(beside, HUNDRED))} %"


def format_limit(fraction: Decimal) -> str:
    """Write a fraction that is required: *55 %*, all of its digits."""
    return f"{plain(multiply(fraction, HUNDRED))} %"


def format_ratio(value: Decimal, beside: Decimal | None = None) -> str:
    """Write a number for a person, to two places; in full where rounded it would look like the limit that it is not."""
    short = round_to(value, CENT)
    return plain(value if beside is not None and short == beside != value else short)
