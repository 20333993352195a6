"""The Monte Carlo part of a report: what asks for it, and its rows and sentences for terminal and page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from console.display.format import percent
from domain.analytics.report import Report
from domain.analytics.report_parts.monte_carlo import SHARES, Band, MonteCarlo
from domain.errors import InvalidRequest
from domain.wording import counted

HEADING = "Monte Carlo of the daily returns"
COLUMNS = tuple(f"{share:.0%}" if share != Decimal("0.5") else "median" for share in SHARES)
"""Headings of the values of a band."""
OWN = "as it was"


class MonteCarloRequest(NamedTuple):
    """Number of paths and seed of a Monte Carlo."""

    paths: int
    seed: int = 1


def monte_carlo_request(paths: int | None, seed: int | None) -> MonteCarloRequest | None:
    """Return what the options ``--monte-carlo`` and ``--seed`` ask for; None where they ask for nothing.

    Raises:
        InvalidRequest: there is a seed, but no number of paths.
    """
    if paths is None:
        if seed is not None:
            raise InvalidRequest("--seed applies to --monte-carlo N only, and there is none")
        return None
    return MonteCarloRequest(paths) if seed is None else MonteCarloRequest(paths, seed)


def with_monte_carlo(report: Report, wanted: MonteCarloRequest | None) -> Report:
    """Return a report with its Monte Carlo, where one is wanted and the report has daily returns."""
    if wanted is None or report.performance is None:
        return report
    from research.statistics.bootstrap import monte_carlo  # noqa: PLC0415 - no other part of a report needs numpy

    return replace(report, monte_carlo=monte_carlo(report.performance.returns, report.opening, *wanted))


class Kind(StrEnum):
    """What the values of a row are, which decides their format."""

    VALUE = "value"
    CHANGE = "change"
    DRAWDOWN = "drawdown"


@dataclass(frozen=True, slots=True)
class BandRow:
    """A row of the table of bands.

    Attributes:
        values: at or below which so many paths are, see `COLUMNS`.
        own: of the days in their own order.
    """

    label: str
    kind: Kind
    values: Band
    own: Decimal

    @property
    def cells(self) -> tuple[Decimal, ...]:
        """All its values, that of the days in their own order last."""
        return (*self.values, self.own)


def band_rows(simulated: MonteCarlo) -> list[BandRow]:
    """Return the rows; none where there are no bands."""
    parts = (
        ("value at the end", Kind.VALUE, simulated.end_value, simulated.own_value),
        ("change", Kind.CHANGE, simulated.end_change, simulated.own_change),
        ("deepest fall", Kind.DRAWDOWN, simulated.drawdown, simulated.own_drawdown),
    )
    return [
        BandRow(label, kind, values, own)
        for label, kind, values, own in parts
        if values is not None and own is not None
    ]


def notes(simulated: MonteCarlo) -> list[str]:
    """Return the sentences below the table; without bands, why there are none."""
    if simulated.missing is not None or simulated.block_days is None:
        return [f"There is no Monte Carlo: {simulated.missing}."]
    days = counted(simulated.days, "day")
    made = (
        f"{simulated.paths:,} paths of {days}, made of blocks of the {simulated.days:,} daily returns, "
        f"{simulated.block_days:.1f} days long in the mean (stationary bootstrap, seed {simulated.seed}). "
        "A column says how many of them are at or below its value."
    )
    meant = (
        f"{percent(simulated.losing, 1, sign=False)} of them end below their beginning, and "
        f"{percent(simulated.deeper, 1, sign=False)} fall deeper than these days did. They show what the order of the "
        "days does, not other markets."
    )
    return [made, meant]
