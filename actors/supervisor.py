"""Supervisor: starts the other actors in order, rebuilds those that crash, and replaces threads that hang.

It never waits for the database: it sends a message, and the next step follows when the answer arrives.

============================  =========================================================================================
what happens                  what the Supervisor does
============================  =========================================================================================
crash on a decision           begins a new generation at once. The second crash on the same decision quarantines it.
                              These restarts do not count against the restart budget, unless memory ran out or more than
                              `MAX_CULPRITS` decisions were quarantined within the window: then the fault is in the
                              program or its machine, and the rest of the decisions should not be quarantined
first crash on another one    restarts the actor after a delay (`Backoff`); counts. The cell tries the message once more
second crash on it            drops the message; neither of its two restarts counts
crash without a message       restarts the actor after a delay; counts. Too many that count end the process
hang                          abandons the thread, ends its database connections, and starts a replacement; counts
the database does not answer  waits: that is no hang
a thread has ended            the same as for a hang
a person asks for a restart   abandons the thread and starts a replacement at once; no failure, no strike, no cost
============================  =========================================================================================

The rules are plain values in `actors.supervision.restarts`.
"""

from __future__ import annotations

import itertools
import traceback
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from loguru import logger

from actors.messages import Control, Drain, Message, Restart, Tick
from actors.runtime.behaviour import Behaviour
from actors.runtime.host import ActorHost
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
from actors.supervision.restarts import Budget, Strikes
from domain.alarms import AlarmKind, Notify
from domain.errors import PaperTradingError, RestartLimitReached
from domain.failures import Failure, FailureKind
from domain.redaction.mask import mask
from domain.types import Clock, DecisionId, Epoch, Generation

