"""A thread that hangs at each point, once, and each time that a chosen decision comes there; and threads that just end.

A hang is resolved when a successor serves the mailbox and everything has ended, while the thread still hangs. Then it
is let go, and must do no harm: nothing of it is written, sent or remembered.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from domain import failpoints
from domain.errors import PaperTradingError
from tests.faults import flow
from tests.faults.counters import Counters
from tests.faults.matrix import ACTORS, AROUND, MATRIX, Needs, Point
from tests.faults.parts.crashes import POISON, others_go_on
from tests.faults.stage import Fault, Say, Stage, gives_up, silent, wait_for
from tests.support.database.server import Server

HANG_TIMEOUT = 0.4
SUCCESSOR_WITHIN = 15.0
RELEASED_WITHIN = 15.0
"""Seconds; three times what it should take, and the machine may be busy."""


@dataclass
class Trap:
    """Where threads hang until they are let go; what they do after that is noted.

    Attributes:
        hanging: threads that hang.
        harm: what they did once they were let go.
    """

    hanging: list[threading.Thread] = field(default_factory=list)
    harm: list[str] = field(default_factory=list)
    _released: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        """Hang."""
        self.hanging.append(threading.current_thread())
        self._released.wait(120)

    def watch(self, moment: str, what: str) -> None:
        """Note what a thread does that was let go, and that others would see."""
        if moment in {"sent", "committed"} and threading.current_thread() in self.hanging:
            self.harm.append(f"{moment} {what}")

    def release(self) -> bool:
        """Let all go; say whether their threads ended."""
        self._released.set()
        for thread in self.hanging:
            thread.join(RELEASED_WITHIN)
        return not any(thread.is_alive() for thread in self.hanging)


def once(server: Server, seed: int, chosen: Iterable[Point] = MATRIX, say: Say = silent) -> Counters:
    """Have each actor's thread hang once at each of its points."""
    stage = Stage(server, "hangs", seed, say)
    points_ = [point for point in chosen if point.who in {*ACTORS, "Supervisor"} and point.needs is not Needs.HANG]
    around = [p for p in points_ if p.needs in AROUND or p.who == "Supervisor"]
    left = [p for p in points_ if p not in around]
    while left:
        with stage.serving(hang_timeout=HANG_TIMEOUT) as system:
            while left and system.wait(0) is None:
                _once(stage, left.pop())
        stage.rest()
    for point in around:
        for nth in range(1, point.times + 1):
            _around(stage, point, nth)
    return stage.close()


def _once(stage: Stage, point: Point) -> None:
    stage.begin(point)
    trap = Trap()
    fault = Fault(point, trap)
    meddler = flow.Meddler(stage.url, point.needs)

    def hook(moment: str, what: str) -> None:
        if threading.current_thread() in trap.hanging:
            trap.watch(moment, what)
            return
        fault(moment, what)
        meddler(moment, what)

    failpoints.hook = hook
    caller = threading.Thread(target=lambda: _reach(stage, point, fault, meddler), name="caller", daemon=True)
    caller.start()
    caller.join(60)
    if not fault.fired:
        stage.failed(point, "was not reached")
        trap.release()
        return
    stage.counters.faults["hang"] += 1
    _await_successor(stage, point, trap)
    if not stage.ended():
        stage.failed(point, f"not everything ended while it hung; {stage.system.wait(0)!r}")
    _release(stage, point, trap)
    failpoints.hook = None
    if not _stack_is_stored(stage, point):
        stage.failed(point, "the stack of the hanging thread is nowhere")
    if stage.system.wait(0) is None:
        stage.send()
        if not stage.ended():
            stage.failed(point, "not everything ended after it was let go")
        stage.check(point)


def _reach(stage: Stage, point: Point, fault: Fault, meddler: flow.Meddler) -> None:
    for _ in range(5):
        stage.send(dead=point.what in {"Subscribe", "Waits", "RequestRules", "RulesChanged"})
        flow.stir(stage.system, point, rebuild=point.needs is Needs.REBUILD)
        if wait_for(lambda: fault.fired > 0, 1.5):
            return
        meddler.again()


def _await_successor(stage: Stage, point: Point, trap: Trap) -> None:
    """Wait until the actor is served by a thread that does not hang."""
    host = stage.system._wiring.hosts[point.who]
    if not wait_for(lambda: host._thread not in trap.hanging, SUCCESSOR_WITHIN):
        stage.failed(point, "nobody took over")


def _release(stage: Stage, point: Point, trap: Trap) -> None:
    generation = stage.rows("SELECT generation FROM paper_generation")
    if not trap.release():
        stage.failed(point, "the thread that hung did not end when it was let go")
    if stage.rows("SELECT generation FROM paper_generation") < generation:
        stage.failed(point, "the thread that hung took the generation back")
    if trap.harm:
        stage.failed(point, f"when it was let go, the thread that hung {trap.harm}")


def _stack_is_stored(stage: Stage, point: Point) -> bool:
    def is_stored() -> bool:
        return bool(
            stage.rows(
                "SELECT 1 FROM paper_failures WHERE kind = 'hang' AND actor = %s AND traceback LIKE %s"
                " AND epoch = (SELECT max(epoch) FROM paper_lease)", point.who, "%hangs.py%in __call__%",
            )
        )  # fmt: skip

    return wait_for(is_stored, 5)


