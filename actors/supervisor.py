"""Supervisor: starts the children in order, brings back what crashed, and gives up what hangs.

It never waits for the database: it sends a word, and the next step follows on the answer.

============================  =========================================================================================
what happened                 what it does
============================  =========================================================================================
crash on a decision           begins a generation at once; the second crash on the same decision quarantines it; does
                              not count against the budget of restarts, unless memory ran out, or more than
                              `MOST_CULPRITS` were quarantined within the window: then the program or its machine is at
                              fault, and should not go through all that is pending
crash on another message      restarts after a while (`Backoff`); the cell tries the message once more, then drops it;
                              the restart does not count
any other crash               restarts after a while; too many end the process
hang                          gives the thread up, ends its database connections, has a successor go on; counts
the database is not heard of  waits: that is no hang
a thread has ended            the same as a hang
============================  =========================================================================================

The rules are plain values in `actors.supervision.restarts`.
"""

from __future__ import annotations

import itertools
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from loguru import logger

from actors.messages import Control, Drain, Message, Restart, Tick
from actors.ports import Address
from actors.runtime.activity import Activity
from actors.runtime.behaviour import Behaviour
from actors.supervision.messages import (
    Begin,
    Crashed,
    Disconnected,
    Drained,
    Failed,
    RaiseGeneration,
    Rebuilt,
    Recover,
    Replace,
)
from actors.supervision.recovery import PATH, Recovery
from actors.supervision.restarts import Budget, RestartRule, Strikes
from domain.alarms import AlarmKind, Notify
from domain.errors import PaperTradingError, RestartLimitReached
from domain.failures import Failure, FailureKind
from domain.types import Clock, DecisionId, Epoch, Generation

KEPT_FAILURES = 50
DRAINED_LAST = frozenset({"DecisionWatcher", "Snapshotter"})


class Child(Protocol):
    """An actor under supervision; `actors.runtime.host.ActorHost` is one."""

    name: str

    @property
    def address(self) -> Address:
        """Where to send messages to it."""

    def start(self) -> None:
        """Start its thread; return when it answers."""

    def replace(self) -> frozenset[DecisionId]:
        """Give up its thread, start a successor; return the decisions that it had in hand."""

    @property
    def activity(self) -> Activity:
        """What it does now."""

    @property
    def alive(self) -> bool:
        """Whether its thread is there."""

    @property
    def stack(self) -> str:
        """Where its thread is now."""


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Where this process takes over from the one before it.

    Attributes:
        generation: the last one committed; the first rebuild raises it.
        epoch: of this process.
    """

    generation: Generation
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How children are supervised.

    Attributes:
        rules: what is rebuilt with each actor that fails, by name.
        budget: how many restarts are allowed, and how soon.
        hang_timeout: a message that takes longer than this hangs.
    """

    rules: Mapping[str, RestartRule]
    budget: Budget
    hang_timeout: timedelta


@dataclass(frozen=True, slots=True)
class ProcessHooks:
    """What the Supervisor needs of the process.

    Attributes:
        ready: called when a generation takes decisions.
        drained: called once an ordered stop has let everything through.
        give_up: called when the process cannot go on.
        record: has a failure stored; never waits.
        later: sends a message to the Supervisor after a while.
        disconnect: ends an actor's database connections, and has the answer sent to the Supervisor; never waits.
        notify: has people told of what is quarantined.
        hide: masks secrets in a text that is stored and shown: whatever was raised may name an address.
    """

    ready: Callable[[], None]
    drained: Callable[[], None]
    give_up: Callable[[Exception], None]
    record: Callable[[Failure], None]
    later: Callable[[timedelta, Recover], None]
    disconnect: Callable[[str, float], None]
    notify: Notify
    hide: Callable[[str], str] = str


@dataclass(slots=True)
class Log:
    """The last failures, for whoever looks in from another thread.

    Attributes:
        quarantined: how many messages and decisions this process has put aside.
    """

    failures: deque[Failure] = field(default_factory=lambda: deque(maxlen=KEPT_FAILURES))
    quarantined: int = 0


