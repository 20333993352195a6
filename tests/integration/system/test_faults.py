"""A part of `make faults` in each run of the tests: the same code, at chosen points, from one seed."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from actors.decision_watcher import DecisionWatcher
from actors.position_keeper import PositionKeeper
from domain import failpoints
from tests.faults import downtime, flow, ledger_checks
from tests.faults.counters import Counters
from tests.faults.matrix import ACTORS, LEFT_OUT, MATRIX, PATH, Needs, Point, find, who
from tests.faults.parts import crashes, deaths, hangs
from tests.faults.parts.child import Death
from tests.support.database.server import Server
from tests.support.system.running_system import until, until_all_ended
from tests.support.system.unfinished import Completion

SEED = 1
QUIET = {Needs.ENDED, Needs.OVERTAKEN}
STIRRED = QUIET | {Needs.CRASH, Needs.ANY_CRASH, Needs.GONE, Needs.AWAY, Needs.HANG, Needs.BY_HAND}
"""What `flow.stir` or a `flow.Meddler` does; each but the `QUIET` ones begins a generation."""


def at(*names: str) -> list[Point]:
    return [find(name) for name in names]


def assert_sound(faults: dict[str, int], counters: Counters) -> None:
    assert [] == counters.repeat
    assert counters.passed
    assert faults == dict(counters.faults)


def test_a_running_system_reaches_each_point_of_the_matrix_and_no_other(
    embedded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A group has the name of its first message alone; on a busy machine the others would not be seen.
    for grouping in (DecisionWatcher, PositionKeeper):
        monkeypatch.setattr(grouping, "group_limit", 1)
    flow.prepare(embedded_url)
    reached = Counter[tuple[str, str, str]]()
    meddler = flow.Meddler(embedded_url, Needs.FLOW)

    def hook(moment: str, what: str) -> None:
        reached[who(), moment, what] += 1
        meddler(moment, what)

    failpoints.hook = hook
    draw = random.Random(SEED)
    try:
        with flow.serving(embedded_url, hang_timeout=0.4) as system:
            # Undisturbed at first: a decision that waits for a price as a generation begins may expire without a wait.
            flow.send(system, embedded_url, flow.drawn(draw, 15), lambda *_: None)
            until_all_ended(system.ledger_reader)
            needed = [Point(actor, "sends", "Crashed", Needs.CRASH) for actor in ACTORS]
            for point in [*needed, *(Point("", "", "", needs) for needs in Needs if needs is not Needs.CRASH)]:
                before, generation = Counter(reached), system.ledger_reader.served()["generation"]
                meddler = flow.Meddler(embedded_url, point.needs)
                rows = [flow.a_decision(draw) for _ in range(8)]  # decisions without a price take time
                flow.send(system, embedded_url, rows, lambda *_: None)
                flow.stir(system, point)
                until_all_ended(system.ledger_reader)
                # What was stirred up has happened, and is over: it must not disturb the next point.
                keys = [p.key for p in MATRIX if p.needs is point.needs in STIRRED and point.who in {"", p.who}]
                until(lambda before=before, keys=keys: all(reached[key] > before[key] for key in keys))  # type: ignore[misc]
                if point.needs in STIRRED - QUIET and point.who in {"", *PATH}:
                    until(lambda last=generation: system.ledger_reader.served()["generation"] > last)  # type: ignore[misc]
                meddler.released.set()
            downtime.let_rest(system, flow.PORTFOLIOS)
            with pytest.raises(AssertionError, match="not within 0 s:\n-- pending decisions: 0\n") as waited:
                Completion(system, embedded_url, ["the last line"]).until(lambda: False, 0)
            lines = str(waited.value).splitlines()
            assert [*ACTORS, "Supervisor"] == [name for name in system.inspector.names if f"-- {name}: " in str(lines)]
            assert "the last line" == lines[-1]
        before = Counter(reached)
        with flow.serving(embedded_url):
            until(lambda: downtime.is_settled(embedded_url))
            keys = [point.key for point in MATRIX if point.needs is Needs.DOWNTIME]
            until(lambda: all(reached[key] > before[key] for key in keys))
    finally:
        failpoints.hook = None
    ours = {point.key for point in MATRIX}
    assert [] == sorted(key for key in reached.keys() - ours if key[2] not in LEFT_OUT)
    assert [] == sorted(ours - reached.keys())
    result = ledger_checks.check(embedded_url, ended=True)
    assert [] == result.notes


@pytest.mark.slow
def test_a_process_that_dies_again_and_again_loses_nothing(embedded_server: Server) -> None:
    planned = [
        Death(find(name), nth, kill=kill, early=early, seed=SEED + number, decisions=20)
        for number, (name, nth, kill, early) in enumerate(
            [
                ("caller sent Submit", 1, True, False),
                ("PositionKeeper commits fills", 2, False, False),
                ("PositionKeeper committed generation", 1, True, True),
                ("PositionKeeper committed fills", 1, True, False),
                ("DecisionWatcher commits refusals", 1, False, False),
                ("ExecutionSimulator sent Happened", 3, False, False),
                ("ExecutionSimulator takes HistoryFetched", 2, True, True),
            ]
        )
    ]
    assert_sound({"death": 7}, deaths.run(embedded_server, planned, SEED))


def test_an_exception_anywhere_loses_nothing(embedded_server: Server) -> None:
    chosen = at(
        "Sizer sends Execute",
        "PositionKeeper committed fills",
        "DecisionWatcher handled Submit",
        "Snapshotter takes Committed",
        "timer sends Wake",
        "Sizer sent Crashed",
        "ExecutionSimulator sent RequestHistory",
    )
    assert_sound({"exception": 7}, crashes.once(embedded_server, SEED, chosen, kinds=1))


def test_a_decision_that_crashes_its_actor_each_time_is_quarantined_alone(embedded_server: Server) -> None:
    chosen = at("DecisionWatcher sends Decide", "Sizer sends Execute", "PositionKeeper commits fills")
    counters = crashes.poison(embedded_server, SEED, chosen)
    assert [] == counters.repeat
    # A BUY reaches all three points, a HOLD the first (and, in a group, the last): each twice.
    assert counters.faults["exception, each time"] >= 8


@pytest.mark.slow
def test_a_thread_that_hangs_is_replaced_and_does_no_harm_when_it_wakes(embedded_server: Server) -> None:
    chosen = at(
        "Sizer takes Decide",
        "PositionKeeper takes Rebuild",
        "PositionKeeper commits fills",
        "PriceTracker takes RequestHistory",
    )
    assert_sound({"hang": 4}, hangs.once(embedded_server, SEED, chosen))


@pytest.mark.slow
def test_a_decision_on_which_its_actor_hangs_each_time_is_quarantined(embedded_server: Server) -> None:
    assert_sound({"hang, each time": 2}, hangs.poison(embedded_server, SEED, at("ExecutionSimulator takes Execute")))


@pytest.mark.slow
def test_threads_that_end_silently_lose_nothing(embedded_server: Server) -> None:
    faults = {"thread ended": 2 + 1, "exception in on_stop": len(ACTORS) + 1}
    assert_sound(faults, hangs.silent_ends(embedded_server, SEED, ["PositionKeeper", "DecisionWatcher"]))
