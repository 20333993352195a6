"""Faults from fifty seeds, played in virtual time; `make faults` plays ten times as many."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.faults.laws import Broken
from tests.faults.parts.seeds import play, run
from tests.faults.world import World

SEEDS = 50
FIRST_SEED = 50
"""In the fifty before it few decisions are executed, as it happens: 20 % of them, and 23 % in these."""
PLAYED_AGAIN = range(3)


@pytest.fixture(scope="module", autouse=True)
def elsewhere() -> Iterator[subprocess.Popen[str]]:
    """Another process with another hash seed, which plays some seeds while the first test runs."""
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.parts.seeds", *map(str, PLAYED_AGAIN)],
        env={**os.environ, "PYTHONHASHSEED": other, "LOGURU_LEVEL": "CRITICAL"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()  # it has ended, unless the test that waits for it failed


def test_fifty_seeds_keep_the_laws() -> None:
    counters = run(SEEDS, seed=FIRST_SEED)
    assert [] == counters.repeat
    assert counters.passed
    assert counters.decisions > SEEDS * 40
    assert counters.decisions == sum(counters.outcomes.values())
    # Enough executed decisions, and enough of each fault.
    assert counters.outcomes["executed"] > counters.decisions / 5
    assert (
        min(counters.faults[kind] for kind in ("crash", "poison", "process killed", "database away", "answer lost"))
        > 20
    )


@pytest.mark.slow
def test_the_same_seed_gives_the_same_trace(elsewhere: subprocess.Popen[str]) -> None:
    here = [play(seed).digest for seed in PLAYED_AGAIN]
    printed, _ = elsewhere.communicate(timeout=60)
    assert here == printed.split()
    assert here == [play(seed).digest for seed in PLAYED_AGAIN]
    assert len(set(here)) == len(here)


def test_a_seed_that_breaks_a_law_is_reported_with_the_command_that_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: World) -> None:
        raise Broken("decision 7 got no outcome", "lost")

    monkeypatch.setattr(World, "settle", broken)
    counters = run(2, seed=11)
    assert (False, 2, 0, 0) == (counters.passed, counters.lost, counters.doubled, counters.unbalanced)
    assert [
        f'{Broken("decision 7 got no outcome")!r}: make faults ARGS="--only seeds --seed {seed} --rounds 1"'
        for seed in (11, 12)
    ] == counters.repeat