class Supervisor(Behaviour):
    """Watches over its children.

    Args:
        children: by name, in the order in which they start.
        policy: which actors restart together, how often, and what counts as a hang.
        start: where this process takes over.
        hooks: what the Supervisor needs of the process.
        clock: the time of failures.
        log: the last failures, for other threads to read.
    """

    def __init__(
        self,
        children: Mapping[str, Child],
        policy: RestartPolicy,
        start: StartingPoint,
        hooks: ProcessHooks,
        clock: Clock,
        log: Log,
    ) -> None:
        self._children = children
        self._rules = policy.rules
        self._budget = policy.budget
        self._epoch = start.epoch
        self._hooks = hooks
        self._clock = clock
        self._hang_timeout = policy.hang_timeout.total_seconds()
        self._log = log
        self._recovery = Recovery({name: children[name].address for name in PATH}, start.generation, hooks.ready)
        self._strikes = Strikes()
        self._numbers = itertools.count(1)
        self._missing = Strikes()
        # Since when those hung, by actor, whose connections were ended.
        self._cut: dict[str, float] = {}
        self._passed: set[str] = set()
        self._pending: set[str | None] = set()
        self._ended = False

    def control(self, message: Control) -> None:
        """Begin the ordered stop."""
        if isinstance(message, Drain):
            self._recovery.draining = True
            self._children["DecisionWatcher"].address.tell(message)

    def describe(self) -> Mapping[str, Any]:
        """Return the generation, what waits for its restart, the budgets, and the decisions with a strike."""
        return {
            "generation": self._recovery.generation,
            "restarting": sorted(unit or "decision path" for unit in self._pending),
            "restarts_left": self._budget.left(self._clock.now()),
            "suspects": sorted(self._strikes.suspects, key=str),
            "quarantined": self._log.quarantined,
        }

    def handle(self, message: Message) -> None:  # noqa: PLR0912 - one line for each message
        """Handle one message."""
        match message:
            case Begin():
                for child in self._children.values():
                    child.start()
                self._recovery.begin(frozenset())
            case Crashed():
                self._crashed(message)
            case Recover():
                if message.actor in self._pending:  # else something else has begun it afresh meanwhile
                    self._recover(message.actor)
            case RaiseGeneration():
                self._raise_for(message)
            case Rebuilt():
                self._recovery.rebuilt(message)
            case Tick():
                self._look()
            case Disconnected():
                self._disconnected(message)
            case Replace():
                self._replace(self._children[message.actor], FailureKind.REPLACED, "was replaced by hand")
            case Drained():
                self._passed.add(message.actor)
                if self._passed >= DRAINED_LAST:
                    self._hooks.drained()
            case Failed():
                self._end(message.error)

    def _crashed(self, message: Crashed) -> None:
        cause = _line(message.error)
        told = "".join(traceback.format_exception(message.error))
        only = next(iter(message.about)) if len(message.about) == 1 else None
        failure = self._failure(FailureKind.CRASH, message.actor, message.message, only, cause, told)
        logger.opt(exception=message.error).error("{} crashed ({}): {}", message.actor, failure.reference, cause)
        if message.about:
            at_fault = not isinstance(message.error, MemoryError)
            if (culprit := self._strikes.strike(message.about)) is not None:
                reason = f"{message.actor} crashed twice on it ({cause})"
                self._quarantine(culprit, message.actor, message.message, reason, told)
                at_fault = self._budget.blames(self._now()) and at_fault
            if at_fault:
                self._recover_now(f"{message.actor} crashed")
            else:
                self._restart(message.actor, cause)
        elif message.again:
            self._budget.refund(message.actor)
            self._put_aside(message.actor, message.message, cause, told)
            self._recover(self._unit(message.actor))
        else:
            self._restart(message.actor, cause)

    def _restart(self, actor: str, cause: str) -> None:
        """Begin an actor, or with it the path, afresh after a while; end the process where that is once too often."""
        try:
            delay = self._budget.spend(actor, self._clock.now())
        except RestartLimitReached as limit:
            error = RestartLimitReached(f"{limit}; the last to fail was {actor} ({cause})")
            self._failure(FailureKind.GAVE_UP, actor, "", None, str(error), "")
            self._end(error)
            return
        unit = self._unit(actor)
        if unit is None:
            self._recovery.pause()
        if unit not in self._pending and not self._ended:
            self._pending.add(unit)
            self._hooks.later(delay, Recover(unit))

    def _recover(self, actor: str | None) -> None:
        self._pending.discard(actor)
        if self._ended:
            return
        if actor is None:
            self._recover_now("restart")
        else:
            self._children[actor].address.tell(Restart())

    def _recover_now(self, reason: str) -> None:
        if not self._ended:
            self._pending.discard(None)
            self._recovery.begin(self._strikes.suspects)
            logger.warning("generation {} begins: {}", self._recovery.generation, reason)

    def _raise_for(self, message: RaiseGeneration) -> None:
        if message.generation != self._recovery.generation or None in self._pending:
            return  # said in a generation that has ended already
        twice = [id_ for id_ in message.missing if self._missing.strike(frozenset({id_})) is not None]
        reasons = {**dict.fromkeys(twice, "its row could not be ended, twice"), **message.poisoned}
        for id_, reason in reasons.items():
            self._quarantine(id_, "PositionKeeper", "Filled", reason, "")
        self._recover_now(message.reason)

    def _look(self) -> None:
        """Look for threads that have ended, and for messages that take too long."""
        for child in self._children.values():
            if not child.alive:
                self._replace(child, FailureKind.THREAD_ENDED, "its thread ended")
                continue
            activity, doing = child.activity, child.activity.doing
            if doing is None or activity.busy_for <= self._hang_timeout:
                continue
            if activity.in_call:
                # As long as the database does not answer anybody, this is waiting; once it does, this call ends.
                self._hooks.disconnect(child.name, doing.since)
            else:
                self._hooks.disconnect(child.name, 0.0)
                self._replace(child, FailureKind.HANG, f"has been busy with {doing.what} for {activity.busy_for:.1f} s")

    def _disconnected(self, message: Disconnected) -> None:
        child = self._children[message.actor]
        doing = child.activity.doing
        if message.ended and doing is not None and doing.since == message.since and child.activity.in_call:
            logger.warning("{} hears nothing from the database, which answers others", child.name)
            again = self._cut.get(child.name) == message.since
            self._cut[child.name] = message.since
            # Not the first time: where the database answered nobody for long, it may just have begun to.
            if again and child.activity.busy_for > 2 * self._hang_timeout:
                self._replace(
                    child, FailureKind.HANG, f"is deaf to the end of its connection while it does {doing.what}"
                )

    def _replace(self, child: Child, kind: FailureKind, cause: str) -> None:
        """Give up a thread for good; a successor goes on at the same mailbox."""
        doing, stack = child.activity.doing, child.stack
        what = doing.what if doing is not None else ""
        logger.error("{} {}; a successor takes over. Its stack:\n{}", child.name, cause, stack)
        about = child.replace()
        only = next(iter(about)) if len(about) == 1 else None
        self._failure(kind, child.name, what, only, cause, stack)
        if kind is FailureKind.REPLACED:  # somebody's wish, and nobody's fault
            self._recover(self._unit(child.name))
            return
        if about and (culprit := self._strikes.strike(about)) is not None:
            self._quarantine(culprit, child.name, what, f"{child.name} {cause}, the second time", stack)
        self._restart(child.name, cause)

    def _unit(self, actor: str) -> str | None:
        """What is rebuilt together with an actor: the path, which is None, or itself."""
        return None if self._rules[actor] is RestartRule.PATH else actor

    def _quarantine(self, decision_id: DecisionId, actor: str, what: str, reason: str, told: str) -> None:
        failure = self._failure(FailureKind.QUARANTINE, actor, what, decision_id, reason, told)
        self._log.quarantined += 1
        self._recovery.poison(decision_id, failure)
        sentence = f"decision {decision_id} is quarantined ({failure.reference}): {reason}"
        logger.bind(decision=decision_id).error("{}", sentence)
        self._hooks.notify(AlarmKind.QUARANTINE, sentence)

    def _put_aside(self, actor: str, what: str, cause: str, told: str) -> None:
        failure = self._failure(FailureKind.QUARANTINE, actor, what, None, f"crashed twice on it ({cause})", told)
        self._log.quarantined += 1
        sentence = f"{actor} crashed twice on {what}; it is dropped ({failure.reference}): {cause}"
        logger.error("{}", sentence)
        self._hooks.notify(AlarmKind.QUARANTINE, sentence)

    def _failure(
        self, kind: FailureKind, actor: str, what: str, decision_id: DecisionId | None, error: str, told: str
    ) -> Failure:
        failure = Failure(
            epoch=self._epoch,
            number=next(self._numbers),
            at=self._now(),
            kind=kind,
            generation=self._recovery.generation,
            actor=actor,
            message=what,
            decision_id=decision_id,
            error=self._hooks.hide(error),
            traceback=self._hooks.hide(told),
        )
        self._log.failures.append(failure)
        self._hooks.record(failure)
        return failure

    def _now(self) -> datetime:
        return self._clock.now()

    def _end(self, error: Exception) -> None:
        if not self._ended:
            self._ended = True
            self._hooks.give_up(error if isinstance(error, PaperTradingError) else RestartLimitReached(str(error)))


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
