"""The system in a process of its own, as in service: ``python -m benchmarks.served URL INTERVAL LOG [SYMBOL ...]``.

It says ``ready`` on stdout, answers each line on stdin with ``TICKS SECONDS`` (how often the market has ticked until
then), and stops when stdin ends, so that it never outlives the process that started it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from loguru import logger
from pydantic import SecretStr

from actors.runtime.timer import SystemClock
from actors.settings import Settings
from actors.system import TradingSystem
from console.debug.server import ConsoleServer
from console.heap import leave_start_uncollected
from console.service.queries import ServiceQueries
from domain.types import Symbol
from market.simulated import SimulatedMarket, simulated_instruments

SILENT = "SILENT/USDT"
"""A symbol that can be traded, and of which no price comes."""
STOP_LIMIT = 20.0
"""Seconds in which the process must end."""


class CountedMarket(SimulatedMarket):
    """A simulated market that counts its ticks; at each one every symbol but `SILENT` has a price."""

    ticks = 0

    def _next_prices(self) -> Iterable[tuple[Symbol, Decimal]]:
        self.ticks += 1
        return [(symbol, price) for symbol, price in super()._next_prices() if symbol != SILENT]


class ServedSystem:
    """A running system, seen from the process that measures."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ticks(self) -> tuple[int, float]:
        """Return how often the market has ticked, and the process's clock in seconds."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        ticks, seconds = self.line().split()
        return int(ticks), float(seconds)

    def line(self) -> str:
        """Return the next line that the process says; empty once it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@contextmanager
def served(database_url: str, interval: float, folder: Path, symbols: Sequence[str] = ()) -> Iterator[ServedSystem]:
    """Run the system on a database until the block ends.

    Args:
        database_url: a database of the benchmark's own.
        interval: seconds between two prices of a symbol.
        folder: for its logs.
        symbols: what the market trades; by default the demo's five.

    Raises:
        RuntimeError: it does not start, or does not stop; the message ends with its last words.
    """
    stderr_file = folder / "stderr"
    with (
        stderr_file.open("a") as stderr,
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.served",
                database_url,
                str(interval),
                str(folder / "log.json"),
                *symbols,
            ],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,  # Ctrl-C is for the one who measures, who then ends this by closing stdin
        ) as process,
    ):
        system = ServedSystem(process)
        try:
            if system.line() != "ready\n":
                msg = f"the system did not start: {stderr_file.read_text()[-2000:]}"
                raise RuntimeError(msg)
            yield system
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
                msg = f"the system did not stop within {STOP_LIMIT:g} s: {stderr_file.read_text()[-2000:]}"
                raise RuntimeError(msg) from None


def main(database_url: str, interval: str, log: str, *symbols: str) -> None:
    """Serve until stdin ends, with the logs of a service: readable lines on stderr, JSON in a file, both from INFO."""
    logger.remove()
    logger.add(sys.stderr, level="INFO")
    logger.add(log, level="INFO", serialize=True)
    market = CountedMarket(simulated_instruments(symbols or None), 1, float(interval), SystemClock())
    settings = Settings.isolated(database_url=SecretStr(database_url))
    with (
        TradingSystem.start(settings, source=market) as system,
        ConsoleServer(Path(log).parent / "console.sock", ServiceQueries(system).commands),
    ):
        leave_start_uncollected()
        print("ready", flush=True)
        for _ in sys.stdin:
            print(market.ticks, time.perf_counter(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
