"""Part ``digits``: generated decisions and markets live, in a backtest and in a replay: the same digits."""

from __future__ import annotations

from tests.faults.counters import Counters
from tests.faults.parts.drawn import try_cases
from tests.support.research.three_ways import Case, cases, require_same


def run(rounds: int, first: int) -> Counters:
    """Try so many cases, all drawn from one seed."""
    return try_cases("digits", cases(), _check, rounds, first)


def _check(case: Case, total: Counters) -> None:
    outcome, _ = require_same(case)
    total.decisions += len(case.wishes)
    total.outcomes.update(status for status, _ in outcome.decisions.values())
