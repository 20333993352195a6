"""Part ``digits``: generated decisions and markets live, in a backtest and in a replay: the same digits."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.faults.counters import Counters
from tests.support.research.three_ways import Case, cases, require_same


def run(rounds: int, first: int) -> Counters:
    """Try so many cases, all drawn from one seed."""
    total = Counters()

    @seed(first)
    @settings(
        max_examples=rounds, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(cases())
    def check(case: Case) -> None:
        outcome, _ = require_same(case)
        total.decisions += len(case.wishes)
        total.outcomes.update(status for status, _ in outcome.decisions.values())

    try:
        check()
    except Exception as error:  # noqa: BLE001 - the other parts are reported, too
        total.repeat.append(f'{error!r}: make faults ARGS="--only digits --seed {first} --rounds {rounds}"')
    return total
