"""``python -m benchmarks.consoles [--quick]``: what open consoles cost the trading.

Latency of decisions with nine idle consoles and one that traces 100 messages a second, against none, in turn; and what
a message costs more because it could be traced, while nobody does.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loguru import logger

from actors.messages import Message, Wake
from actors.runtime import tracing
from actors.runtime.activity import Activity
from actors.runtime.behaviour import Behaviour
from actors.runtime.cell import Cell
from actors.runtime.mailbox import Mailbox
from benchmarks.database import prepare, temporary_database, temporary_folder
from benchmarks.decisions import MANY, Agent
from benchmarks.measure import burst, percentile, trickle
from benchmarks.served import served
from console.debug.protocol import ConsoleConnection
from domain.errors import NotRunning

A_SECOND = 200.0
IDLE = 9
TRACED_A_SECOND = 100
TOOLBAR = 2.0
"""Seconds between two questions of an idle console's toolbar."""
MESSAGES = 100_000


@contextmanager
def looking_in(folder: Path) -> Iterator[None]:
    """Have consoles attached, in a process of their own, as people have them."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.consoles", "--attach", str(folder / "console.sock")],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "attached\n":
                raise RuntimeError("the consoles could not attach")
            yield
        finally:
            process.stdin.close()
            process.wait(10)


def attach(path: Path) -> None:
    """Be nine idle consoles and one that traces, until stdin ends."""
    idle = [ConsoleConnection(path) for _ in range(IDLE)]

    def trace() -> None:
        try:
            while True:
                with ConsoleConnection(path) as line:
                    for _ in line.stream("trace", max=10_000, rate=TRACED_A_SECOND, seconds=600):
                        pass
        except NotRunning:
            return

    threading.Thread(target=trace, daemon=True).start()
    print("attached", flush=True)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    while not ended.wait(TOOLBAR / IDLE):
        idle.append(idle.pop(0))
        idle[0].ask("status")


def latency(rounds: int, seconds: int) -> tuple[list[float], list[float]]:
    """Return milliseconds from INSERT to outcome, without consoles and with them, measured in turn."""
    alone: list[float] = []
    watched: list[float] = []
    with temporary_folder() as folder, temporary_database(None, folder) as url:
        prepare(url, list(MANY))
        agent = Agent()
        with served(url, 0.1, folder):
            burst(url, agent.decide(MANY, 500))
            for _ in range(rounds):
                alone += trickle(url, agent.decide(MANY, round(seconds * A_SECOND)), A_SECOND).seen
                with looking_in(folder):
                    watched += trickle(url, agent.decide(MANY, round(seconds * A_SECOND)), A_SECOND).seen
    return alone, watched


class _Nothing(Behaviour):
    def handle_group(self, messages: list[Message]) -> None:
        pass


def untraced(rounds: int) -> tuple[float, float]:
    """Return microseconds that a cell takes for a message, and how many of them are the look for taps, in turn."""
    cell = Cell("nobody", Mailbox(), lambda _: _Nothing(), _Deaf())
    cell.begin()
    message, activity = Wake(), Activity()
    plain: list[float] = []
    more: list[float] = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(MESSAGES):
            cell.receive(message)
        plain.append((time.perf_counter() - begun) / MESSAGES * 1e6)
        begun = time.perf_counter()
        for _ in range(MESSAGES):
            for tap in tracing.TAPS:
                tap.record("nobody", [message], activity.busy_for)
        more.append((time.perf_counter() - begun) / MESSAGES * 1e6)
    return statistics.median(plain), statistics.median(more)


class _Deaf:
    def tell(self, message: object, /) -> None:
        pass


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.consoles", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--attach", metavar="SOCKET", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.attach is not None:
        attach(Path(arguments.attach))
        return 0
    logger.remove()
    message, look = untraced(5)
    share = f"{look:.3f} µs ({look / message:.1%})"
    print(f"a message through a cell: {message:.2f} µs, of which the look whether anybody traces {share}")
    alone, watched = latency(2, 4) if arguments.quick else latency(5, 10)
    for name, values in (("no console", alone), (f"{IDLE} idle, one tracing", watched)):
        figures = " ".join(f"p{p} {percentile(values, p):.2f} ms" for p in (50, 90, 99))
        print(f"{name:<22} {figures}  ({len(values)} decisions at {A_SECOND:g} a second)")
    ratio = percentile(watched, 50) / percentile(alone, 50)
    print(f"p50 with consoles is {ratio:.2f} of that without (wanted: at most 1.10)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
