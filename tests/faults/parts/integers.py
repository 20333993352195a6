"""Part ``integers``: random backtests of plain orders in integers and by the engine: the same digits."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.faults.counters import Counters
from tests.support.research.plain_runs import PlainCase, plain_cases, require_same, run_plain


def run(rounds: int, first: int) -> Counters:
    """Try so many histories, all drawn from one seed."""
    total = Counters()

    @seed(first)
    @settings(
        max_examples=rounds, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(plain_cases())
    def check(case: PlainCase) -> None:
        if run_plain(case) is None:
            return  # the engine alone runs it
        listed = require_same(case)
        total.decisions += len(case.wishes)
        total.outcomes.update(status for (status,) in listed.ends.tuples(["status"]))

    try:
        check()
    except Exception as error:  # noqa: BLE001 - the other parts are reported, too
        total.repeat.append(f'{error!r}: make faults ARGS="--only integers --seed {first} --rounds {rounds}"')
    return total
