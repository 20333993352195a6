"""Actor hosts on real threads: a thread that hangs is abandoned, and a replacement continues its work."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest

from actors.messages import Ping, Restart
from actors.runtime.address import Abandoned, MailAddress
from actors.runtime.cell import Cell
from actors.runtime.mailbox import Mailbox
from tests.support.actors.hosts import SOON, Do, Grouping, Say, Stage, ended, staged, thread_of


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as opened:
        yield opened


def test_a_replacement_handles_the_hung_message_first_and_then_the_waiting_ones_in_order(stage: Stage) -> None:
    stage.host.start()
    abandoned = thread_of(stage.host)
    stage.hang()
    for n in range(100):
        stage.address.tell(Say(str(n)))
    assert frozenset() == stage.host.replace()
    assert "subject" == stage.ask(Ping()).get(timeout=SOON)
    assert stage.texts.empty()  # the replacement waits for `Restart`
    assert abandoned is not thread_of(stage.host)
    assert abandoned.is_alive()
    stage.address.tell(Restart())
    assert ["tried again", *map(str, range(100))] == [stage.next() for _ in range(101)]
    assert 1 == stage.host.activity.failed


def test_messages_of_an_abandoned_thread_are_not_delivered(stage: Stage) -> None:
    other = Mailbox()
    raised: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def go_on() -> None:
        for _ in range(2):
            try:
                MailAddress(other).tell(Say("too late"))
            except Abandoned as error:
                raised.put(error)
        raise ValueError("the crash of an abandoned thread is not reported")

    stage.host.start()
    abandoned = thread_of(stage.host)
    release = stage.hang(go_on)
    stage.host.replace()
    release.set()
    assert [True, True] == [isinstance(raised.get(timeout=SOON), Abandoned) for _ in range(2)]
    assert ended(abandoned)
    assert 0 == len(other)
    assert stage.crashes.empty()
    stage.address.tell(Restart())
    assert "tried again" == stage.next()
    stage.address.tell(Say("alive"))
    assert "alive" == stage.next()


def test_an_abandoned_thread_that_sends_ends_without_a_crash(stage: Stage) -> None:
    stage.host.start()
    abandoned = thread_of(stage.host)
    release = stage.hang(lambda: MailAddress(Mailbox()).tell(Say("x")))
    stage.host.replace()
    release.set()
    assert ended(abandoned)
    assert stage.crashes.empty()
    assert stage.host.alive


def test_an_idle_abandoned_thread_takes_no_more_messages(stage: Stage) -> None:
    stage.host.start()
    stage.address.tell(Say("to the first"))
    assert "to the first" == stage.next()
    idle = thread_of(stage.host)
    stage.host.replace()
    assert ended(idle)
    for n in range(10):
        stage.address.tell(Say(str(n)))
    assert stage.texts.empty()
    stage.address.tell(Restart())
    assert list(map(str, range(10))) == [stage.next() for _ in range(10)]


def test_a_message_taken_just_before_the_thread_is_abandoned_goes_back(stage: Stage) -> None:
    cell = Cell("subject", Mailbox(), lambda _: Grouping(stage), stage)
    cell.begin()
    for text in ("b", "c"):
        MailAddress(cell.mailbox).tell(Say(text))
    assert [] == cell.abandon()
    cell.receive(Say("a"))
    assert [Say("a"), Say("b"), Say("c")] == cell.mailbox.take(10)
    assert stage.texts.empty()


def test_an_abandoned_thread_that_builds_a_behaviour_does_not_release_the_mailbox_of_its_replacement(
    stage: Stage,
) -> None:
    entered, release = threading.Event(), threading.Event()
    stage.releases.append(release)
    stage.host.start()
    abandoned = thread_of(stage.host)
    stage.starts = [lambda: (entered.set(), release.wait())]  # type: ignore[list-item, return-value]
    stage.address.tell(Restart())
    assert entered.wait(SOON)
    stage.host.replace()
    stage.address.tell(Say("waits"))
    release.set()
    assert ended(abandoned)
    assert "subject" == stage.ask(Ping()).get(timeout=SOON)
    assert (True, True) == (stage.texts.empty(), stage.crashes.empty())
    stage.address.tell(Restart())
    assert "waits" == stage.next()


def test_each_of_several_replacements_continues_where_the_last_one_hung(stage: Stage) -> None:
    stage.host.start()
    for number in range(5):
        stage.hang()
        stage.address.tell(Say(f"behind {number}"))
        stage.host.replace()
        stage.address.tell(Restart())
        assert ["tried again", f"behind {number}"] == [stage.next(), stage.next()]
    assert 5 == stage.host.activity.failed


def test_the_stack_of_a_hung_thread_has_the_line_where_it_hangs(stage: Stage) -> None:
    stage.host.start()
    stage.hang()
    assert "release.wait()" in stage.host.stack


def test_a_restart_by_hand_is_no_failure_and_no_first_crash_on_its_message(stage: Stage) -> None:
    tries: list[int] = []
    entered, release = threading.Event(), threading.Event()
    stage.releases.append(release)

    def action() -> None:
        tries.append(len(tries))
        if len(tries) == 1:
            entered.set()
            release.wait()
        elif len(tries) == 2:
            raise ValueError("the first crash on it")
        else:
            stage.texts.put("done")

    stage.host.start()
    stage.address.tell(Do(action))
    assert entered.wait(SOON)
    stage.host.replace(by_hand=True)
    stage.address.tell(Restart())
    assert not stage.crashes.get(timeout=SOON).again
    stage.address.tell(Restart())
    assert "done" == stage.next()
    assert (1, 1) == (stage.host.activity.failed, stage.host.activity.restarted_by_hand)
