"""Part ``integers``: random backtests of plain orders in integers and by the engine: the same digits."""

from __future__ import annotations

from tests.faults.counters import Counters
from tests.faults.parts.drawn import try_cases
from tests.support.research.plain_runs import PlainCase, plain_cases, require_same, run_plain


def run(rounds: int, first: int) -> Counters:
    """Try so many histories, all drawn from one seed."""
    return try_cases("integers", plain_cases(), _check, rounds, first)


def _check(case: PlainCase, total: Counters) -> None:
    if run_plain(case) is None:
        return  # the engine alone runs it
    listed = require_same(case)
    total.decisions += len(case.wishes)
    total.outcomes.update(status for (status,) in listed.ends.tuples(["status"]))
