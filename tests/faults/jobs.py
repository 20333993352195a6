"""The parts of the proof, and how much of each is done: all of it, or a little in a minute or two."""

from __future__ import annotations

import importlib
import random
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from tests.faults.counters import Counters
from tests.faults.matrix import MATRIX, Point, find
from tests.faults.parts import crashes, deaths, hangs
from tests.support.database.servers import ServerPool

EMBEDDED = "embedded-18"


@dataclass(frozen=True, slots=True)
class Job:
    """One share of a part; done in a process of its own.

    Attributes:
        part: its name.
        share: which one, of `shares`.
        quick: do a little of it.
        point: do it at this point alone.
        rounds: of a part that counts in rounds; None: as many as usual.
    """

    part: str
    seed: int
    share: int = 0
    shares: int = 1
    quick: bool = False
    point: str | None = None
    rounds: int | None = None

    def points(self, few: int) -> Sequence[Point]:
        """Return the points of this share; of a quick one only a few, drawn from the seed."""
        if self.point is not None:
            return [find(self.point)]
        chosen = random.Random(self.seed).sample(MATRIX, few) if self.quick else MATRIX
        return chosen[self.share :: self.shares]

    def say(self, what: str) -> None:
        """Print a line of progress."""
        share = f" ({self.share + 1} of {self.shares})" if self.shares > 1 else ""
        print(f"{self.part}{share}: {what}", flush=True)  # noqa: T201


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the proof.

    Attributes:
        what: it shows, in a few words.
        shares: that it is done in, side by side.
    """

    what: str
    run: Callable[[Job], Counters]
    shares: int = 1


def _deaths(job: Job) -> Counters:
    planned = deaths.deaths(job.seed, job.points(15))
    with pool() as servers:
        return deaths.run(servers.get(EMBEDDED), planned, job.seed, job.say)


def _exceptions(job: Job) -> Counters:
    with pool() as servers:
        return crashes.once(servers.get(EMBEDDED), job.seed, job.points(25), kinds=1 if job.quick else 2, say=job.say)


def _poison(job: Job) -> Counters:
    with pool() as servers:
        return crashes.poison(servers.get(EMBEDDED), job.seed, job.points(60), job.say)


def _hangs(job: Job) -> Counters:
    with pool() as servers:
        return hangs.once(servers.get(EMBEDDED), job.seed, job.points(15), job.say)


def _hanging_poison(job: Job) -> Counters:
    with pool() as servers:
        return hangs.poison(servers.get(EMBEDDED), job.seed, job.points(40), job.say)


def _silence(job: Job) -> Counters:
    with pool() as servers:
        return hangs.silent_ends(servers.get(EMBEDDED), job.seed)


def _elsewhere(module: str, usual: int, quick: int) -> Callable[[Job], Counters]:
    """Return how a module with ``run(rounds, seed)`` is run; each share does so many rounds with a seed of its own."""

    def run(job: Job) -> Counters:
        rounds = job.rounds or (quick if job.quick else usual)
        counters: Counters = importlib.import_module(module).run(rounds, job.seed + 1_000 * job.share)
        return counters

    return run


PARTS = {
    "deaths": Part("the process dies at each point", _deaths, shares=3),
    "hangs": Part("a thread hangs at each point, once", _hangs, shares=2),
    "exceptions": Part("an exception at each point, once", _exceptions, shares=2),
    "hanging-poison": Part("a decision on which an actor hangs each time", _hanging_poison),
    "poison": Part("a decision on which an actor crashes each time", _poison),
    "silence": Part("threads that end without a word, and a stop that fails", _silence),
    "integers": Part(
        "random backtests in integers and by the engine: the same digits",
        _elsewhere("tests.faults.parts.integers", 50_000, 300),
        shares=2,
    ),
    "seeds": Part(
        "the actors stepped through in an order out of a seed", _elsewhere("tests.faults.parts.seeds", 500, 20)
    ),
    "orders": Part(
        "random orders, market data, cancels, halts and restarts", _elsewhere("tests.faults.parts.orders", 100, 5)
    ),
    "digits": Part(
        "decisions live, in a backtest and in a replay: the same digits",
        _elsewhere("tests.faults.parts.digits", 1000, 20),
    ),
    "gaps": Part(
        "the process dies, and the market goes on for 1 s to 24 h", _elsewhere("tests.faults.parts.gaps", 10, 1)
    ),
    "downloads": Part(
        "a download of past bars, killed at random moments", _elsewhere("tests.faults.parts.downloads", 50, 4)
    ),
    "sweeps": Part(
        "sweeps and their workers, killed at random moments", _elsewhere("tests.faults.parts.sweeps", 20, 2)
    ),
    "clusters": Part("a Ray cluster whose nodes and head are killed", _elsewhere("tests.faults.parts.clusters", 1, 1)),
    "database": Part("connections, statements, servers", _elsewhere("tests.faults.parts.database", 1, 1)),
}
"""By name, the longest first."""
ELSEWHERE = {
    "integers": "tests.faults.parts.integers",
    "seeds": "tests.faults.parts.seeds",
    "orders": "tests.faults.parts.orders",
    "digits": "tests.faults.parts.digits",
    "gaps": "tests.faults.parts.gaps",
    "downloads": "tests.faults.parts.downloads",
    "sweeps": "tests.faults.parts.sweeps",
    "clusters": "ray",
    "database": "tests.support.system.load",
}


def jobs(names: Sequence[str], seed: int, quick: bool, point: str | None, rounds: int | None) -> list[Job]:
    """Return what is to be done for these parts."""
    jobs_ = []
    for name in names:
        shares = 1 if quick or point is not None else PARTS[name].shares
        jobs_ += [Job(name, seed, share, shares, quick, point, rounds) for share in range(shares)]
    return jobs_


def present(name: str) -> bool:
    """Whether the part is there."""
    return name not in ELSEWHERE or find_spec(ELSEWHERE[name]) is not None


def do(job: Job) -> Counters:
    """Do one share of a part."""
    from loguru import logger  # noqa: PLC0415 - in the process that does it

    logger.remove()
    counters = PARTS[job.part].run(job)
    job.say(f"{counters.faults.total()} faults, {'sound' if counters.passed else f'{len(counters.repeat)} FAILURES'}")
    for failure in counters.repeat:
        job.say(f"FAILED: {failure}")
    return counters


def end_in_order() -> None:
    """Have Ctrl-C and SIGTERM end this process by an exception, so that its servers end with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))


class pool:  # noqa: N801 - used as a function
    """Servers for one share; all end with it."""

    def __enter__(self) -> ServerPool:
        self._servers = ServerPool()
        return self._servers

    def __exit__(self, *_: object) -> None:
        self._servers.close()
