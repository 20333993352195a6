"""A process dies at each point of the matrix, in the middle of decisions; the next one goes on. Nothing is lost."""

from __future__ import annotations

import multiprocessing
import random
import signal
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from uuid import UUID

from tests.faults import flow, ledger_checks
from tests.faults.counters import Counters
from tests.faults.matrix import MATRIX, Needs, Point
from tests.faults.parts import child
from tests.faults.parts.child import Death
from tests.support.database.server import Server

SERIES = 25
"""So many deaths, one after the other, on one database."""
HANGING = 90.0
"""Seconds after which a child that neither dies nor says anything is ended."""
Say = Callable[[str], None]


def deaths(seed: int, points: Iterable[Point] = MATRIX, variants: Sequence[int] = (0, 1)) -> list[Death]:
    """Return the deaths at these points, each by `os._exit` (variant 0) and by SIGKILL (1), in an order drawn."""
    drawn = []
    for point in points:
        for variant in variants:
            draw = random.Random(f"{seed} {point} {variant}")  # so that it can be repeated without the others
            at_start = point.needs in {Needs.START, Needs.DOWNTIME}
            early = at_start or (point.needs is Needs.REBUILD and draw.random() < 0.5)
            nth = min(variant + 1, point.times) if early else draw.randint(1, 3)
            drawn.append(Death(point, nth, kill=variant == 1, early=early, seed=draw.getrandbits(32)))
    random.Random(seed).shuffle(drawn)
    return drawn


class Series:
    """Children that die on one database, one after the other.

    Args:
        server: where.
        seed: that the deaths were drawn from, to say how to repeat them.
    """

    def __init__(self, server: Server, seed: int) -> None:
        self.counters = Counters()
        self._seed = seed
        self._url = server.create_database()
        self._server = server
        self._accepted: set[UUID] = set()
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload([child.__name__])
        flow.prepare(self._url)

    def run(self, planned: Iterable[Death]) -> Counters:
        """Let each die; then have one live, and see that everything is there."""
        for death in planned:
            self._one(death)
        self._one(None)
        self._laws(None, ended=True).count_in(self.counters)
        for note in ledger_checks.snapshot_differences(self._url):
            self._failed(None, note)
        self._server.drop_database(self._url)
        return self.counters

    def _one(self, death: Death | None) -> None:
        if death is not None and death.point.needs is Needs.DOWNTIME:
            exit_code, kinds = self._child(child.let_rest, death)
            if exit_code != -signal.SIGKILL:
                self._failed(death, f"the child before it ended with {exit_code}, after {kinds[-1:]}")
        exit_code, kinds = self._child(child.main, death)
        expected = 0 if death is None else -signal.SIGKILL if death.kill else child.EXIT_CODE
        if exit_code == expected:
            self.counters.faults["death"] += death is not None
        else:
            reached = "its point was not reached" if "survived" in kinds else f"after {kinds[-1:]}"
            self._failed(death, f"the child ended with {exit_code}, {reached}")
        if death is not None:
            self._laws(death)

    def _child(
        self, target: Callable[[str, Death | None, Connection], None], death: Death | None
    ) -> tuple[int | None, list[str]]:
        """Run a child to its end; return its exit code, and the kinds of what it said."""
        ear, mouth = self._processes.Pipe(duplex=False)
        process = self._processes.Process(target=target, args=(self._url, death, mouth), daemon=True)
        process.start()
        mouth.close()
        kinds = self._listen(ear, death)
        process.join(HANGING)
        if process.exitcode is None:
            process.kill()
            process.join(HANGING)
            self._failed(death, "the child hung")
        exit_code = process.exitcode
        process.close()
        return exit_code, kinds

    def _listen(self, ear: Connection, death: Death | None) -> list[str]:
        kinds = []
        with ear:
            try:
                while ear.poll(HANGING):
                    kind, value = ear.recv()
                    kinds.append(kind)
                    if kind == "accepted":
                        self._accepted.add(value)
                    if kind == "recovered" and value:
                        self._failed(death, f"memory and database differ after recovery: {value}")
                        self.counters.unbalanced += len(value)
            except (EOFError, OSError):  # it died
                pass
        return kinds

    def _laws(self, death: Death | None, *, ended: bool = False) -> ledger_checks.Findings:
        findings = ledger_checks.check(self._url, self._accepted, ended=ended)
        findings.add_to(self.counters)
        self._accepted -= findings.gone  # a loss counts once
        for note in findings.notes:
            self._failed(death, note)
        return findings

    def _failed(self, death: Death | None, what: str) -> None:
        only = f" --point '{death.point}'" if death is not None else ""
        self.counters.repeat.append(f'{what}: make faults ARGS="--only deaths --seed {self._seed}{only}"')


def run(server: Server, planned: Sequence[Death], seed: int, say: Say = lambda _: None) -> Counters:
    """Let processes die as planned, in series of `SERIES`."""
    parts = []
    for begin in range(0, len(planned), SERIES):
        parts.append(Series(server, seed).run(planned[begin : begin + SERIES]))
        say(f"{min(begin + SERIES, len(planned))} of {len(planned)} deaths")
    return Counters.total(parts)
