"""Measure how many sweeps of coin flips pass the verdict, and how many with an edge of stated size.

``python -m benchmarks.research.sweep_verdicts``; ``--sweeps 100`` for fewer. Every sweep is made from a seed and judged
by the real code. It ends with 1 where more than 5 % of the coin flips pass, or fewer of the edges than are stated.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

from domain.analytics.significance import CONFIDENCE
from research.statistics.verdict import sweep_verdict
from tests.support.sweeps.simulation import planted, simulated_sweep

MAX_LUCKY = 0.05


class Setting(NamedTuple):
    """A kind of sweep; of an edge, at least so many are to pass."""

    days: int
    trials: int
    edge: float
    least: float = 0.0


SETTINGS = (
    Setting(365, 20, 0.0),
    Setting(1_095, 50, 0.0),
    Setting(1_095, 200, 0.0),
    Setting(1_095, 50, 2.0),
    Setting(1_095, 50, 3.0, 0.5),
    Setting(1_095, 50, 4.0, 0.9),
    Setting(1_825, 200, 3.0, 0.8),
)


class Outcome(NamedTuple):
    """What one sweep came to: it passes, its best trial alone looks significant, and it is the one with the edge."""

    passes: bool
    looks_significant: bool
    right: bool


def outcome(setting: Setting, seed: int) -> Outcome:
    verdict = sweep_verdict(simulated_sweep(seed, setting.days, setting.trials, edge=setting.edge))
    alone = verdict.deflated.undeflated.value
    right = verdict.best == planted(seed, setting.days, setting.trials)
    return Outcome(verdict.passed, alone is not None and alone >= CONFIDENCE, right)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", type=int, default=1_000, help="of each setting [1000]")
    sweeps = parser.parse_args().sweeps
    print(
        f"{sweeps} sweeps of each setting; 4 folds, a gap of a day; the edge is a true annual Sharpe ratio of one trial"
    )
    print("  days  trials  edge   pass  stated  the right trial  pass by PSR(0) alone")
    wrong = 0
    with ProcessPoolExecutor() as processes:
        for setting in SETTINGS:
            outcomes = list(processes.map(partial(outcome, setting), range(sweeps), chunksize=10))
            passes, alone, right = (sum(column) / sweeps for column in zip(*outcomes, strict=True))
            stated = f"≥ {setting.least:.0%}" if setting.least else "" if setting.edge else f"≤ {MAX_LUCKY:.0%}"
            print(
                f"{setting.days:6}  {setting.trials:6}  {setting.edge:4}  {passes:5.1%}  {stated:>6}  "
                f"{right if setting.edge else 0:15.1%}  {alone:20.1%}",
                flush=True,
            )
            wrong += passes < setting.least or (not setting.edge and passes > MAX_LUCKY)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
