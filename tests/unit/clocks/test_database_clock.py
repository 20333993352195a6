"""The clock of the program: it follows the database, and neither clock can make it jump by more than an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from actors.supervision.clock_watch import ClockWatch
from domain.alarms import AlarmKind
from domain.clocks.database_clock import ClockFault, ClockProblem, DatabaseClock
from tests.support.captured_log import captured_log

pytestmark = pytest.mark.clock
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
YEARS = timedelta(days=730)


class Machines:
    """The machine of the program and that of the database; their clocks can be set, and time passes for both."""

    def __init__(self, ahead: timedelta = timedelta(0)) -> None:
        self.database = NOON
        self.time = NOON + ahead
        self.seconds = 1_000.0
        self.round_trip = 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.database += timedelta(seconds=seconds)
        self.time += timedelta(seconds=seconds)
        self.seconds += seconds

    def query(self) -> datetime:
        self.pass_by(self.round_trip / 2)
        time = self.database
        self.pass_by(self.round_trip / 2)
        return time


def test_before_the_first_reading_it_is_the_clock_of_the_machine() -> None:
    machines = Machines(timedelta(minutes=3))
    clock = DatabaseClock(machines)
    assert (NOON + timedelta(minutes=3), 1_000.0) == (clock.now(), clock.monotonic())


def test_on_one_machine_it_is_the_machine_s_time_to_the_microsecond() -> None:
    machines = Machines()
    machines.round_trip = 0.2
    clock = DatabaseClock(machines)
    clock.read(machines.query)
    assert (machines.time, None) == (clock.now(), clock.problem)


@pytest.mark.parametrize(("ahead", "side"), [(YEARS, "ahead of"), (-YEARS, "behind")])
def test_it_goes_by_the_database_where_the_machine_is_wrong(ahead: timedelta, side: str) -> None:
    machines = Machines(ahead)
    machines.round_trip = 0.2
    clock = DatabaseClock(machines)
    clock.read(machines.query)
    assert machines.database == clock.now()
    machines.pass_by(7)
    assert machines.database == clock.now()
    text = f"this machine's clock is 730 d {side} the database's; times and expiry go by the database's"
    assert ClockProblem(ClockFault.MACHINE, text) == clock.problem
    machines.time = machines.database
    assert machines.database == clock.now()  # before the next reading
    clock.read(machines.query)
    assert (machines.database, None) == (clock.now(), clock.problem)


@pytest.mark.parametrize(
    ("at_first", "then", "wrong_by"),
    [(timedelta(0), -YEARS, "730 d behind"), (YEARS, timedelta(0), "730 d ahead of"), (timedelta(0), YEARS, None)],
)
def test_a_machine_that_is_set_during_a_reading_is_never_wrong_by_nothing(
    at_first: timedelta, then: timedelta, wrong_by: str | None
) -> None:
    machines = Machines(at_first)
    machines.round_trip = 0.2

    def query() -> datetime:
        time = machines.query()
        machines.time = machines.database + then
        return time

    clock = DatabaseClock(machines)
    clock.read(query)
    text = f"this machine's clock is {wrong_by} the database's; times and expiry go by the database's"
    assert (None if wrong_by is None else ClockProblem(ClockFault.MACHINE, text)) == clock.problem
    assert machines.database == clock.now()
    clock.read(machines.query)
    assert machines.database == clock.now()
    assert (then != timedelta(0)) == (clock.problem is not None)


@pytest.mark.parametrize("ahead", [YEARS, -YEARS, timedelta(minutes=10), -timedelta(minutes=10)])
def test_a_machine_that_is_set_during_a_later_reading_sets_no_time_and_blames_no_database(ahead: timedelta) -> None:
    machines = Machines()
    machines.round_trip = 0.2
    clock = DatabaseClock(machines)
    clock.read(machines.query)

    def query() -> datetime:
        machines.time += ahead
        return machines.query()

    clock.read(query)
    assert (machines.database, None, None) == (clock.now(), clock.problem, clock.step)
    clock.read(machines.query)
    assert machines.database == clock.now()
    assert clock.problem is not None
    assert (ClockFault.MACHINE, None) == (clock.problem.fault, clock.step)


@pytest.mark.parametrize(("seconds", "is_wrong"), [(2.0, False), (2.1, True), (-2.0, False), (-2.1, True)])
def test_two_seconds_are_no_difference(seconds: float, is_wrong: bool) -> None:
    machines = Machines(timedelta(seconds=seconds))
    clock = DatabaseClock(machines)
    clock.read(machines.query)
    assert (machines.database, is_wrong) == (clock.now(), clock.problem is not None)


def test_time_that_a_reading_takes_is_no_difference() -> None:
    machines = Machines(timedelta(seconds=2.5))
    machines.round_trip = 1.5
    clock = DatabaseClock(machines)
    clock.read(machines.query)  # at most 3.25 s, at least 1.75 s
    assert (machines.database, None) == (clock.now(), clock.problem)
    machines.round_trip = 30.0
    machines.database += timedelta(minutes=10)
    clock.read(machines.query)  # it says nothing
    assert machines.database - timedelta(minutes=10) == clock.now()


@pytest.mark.parametrize(("step", "way"), [(YEARS, "forward"), (-YEARS, "back")])
@pytest.mark.parametrize("both", [False, True])
def test_a_database_whose_clock_is_set_by_years_is_not_believed(step: timedelta, way: str, both: bool) -> None:
    machines = Machines()
    clock = DatabaseClock(machines)
    clock.read(machines.query)
    machines.database += step
    machines.time += step if both else timedelta(0)
    machines.pass_by(5)
    clock.read(machines.query)
    assert NOON + timedelta(seconds=5) == clock.now()
    text = (
        f"the database's clock was set {way} by 730 d; the service goes on from the time before: set it right, or "
        "restart the service if the new time is right"
    )
    assert ClockProblem(ClockFault.DATABASE, text) == clock.problem
    machines.pass_by(3_600)
    clock.read(machines.query)
    assert NOON + timedelta(seconds=3_605) == clock.now()
    machines.database -= step
    machines.time -= step if both else timedelta(0)
    clock.read(machines.query)
    assert (NOON + timedelta(seconds=3_605), None, None) == (clock.now(), clock.problem, clock.step)


@pytest.mark.parametrize(("minutes", "way"), [(59, "forward"), (-59, "back")])
def test_a_step_of_less_than_an_hour_is_believed_and_said(minutes: int, way: str) -> None:
    machines = Machines()
    clock = DatabaseClock(machines)
    clock.read(machines.query)
    clock.now()
    machines.database += timedelta(minutes=minutes)
    machines.time += timedelta(minutes=minutes)
    clock.read(machines.query)
    assert (NOON + timedelta(minutes=minutes), None) == (clock.now(), clock.problem)
    assert clock.step is not None
    text = f"the database's clock was set {way} by 59 min; the service goes by the new time"
    assert (1, text) == (clock.step.number, clock.step.text)


def test_a_small_correction_never_lets_it_go_back() -> None:
    machines = Machines()
    clock = DatabaseClock(machines)
    clock.read(machines.query)
    before = clock.now()
    machines.database -= timedelta(seconds=1)
    machines.time -= timedelta(seconds=1)
    clock.read(machines.query)
    assert before == clock.now()
    machines.pass_by(3)
    assert before + timedelta(seconds=2) == clock.now()
    assert (None, None) == (clock.problem, clock.step)


def test_each_state_is_reported_once_and_its_end() -> None:
    alarms: list[tuple[AlarmKind, str, bool]] = []

    def notify(kind: AlarmKind, text: str, *, over: bool = False) -> None:
        alarms.append((kind, text, over))

    machines = Machines(timedelta(seconds=5))
    clock = DatabaseClock(machines)
    watch = ClockWatch(clock, notify)
    with captured_log("actors.supervision.clock_watch") as log:
        for ahead in (5, 6, 0, 0):
            machines.time = machines.database + timedelta(seconds=ahead)
            clock.read(machines.query)
            watch.tell(None)
        machines.database += timedelta(minutes=10)
        machines.time += timedelta(minutes=10)
        clock.read(machines.query)
        watch.tell(None)
        watch.tell(None)
    wrong = "this machine's clock is 5 s ahead of the database's; times and expiry go by the database's"
    over = "the clocks of this machine and the database agree again"
    assert [(AlarmKind.CLOCK, wrong, False), (AlarmKind.CLOCK, over, True)] == alarms
    step = "the database's clock was set forward by 10 min; the service goes by the new time"
    assert [f"WARNING {wrong}", f"INFO {over}", f"WARNING {step}"] == log
    assert watch.problem is None


def test_a_clock_of_the_caller_is_compared_with_nothing() -> None:
    watch = ClockWatch(None, lambda *_args, **_more: pytest.fail("nothing is wrong"))
    watch.tell(None)
    assert watch.problem is None
