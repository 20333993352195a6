"""Part ``gaps``: kills with gaps between 1 s and 24 h at a recorded market, compared with a program that runs on.

Settled by trades, each fill is the same. Settled by bars, each other fill, trigger and expiry is marked and on the
worse side, as `tests.support.settlement.worse_side` defines it.
"""

from __future__ import annotations

from collections import Counter

from tests.faults.counters import Counters
from tests.support.settlement.twins import fills, play, trades
from tests.support.settlement.worse_side import WorseSide

KILLS = 20
"""Of one seed; 10 seeds have 200."""


def run(rounds: int, seed: int) -> Counters:
    """Play so many seeds: once without a kill, once with kills and trades to settle by, once with bars."""
    total = Counters()
    for number in range(seed, seed + rounds):
        try:
            total = Counters.total([total, play_seed(number, KILLS)])
        except Exception as error:  # noqa: BLE001 - the other seeds are played, too
            total.repeat.append(f'{error!r}: make faults ARGS="--only gaps --seed {number} --rounds 1"')
    return total


def play_seed(seed: int, kills: int) -> Counters:
    """Play one seed.

    Raises:
        AssertionError: something is other than without the kills, and is not marked or not on the worse side.
    """
    undisturbed = play(seed, kills, killed=False)
    by_trades, by_bars = play(seed, kills, killed=True), play(seed, kills, killed=True, by_bars=True)
    if fills(undisturbed) != fills(by_trades):
        raise AssertionError(sorted(set(fills(undisturbed)) ^ set(fills(by_trades)))[:4])
    if violations := WorseSide(trades(seed, kills), undisturbed, by_bars).violations():
        raise AssertionError(violations[:4])
    counted = Counters(faults=Counter({"death": 2 * kills}))
    for database in (by_trades, by_bars):
        outcomes = [row.outcome for row in database.rows.values()]
        counted.decisions += len(outcomes)
        counted.outcomes.update(outcome.status.value for outcome in outcomes if outcome is not None)
    return counted
