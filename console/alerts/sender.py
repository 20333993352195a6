"""Delivery of alarms to the receivers that the settings name.

Each receiver has a thread and an outbox of its own, so one that hangs delays neither an actor nor another receiver. A
failed delivery is retried with growing pauses; after `RETRY_TIMEOUT_S` the alarm is counted as undelivered and logged.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from loguru import logger
from tenacity import RetryCallState

from console.alerts.channels import Channel
from console.alerts.outbox import Notification, Outbox
from console.errors import AlertFailed
from domain.alarms import FATAL_KINDS, TRADING_KINDS, Alarm
from domain.log_once import LogOnce
from domain.redaction.mask import mask
from domain.retry_policy import RetryPolicy
from domain.worker_thread import UNTIL_WOKEN_S, WorkerThread
from persistence.retry import retrying

WINDOW_S = 60.0
"""Time between two notifications of a kind to a receiver."""
ATTEMPT_TIMEOUT_S = 10.0
RETRY_TIMEOUT_S = 900.0
"""Time after which a delivery is not retried any more."""
MIN_RETRY_INTERVAL_S, MAX_RETRY_INTERVAL_S = 0.5, 60.0
QUIET_CHECK_S = 60.0
"""Time between two looks at the clock in quiet hours: it may be set, and the machine may sleep."""
MAX_TRADING_PAUSE_S = 10.0
"""Longest pause between two attempts with a message about trading: an alarm about a failure may come meanwhile."""
STOP_TIMEOUT_S = 0.5
"""Longest wait of a stop for the alarms that are not delivered yet."""
FATAL_STOP_TIMEOUT_S = 5.0
"""The same if one of these alarms is the reason why the process ends."""


class AlertSender:
    """Implementation of `actors.ports.Alarms`; it delivers while its context is entered.

    Args:
        channels: the receivers; may be empty.
        window: seconds between two notifications of a kind to a receiver.
        attempt_timeout: time limit of one delivery attempt, in seconds.
        retry_timeout: seconds after which a delivery is not retried any more.
        max_retry_interval: longest pause between two attempts, in seconds.
        quiet: returns the seconds for which messages about trading are to be kept.
    """

    def __init__(
        self,
        channels: Iterable[Channel],
        *,
        window: float = WINDOW_S,
        attempt_timeout: float = ATTEMPT_TIMEOUT_S,
        retry_timeout: float = RETRY_TIMEOUT_S,
        max_retry_interval: float = MAX_RETRY_INTERVAL_S,
        quiet: Callable[[], float] = lambda: 0.0,
    ) -> None:
        first_wait_s = min(MIN_RETRY_INTERVAL_S, max_retry_interval)
        policy = RetryPolicy((AlertFailed,), first_wait_s, max_retry_interval, retry_timeout)
        self._workers = [
            DeliveryWorker(channel, Outbox(window), attempt_timeout, policy, quiet) for channel in channels
        ]

    def notify(self, alarm: Alarm) -> None:
        """Queue an alarm for every receiver, without waiting."""
        self.notify_all([alarm])

    def notify_all(self, alarms: Iterable[Alarm]) -> None:
        """Queue alarms of one moment, so that those of one topic become one notification."""
        masked = [replace(alarm, text=mask(alarm.text)) for alarm in alarms]
        for worker in self._workers:
            worker.put(masked)

    @property
    def undelivered(self) -> int:
        """Number of alarms that could not be delivered, over all receivers."""
        return sum(worker.abandoned for worker in self._workers)

    def hurry(self) -> None:
        """End a stop without waiting for further deliveries."""
        for worker in self._workers:
            worker.cut()

    def close(self) -> None:
        """Deliver the waiting alarms within a short time; the others are counted and logged."""
        for worker in self._workers:
            worker.finish()
        urgent = any(worker.urgent for worker in self._workers)
        deadline = time.monotonic() + (FATAL_STOP_TIMEOUT_S if urgent else STOP_TIMEOUT_S)
        for worker in self._workers:
            worker.join(deadline)

    def __enter__(self) -> AlertSender:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DeliveryWorker:
    """Thread that delivers notifications to one receiver.

    Attributes:
        abandoned: number of alarms that could not be delivered.
    """

    def __init__(
        self,
        channel: Channel,
        outbox: Outbox,
        attempt_timeout: float,
        policy: RetryPolicy,
        quiet: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.abandoned = 0
        self._channel = channel
        self._outbox = outbox
        self._attempt_timeout = attempt_timeout
        self._undelivered = 0
        self._in_hand: Notification | None = None
        self._lock = threading.Lock()
        self._cut = threading.Event()
        self._worker = WorkerThread(channel.setting, self._deliver_due, finish=self._deliver_due)
        self._finishing = self._worker.stopping
        self._policy = policy
        self._quiet = quiet
        self._failures = LogOnce.to(logger)

    def start(self) -> None:
        """Start the thread."""
        self._worker.start()

    def put(self, alarms: Iterable[Alarm]) -> None:
        """Queue alarms, without waiting."""
        with self._lock:
            for alarm in alarms:
                self._outbox.put(alarm)
        self._worker.wake()

    @property
    def urgent(self) -> bool:
        """Whether an alarm waits that is the reason why the process ends."""
        return any(notification.alarm.kind in FATAL_KINDS for notification in self._undone())

    def finish(self) -> None:
        """Deliver what is held back, then end the thread."""
        self._worker.stop(timeout=0.0)

    def cut(self) -> None:
        """End the thread now, and abort the current delivery."""
        self._cut.set()
        self.finish()
        self._channel.abort()

    def join(self, deadline: float) -> None:
        """Wait for the thread until `time.monotonic` reaches ``deadline``, then abort it."""
        self._worker.stop(max(0.0, deadline - time.monotonic()))
        self.cut()
        self._worker.stop(STOP_TIMEOUT_S / 5)
        if left := sum(notification.count for notification in self._undone()):
            logger.warning("{}: {} alarms not delivered before the stop", self._channel.setting, left)

    def _undone(self) -> list[Notification]:
        """Return what waits, and what is being delivered."""
        with self._lock:
            return [*self._outbox.waiting, *([self._in_hand] if self._in_hand is not None else [])]

    def _deliver_due(self) -> float:
        """Deliver what is due, at the end all; return the seconds until the next notification is due."""
        while not self._cut.is_set() and (notification := self._next()) is not None:
            try:
                self._deliver(notification)
            except Exception as error:  # noqa: BLE001 - a defect must not end this thread
                self._abandon(notification, repr(error))
            with self._lock:
                self._in_hand = None
        with self._lock:
            pause = self._outbox.due_in(time.monotonic(), quiet=min(self._quiet(), QUIET_CHECK_S))
        return UNTIL_WOKEN_S if pause is None else pause

    def _next(self) -> Notification | None:
        with self._lock:
            hurry = self._finishing.is_set()
            self._in_hand = self._outbox.take(time.monotonic(), quiet=self._quiet(), hurry=hurry)
            return self._in_hand

    def _yield(self) -> None:
        """Raise `_Postponed` where a message about trading fails and an alarm about a failure waits behind it."""
        with self._lock:
            if self._is_about_trading and self._outbox.has_failure(time.monotonic()):
                raise _Postponed

    @property
    def _is_about_trading(self) -> bool:
        return self._in_hand is not None and self._in_hand.alarm.kind in TRADING_KINDS

    def _deliver(self, notification: Notification) -> None:
        message = replace(notification, undelivered=self._undelivered)
        begun = time.monotonic()
        try:
            deliver = retrying(self._policy, self._cut, self._failed, self._pause)
            deliver(lambda: self._channel.deliver(message, self._attempt_timeout))
        except AlertFailed as error:
            self._abandon(notification, str(error))
            return
        except _Postponed:
            with self._lock:
                self._outbox.put_back(notification)
            return
        finally:
            self._failures.ends()
        self._undelivered = 0
        seconds = time.monotonic() - begun
        logger.debug("{}: delivered {} in {:.2f} s", self._channel.setting, notification.alarm.kind, seconds)

    def _abandon(self, notification: Notification, reason: str) -> None:
        self.abandoned += notification.count
        self._undelivered += notification.count
        text = "{}: cannot deliver {} ({} alarms): {}"
        logger.error(text, self._channel.setting, notification.alarm.kind, notification.count, reason)

    def _pause(self, seconds: float) -> None:
        """Wait between two attempts; at a stop for half a second at most."""
        if self._finishing.is_set():
            self._cut.wait(min(seconds, MIN_RETRY_INTERVAL_S))
        else:
            self._finishing.wait(min(seconds, MAX_TRADING_PAUSE_S) if self._is_about_trading else seconds)

    def _failed(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, AlertFailed) and not error.again:
            raise error
        self._failures.failed(f"{self._channel.setting}: delivery failed; retrying: {error}")
        self._yield()


class _Postponed(Exception):
    """A delivery is tried again after what is more urgent."""
