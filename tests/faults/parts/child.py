"""The child process that dies: serves a database, goes on where the one before it died, and dies at its own point."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

from loguru import logger

import actors.system
from actors import TradingSystem
from domain import failpoints
from tests.faults import downtime, flow
from tests.faults.ledger_checks import memory_differences
from tests.faults.matrix import Needs, Point, who
from tests.support.system.running_system import until
from tests.support.system.unfinished import Completion, log_kept

EXIT_CODE = 86
ROUNDS = 3
END_WITHIN_S = 40.0
"""Seconds; the machine may be busy."""


@dataclass(frozen=True, slots=True)
class Death:
    """Where and how a child dies.

    Attributes:
        nth: at which reaching of the point.
        kill: by SIGKILL; else by `os._exit`.
        early: from the first instruction on, in the middle of a recovery perhaps; else in the middle of the flow.
        seed: of its decisions.
        decisions: in each round.
    """

    point: Point
    nth: int
    kill: bool
    early: bool
    seed: int
    decisions: int = 45


class Executioner:
    """A hook that ends the process."""

    def __init__(self, death: Death | None) -> None:
        self.nth = death.nth if death is not None else 1
        self.armed = False
        self._death = death
        self._reached = 0
        self._counting = threading.Lock()

    def __call__(self, moment: str, what: str) -> None:
        """Count the points that are the right one; die at the nth."""
        death = self._death
        if death is None or not self.armed or (who(), moment, what) != death.point.key:
            return
        with self._counting:
            self._reached += 1
            if self._reached < self.nth:
                return
            if death.kill:
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()
            os._exit(EXIT_CODE)


def main(url: str, death: Death | None, say: Connection) -> None:
    """Serve; tell what happens; die. Without a death: see that everything ends, and stop.

    Says ``accepted`` with a uid for each decision that `submit()` accepted, ``recovered`` with what memory and database
    disagree on once all that the last child left has ended, and ``survived`` if the point was never reached.
    """
    logger.remove()
    executioner = Executioner(death)
    executioner.armed = death is not None and death.early
    needs = death.point.needs if death is not None else Needs.FLOW
    meddler = flow.Meddler(url, needs)

    def hook(moment: str, what: str) -> None:
        executioner(moment, what)
        if executioner.armed:
            meddler(moment, what)

    failpoints.hook = hook
    # On a busy machine a stop would be cut short before it comes to its last points.
    actors.system.DRAIN_TIMEOUT_S = END_WITHIN_S
    settings = {"hang_timeout": 0.4} if needs is Needs.HANG else {}
    with log_kept() as log, flow.serving(url, **settings) as system:
        completion = Completion(system, url, log)
        _recover(completion, say)
        if death is not None:
            executioner.armed = True
            _live(completion, death, executioner, meddler, lambda uid, _: say.send(("accepted", uid)))
        executioner.nth = 1
    say.send(("survived", None))


def let_rest(url: str, _: Death | None, say: Connection) -> None:
    """Serve; let orders rest that the market fills while no process runs; die."""
    logger.remove()
    with log_kept() as log, flow.serving(url) as system:
        _recover(Completion(system, url, log), say)
        downtime.let_rest(system, flow.PORTFOLIOS)
        say.send(("rests", None))
        os.kill(os.getpid(), signal.SIGKILL)


def _recover(completion: Completion, say: Connection) -> None:
    """Wait until all that the last child left has ended, and tell what memory and database disagree on."""
    completion.until_all_ended(END_WITHIN_S)
    completion.until(lambda: downtime.is_settled(completion.url), END_WITHIN_S)
    say.send(("recovered", _differences(completion.system, completion.url)))


def _live(
    completion: Completion,
    death: Death,
    executioner: Executioner,
    meddler: flow.Meddler,
    accepted: flow.Accepted,
) -> None:
    system, url = completion.system, completion.url
    draw = random.Random(death.seed)
    rounds = 1 if death.point.needs is Needs.STOP else ROUNDS
    for number in range(rounds):
        if number:
            executioner.nth = 1
        meddler.again()
        rows = flow.drawn(draw, death.decisions) + flow.protected_afterwards(draw)
        half = len(rows) // 2
        flow.send(system, url, rows[:half], accepted)
        flow.stir(system, death.point, rebuild=True)
        flow.send(system, url, rows[half:], accepted)
        if death.point.needs is Needs.STOP and death.point.what != "Flush":
            return  # with some of them still under way; a flush that comes with fills is not taken by its own name
        # Ticks come once a second, whatever else happens.
        begun = time.monotonic()
        completion.until_all_ended(END_WITHIN_S)
        threading.Event().wait(max(0.0, 1.1 - (time.monotonic() - begun)))


def _differences(system: TradingSystem, url: str) -> list[str]:
    """What memory and database disagree on; memory follows a moment after the commit."""
    try:
        until(lambda: not memory_differences(system, url), 5)
    except AssertionError:
        return memory_differences(system, url)
    return []
