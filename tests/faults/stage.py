"""A system in this process with one fault at a time, and what must be true after each."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import psycopg

from actors import TradingSystem
from actors.runtime.pykka_adapter import Future, Timeout
from domain import failpoints
from domain.errors import PaperTradingError
from domain.trading.decision import Outcome
from domain.types import OutcomeStatus
from tests.faults import downtime, flow, ledger_checks
from tests.faults.counters import Counters
from tests.faults.matrix import Point, who
from tests.support.database.server import Server
from tests.support.system.running_system import all_ended, until
from tests.support.system.unfinished import unfinished

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Say nothing."""


BATCH = 12
TELL_EVERY = 25
ANSWERED_WITHIN = 5.0
RESUME = """
INSERT INTO paper_halts (portfolio, halted, reason)
SELECT portfolio, false, 'the next fault' FROM v_paper_halted WHERE by_whom = 'program'
"""
WITHIN = 30.0
"""Seconds in which everything must have ended; the machine may be busy."""


class Fault:
    """A hook that does something at one point, at the nth reaching, or each time that a chosen decision is concerned.

    Attributes:
        fired: how often it did.
    """

    def __init__(self, point: Point, act: Callable[[], None], *, nth: int = 1, chosen: Any = None) -> None:
        self.fired = 0
        self.point = point
        self._act = act
        self._nth = nth
        self._chosen = chosen
        self._reached = 0

    def __call__(self, moment: str, what: str) -> None:
        """Act, if this is the point, and the time."""
        if (who(), moment, what) != self.point.key:
            return
        if self._chosen is not None:
            if self._chosen not in _concerned(moment):
                return
        else:
            self._reached += 1
            if self._reached != self._nth:
                return
        self.fired += 1
        self._act()


def _concerned(moment: str) -> set[Any]:
    """The decisions that the present point is about: of the message that is sent, else of those in hand."""
    if moment in {"sends", "sent"}:
        frame = sys._getframe(3)  # the hook, its caller, `points.reach`, `MailAddress.tell`
        while frame is not None and "message" not in frame.f_locals:
            frame = frame.f_back  # type: ignore[assignment]
        return set(frame.f_locals["message"].decisions)
    return {id_ for message in flow.in_hand() for id_ in message.decisions}


