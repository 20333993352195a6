"""The mailbox: its two lanes, coalescing, holding back, and messages after the close."""

from __future__ import annotations

from actors.messages import Message, Restart, Tick, Wake
from actors.runtime.address import MailAddress
from actors.runtime.mailbox import Mailbox


class Say(Message):
    text: str


def next_of(mailbox: Mailbox) -> object:
    envelope = mailbox.get()
    assert envelope is not None
    return envelope.message


def put(mailbox: Mailbox, *messages: Message) -> None:
    for message in messages:
        MailAddress(mailbox).tell(message)


def test_control_overtakes_data() -> None:
    mailbox = Mailbox()
    put(mailbox, Say("first"), Restart(), Say("second"))
    assert [Restart(), Say("first"), Say("second")] == [next_of(mailbox) for _ in range(3)]
    assert 0 == len(mailbox)


def test_wake_ups_coalesce_in_the_place_of_the_first() -> None:
    mailbox = Mailbox()
    put(mailbox, Wake(), Say("between"), Wake(), Tick(), Wake())
    assert [Wake(), Say("between"), Tick()] == mailbox.take(10)
    put(mailbox, Wake())
    assert [Wake()] == mailbox.take(10)


def test_held_data_waits_and_control_is_served() -> None:
    mailbox = Mailbox()
    mailbox.hold()
    put(mailbox, Say("later"), Restart())
    assert Restart() == next_of(mailbox)
    assert not mailbox.deliverable
    mailbox.release()
    assert Say("later") == next_of(mailbox)


def test_messages_put_back_come_first() -> None:
    mailbox = Mailbox()
    put(mailbox, Say("3"))
    mailbox.give_back([Say("1"), Say("2")])
    assert [Say("1"), Say("2"), Say("3")] == mailbox.take(10)


def test_a_message_that_is_handled_alone_ends_a_group() -> None:
    mailbox = Mailbox()
    put(mailbox, Say("1"), Say("2"), Say("alone"), Say("3"))
    assert [Say("1"), Say("2")] == mailbox.take(10, lambda message: message == Say("alone"))
    assert Say("alone") == next_of(mailbox)
    assert [Say("3")] == mailbox.take(10)


def test_close_returns_waiting_messages_and_later_ones_are_undeliverable() -> None:
    mailbox = Mailbox()
    dead: list[object] = []
    put(mailbox, Say("waits"))
    mailbox.hold()
    assert [Say("waits")] == mailbox.close(dead.append)
    put(mailbox, Say("late"), Restart())
    assert [Say("late"), Restart()] == dead
    assert 0 == len(mailbox)


def test_an_abandoned_reader_gets_no_message() -> None:
    mailbox = Mailbox()
    put(mailbox, Say("for the replacement"))
    assert mailbox.get(lambda: True) is None
    assert Say("for the replacement") == next_of(mailbox)


def test_it_counts_the_most_messages_that_ever_waited() -> None:
    mailbox = Mailbox()
    put(mailbox, *[Say(str(n)) for n in range(7)])
    mailbox.take(7)
    assert (7, 0) == (mailbox.max_waiting, len(mailbox))
