"""Posts on real threads: whoever hangs is given up, and a successor goes on where it stopped."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest

from actors.messages import Ping, Restart
from actors.runtime.address import Abandoned, MailAddress
from actors.runtime.cell import Cell
from actors.runtime.mailbox import Mailbox
from tests.support.actors.hosts import SOON, Grouping, Say, Stage, ended, staged, thread_of


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as opened:
        yield opened


def test_a_successor_handles_what_waited_in_its_order_and_the_hung_message_first(stage: Stage) -> None:
    stage.host.start()
    zombie = thread_of(stage.host)
    stage.hang()
    for n in range(100):
        stage.to.tell(Say(str(n)))
    assert frozenset() == stage.host.replace()
    assert "subject" == stage.ask(Ping()).get(timeout=SOON)
    assert stage.heard.empty()  # the successor waits for the word
    assert zombie is not thread_of(stage.host)
    assert zombie.is_alive()
    stage.to.tell(Restart())
    assert ["tried again", *map(str, range(100))] == [stage.next() for _ in range(101)]
    assert 1 == stage.host.activity.failed


def test_nothing_that_a_zombie_tells_arrives(stage: Stage) -> None:
    other = Mailbox()
    raised: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def go_on() -> None:
        for _ in range(2):
            try:
                MailAddress(other).tell(Say("from the grave"))
            except Abandoned as error:
                raised.put(error)
        raise ValueError("a zombie's crash is nobody's business")

    stage.host.start()
    zombie = thread_of(stage.host)
    release = stage.hang(go_on)
    stage.host.replace()
    release.set()
    assert [True, True] == [isinstance(raised.get(timeout=SOON), Abandoned) for _ in range(2)]
    assert ended(zombie)
    assert 0 == len(other)
    assert stage.crashes.empty()
    stage.to.tell(Restart())
    assert "tried again" == stage.next()
    stage.to.tell(Say("alive"))
    assert "alive" == stage.next()


def test_a_zombie_that_raises_given_up_ends_quietly_and_stops_nobody(stage: Stage) -> None:
    stage.host.start()
    zombie = thread_of(stage.host)
    release = stage.hang(lambda: MailAddress(Mailbox()).tell(Say("x")))
    stage.host.replace()
    release.set()
    assert ended(zombie)
    assert stage.crashes.empty()
    assert stage.host.alive


def test_an_idle_zombie_takes_no_further_message(stage: Stage) -> None:
    stage.host.start()
    stage.to.tell(Say("to the first"))
    assert "to the first" == stage.next()
    idle = thread_of(stage.host)
    stage.host.replace()
    assert ended(idle)
    for n in range(10):
        stage.to.tell(Say(str(n)))
    assert stage.heard.empty()
    stage.to.tell(Restart())
    assert list(map(str, range(10))) == [stage.next() for _ in range(10)]


def test_what_a_thread_had_just_taken_when_it_was_given_up_goes_back(stage: Stage) -> None:
    cell = Cell("subject", Mailbox(), lambda _: Grouping(stage), stage)
    cell.begin()
    for word in ("b", "c"):
        MailAddress(cell.mailbox).tell(Say(word))
    assert [] == cell.abandon()
    cell.receive(Say("a"))
    assert [Say("a"), Say("b"), Say("c")] == cell.mailbox.take(10)
    assert stage.heard.empty()


def test_a_zombie_that_builds_a_behaviour_lets_nothing_through_to_a_successor_that_has_none(stage: Stage) -> None:
    entered, release = threading.Event(), threading.Event()
    stage.releases.append(release)
    stage.host.start()
    zombie = thread_of(stage.host)
    stage.starts = [lambda: (entered.set(), release.wait())]  # type: ignore[list-item, return-value]
    stage.to.tell(Restart())
    assert entered.wait(SOON)
    stage.host.replace()
    stage.to.tell(Say("waits"))
    release.set()
    assert ended(zombie)
    assert "subject" == stage.ask(Ping()).get(timeout=SOON)
    assert (True, True) == (stage.heard.empty(), stage.crashes.empty())
    stage.to.tell(Restart())
    assert "waits" == stage.next()


def test_successor_after_successor_each_goes_on_where_the_last_one_hung(stage: Stage) -> None:
    stage.host.start()
    for number in range(5):
        stage.hang()
        stage.to.tell(Say(f"behind {number}"))
        stage.host.replace()
        stage.to.tell(Restart())
        assert ["tried again", f"behind {number}"] == [stage.next(), stage.next()]
    assert 5 == stage.host.activity.failed


def test_the_stack_of_a_hung_thread_says_where_it_is(stage: Stage) -> None:
    stage.host.start()
    stage.hang()
    assert "release.wait()" in stage.host.stack
