"""Tells people of alarms, over what the settings ``alert_command`` and ``alert_url`` name.

Each receiver has a thread and an outbox of its own: one that hangs keeps nobody waiting, no actor and no other one.
What cannot be told is tried again with growing pauses, then given up, counted and logged.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import replace

from loguru import logger
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from console.alerts.channels import Channel
from console.alerts.outbox import Letter, Outbox
from console.logs import secrets_hidden
from domain.alarms import FATAL_KINDS, Alarm
from domain.errors import AlertFailed

WINDOW = 60.0
"""Seconds in which a receiver is told of one kind once."""
LIMIT = 10.0
"""Seconds that one try gets."""
PATIENCE = 900.0
"""Seconds after which what cannot be told is given up."""
SHORTEST, LONGEST = 0.5, 60.0
"""Seconds between two tries."""
MOMENT = 0.5
"""Seconds that the stop waits for what is not told yet."""
LAST = 5.0
"""The same where it is why the process ends."""


class AlertSender:
    """Keeps `actors.ports.Alarms`, for as long as it is entered.

    Args:
        channels: who is told; without any, nobody is.
        window: seconds in which a receiver is told of one kind once.
        limit: seconds that one try gets.
        patience: seconds after which what cannot be told is given up.
        longest: seconds between two tries, at most.
    """

    def __init__(
        self,
        channels: Iterable[Channel],
        *,
        window: float = WINDOW,
        limit: float = LIMIT,
        patience: float = PATIENCE,
        longest: float = LONGEST,
    ) -> None:
        self._couriers = [Courier(channel, Outbox(window), limit, patience, longest) for channel in channels]

    def notify(self, alarm: Alarm) -> None:
        """Have people told soon; never waits."""
        alarm = replace(alarm, text=secrets_hidden(alarm.text))
        for courier in self._couriers:
            courier.put(alarm)

    @property
    def undelivered(self) -> int:
        """How many alarms were given up, by all receivers together."""
        return sum(courier.abandoned for courier in self._couriers)

    def hurry(self) -> None:
        """Have a stop that is under way wait for nothing any more."""
        for courier in self._couriers:
            courier.cut()

    def close(self) -> None:
        """Tell what waits, if that does not take long; what is left is counted and logged."""
        for courier in self._couriers:
            courier.finish()
        deadline = time.monotonic() + (LAST if any(courier.urgent for courier in self._couriers) else MOMENT)
        for courier in self._couriers:
            courier.join(deadline)

    def __enter__(self) -> AlertSender:
        for courier in self._couriers:
            courier.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Courier:
    """Brings letters to one receiver, from a thread of its own.

    Attributes:
        abandoned: alarms that could not be told.
    """

    def __init__(self, channel: Channel, outbox: Outbox, limit: float, patience: float, longest: float) -> None:
        self.abandoned = 0
        self._channel = channel
        self._outbox = outbox
        self._limit = limit
        self._undelivered = 0
        self._in_hand: Letter | None = None
        self._changed = threading.Condition()
        self._finishing = threading.Event()
        self._cut = threading.Event()
        self._thread = threading.Thread(target=self._run, name=channel.setting, daemon=True)
        self._retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, AlertFailed) and error.again),
            wait=wait_random_exponential(multiplier=1, min=min(SHORTEST, longest), max=longest),
            stop=stop_after_delay(patience) | stop_when_event_set(self._cut),
            sleep=self._pause,
            before_sleep=self._say,
            reraise=True,
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, alarm: Alarm) -> None:
        """Have the receiver told soon; never waits."""
        with self._changed:
            self._outbox.put(alarm)
            self._changed.notify()

    @property
    def urgent(self) -> bool:
        """Whether the receiver is still to be told why the process ends."""
        with self._changed:
            waiting = self._outbox.waiting
            if self._in_hand is not None:
                waiting.append(self._in_hand.alarm)
        return any(alarm.kind in FATAL_KINDS for alarm in waiting)

    def finish(self) -> None:
        """Hold nothing back any more, and end once nothing waits."""
        with self._changed:
            self._finishing.set()
            self._changed.notify()

    def cut(self) -> None:
        """End now; what is under way is given up."""
        self._cut.set()
        self.finish()
        self._channel.abort()

    def join(self, deadline: float) -> None:
        """Wait for the end until `time.monotonic` is at ``deadline``, then cut it short."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self.cut()
        self._thread.join(MOMENT / 5)
        with self._changed:
            left = self._outbox.count + (self._in_hand.count if self._in_hand is not None else 0)
        if left:
            logger.warning("{}: {} alarms were not told before the end; the log has them", self._channel.setting, left)

    def _run(self) -> None:
        while (letter := self._next()) is not None:
            try:
                self._deliver(letter)
            except Exception as error:  # noqa: BLE001 - this thread must outlive whatever comes
                self._lost(letter, repr(error))
            with self._changed:
                self._in_hand = None

    def _next(self) -> Letter | None:
        """Wait for the next letter; None at the end."""
        with self._changed:
            while not self._cut.is_set():
                now = time.monotonic()
                letter = self._outbox.take(now, hurry=self._finishing.is_set())
                if letter is not None:
                    self._in_hand = letter
                    return letter
                if self._finishing.is_set():
                    return None
                self._changed.wait(self._outbox.due_in(now))
        return None

    def _deliver(self, letter: Letter) -> None:
        told = replace(letter, undelivered=self._undelivered)
        begun = time.monotonic()
        try:
            self._retrying(self._channel.deliver, told, self._limit)
        except AlertFailed as error:
            self._lost(letter, str(error))
            return
        self._undelivered = 0
        seconds = time.monotonic() - begun
        logger.debug("{} was told of {} after {:.2f} s", self._channel.setting, letter.alarm.kind, seconds)

    def _lost(self, letter: Letter, why: str) -> None:
        self.abandoned += letter.count
        self._undelivered += letter.count
        text = "{} is not told of {} ({} alarms): {}"
        logger.error(text, self._channel.setting, letter.alarm.kind, letter.count, why)

    def _pause(self, seconds: float) -> None:
        """Wait between two tries; at the end, hardly."""
        if self._finishing.is_set():
            self._cut.wait(min(seconds, SHORTEST))
        else:
            self._finishing.wait(seconds)

    def _say(self, state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:  # once, not at each try
            setting = self._channel.setting
            logger.warning("{} could not be told, and is tried again: {}", setting, state.outcome.exception())
