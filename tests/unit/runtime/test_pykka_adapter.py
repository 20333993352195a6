"""The pinned pykka does what the runtime relies on: a test for each private name and each promise of a public one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from actors.runtime.pykka_adapter import (
    ActorDeadError,
    ActorRef,
    ActorRegistry,
    Envelope,
    Inbox,
    InboxActor,
    StopMessage,
    ThreadingFuture,
    Timeout,
    detach,
)

WAIT_S = 5.0


class RecordingInbox:
    """A queue that records what pykka's loop calls."""

    def __init__(self) -> None:
        self.envelopes: queue.Queue[Envelope[Any]] = queue.Queue()
        self.calls: list[str] = []

    def put(self, envelope: Envelope[Any], /) -> None:
        self.calls.append("put")
        self.envelopes.put(envelope)

    def get(self) -> Envelope[Any]:
        self.calls.append("get")
        return self.envelopes.get(timeout=WAIT_S)

    def empty(self) -> bool:
        self.calls.append("empty")
        return self.envelopes.empty()


class Echo(InboxActor):
    """Returns each message; a callable one is called, and its result returned."""

    def __init__(self, inbox: RecordingInbox) -> None:
        self._inbox = inbox
        self.stops = 0
        super().__init__()

    def create_inbox(self) -> Inbox:
        return self._inbox

    def on_stop(self) -> None:
        self.stops += 1

    def on_receive(self, message: Any) -> Any:
        return message() if callable(message) else message


@pytest.fixture
def inbox() -> RecordingInbox:
    return RecordingInbox()


@pytest.fixture
def actor(inbox: RecordingInbox) -> Iterator[ActorRef[Echo]]:
    ref = Echo.start(inbox)
    yield ref
    if ref.is_alive():
        ref.stop(timeout=WAIT_S)


def hold(ref: ActorRef[Echo], then: Callable[[], object] = lambda: None) -> tuple[threading.Thread, threading.Event]:
    """Keep the actor's thread inside a handler; return the thread, and the event that lets it go on."""
    entered, release = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def handler() -> object:
        threads.append(threading.current_thread())
        entered.set()
        release.wait(WAIT_S)
        return then()

    ref.tell(handler)
    assert entered.wait(WAIT_S)
    return threads[0], release


def joined(thread: threading.Thread) -> bool:
    thread.join(WAIT_S)
    return not thread.is_alive()


# _envelope.Envelope


def test_an_envelope_holds_the_message_and_no_reply_unless_one_is_given() -> None:
    reply: ThreadingFuture[object] = ThreadingFuture()
    assert ("m", None) == (Envelope("m").message, Envelope("m").reply_to)
    assert ("m", reply) == (Envelope("m", reply_to=reply).message, Envelope("m", reply_to=reply).reply_to)


def test_tell_and_ask_put_envelopes_into_the_inbox_and_ask_adds_the_future_it_returns(
    actor: ActorRef[Echo], inbox: RecordingInbox
) -> None:
    _, release = hold(actor)
    actor.tell("sent")
    future = actor.ask("asked", block=False)
    first, second = list(inbox.envelopes.queue)
    assert [Envelope, Envelope] == [type(first), type(second)]
    assert ("sent", None) == (first.message, first.reply_to)
    assert ("asked", future) == (second.message, second.reply_to)
    assert isinstance(future, ThreadingFuture)
    release.set()
    assert "asked" == future.get(timeout=WAIT_S)


def test_the_loop_answers_an_envelope_that_we_made(actor: ActorRef[Echo], inbox: RecordingInbox) -> None:
    reply: ThreadingFuture[object] = ThreadingFuture()
    inbox.put(Envelope("ours", reply_to=reply))
    assert "ours" == reply.get(timeout=WAIT_S)


# messages._ActorStop


def test_the_stop_message_ends_the_loop_and_calls_on_stop_once(actor: ActorRef[Echo], inbox: RecordingInbox) -> None:
    thread, release = hold(actor)
    inbox.put(Envelope(StopMessage()))
    release.set()
    assert joined(thread)
    assert actor.actor_stopped.is_set()
    assert actor not in ActorRegistry.get_all()


def test_stop_sends_the_stop_message_through_the_inbox(actor: ActorRef[Echo], inbox: RecordingInbox) -> None:
    thread, release = hold(actor)
    actor.stop(block=False)
    (envelope,) = list(inbox.envelopes.queue)
    assert isinstance(envelope.message, StopMessage)
    release.set()
    assert joined(thread)


def test_on_stop_runs_in_the_actors_thread_after_the_actor_counts_as_stopped(inbox: RecordingInbox) -> None:
    seen: list[tuple[bool, bool]] = []

    class Witness(Echo):
        def on_stop(self) -> None:
            seen.append((self.actor_stopped.is_set(), threading.current_thread() is thread))

    ref = Witness.start(inbox)
    thread, release = hold(ref)
    ref.stop(block=False)
    release.set()
    assert joined(thread)
    assert [(True, True)] == seen


