"""An exception at each point, once, and each time that a chosen decision comes there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from domain import failpoints
from domain.errors import PaperTradingError
from tests.faults import flow
from tests.faults.counters import Counters
from tests.faults.matrix import ACTORS, AFTER, AROUND, MATRIX, Needs, Point
from tests.faults.stage import Fault, Say, Stage, gives_up, silent, wait_for
from tests.support.database.server import Server

KINDS: tuple[type[BaseException], ...] = (ValueError, MemoryError, RecursionError, KeyboardInterrupt, SystemExit)
HELPERS = ("timer", "listener", "price recorder", "price history", "failures", "disconnector")


def once(
    server: Server, seed: int, chosen: Iterable[Point] = MATRIX, kinds: int = len(KINDS), say: Say = silent
) -> Counters:
    """Raise once at each point of the actors, while decisions flow: everything ends all the same.

    Args:
        server: where.
        seed: of everything that is drawn.
        chosen: the points.
        kinds: of exceptions at each point, drawn from `KINDS`; one where a process has to be started for it.
        say: takes a line on the progress.
    """
    stage = Stage(server, "exceptions", seed, say)
    reachable = [point for point in chosen if point.needs is not Needs.HANG]
    around = [p for p in reachable if p.needs in AROUND or p.who == "Supervisor"]
    left = [(p, kind) for p in reachable if p not in around for kind in _kinds(p, seed, kinds)]
    while left:
        with stage.serving(hang_timeout=1.0) as system:
            while left and system.wait(0) is None:
                _once(stage, *left.pop())
    for point in around:
        for nth in range(1, point.times + 1):
            for kind in _kinds(point, seed + nth - 1, 1):
                _around(stage, point, kind, nth)
    return stage.close()


def _kinds(point: Point, seed: int, most: int) -> list[type[BaseException]]:
    kinds = [kind for kind in KINDS if _may_raise(point, kind)]
    return random.Random(f"{seed} {point}").sample(kinds, min(most, len(kinds)))


def _may_raise(point: Point, kind: type[BaseException]) -> bool:
    if point.who in HELPERS:
        return issubclass(kind, Exception)  # what is no Exception comes from nowhere there
    return point.who in {*ACTORS, "Supervisor"}


def _once(stage: Stage, point: Point, kind: type[BaseException]) -> None:
    stage.begin(point, kind.__name__)
    fault = Fault(point, _raising(kind), nth=stage.draw.randint(1, 2))
    meddler = flow.Meddler(stage.url, point.needs)

    def hook(moment: str, what: str) -> None:
        fault(moment, what)
        meddler(moment, what)

    failpoints.hook = hook
    for _ in range(5):
        stage.send(dead=point.what in {"Subscribe", "Waits", "RequestRules", "RulesChanged"})
        flow.stir(stage.system, point, rebuild=point.needs is Needs.REBUILD)
        if wait_for(lambda: fault.fired > 0, 1.5):
            break
        fault._nth = fault._reached + 1
        meddler.again()
    failpoints.hook = None
    if not fault.fired:
        stage.failed(point, "was not reached")
        return
    stage.counters.faults["exception"] += 1
    if not stage.ended():
        stage.failed(point, f"{kind.__name__}: not everything ended; {stage.system.wait(0)!r}, {stage.system.status()}")
    stage.check(point)


def _around(stage: Stage, point: Point, kind: type[BaseException], nth: int) -> None:
    """Raise at the start, at the stop, or in the Supervisor: the process may end; then the next one goes on."""
    stage.begin(point, kind.__name__ if nth == 1 else f"{kind.__name__} {nth}")
    if point.needs is Needs.DOWNTIME:
        stage.let_orders_rest()
    fault = Fault(point, _raising(kind), nth=nth)
    failpoints.hook = fault if point.needs in {Needs.START, Needs.DOWNTIME} else None
    reason: object = None
    try:
        with stage.serving() as system:
            stage.send()
            failpoints.hook = fault
            flow.stir(system, point, rebuild=point.needs is Needs.REBUILD)
            if point.what == "Flush":
                stage.ended()  # one that comes with fills is not taken by its own name
            if point.needs is Needs.DOWNTIME and wait_for(lambda: fault.fired > 0, 5) and not stage.settled():
                stage.failed(point, f"{kind.__name__}: not settled after it; {system.wait(0)!r}, {system.status()}")
            if point.needs is not Needs.STOP and wait_for(lambda: fault.fired > 0, 5) and point.who == "Supervisor":
                reason = gives_up(system)
    except PaperTradingError as error:
        reason = error
    if not fault.fired and point.needs is not Needs.GONE:
        stage.failed(point, "was not reached")
        return
    stage.counters.faults["exception"] += 1
    if point.who == "Supervisor" and point.needs is not Needs.STOP and fault.fired and reason is None:
        stage.failed(point, f"{kind.__name__} in the Supervisor, and the process goes on")
    stage.rest()


def _raising(kind: type[BaseException]) -> Callable[[], None]:
    def act() -> None:
        raise kind("injected")

    return act


POISON = [
    point for point in MATRIX
    if point.who in ACTORS and point.needs is Needs.FLOW
    and (point.who, point.what) != ("PriceTracker", "QuotesSeen")
]  # fmt: skip


def others_go_on(point: Point) -> bool:
    """Say whether another actor may commit the decision's outcome while this one crashes on it."""
    return point.moment in AFTER.values() or point.what in {"Happened", "Settled"}


