"""Messages about trading, from what the real actors commit to the alarms that are sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.messages import Tick
from actors.settings import Settings
from console.alerts import trading
from console.alerts.outbox import Outbox
from console.alerts.trading import TradingMessages, quiet_seconds
from domain.alarms import Alarm
from domain.analytics.performance_metric import undefined
from domain.errors import DatabaseUnavailable
from domain.trading.decision import Decision
from domain.trading.snapshot import Snapshot
from domain.types import PortfolioName, PositionId
from domain.validation.criteria import Criterion
from domain.validation.verdict import Run, Statistical, Verdict
from persistence.queries.trading_messages import Peak, Summary
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import NOON, StepClock
from tests.support.actors.stepper import Stepper
from tests.support.values.builders import instrument, rules

SUMMARY = Summary(
    portfolio="default", currency="USDT", since=NOON - timedelta(days=1), until=NOON, opening_value=Decimal(10_000),
    deposits=Decimal(500), total_value=Decimal("10623.45"), net_deposits=Decimal(500), peak=Decimal(10_200),
    num_positions=2, fills=12, commission=Decimal("8.5"), closed=5, won=3, net=Decimal("20.1"),
    decisions={"executed": 12, "rejected": 1},
)  # fmt: skip


class MemoryReader:
    """What the database would answer."""

    def __init__(self) -> None:
        self.served_until = datetime.min.replace(tzinfo=UTC)
        self.peaks: dict[str, Peak] = {}
        self.results: dict[PositionId, tuple[Decimal, Decimal]] = {}
        self.answers: list[Summary] = [SUMMARY]
        self.periods: list[tuple[datetime, datetime]] = []
        self.away = False

    def served(self, moment: datetime) -> bool:
        self._answer()
        return moment <= self.served_until

    def peak(self, portfolio: str, before: datetime) -> Peak | None:
        self._answer()
        return self.peaks.get(portfolio)

    def round_trips(self, ids: Collection[PositionId]) -> Mapping[PositionId, tuple[Decimal, Decimal]]:
        self._answer()
        return {id_: self.results.get(id_, (Decimal("4.2"), Decimal(300))) for id_ in ids}

    def summaries(self, since: datetime, until: datetime) -> list[Summary]:
        self._answer()
        self.periods.append((since, until))
        return self.answers

    def _answer(self) -> None:
        if self.away:
            raise DatabaseUnavailable("the database does not answer")


class Sent:
    """The messages of a system, and what they were made of."""

    def __init__(self, clock: StepClock | None = None, *, real_prices: bool = True, **settings: Any) -> None:
        self.clock = clock or StepClock()
        self.alarms: list[Alarm] = []
        self.reader = MemoryReader()
        self.rules = Settings.isolated(**settings).message_rules()
        self.messages = TradingMessages(self.rules, self.send, self.clock)
        self.messages.attach(self.reader, "simulated", real_prices=real_prices)

    def send(self, alarms: Iterable[Alarm]) -> None:
        self.alarms += alarms

    def texts(self) -> list[str]:
        """Take up what waits; return the texts since the last call."""
        self.messages.work()
        taken, self.alarms = self.alarms, []
        return [f"{alarm.kind}{' over' * alarm.over} {alarm.text}" for alarm in taken]


def decide(stepper: Stepper, action: str, quantity: str, portfolio: str = "default") -> None:
    decision = Decision(
        symbol="BTC/USDT", decision=action, confidence="0.8", quantity=quantity, portfolio=portfolio
    )  # fmt: skip
    stepper.database.add(decision, stepper.clock.now())
    stepper.settle()


def stepper_with(sent: Sent, *portfolios: str) -> Stepper:
    database = MemoryDatabase()
    for name in portfolios or ("default",):
        database.open_portfolio(replace(rules(name)))
    started = Stepper(database, [instrument("BTC/USDT")], seed=1, clock=sent.clock, observer=sent.messages)
    started.run()
    started.quote({"BTC/USDT": "100"})
    started.run()
    return started


def test_fills_and_the_end_of_a_round_trip() -> None:
    sent = Sent(alert_trading=["fill", "position_closed"])
    stepper = stepper_with(sent)
    decide(stepper, "BUY", "3")
    (bought,) = sent.texts()
    fill = "fill default: bought 3 BTC/USDT at "
    assert fill == bought[: len(fill)]
    assert bought.endswith(", commission 1.00 USDT")
    decide(stepper, "SELL", "1")
    assert ["fill default: sold 1 BTC/USDT"] == [text.partition(" at ")[0] for text in sent.texts()]
    sent.clock.pass_by(7_500)
    stepper.quote({"BTC/USDT": "100"})
    decide(stepper, "SELL", "2")
    sold, closed = sent.texts()
    assert sold.startswith("fill default: sold 2 BTC/USDT at ")
    assert closed.startswith("position_closed default: closed LONG BTC/USDT at ")
    assert closed.endswith(", net +4.20 USDT (+1.40 %), after 2 h 5 min")


def test_only_chosen_messages_are_sent_and_the_rest_costs_nothing() -> None:
    sent = Sent(alert_trading={"a": ["fill"], "*": ["position_closed"], "c": []}, real_prices=False)
    stepper = stepper_with(sent, "a", "b", "c")
    for portfolio in ("a", "b", "c"):
        decide(stepper, "BUY", "1", portfolio)
        decide(stepper, "SELL", "1", portfolio)
    texts = sent.texts()
    assert ["fill a", "fill a", "position_closed b"] == [text.partition(":")[0] for text in texts]
    assert all(text.endswith(" (simulated prices)") for text in texts)
    assert [] == sent.texts()


def test_many_fills_of_a_second_are_one_message() -> None:
    sent = Sent(alert_trading="fill, position_closed")
    stepper = stepper_with(sent)
    for _ in range(9):
        decide(stepper, "BUY", "0.5")
    sent.messages.work()
    assert (6, 9) == (len(sent.alarms), sum(alarm.count for alarm in sent.alarms))
    outbox = Outbox(60)
    for alarm in sent.alarms:
        outbox.put(alarm)
    notification = outbox.take(0)
    assert notification is not None
    assert notification.text.startswith("9 fills in the last minute, the last: default: bought 0.5 BTC/USDT at ")
    assert outbox.take(0) is None


def test_a_database_that_is_away_leaves_out_the_result_and_delays_the_rest() -> None:
    sent = Sent(alert_trading="position_closed, daily_summary 12:00")
    stepper = stepper_with(sent)
    sent.reader.away = True
    decide(stepper, "BUY", "1")
    decide(stepper, "SELL", "1")
    sent.clock.pass_by(60)
    with pytest.raises(DatabaseUnavailable):  # the thread tries it again
        sent.messages.work()
    (closed,) = sent.alarms
    assert closed.text.startswith("default: closed LONG BTC/USDT at 99.")
    assert closed.text.endswith(", after 0 s")
    sent.reader.away, sent.alarms = False, []
    assert ["daily_summary"] == [text.split()[0] for text in sent.texts()]


def test_more_than_can_be_taken_up_is_counted_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trading, "MAX_QUEUED", 2)
    sent = Sent(alert_trading="fill")
    stepper = stepper_with(sent)
    for _ in range(4):
        decide(stepper, "BUY", "1")
    assert 2 == len(sent.texts())


# Daily summaries


@pytest.mark.clock
def test_a_summary_is_sent_once_a_day_over_the_change_of_the_clock() -> None:
    sent = Sent(alert_trading="daily_summary 18:00", alert_timezone="Europe/Berlin")
    sent.clock.time = datetime(2026, 3, 27, 12, tzinfo=UTC)
    sent.reader.served_until = datetime(2026, 3, 26, 17, tzinfo=UTC)
    at = []
    for _ in range(4 * 24 * 60):
        if sent.texts():
            at.append(sent.clock.time)
        sent.clock.pass_by(60)
    assert [datetime(2026, 3, day, hour, 1, tzinfo=UTC) for day, hour in ((27, 17), (28, 17), (29, 16), (30, 16))] == at
    hours = [(until - since).total_seconds() / 3_600 for since, until in sent.reader.periods]
    assert [24, 24, 23, 24] == hours
    assert datetime(2026, 3, 29, 16, tzinfo=UTC) == sent.reader.periods[2][1]


def test_a_summary_that_no_process_could_send_is_sent_at_the_next_start() -> None:
    for served_until, expected in ((NOON - timedelta(hours=1), 1), (NOON, 0)):
        sent = Sent(alert_trading="daily_summary 12:00")
        sent.clock.pass_by(7_200)
        sent.reader.served_until = served_until
        assert expected == len(sent.texts())
        assert [] == sent.texts()
        sent.clock.set_by(-3_600)
        assert [] == sent.texts()  # a clock that was set back sends nothing twice


def test_portfolios_with_different_times() -> None:
    sent = Sent(alert_trading={"a": ["daily_summary 13:00"], "*": ["daily_summary 14:00"], "silent": []})
    sent.reader.served_until = NOON
    sent.reader.answers = [replace(SUMMARY, portfolio=name) for name in ("a", "b", "silent")]
    assert [] == sent.texts()
    sent.clock.pass_by(3_605)
    assert ["daily_summary a"] == [text.partition(":")[0] for text in sent.texts()]
    sent.clock.pass_by(3_600)
    assert ["daily_summary b"] == [text.partition(":")[0] for text in sent.texts()]


def test_the_text_of_a_summary() -> None:
    sent = Sent(alert_trading="daily_summary 12:00", alert_timezone="UTC")
    sent.clock.pass_by(5)
    text = (
        "daily_summary default: 10,623.45 USDT, +123.45 (+1.23 %) since Sun 12:00 UTC;"
        " +500.00 deposits and withdrawals; 5 round trips closed, 3 won, net +20.10; 12 fills, commission 8.50;"
        " 13 decisions (12 executed, 1 rejected); 2 open positions; drawdown 0.72 %"
    )
    assert [text] == sent.texts()


def test_quiet_hours_are_seconds_until_their_end() -> None:
    clock = StepClock()
    rules = Settings.isolated(alert_quiet_hours="11:00-13:30", alert_trading="fill").message_rules()
    assert (5_400, 0) == (quiet_seconds(rules, clock), quiet_seconds(replace(rules, quiet=None), clock))


# Drawdowns


def snapshot(value: str, net_deposits: str = "0", portfolio: str = "default", minute: int = 0) -> Snapshot:
    total, deposits = Decimal(value), Decimal(net_deposits)
    return Snapshot(
        PortfolioName(portfolio), NOON + timedelta(minutes=minute), total, Decimal(0), total,
        total - deposits - 10_000, Decimal(0), Decimal(0), 0, {}, deposits,
    )  # fmt: skip


def drawdowns(sent: Sent, snapshots: Sequence[Snapshot]) -> list[list[str]]:
    texts = []
    for one in snapshots:
        sent.messages.valued([one])
        texts.append(sent.texts())
    return texts


def test_a_drawdown_is_one_message_and_its_end_another() -> None:
    sent = Sent(alert_trading="drawdown 0.1")
    values = ["10000", "11000", "9900", "9899", "9500", "10000", "9800", "10450", "9800"]
    above = "drawdown default: the drawdown is {} %, above the limit of 10 %"
    assert [
        [], [], [], [above.format("10.01")], [], [], [],
        ["drawdown over default: the drawdown is 5 % again, at most half of the limit of 10 %"],
        [above.format("10.91")],
    ] == drawdowns(sent, [snapshot(value) for value in values])  # fmt: skip


def test_deposits_are_neither_gain_nor_drawdown() -> None:
    sent = Sent(alert_trading={"default": ["drawdown 0.1"], "*": ["fill"]})
    values = [("10000", "0"), ("20000", "10000"), ("12000", "2000"), ("10700", "2000")]
    texts = drawdowns(sent, [snapshot(*pair) for pair in values])
    assert [[], [], [], ["drawdown default: the drawdown is 10.83 %, above the limit of 10 %"]] == texts
    assert [[]] == drawdowns(sent, [snapshot("1", portfolio="other")])


def test_after_a_restart_the_peak_comes_from_the_database() -> None:
    sent = Sent(alert_trading="drawdown 0.1")
    sent.reader.peaks["default"] = Peak(Decimal(12_000), Decimal(11_000), Decimal(0))
    assert [["drawdown default: the drawdown is 16.67 %, above the limit of 10 %"]] == drawdowns(
        sent, [snapshot("10000")]
    )
    again = Sent(alert_trading="drawdown 0.1")
    again.reader.peaks["default"] = Peak(Decimal(12_000), Decimal(10_000), Decimal(0))
    assert [[], []] == drawdowns(again, [snapshot("10000"), snapshot("9900")])  # the process before has sent it


def test_the_actors_hand_on_their_snapshots() -> None:
    sent = Sent(alert_trading="drawdown 0.5")
    stepper = stepper_with(sent)
    decide(stepper, "BUY", "20")
    stepper.tell("Snapshotter", Tick())
    stepper.run()
    sent.messages.work()
    assert {"default"} == sent.messages._watches.keys()


# Validation


def verdict(day: int, portfolio: str = "default") -> Verdict:
    """Return a verdict at the end of a day, on which nothing is wrong."""
    since, until = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, day + 1, tzinfo=UTC)
    days = Criterion("days", "days", "at least 14", str(day), passed=False, waits_for="more days")
    round_trips = Criterion("trades", "round trips", "at least 20", "5", passed=False, waits_for="more round trips")
    psr, run = undefined("too few returns"), Run(1, "spring", since)
    return Verdict(
        portfolio, since, until, (), (days, round_trips), Statistical.FAILED, psr, Decimal("0.95"), (), True,
        ("kraken",), run,
    )  # fmt: skip


def test_the_progress_of_a_validation_is_the_newest_verdict_of_each_portfolio() -> None:
    sent = Sent(alert_trading={"default": ["validation"]})
    sent.messages.judged([verdict(day, portfolio) for day in (1, 2) for portfolio in ("default", "other")])
    text = "validation validation spring of portfolio default: day 3 of 14, 5 of 20 round trips, on course"
    assert [text] == sent.texts()
