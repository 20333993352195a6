"""The attempts from which a strategy came: what its validation has to know."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal

import numpy as np

from domain.errors import InvalidRequest
from domain.trading.arithmetic import ZERO, rate
from domain.validation.criteria import Swept
from research.statistics.sharpe import FloatArray, sharpe_ratios
from research.sweeps.trials import TrialStore, table_of


def swept_of(stores: Iterable[TrialStore], strategies: Collection[str]) -> Swept | None:
    """Return how many variants of strategies were tried in all sweeps, and how much their Sharpe ratios differ.

    Args:
        stores: of the trials.
        strategies: names by which decisions name them.

    Returns:
        None where at most one trial was begun. A variant that was tried in two sweeps, as on other prices, was tried
        twice; its ratio is that of all test days.
    """
    trials, ratios = 0, list[FloatArray]()
    for store in stores:
        for sweep in store.sweeps():
            if sweep.plan.options.get("name") not in strategies:
                continue
            rows = store.trials(sweep.sweep)
            trials += len({row.trial for row in rows if row.attempts})
            try:
                ratios.append(sharpe_ratios(table_of(rows, sweep.plan).returns))
            except InvalidRequest:  # no trial has a result in every fold; they count all the same
                continue
    if trials < 2:
        return None
    values = np.concatenate(ratios) if ratios else np.empty(0)
    return Swept(trials, rate(Decimal(float(values.std(ddof=1)))) if len(values) > 1 else ZERO)