# ThreadingActor._create_actor_inbox, and what the loop asks of the inbox


def test_the_hook_is_called_in_the_constructor_and_its_inbox_is_the_actors(inbox: RecordingInbox) -> None:
    actor = Echo(inbox)
    assert actor.actor_inbox is inbox
    assert actor.actor_ref.actor_inbox is inbox


def test_the_loop_only_gets_while_it_runs_and_asks_whether_it_is_empty_when_it_ends(inbox: RecordingInbox) -> None:
    ref = Echo.start(inbox)
    thread, release = hold(ref)
    ref.stop(block=False)
    release.set()
    assert joined(thread)
    assert ["get", "get", "empty"] == [call for call in inbox.calls if call != "put"]


def test_what_is_left_in_the_inbox_at_the_end_is_refused_unless_it_calls_itself_empty(inbox: RecordingInbox) -> None:
    ref = Echo.start(inbox)
    thread, release = hold(ref)
    ref.stop(block=False)
    late = ref.ask("late", block=False)
    release.set()
    assert joined(thread)
    with pytest.raises(ActorDeadError):
        late.get(timeout=WAIT_S)


def test_an_inbox_that_calls_itself_empty_keeps_what_is_left(inbox: RecordingInbox) -> None:
    inbox.empty = lambda: True  # type: ignore[method-assign]
    ref = Echo.start(inbox)
    thread, release = hold(ref)
    ref.stop(block=False)
    late = ref.ask("late", block=False)
    release.set()
    assert joined(thread)
    assert ["late"] == [envelope.message for envelope in inbox.envelopes.queue]
    with pytest.raises(Timeout):
        late.get(timeout=0)


def test_the_thread_is_a_daemon(actor: ActorRef[Echo]) -> None:
    thread, release = hold(actor)
    assert thread.daemon
    release.set()


# ActorRef.actor_stopped and ActorRegistry: detach


def test_a_detached_actor_ends_after_its_message_takes_no_other_and_is_not_registered(
    actor: ActorRef[Echo], inbox: RecordingInbox
) -> None:
    thread, release = hold(actor)
    actor.tell("next")
    inbox.empty = lambda: True  # type: ignore[method-assign]
    detach(actor)
    assert actor not in ActorRegistry.get_all()
    assert thread.is_alive()
    release.set()
    assert joined(thread)
    assert ["next"] == [envelope.message for envelope in inbox.envelopes.queue]


def test_detaching_twice_does_no_harm(actor: ActorRef[Echo]) -> None:
    thread, release = hold(actor)
    detach(actor)
    detach(actor)
    release.set()
    assert joined(thread)


# What a handler raises


def test_an_exception_in_an_ask_is_the_callers_and_the_actor_goes_on(actor: ActorRef[Echo]) -> None:
    def fail() -> None:
        raise ValueError("for the caller")

    with pytest.raises(ValueError, match="for the caller"):
        actor.ask(fail, timeout=WAIT_S)
    assert "on" == actor.ask("on", timeout=WAIT_S)


def test_an_exception_in_a_tell_ends_that_actor_alone(actor: ActorRef[Echo]) -> None:
    def fail() -> None:
        raise ValueError("ends it")

    other = Echo.start(RecordingInbox())
    thread, release = hold(actor, fail)
    release.set()
    assert joined(thread)
    assert (False, True) == (actor.is_alive(), other.is_alive())
    other.stop(timeout=WAIT_S)


def test_a_base_exception_would_stop_every_actor_which_is_why_a_cell_lets_none_through(actor: ActorRef[Echo]) -> None:
    def leave() -> None:
        raise SystemExit

    other = Echo.start(RecordingInbox())
    thread, release = hold(actor, leave)
    release.set()
    assert joined(thread)
    assert other.actor_stopped.wait(WAIT_S)


# ThreadingFuture


def test_a_future_takes_one_answer_and_refuses_a_second_with_full() -> None:
    future: ThreadingFuture[str] = ThreadingFuture()
    future.set("first")
    with pytest.raises(queue.Full):
        future.set("second")
    with pytest.raises(queue.Full):
        future.set_exception((ValueError, ValueError(), None))
    assert "first" == future.get(timeout=0)


def test_a_future_raises_the_very_exception_that_it_was_given() -> None:
    future: ThreadingFuture[str] = ThreadingFuture()
    error = ValueError("x")
    future.set_exception((ValueError, error, None))
    with pytest.raises(ValueError, match="x") as raised:
        future.get(timeout=0)
    assert error is raised.value


def test_a_future_without_an_answer_raises_timeout() -> None:
    future: ThreadingFuture[str] = ThreadingFuture()
    with pytest.raises(Timeout):
        future.get(timeout=0.01)