class Stage:
    """One database, and systems on it, one after the other.

    Attributes:
        system: that runs now.
        url: of the database.
        counters: of what was found.

    Args:
        server: where.
        part: of the proof, for the command that repeats a failure.
        seed: of all that is drawn.
        say: takes a line on the progress.
    """

    system: TradingSystem

    def __init__(self, server: Server, part: str, seed: int, say: Say) -> None:
        self.counters = Counters()
        self.url = server.create_database()
        self.draw = random.Random(seed)
        self._server = server
        self._seed = seed
        self._say = say
        self._command = f"--only {part} --seed {seed}"
        self._accepted: set[UUID] = set()
        self._futures: dict[UUID, Future[Outcome]] = {}
        self._reported_count = 0
        flow.prepare(self.url)

    @contextmanager
    def serving(self, **changes: Any) -> Iterator[TradingSystem]:
        """A system; faults that a test set are gone after it."""
        try:
            with flow.serving(self.url, **changes) as self.system:
                yield self.system
        finally:
            self._nobody_waits()
            failpoints.hook = None

    def begin(self, point: Point, how: str = "") -> None:
        """Draw anew for each fault, so that it can be repeated without those before it; tell how far it got."""
        if (count := self.counters.faults.total()) >= self._reported_count + TELL_EVERY:
            self._reported_count = count
            self._say(f"{count} faults")
        self.draw = random.Random(f"{self._seed} {point} {how}")
        with psycopg.connect(self.url) as connection:  # an order that was struck twice has halted its portfolio
            connection.execute(RESUME)

    def send(self, count: int = BATCH, *, dead: bool = False) -> None:
        """Send decisions of many kinds."""
        rows = [flow.a_decision(self.draw) for _ in range(count)]
        rows += [*flow.protected_afterwards(self.draw), *flow.amended_afterwards(self.draw)]
        if dead:
            rows += flow.drawn(self.draw, 4)
        flow.send(self.system, self.url, rows, self._accept)

    def _accept(self, uid: UUID, future: Future[Outcome]) -> None:
        self._accepted.add(uid)
        self._futures[uid] = future

    def send_with_chosen(self, action: str, armed: Callable[[Any], None]) -> Any:
        """Send decisions of one portfolio by SQL; tell which was chosen before anybody sees it, and return it."""
        rows = [flow.a_decision(self.draw) for _ in range(BATCH)]
        rows = [row for row in rows if row[2] != "CANCEL"]  # it would end the chosen one, too
        uid = flow._uid(self.draw)
        rows.insert(len(rows) // 2, (uid, flow.CHOSEN, action, "1", "0.01", "default", *flow.NO_TERMS))
        with psycopg.connect(self.url) as connection, connection.cursor() as cursor:
            cursor.executemany(flow.INSERT, [(*row[:5], "default", *row[6:]) for row in rows])
            ((chosen,),) = cursor.execute("SELECT id FROM trading_decisions WHERE uid = %s", [uid]).fetchall()
            armed(chosen)
        return chosen

    def ended(self) -> bool:
        """Whether each decision and each request has its outcome, in time."""
        reader = self.system.ledger_reader
        return self._comes_true(lambda: all_ended(reader))

    def let_orders_rest(self) -> None:
        """Serve until orders rest that only the time before the next start fills."""
        with self.serving() as system:
            if not self.settled():
                self.failed(None, "orders that rested over the last downtime are not settled")
            downtime.let_rest(system, flow.PORTFOLIOS)

    def settled(self) -> bool:
        """Whether what rested over a downtime is settled, in time."""
        return self._comes_true(lambda: downtime.is_settled(self.url))

    def _comes_true(self, condition: Callable[[], bool]) -> bool:
        """Return whether a condition becomes true in time; where it does not, print what is not finished."""
        if not wait_for(lambda: condition() or self.system.wait(0) is not None, WITHIN):
            sys.stderr.write(f"{unfinished(self.system, self.url)}\n")
        return condition()

    def check(self, point: Point | None, *, memory: bool = True) -> None:
        """Hold everything to the laws, memory, too."""
        findings = ledger_checks.check(self.url, self._accepted, ended=True)
        findings.add_to(self.counters)
        self._accepted -= findings.gone  # a loss counts once
        for note in findings.notes:
            self.failed(point, note)
        self._answers(point)
        if memory:
            with suppress(AssertionError):
                until(lambda: not ledger_checks.memory_differences(self.system, self.url), 5)
                return
            self.counters.unbalanced += 1
            self.failed(point, f"memory and database differ: {ledger_checks.memory_differences(self.system, self.url)}")

    def _answers(self, point: Point | None) -> None:
        """See that each caller gets the outcome that is in the table; or hears that the system has ended."""
        uids = list(self._futures)
        stored = dict(self.rows("SELECT uid, status FROM trading_decisions WHERE uid = ANY(%s)", uids))
        for uid, future in self._futures.items():
            try:
                outcome = future.get(timeout=ANSWERED_WITHIN)
            except Timeout:
                self.failed(point, f"who submitted {uid} waits for ever; it ended {stored.get(uid)}")
            except PaperTradingError as error:
                if self.system.wait(0) is None and not self.system._wiring.stopping.is_set():
                    self.failed(point, f"who submitted {uid} got {error!r}; it ended {stored.get(uid)}")
            else:
                if outcome.status not in {stored.get(uid), OutcomeStatus.OPEN}:
                    self.failed(point, f"who submitted {uid} got {outcome}; it ended {stored.get(uid)}")
        self._futures = {}

    def _nobody_waits(self) -> None:
        """See that each caller has heard something, be it that the system has ended."""
        for uid, future in self._futures.items():
            try:
                future.get(timeout=ANSWERED_WITHIN)
            except Timeout:
                self.failed(None, f"who submitted {uid} waits for ever, and the system has ended")
            except PaperTradingError:
                pass
        self._futures = {}

    def failed(self, point: Point | None, what: str) -> None:
        """Take note of a failure, with the command that repeats it."""
        only = f" --point '{point}'" if point is not None else ""
        self.counters.repeat.append(f'{point}: {what}: make faults ARGS="{self._command}{only}"')

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read from the database."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement, values).fetchall()

    def close(self) -> Counters:
        """End; return what was found."""
        ledger_checks.check(self.url).count_in(self.counters)
        self._server.drop_database(self.url)
        return self.counters

    def rest(self) -> None:
        """Let a system go on where one ended in trouble, and see that nothing is missing."""
        with self.serving():
            if not self.ended():
                self.failed(None, "not everything ended after a restart")
            if not self.settled():
                self.failed(None, "not everything is settled after a restart")
            self.check(None)
        for note in ledger_checks.snapshot_differences(self.url):
            self.failed(None, note)


def wait_for(true: Callable[[], bool], seconds: float) -> bool:
    """Wait until it is true; say whether it was in time."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not true():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.01)
    return True


def gives_up(system: TradingSystem, seconds: float = 10.0) -> Exception | None:
    """Return why the system ended, if it does in time."""
    with suppress(PaperTradingError):
        return system.wait(seconds)
    return None