def _around(stage: Stage, point: Point, nth: int) -> None:
    """Hang at the start, at the stop, or in the Supervisor: the process may end; then the next one goes on."""
    stage.begin(point, "" if nth == 1 else str(nth))
    if point.needs is Needs.DOWNTIME:
        stage.let_orders_rest()
    trap = Trap()
    fault = Fault(point, trap, nth=nth)
    failpoints.hook = fault if point.needs in {Needs.START, Needs.DOWNTIME} else None
    reason: object = None
    try:
        with stage.serving(hang_timeout=HANG_TIMEOUT) as system:
            meddler = flow.Meddler(stage.url, point.needs)

            def hook(moment: str, what: str) -> None:
                if threading.current_thread() in trap.hanging:
                    trap.watch(moment, what)
                    return
                fault(moment, what)
                meddler(moment, what)

            failpoints.hook = hook
            stage.send()
            flow.stir(system, point, rebuild=point.needs is Needs.REBUILD)
            if point.what == "Flush":
                stage.ended()  # one that comes with fills is not taken by its own name
            if point.needs is Needs.DOWNTIME and wait_for(lambda: fault.fired > 0, 5):
                _await_successor(stage, point, trap)
                if not stage.settled():
                    stage.failed(point, f"not settled while it hung; {system.wait(0)!r}, {system.status()}")
                _release(stage, point, trap)
            elif point.needs not in AROUND and wait_for(lambda: fault.fired > 0, 5):
                reason = gives_up(system)
    except PaperTradingError as error:
        reason = error
    if not fault.fired:
        stage.failed(point, "was not reached")
        return
    stage.counters.faults["hang"] += 1
    if point.who == "Supervisor" and point.needs is not Needs.STOP and reason is None:
        stage.failed(point, "the Supervisor hangs, and the process goes on")
    trap.release()
    failpoints.hook = None
    stage.rest()


def poison(server: Server, seed: int, chosen: Iterable[Point] = MATRIX, say: Say = silent) -> Counters:
    """Hang each time that a chosen decision comes to a point: it alone is quarantined."""
    stage = Stage(server, "hanging-poison", seed, say)
    wanted = set(chosen)
    left = [(point, action) for point in POISON if point in wanted for action in ("BUY", "HOLD")]
    while left:
        with stage.serving(hang_timeout=HANG_TIMEOUT) as system:
            while left and system.wait(0) is None:
                _poison(stage, *left.pop())
        stage.rest()
    return stage.close()


def _poison(stage: Stage, point: Point, action: str) -> None:
    stage.begin(point, action)
    trap = Trap()
    fault: Fault | None = None

    def arm(id_: object) -> None:
        nonlocal fault
        armed = fault = Fault(point, trap, chosen=id_)

        def hook(moment: str, what: str) -> None:
            if threading.current_thread() in trap.hanging:
                trap.watch(moment, what)
            else:
                armed(moment, what)

        failpoints.hook = hook

    id_ = stage.send_with_chosen(action, arm)
    ended = stage.ended()
    assert fault is not None
    if fault.fired:
        stage.counters.faults["hang, each time"] += fault.fired
        if not ended:
            stage.failed(point, f"{action}: not everything ended; {stage.system.wait(0)!r}")
        _await_successor(stage, point, trap)
        _release(stage, point, trap)
        ((status, reason),) = stage.rows("SELECT status, outcome_reason FROM trading_decisions WHERE id = %s", id_)
        quarantined = str(reason).startswith("internal error") or others_go_on(point)
        if fault.fired > 2 or (fault.fired == 2 and not quarantined):
            stage.failed(point, f"{action}: hung {fault.fired} times, ended {status}, {reason}")
    failpoints.hook = None
    if fault.fired and stage.system.wait(0) is None:
        stage.check(point)


def silent_ends(server: Server, seed: int, actors: Sequence[str] = ACTORS) -> Counters:
    """Let each actor's thread just end, with messages in its mailbox; and fail to stop."""
    stage = Stage(server, "silence", seed, silent)
    with stage.serving(hang_timeout=HANG_TIMEOUT) as system:
        for actor in actors:
            host = system._wiring.hosts[actor]
            thread = host._thread
            assert host._ref is not None
            assert thread is not None
            host._ref.actor_stopped.set()
            stage.send()
            if not wait_for(lambda: not thread.is_alive(), 10):  # noqa: B023
                stage.failed(None, f"{actor}'s thread did not end")
            stage.counters.faults["thread ended"] += 1
            stage.send()
            if not stage.ended():
                stage.failed(None, f"{actor}'s thread ended, and not everything after it")
            stage.check(None)
    with stage.serving(hang_timeout=HANG_TIMEOUT) as system:
        stage.send()
        supervisor = system._wiring.hosts["Supervisor"]
        assert supervisor._ref is not None
        supervisor._ref.actor_stopped.set()
        stage.counters.faults["thread ended"] += 1
        if gives_up(system) is None:
            stage.failed(None, "the Supervisor's thread ended, and the process goes on")
    stage.rest()
    with stage.serving() as system:
        stage.send()
        for host in system._wiring.hosts.values():
            host.mailbox.close = _failing  # type: ignore[assignment]
            stage.counters.faults["exception in on_stop"] += 1
    stage.rest()
    return stage.close()


def _failing(_: object) -> list[object]:
    raise ValueError("injected")