MAX_KEPT_FAILURES = 50
LAST_TO_DRAIN = frozenset({"DecisionWatcher", "Snapshotter"})


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Where this process takes over from the one before it.

    Attributes:
        generation: the last one committed; the first rebuild raises it.
        epoch: of this process.
    """

    generation: Generation
    epoch: Epoch


@dataclass(slots=True)
class Log:
    """The last failures; other threads read it.

    Attributes:
        quarantined: the number of messages and decisions that this process has quarantined.
    """

    failures: deque[Failure] = field(default_factory=lambda: deque(maxlen=MAX_KEPT_FAILURES))
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class ProcessHooks:
    """What the Supervisor needs of the process.

    Attributes:
        ready: called when a generation takes decisions.
        drained: called at an ordered stop when every decision under way has passed.
        end_process: called when the process cannot go on.
        record: stores a failure; never waits.
        later: sends a message to the Supervisor after a delay.
        disconnect: ends an actor's database connections and sends the result to the Supervisor; never waits.
        notify: sends an alarm when a decision or message is quarantined.
        log: the last failures, for other threads to read.
        hide: masks secrets in a text that is stored and displayed; an error message may contain a URL with a password.
    """

    ready: Callable[[], None]
    drained: Callable[[], None]
    end_process: Callable[[Exception], None]
    record: Callable[[Failure], None]
    later: Callable[[timedelta, Recover], None]
    disconnect: Callable[[str, float], None]
    notify: Notify
    log: Log
    hide: Callable[[str], str] = mask


class Supervisor(Behaviour):
    """The parent of the other six actors; see the module for its rules.

    Args:
        children: the actors by name, in the order in which they start.
        budget: how many restarts are allowed, and how soon.
        hang_timeout: a message that takes longer than this hangs.
        start: where this process takes over.
        hooks: what the Supervisor needs of the process.
        clock: the time of failures.
    """

    def __init__(
        self,
        children: Mapping[str, ActorHost],
        budget: Budget,
        hang_timeout: timedelta,
        start: StartingPoint,
        hooks: ProcessHooks,
        clock: Clock,
    ) -> None:
        self._children = children
        self._budget = budget
        self._epoch = start.epoch
        self._hooks = hooks
        self._clock = clock
        self._hang_timeout = hang_timeout.total_seconds()
        self._log = hooks.log
        self._recovery = Recovery({name: children[name].address for name in PATH}, start.generation, hooks.ready)
        self._strikes = Strikes()
        self._numbers = itertools.count(1)
        self._missing = Strikes()
        # By actor: when it took the message during which its database connections were ended.
        self._disconnected_at: dict[str, float] = {}
        self._drained: set[str] = set()
        # The restarts that are scheduled: actors off the path, and None for the path.
        self._scheduled: set[str | None] = set()
        self._ended = False

    def control(self, message: Control) -> None:
        """Begin the ordered stop."""
        if isinstance(message, Drain):
            self._recovery.draining = True
            self._children["DecisionWatcher"].address.tell(message)

    def describe(self) -> Mapping[str, Any]:
        """Return the generation, the scheduled restarts, the restarts left, and the decisions with a strike."""
        return {
            "generation": self._recovery.generation,
            "restarting": sorted(unit or "decision path" for unit in self._scheduled),
            "restarts_left": self._budget.left(self._moment),
            "suspects": sorted(self._strikes.suspects(self._moment), key=str),
            "quarantined": self._log.quarantined,
        }

    @property
    def _moment(self) -> timedelta:
        return timedelta(seconds=self._clock.monotonic())

    def handle(self, message: Message) -> None:  # noqa: PLR0912 - one line for each message
        """Handle one message."""
        match message:
            case Begin():
                for child in self._children.values():
                    child.start()
                self._recovery.begin(frozenset())
            case Crashed():
                self._handle_crash(message)
            case Recover():
                if message.actor in self._scheduled:  # otherwise another message has already rebuilt it
                    self._recover(message.actor)
            case RaiseGeneration():
                self._raise_generation(message)
            case Rebuilt():
                self._recovery.rebuilt(message)
            case Tick():
                self._check_children()
            case Disconnected():
                self._handle_disconnect(message)
            case Replace():
                self._replace(self._children[message.actor], FailureKind.REPLACED, "was restarted by hand")
            case Drained():
                self._drained.add(message.actor)
                if self._drained >= LAST_TO_DRAIN:
                    self._hooks.drained()
            case Failed():
                self._end_process(message.error)

    def _handle_crash(self, message: Crashed) -> None:
        cause = f"{type(message.error).__name__}: {message.error}"
        trace = "".join(traceback.format_exception(message.error))
        failure = self._failure(FailureKind.CRASH, message.actor, message.message, message.about, cause, trace)
        logger.opt(exception=message.error).error("{} crashed ({}): {}", message.actor, failure.reference, cause)
        if message.about:
            at_fault = not isinstance(message.error, MemoryError)
            if (culprit := self._strikes.strike(message.about, self._moment)) is not None:
                reason = f"{message.actor} crashed twice on it ({cause})"
                self._quarantine(culprit, message.actor, message.message, reason, trace)
                at_fault = self._budget.count_culprit(self._moment) and at_fault
            if at_fault:
                self._recover_now(f"{message.actor} crashed")
            else:
                self._restart(message.actor, cause)
        elif message.again:
            self._budget.refund(message.actor)
            self._drop_message(message.actor, message.message, cause, trace)
            self._recover(self._restart_unit(message.actor))
        else:
            self._restart(message.actor, cause)

    def _restart(self, actor: str, cause: str) -> None:
        """Schedule the restart of an actor, or of the path; end the process if the budget is used up."""
        try:
            delay = self._budget.spend(actor, self._moment)
        except RestartLimitReached as limit:
            error = RestartLimitReached(f"{limit}; the last to fail was {actor} ({cause})")
            self._failure(FailureKind.GAVE_UP, actor, "", (), str(error), "")
            self._end_process(error)
            return
        unit = self._restart_unit(actor)
        if unit is None:
            self._recovery.pause()
        if unit not in self._scheduled and not self._ended:
            self._scheduled.add(unit)
            self._hooks.later(delay, Recover(unit))

    def _recover(self, actor: str | None) -> None:
        self._scheduled.discard(actor)
        if self._ended:
            return
        if actor is None:
            self._recover_now("restart")
        else:
            self._children[actor].address.tell(Restart())

    def _recover_now(self, reason: str) -> None:
        if not self._ended:
            self._scheduled.discard(None)
            self._recovery.begin(self._strikes.suspects(self._moment))
            logger.warning("generation {} begins: {}", self._recovery.generation, reason)

    def _raise_generation(self, message: RaiseGeneration) -> None:
        if message.generation != self._recovery.generation or None in self._scheduled:
            return  # that generation has ended already
        twice = [id_ for id_ in message.missing if self._missing.strike(frozenset({id_}), self._moment) is not None]
        reasons = {**dict.fromkeys(twice, "its row could not be ended, twice"), **message.poisoned}
        for id_, reason in reasons.items():
            self._quarantine(id_, "PositionKeeper", "Record", reason, "")
        self._recover_now(message.reason)

    def _check_children(self) -> None:
        """Replace threads that have ended, and those that take too long for a message."""
        for child in self._children.values():
            if not child.alive:
                self._replace(child, FailureKind.THREAD_ENDED, "its thread ended")
                continue
            activity, doing = child.activity, child.activity.doing
            if doing is None or activity.busy_for <= self._hang_timeout:
                continue
            if activity.in_call:
                # While the database answers nobody, this is waiting. Once it answers others, this call is ended.
                self._hooks.disconnect(child.name, doing.since)
            else:
                self._hooks.disconnect(child.name, 0.0)
                self._replace(child, FailureKind.HANG, f"has been busy with {doing.what} for {activity.busy_for:.1f} s")

    def _handle_disconnect(self, message: Disconnected) -> None:
        child = self._children[message.actor]
        doing = child.activity.doing
        if message.ended and doing is not None and doing.since == message.since and child.activity.in_call:
            logger.warning("{} gets no answer from the database, which answers others", child.name)
            again = self._disconnected_at.get(child.name) == message.since
            self._disconnected_at[child.name] = message.since
            # Not the first time: after a long outage the database may have begun to answer only just now.
            if again and child.activity.busy_for > 2 * self._hang_timeout:
                cause = f"is still busy with {doing.what} after its database connection was ended"
                self._replace(child, FailureKind.HANG, cause)

    def _replace(self, child: ActorHost, kind: FailureKind, cause: str) -> None:
        """Abandon a thread; a replacement serves the same mailbox."""
        doing, stack = child.activity.doing, child.stack
        what = doing.what if doing is not None else ""
        by_hand = kind is FailureKind.REPLACED  # a person asked for it: it is no fault
        level = "INFO" if by_hand else "ERROR"
        logger.log(level, "{} {}; a replacement takes over. Its stack:\n{}", child.name, cause, stack)
        about = child.replace(by_hand=by_hand)
        self._failure(kind, child.name, what, about, cause, stack)
        if by_hand:
            self._recover(self._restart_unit(child.name))
            return
        if about and (culprit := self._strikes.strike(about, self._moment)) is not None:
            self._quarantine(culprit, child.name, what, f"{child.name} {cause}, for the second time", stack)
        self._restart(child.name, cause)

    def _restart_unit(self, actor: str) -> str | None:
        """Return what restarts together with an actor: None for the whole path, otherwise the actor's own name."""
        return None if actor in PATH else actor

    def _quarantine(self, decision_id: DecisionId, actor: str, what: str, reason: str, trace: str) -> None:
        failure = self._failure(FailureKind.QUARANTINE, actor, what, {decision_id}, reason, trace)
        self._log.quarantined += 1
        self._recovery.poison(decision_id, failure)
        sentence = f"decision {decision_id} is quarantined ({failure.reference}): {reason}"
        logger.bind(decision=decision_id).error("{}", sentence)
        self._hooks.notify(AlarmKind.QUARANTINE, sentence)

    def _drop_message(self, actor: str, what: str, cause: str, trace: str) -> None:
        failure = self._failure(FailureKind.QUARANTINE, actor, what, (), f"crashed twice on it ({cause})", trace)
        self._log.quarantined += 1
        sentence = f"{actor} crashed twice on {what}; it is dropped ({failure.reference}): {cause}"
        logger.error("{}", sentence)
        self._hooks.notify(AlarmKind.QUARANTINE, sentence)

    def _failure(
        self, kind: FailureKind, actor: str, what: str, about: Collection[DecisionId], error: str, trace: str
    ) -> Failure:
        failure = Failure(
            epoch=self._epoch,
            number=next(self._numbers),
            at=self._clock.now(),
            kind=kind,
            generation=self._recovery.generation,
            actor=actor,
            message=what,
            decision_id=next(iter(about)) if len(about) == 1 else None,
            error=self._hooks.hide(error),
            traceback=self._hooks.hide(trace),
        )
        if kind is not FailureKind.REPLACED:
            self._log.failures.append(failure)
        self._hooks.record(failure)
        return failure

    def _end_process(self, error: Exception) -> None:
        if not self._ended:
            self._ended = True
            self._hooks.end_process(error if isinstance(error, PaperTradingError) else RestartLimitReached(str(error)))
