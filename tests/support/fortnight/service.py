"""One process of the program, as `run.py start` builds it, on a clock that can be sent ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from actors import Settings, TradingSystem
from actors.runtime.timer import Timer
from console.alerts.trading import TradingMessages
from domain.alarms import Alarm
from domain.clocks.database_clock import DatabaseClock
from tests.support.database.set_time import set_time
from tests.support.fortnight.clock import TravelClock
from tests.support.fortnight.exchange import LocalExchange
from tests.support.system.running_system import until

SNAPSHOT_INTERVAL_S = 3_600


class Service:
    """A process with its system, its exchange and its messages, from `start` to `stop`.

    Args:
        url: of the database, as the program reaches it.
        owner: a connection of the owner of ``paper_now()``, which no fault of the program's connections concerns.
        clock: of the process.
        alarms: gets the alarms and messages about trading, in the order in which they are sent.
        options: settings.
    """

    def __init__(
        self, url: str, owner: psycopg.Connection, clock: TravelClock, alarms: list[Alarm], options: Mapping[str, Any]
    ) -> None:
        self._settings = Settings.isolated(
            **{"database_url": url, "snapshot_interval": SNAPSHOT_INTERVAL_S, **options},
        )
        self._owner = owner
        self._alarms = alarms
        self._undo = ExitStack()
        self.clock = clock

    def start(self, prices: Mapping[str, Decimal]) -> None:
        """Start it; it serves on return."""
        settings, clock = self._settings, DatabaseClock(self.clock)
        rules = settings.message_rules()
        messages = TradingMessages(rules, self._send_all, clock)
        self.exchange = LocalExchange(clock, self.clock.gate, prices)
        with ExitStack() as undo:
            patch = undo.enter_context(pytest.MonkeyPatch.context())
            send_due = Timer._send_due

            def gated(timer: Timer) -> float:
                with self.clock.gate:  # no message that the timer sends is about a time before a jump
                    return send_due(timer)

            patch.setattr(Timer, "_send_due", gated)
            self.system = undo.enter_context(
                TradingSystem.start(settings, source=self.exchange, clock=clock, alarms=self, observer=messages)
            )
            facts = self.system.facts
            undo.enter_context(
                messages.serving(self.system.database_url, facts.price_source, real_prices=facts.real_prices)
            )
            self._undo = undo.pop_all()

    def notify(self, alarm: Alarm) -> None:
        """Take an alarm; see `actors.ports.Alarms`."""
        self._alarms.append(alarm)

    def _send_all(self, alarms: Iterable[Alarm]) -> None:
        self._alarms.extend(alarms)

    def set_database(self, ahead: timedelta) -> None:
        """Set the time of the database: it is so much ahead of the machine's."""
        set_time(self._owner, ahead)

    def stop(self) -> None:
        """Stop it in order."""
        self._undo.close()

    def travel(
        self, to: datetime, prices: Mapping[str, Decimal] | None = None, stored: Callable[[], None] = lambda: None
    ) -> None:
        """Send the clocks of the process and of the database ahead, and the exchange's prices with them.

        Args:
            to: the time.
            prices: that change with it.
            stored: waits until that is stored which is to be judged as of this time.
        """
        tracker = self.system._wiring.hosts["PriceTracker"]
        until(lambda: not self.clock.busy)  # what threads do about the time before the jump they have done
        with self.clock.gate:
            until(lambda: {"timer"}.issuperset(self.clock.busy))
            # What the tracker has in hand it has judged by the time before the jump.
            until(lambda: len(tracker.mailbox) == 0 and tracker.activity.doing is None)
            self.clock.holding = True
            self.clock.jump(to, self.set_database)
            self.exchange.set_prices(prices or {})
        try:
            stored()
        finally:
            self.clock.holding = False