def poison(server: Server, seed: int, chosen: Iterable[Point] = MATRIX, say: Say = silent) -> Counters:
    """Raise each time that a chosen decision comes to a point: it alone is quarantined, at no cost of restarts."""
    stage = Stage(server, "poison", seed, say)
    wanted = set(chosen)
    left = [(point, action) for point in POISON if point in wanted for action in ("BUY", "HOLD")]
    while left:
        with stage.serving(max_restarts=0) as system:
            while left and system.wait(0) is None:
                _poison(stage, *left.pop())
        stage.rest()
    return stage.close()


def _poison(stage: Stage, point: Point, action: str) -> None:
    stage.begin(point, action)
    fault: Fault | None = None

    def arm(id_: object) -> None:
        nonlocal fault
        fault = failpoints.hook = Fault(point, _raising(ValueError), chosen=id_)

    quarantined = stage.system.status().quarantined
    id_ = stage.send_with_chosen(action, arm)
    ended = stage.ended()
    failpoints.hook = None
    assert fault is not None
    if not fault.fired:
        return  # decisions of this kind do not come there
    stage.counters.faults["exception, each time"] += fault.fired
    if not ended:
        stage.failed(point, f"{action}: not everything ended; {stage.system.wait(0)!r}")
    ((status, reason),) = stage.rows("SELECT status, outcome_reason FROM trading_decisions WHERE id = %s", id_)
    if fault.fired > 1:
        wait_for(lambda: bool(_quarantine(stage, id_)), 5)
        entries = _quarantine(stage, id_)
        if others_go_on(point) and not str(reason).startswith("internal error"):
            pass  # another actor has ended it meanwhile
        elif status != "rejected" or not reason.startswith("internal error: ") or len(entries) != 1:
            stage.failed(point, f"{action}: ended {status}, {reason}; quarantined: {entries}")
        elif f"reference {entries[0][0]}" not in reason or "ValueError: injected" not in entries[0][1]:
            stage.failed(point, f"{action}: {reason} does not lead to its traceback: {entries}")
    if fault.fired > 2:
        stage.failed(point, f"{action}: tried {fault.fired} times")
    others = stage.rows(
        "SELECT id, outcome_reason FROM trading_decisions WHERE outcome_reason LIKE 'internal error%%' AND id <> %s"
        " AND id NOT IN (SELECT decision_id::bigint FROM paper_failures WHERE kind = 'quarantine')", id_
    )  # fmt: skip
    more = stage.system.status().quarantined - quarantined
    if others or more != (fault.fired > 1):
        stage.failed(point, f"{action}: {more} were quarantined, with others: {others}")
    if (gone := stage.system.wait(0)) is not None:
        stage.failed(point, f"{action}: the process ended: {gone}")
    stage.check(point)


def _quarantine(stage: Stage, id_: object) -> list[tuple[str, str]]:
    return [
        (reference, traceback)
        for reference, traceback in stage.rows(
            "SELECT reference, traceback FROM v_paper_quarantine WHERE decision_id = %s", str(id_)
        )
    ]
