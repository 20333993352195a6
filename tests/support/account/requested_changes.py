"""Requests for accounts on the whole path of actors, and failures in the middle of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from actors.messages import ReadRequests
from domain import failpoints
from domain.audit import differences
from domain.trading.account.requests import AccountKind, AccountRequest
from tests.support.account.account_run import account_request
from tests.support.actors.decision_path import begun, opened
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepper import Stepper

Point = tuple[str, str]
Scene = Callable[[Stepper], None]


def ask(stepper: Stepper, kind: AccountKind, **values: object) -> AccountRequest:
    """Insert a request and wake the intake, as a notification of the database does."""
    number = len(stepper.database.requests) + 1
    request = account_request(kind, number=number, **values)  # type: ignore[arg-type]
    stepper.database.requests.append(request)
    stepper.tell("DecisionWatcher", ReadRequests())
    return request


def settle(stepper: Stepper) -> None:
    """Let all that waits happen, and what is asked again after a second."""
    stepper.settle()
    stepper.pass_by(1)
    stepper.tell("DecisionWatcher", ReadRequests())
    stepper.settle()


def new_stepper() -> Stepper:
    """Return a stepper of one portfolio that holds nothing."""
    return begun(opened(MemoryDatabase()))


@contextmanager
def hooked(hook: Callable[[str, str], None]) -> Iterator[None]:
    """Call a hook at each failpoint."""
    before, failpoints.hook = failpoints.hook, hook
    try:
        yield
    finally:
        failpoints.hook = before


def reached_points(scene: Scene, *names: str) -> list[Point]:
    """Return the failpoints that a scene reaches and whose name has one of these parts, in their order."""
    points: dict[Point, None] = {}
    with hooked(lambda *point: points.setdefault(point)):
        scene(new_stepper())
    return [point for point in points if any(name in point[1] for name in names)]


def crashed(scene: Scene, point: Point, skipped: int, stepper: Stepper | None = None) -> Stepper:
    """Play a scene that crashes once at a point, after it was reached so many times; return its stepper."""
    stepper, left = stepper or new_stepper(), [skipped]

    def raise_at(*present: str) -> None:
        if present == point:
            left[0] -= 1
            if left[0] == -1:
                raise RuntimeError("injected")

    with hooked(raise_at):
        scene(stepper)
    return stepper


def with_lost_connections(scene: Scene, fault: str, seed: int, share: float) -> Stepper:
    """Play a scene in which a share of the commits of accounts fails; return its stepper.

    Args:
        scene: what happens.
        fault: ``fail_commits`` or ``lose_answers`` of the `MemoryDatabase`.
        seed: chooses the commits.
        share: of them that fails.
    """
    stepper, chance = new_stepper(), random.Random(seed)

    def lose(*point: str) -> None:
        if point == ("commits", "account") and chance.random() < share:
            setattr(stepper.database, fault, 1)

    with hooked(lose):
        scene(stepper)
    return stepper


def assert_memory_is_stored(stepper: Stepper) -> None:
    """Fail unless the books in memory are those of the database."""
    keeper = stepper.cells["PositionKeeper"].behaviour
    assert {} == differences(keeper._committed, stepper.database.load())  # type: ignore[attr-defined]
