"""The result of a sweep, from which screen, JSON document and page are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console.sweep.heat import SweepMap, sweep_maps
from console.sweep.running import EndedRun
from domain.sweeps.folds import Span
from domain.sweeps.trial import Sweep, Trial
from domain.wording import counted
from research.statistics.trial_table import TrialTable
from research.statistics.verdict import SweepVerdict, sweep_verdict
from research.sweeps.space import Space
from research.sweeps.trials import table_of

ORIGIN = "sweep over recorded prices"
MAX_FAILURES = 20
"""So many failed runs are in the document; all are in the store."""


@dataclass(frozen=True, slots=True)
class PricesUsed:
    """The prices of a sweep.

    Attributes:
        symbols: their symbols.
        bars: number of bars, of all symbols.
        notes: what was read, and its gaps; sentences.
        reading_s: seconds that reading took.
    """

    symbols: Sequence[str]
    bars: int
    notes: Sequence[str]
    reading_s: float


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """A sweep that is complete.

    Attributes:
        sweep: what was swept.
        prices: on what.
        run: how it ended.
        table: the trials with a result in every fold.
        verdict: on them.
        made_at: the present time.
    """

    sweep: Sweep
    prices: PricesUsed
    run: EndedRun
    table: TrialTable
    verdict: SweepVerdict
    made_at: datetime

    @classmethod
    def of(cls, sweep: Sweep, prices: PricesUsed, run: EndedRun, made_at: datetime) -> SweepOutcome:
        """Return the outcome of a run.

        Raises:
            InvalidRequest: no trial has a result in every fold.
        """
        table = table_of(run.trials, sweep.plan)
        return cls(sweep, prices, run, table, sweep_verdict(table), made_at)

    @property
    def strategy(self) -> str:
        """The strategy, for people."""
        return str(self.sweep.plan.options["strategy"])

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return tuple(one.name for one in Space.parse(self.sweep.plan.space).parameters)

    @property
    def failed(self) -> list[Trial]:
        """The runs that failed."""
        return [one for one in self.run.trials if one.error is not None]

    @property
    def span(self) -> Span:
        """The time of all folds."""
        folds = self.sweep.plan.folds
        return Span(folds[0].train.begin, folds[-1].test.end)

    @property
    def notes(self) -> list[str]:
        """Sentences about what was left out, and what failed."""
        notes = list(self.prices.notes)
        if self.run.refused:
            points = counted(self.run.refused, "combination")
            notes.append(f"{points} of values left out, which the strategy refuses; the first: {self.run.reason}")
        if self.failed:
            first = self.failed[0]
            notes.append(
                f"{counted(len(self.failed), 'run')} failed; the first, trial {first.trial} on fold {first.fold}: "
                f"{first.error}"
            )
        return notes

    def maps(self, most_columns: int, most_rows: int, most_maps: int) -> list[SweepMap]:
        """Return its heat maps, see `console.sweep.heat.sweep_maps`."""
        return sweep_maps(self.table, most_columns, most_rows, most_maps)

    def trial_rows(self) -> list[Mapping[str, Any]]:
        """Return a row a trial with a result, the best first."""
        table, clusters = self.table, self.verdict.deflated.clusters
        order = sorted(range(len(table.numbers)), key=lambda column: (-table.scores[column], table.numbers[column]))
        return [
            {
                "trial": table.numbers[column],
                "parameters": table.parameters[column],
                "score": float(table.scores[column]),
                "in_sample": table.in_sample[:, column].tolist(),
                "out_of_sample": table.out_of_sample[:, column].tolist(),
                "cluster": int(clusters[column]) + 1,
            }
            for column in order
        ]
