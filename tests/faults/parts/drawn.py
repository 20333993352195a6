"""Cases that Hypothesis draws, all from one seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from tests.faults.counters import Counters

Case = TypeVar("Case")


def try_cases(
    part: str, cases: SearchStrategy[Case], check: Callable[[Case, Counters], None], rounds: int, first: int
) -> Counters:
    """Check so many cases of a part of `make faults`; a check counts, and raises where something is wrong."""
    total = Counters()

    @seed(first)
    @settings(
        max_examples=rounds, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(cases)
    def check_one(case: Case) -> None:
        check(case, total)

    try:
        check_one()
    except Exception as error:  # noqa: BLE001 - the other parts are reported, too
        total.repeat.append(f'{error!r}: make faults ARGS="--only {part} --seed {first} --rounds {rounds}"')
    return total
