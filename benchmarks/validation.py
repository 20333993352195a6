"""Measure how often the validation passes which strategies: ``python -m benchmarks.validation``.

Every run is made from a seed and judged by the real domain code.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

from domain.analytics.performance import History
from domain.validation.criteria import Criteria
from domain.validation.statistical import Statistical, statistical
from tests.support.values.coin_flips import FIRST, coin_flips

EDGE = 0.0445
"""Makes a true annualised Sharpe ratio of 3; the measurement says how near it comes."""


def verdict(history: History) -> tuple[bool, bool, bool]:
    """Whether it passes, meets the six plain criteria, and has PSR(0) ≥ 0.95."""
    verdict = statistical(history, Criteria())
    sure = verdict.psr.value is not None and verdict.psr.value >= Criteria().min_psr
    return verdict.result is Statistical.PASSED, verdict.result is not Statistical.FAILED, sure


def once(days: int, options: Mapping[str, Any], seed: int) -> tuple[bool, bool, bool]:
    return verdict(coin_flips(seed, days, **options))


def ever(seed: int) -> tuple[bool, bool, bool]:
    """Looks each day from the fourteenth to the sixtieth, and stops at the first of each."""
    history = coin_flips(seed, 60)
    days = [verdict(history.during(None, FIRST + timedelta(days=day))) for day in range(14, 61)]
    passed, plain, sure = (any(day[part] for day in days) for part in range(3))
    return passed, plain, sure


def true_sharpe(edge: float, seeds: range) -> float:
    """The annualised Sharpe ratio of all days of all seeds together."""
    returns = [float(value) for seed in seeds for value in coin_flips(seed, 56, edge=edge).returns.values]
    return statistics.mean(returns) / statistics.stdev(returns) * 365**0.5


def line(what: str, results: Iterable[tuple[bool, bool, bool]]) -> str:
    rows = list(results)
    passed, plain, sure = (sum(part) / len(rows) for part in zip(*rows, strict=True))
    return f"{what:<46} {passed:7.2%} {plain:14.2%} {sure:9.2%} {len(rows):>8}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    with ProcessPoolExecutor() as pool:
        many = partial(pool.map, chunksize=50)
        print(f"{'':<46} {'passed':>7} {'the six alone':>14} {'PSR alone':>9} {'runs':>8}")
        print(line("coin flips, 14 days", many(partial(once, 14, {}), range(20 * runs))))
        print(line("the same, held up to a day", many(partial(once, 14, {"longest": 24}), range(10 * runs))))
        print(line("coin flips, 60 days", many(partial(once, 60, {}), range(runs))))
        print(
            line(
                "winners sold at 1 %, losers held, 14 days", many(partial(once, 14, {"target": 0.01}), range(5 * runs))
            )
        )
        print(line("coin flips, looked at daily until day 60", many(ever, range(runs))))
        print(f"a true Sharpe ratio of {true_sharpe(EDGE, range(runs)):.2f}:")
        for days in (14, 60, 112):
            print(line(f"  {days} days", many(partial(once, days, {"edge": EDGE}), range(runs))))


if __name__ == "__main__":
    main()
