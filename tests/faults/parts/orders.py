"""Part ``orders``: random orders, market data, cancels, halts and restarts; the laws are checked after each step."""

from __future__ import annotations

import random

from tests.faults.counters import Counters
from tests.support.values.order_run import OrderRun, drawn, played

STEPS = 1000
"""Of one seed; 100 seeds have 100 000."""
RESTARTS = 10


def run(rounds: int, seed: int) -> Counters:
    """Play so many seeds, each once with restarts and once without; both must give the identical events."""
    total = Counters()
    for number in range(seed, seed + rounds):
        try:
            played_run = play(number)
        except Exception as error:  # noqa: BLE001 - the other seeds are played, too
            total.repeat.append(f'{error!r}: make faults ARGS="--only orders --seed {number} --rounds 1"')
            continue
        total.faults["restart between two orders"] += RESTARTS
        total.decisions += played_run.decisions
        total.outcomes += played_run.outcomes
    return total


def play(seed: int) -> OrderRun:
    """Play one seed.

    Raises:
        Broken: a law does not hold.
    """
    source = random.Random(seed)
    numbers = list(drawn(source, STEPS))
    restarted = played(numbers, source.sample(range(STEPS), RESTARTS))
    plain = played(numbers, check=False)
    restarted.require_same(plain)
    restarted.finish()
    return restarted
