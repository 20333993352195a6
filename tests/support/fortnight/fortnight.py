"""The fourteen days: their plan, and who lives through them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from domain.alarms import Alarm, AlarmKind
from domain.validation.criteria import Criteria
from persistence.connections import pool, session
from persistence.queries.validation import open_progress
from persistence.stores import portfolios, validation_runs
from tests.support.database.proxy import Proxy
from tests.support.database.set_time import set_time
from tests.support.fortnight.clock import TravelClock, renewals_count
from tests.support.fortnight.service import Service
from tests.support.system.running_system import until

ZONE = ZoneInfo("Europe/Berlin")
BEGIN = datetime(2026, 10, 19, 22, 30, tzinfo=UTC)
"""Half an hour after the local midnight before the first day."""
FIRST_DAY = date(2026, 10, 20)
DAYS = 14
DAY = timedelta(days=1)
BTC, ETH = "BTC/USDT", "ETH/USDT"
START_PRICES = {BTC: Decimal(100), ETH: Decimal(100)}
OPTIONS: Mapping[str, Any] = {
    "alert_trading": {
        "default": ["daily_summary 00:00", "validation"],
        "risky": ["daily_summary 00:00", "drawdown 0.1", "validation"],
    },
    "alert_timezone": "Europe/Berlin",
    "alert_no_decision_after": "26h",
    "slippage_pct": 0, "min_commission": 0, "commission_pct": Decimal("0.001"), "max_position_size": Decimal(1),
}  # fmt: skip
SEND = """
INSERT INTO trading_decisions (portfolio, symbol, decision, confidence, quantity, strategy)
VALUES (%s, %s, %s, 1, %s, %s) RETURNING id
"""
OUTCOME = "SELECT status, outcome_reason FROM trading_decisions WHERE id = %s AND processed_at IS NOT NULL"
SNAPSHOTS = "SELECT count(*) FROM paper_portfolio_snapshots WHERE time = %s"
RENEWED = "SELECT max(until) >= %s FROM paper_uptime"
VERDICTS = "SELECT count(*) FROM paper_validation_verdicts WHERE day = %s"


class Fortnight:
    """A service, its agent and its operator, from `begin` on.

    Args:
        url: of a database with the newest schema, without the proxy.
        proxy: between the program and the database.

    Attributes:
        clock: the time.
        alarms: all alarms and messages so far.
        service: the process that serves now.
    """

    def __init__(self, url: str, proxy: Proxy) -> None:
        self.url = url
        self.clock = TravelClock(BEGIN)
        self.alarms: list[Alarm] = []
        self._proxy = proxy
        self._owner = psycopg.connect(url, autocommit=True)
        set_time(self._owner, self.clock.ahead)
        self._prices = dict(START_PRICES)
        self._new_service()

    def _new_service(self) -> None:
        self.service = Service(self._proxy.url_for(self.url), self._owner, self.clock, self.alarms, OPTIONS)

    def begin(self) -> None:
        """Start the service, and begin a validation run of two portfolios."""
        self.service.start(self._prices)
        rules = self.service.system._wiring._settings.new_portfolio()
        portfolios.create(self.url, "risky", rules)
        with session(self.url, "test") as cursor:
            validation_runs.begin(cursor, "fortnight", [], ["agent"], Criteria(), "operator")

    def close(self) -> None:
        """End the service, and everything that is open."""
        self.service.stop()
        self._owner.close()

    # What the days consist of.

    def at(self, day: int, hour: int, minute: int = 0, second: int = 0, **prices: str) -> None:
        """Let the time be that of a day, from 1 on, by UTC; hour 24 is the midnight at its end."""
        self.travel(self._moment(day, hour, minute, second), **prices)

    def _moment(self, day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
        midnight = datetime.combine(FIRST_DAY, time(), UTC) + DAY * (day - 1)
        return midnight + timedelta(hours=hour, minutes=minute, seconds=second)

    def travel(self, moment: datetime, **prices: str) -> None:
        self._prices |= {f"{name}/USDT": Decimal(price) for name, price in prices.items()}
        self.service.travel(moment, self._prices, lambda: self._expect_stored(moment))

    def _expect_stored(self, moment: datetime) -> None:
        self.expect_row(RENEWED, moment)
        if moment.minute == 0 and moment.second == 0:
            self.expect_row(SNAPSHOTS, moment, value=2)

    def pass_by(self, seconds: float) -> None:
        """Let some seconds pass, in which all is done that is done once a second."""
        self.service.travel(self.clock.now() + timedelta(seconds=seconds))

    def send(self, decision: str, quantity: str | None = "10", symbol: str = BTC, portfolio: str = "default",
             strategy: str = "agent") -> int:  # fmt: skip
        """Send a decision as an agent does; return its id."""
        row = self._owner.execute(SEND, [portfolio, symbol, decision, quantity, strategy]).fetchone()
        assert row is not None
        return int(row[0])

    def outcome(self, decision_id: int) -> tuple[str, str]:
        """Wait for the outcome of a decision: status and reason."""
        until(lambda: self._owner.execute(OUTCOME, [decision_id]).fetchone() is not None)
        status, reason = self._owner.execute(OUTCOME, [decision_id]).fetchone() or ("", "")
        return status, reason

    def until_one_waits(self) -> None:
        """Wait until a decision waits for a price: how long it may is counted from when the service took it in."""
        until(lambda: self.service.system.counts.under_way == (0, 1))

    def trade(self, decision: str, **options: str) -> None:
        """Send a decision that is executed."""
        status, reason = self.outcome(self.send(decision, **options))
        assert status == "executed", reason
        self.pass_by(2)

    def round_trip(self, day: int, hours: tuple[int, int], price: str) -> None:
        """Buy 10 at 100, and sell them at a price."""
        self.at(day, hours[0], BTC="100")
        self.trade("BUY")
        self.at(day, hours[1], BTC=price)
        self.trade("SELL")

    def usual_day(self, day: int, first: str, second: str) -> None:
        """Make two round trips."""
        self.round_trip(day, (7, 10), first)
        self.round_trip(day, (12, 15), second)

    def night(self, day: int) -> None:
        """Let the local and the UTC day end: a summary of each portfolio is sent, and its verdict stored."""
        local_end = datetime.combine(FIRST_DAY + DAY * day, time(), ZONE).astimezone(UTC)
        summaries = self.count(AlarmKind.DAILY_SUMMARY)
        self.travel(local_end)
        self.travel(local_end + timedelta(seconds=6))
        until(lambda: self.count(AlarmKind.DAILY_SUMMARY) == summaries + 2)
        self.midnight(day)

    def midnight(self, day: int) -> None:
        """Let the UTC day end."""
        self.at(day, 24)
        self.at(day, 24, 1, 1)
        self.expect_row(VERDICTS, FIRST_DAY + DAY * (day - 1), value=2)
        self.pass_by(2)
        until(lambda: self.count(AlarmKind.VALIDATION) == 2 * (day + 1))

    def restart(self, moment: datetime) -> None:
        """Stop the service in order, and start it again at a later time."""
        self.service.stop()
        self.clock.jump(moment, self.service.set_database)
        self._new_service()
        self.service.start(self._prices)

    def lose_exchange(self) -> None:
        self.service.exchange.away.set()

    def regain_exchange(self) -> None:
        self.service.exchange.away.clear()
        self.service.exchange.send()

    @contextmanager
    def without_database(self, day: int, hour: int, minute: int) -> Iterator[None]:
        """Cut the program's connections while the block runs, and then until a time of the same day."""
        hosts = self.service.system._wiring.hosts.values()
        with renewals_count():
            self._proxy.refuse()
            self._proxy.cut()
            self.pass_by(6)
            self.expect(AlarmKind.LEASE_LOST)
            until(lambda: any(host.activity.waiting_since is not None for host in hosts))
            yield
            self.service.travel(self._moment(day, hour, minute))
            self._proxy.admit()
            self.expect(AlarmKind.LEASE_LOST, over=True)
            self.expect_row(RENEWED, self._moment(day, hour, minute))

    # What is seen of them.

    def count(self, kind: AlarmKind, *, over: bool = False) -> int:
        """Return how many alarms of a kind were sent."""
        return sum((alarm.kind, alarm.over) == (kind, over) for alarm in self.alarms)

    def expect(self, kind: AlarmKind, *, over: bool = False, number: int = 1) -> None:
        """Wait until so many alarms of a kind were sent."""
        until(lambda: self.count(kind, over=over) >= number)

    def expect_row(self, statement: str, *parameters: object, value: object = True) -> None:
        """Wait until a statement returns a value."""
        until(lambda: self._owner.execute(statement, parameters).fetchone() == (value,))  # type: ignore[arg-type]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self._owner.execute(statement).fetchall()  # type: ignore[arg-type]

    def texts(self, kind: AlarmKind, portfolio: str | None = None) -> list[str]:
        """Return the texts of the alarms of a kind about a portfolio, without its name."""
        alarms = (alarm for alarm in self.alarms if alarm.kind is kind and alarm.portfolio == portfolio)
        return [alarm.text.partition(": ")[2] for alarm in alarms]

    def progress(self) -> dict[str, str]:
        """Return the sentence on the progress of each portfolio."""
        with pool(self.url, "test") as engine:
            return {progress.portfolio: progress.text for progress in open_progress(engine)}
