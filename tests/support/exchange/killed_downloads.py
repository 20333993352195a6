"""``run.py history download`` against the local exchange with all its faults, killed at random moments."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from market.history.store import HistoryStore, SeriesKey
from tests.support.exchange.candles import Faults, random_bars
from tests.support.exchange.downloads import BTC, options_of
from tests.support.exchange.server import ExchangeServer
from tests.support.system.program import Ended, Program, environment

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
PAGE_BARS = 20
MAX_REQUESTS = 8
"""A process is killed after at most so many of its requests for bars."""
MAX_DELAY_S = 0.03
"""And so long after the last of them at most: while the answer comes, or is written."""
GAPS = [(0, 2), (500, 700), (1200, 1200)]
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class KilledDownload:
    """What became of a download.

    Attributes:
        content: the stored file.
        others: names of further files in its folder.
        kills: number of processes that were killed before they were done.
        faults: of the exchange's answers, by kind.
        fetched_again: missing bars that a second answer had, in the last process.
    """

    content: bytes
    others: list[str]
    kills: int
    faults: Counter[str]
    fetched_again: int


def download(home: Path, bars: int, seed: int | None = None, kills: int = 0) -> KilledDownload:
    """Download bars of a minute into a new home.

    Args:
        home: the program's folder.
        bars: number of bars that the exchange has, those in the gaps counted.
        seed: of the faults and the kills; None: the exchange has no faults.
        kills: number of processes to kill.

    Raises:
        AssertionError: a process was done before it could be killed, or the last one failed.
    """
    draws = random.Random(seed)
    with ExchangeServer() as server:
        candles = server.past.candles
        start = int(BEGIN.timestamp())
        candles.add("BTCUSDT", 60, random_bars(1, start, bars, 60, GAPS))
        candles.page, candles.clock = PAGE_BARS, start + (bars - 1) * 60 + 30
        if seed is not None:
            candles.faults = Faults(seed)
        for _ in range(kills):
            until = len(candles.requests) + draws.randint(1, MAX_REQUESTS)
            with _start(server, home) as program:
                assert candles.wait_for(until, TIMEOUT_S), program.printed()
                time.sleep(draws.uniform(0, MAX_DELAY_S))
                ended = program.stop(signal.SIGKILL)
            assert -signal.SIGKILL == ended.code, ended
        with _start(server, home) as program:
            ended = program.ended(TIMEOUT_S)
        assert 0 == ended.code, ended
    return _result(home, ended, kills, candles.faults.counts)


def _start(server: ExchangeServer, home: Path) -> Program:
    options = json.dumps(options_of(server, "kraken"))
    env = environment(home, exchange="kraken", exchange_options=options, exchange_trusted_hosts="127.0.0.1")
    return Program("history", "download", "--symbols", BTC, "--since", f"{BEGIN:%Y-%m-%d}", "--json", env=env)


def _result(home: Path, ended: Ended, kills: int, faults: Counter[str]) -> KilledDownload:
    path = HistoryStore(home).path(SeriesKey("kraken", BTC, "1m"))
    (series,) = ended.json["series"]
    assert str(path) == series["file"]
    others = [one.name for one in path.parent.iterdir() if one != path]
    return KilledDownload(path.read_bytes(), others, kills, faults, series["fetched_again"])
