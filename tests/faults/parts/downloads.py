"""Part ``downloads``: a download of past bars is killed at random moments while the exchange fails in every way."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.faults.counters import Counters
from tests.support.exchange.killed_downloads import download

BARS_PER_KILL = 120
"""Enough that no process is done before it is killed: each requests a few pages of 20 bars."""


def run(rounds: int, seed: int) -> Counters:
    """Kill a download so many times; its file must have the bytes of an undisturbed one."""
    counters = Counters()
    repeat = f'make faults ARGS="--only downloads --seed {seed} --rounds {rounds}"'
    bars = 1500 + rounds * BARS_PER_KILL
    with tempfile.TemporaryDirectory() as folder:
        try:
            expected = download(Path(folder, "undisturbed"), bars)
            killed = download(Path(folder, "killed"), bars, seed, rounds)
        except Exception as error:  # noqa: BLE001 - the other parts are reported, too
            return Counters(repeat=[f"{error!r}: {repeat}"])
    counters.faults["death"] += killed.kills
    counters.faults.update({f"exchange: {kind}": count for kind, count in killed.faults.items()})
    if (killed.content, killed.others) != (expected.content, []):
        counters.repeat.append(f"the file differs from that of an undisturbed download: {repeat}")
    return counters
