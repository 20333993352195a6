"""The market goes on while no process runs: real actors over a database in memory, killed and started again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from actors.messages import Tick
from actors.runtime.address import CURRENT
from actors.settlement.history import HistoryFetch
from domain import failpoints
from domain.market_data.buffer import USUAL_LIMITS, BufferLimits
from domain.trading.decision import Decision
from domain.types import OutcomeStatus
from tests.faults.parts.gaps import play_seed
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import NOON, StepClock, SteppedCell
from tests.support.settlement.recorded_market import RecordedMarket, Served, events_as_text, trade
from tests.support.values.builders import BTC, BY_QUOTE, ETH, free, instrument, rules, uid

HOUR = timedelta(hours=1)
NAME = rules().portfolio


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def served(*prices: tuple[float, str], limits: BufferLimits = USUAL_LIMITS, **market: object) -> Served:
    """Return a market of trades, each with its second after noon, and its first process."""
    database = MemoryDatabase()
    database.open_portfolio(rules(costs=free(), execution=BY_QUOTE, max_position_size=1))
    trades = [trade(BTC, price, at(second), "50") for second, price in prices]
    recorded = RecordedMarket([instrument(BTC), instrument(ETH)], trades, **market)  # type: ignore[arg-type]
    one = Served(recorded, database, StepClock(), seed=1)
    one.start(limits=limits)
    return one


def put(one: Served, number: int = 1, **fields: object) -> int:
    values = {"symbol": BTC, "decision": "BUY", "confidence": 1, "uid": uid(number), **fields}
    one.ticker()
    id_ = one.database.add(Decision(**values), one.clock.now())  # type: ignore[arg-type]
    assert one.stepper is not None
    one.stepper.settle()
    assert isinstance(id_, int)
    return id_


def bracket(*after: tuple[float, str], **market: object) -> Served:
    """Return a position of 1 with a stop at 95 and a target at 110, in a process that is killed at second 2."""
    one = served((1, "100"), *after, **market)
    one.pass_to(at(1))
    put(one, quantity="1", stop_loss="95", take_profit="110")
    one.pass_to(at(2))
    one.tick()
    one.kill()
    return one


STOPPED = ["05 12:02:00 recovered default 2 Filled SELL 1 at 94", "05 12:02:00 recovered default 2 OrderTriggered"]


def test_the_market_goes_through_the_stop_and_back_while_nothing_runs() -> None:
    one = bracket((60, "99"), (120, "94"), (180, "120"))
    one.pass_to(at(7200))
    before = len(events_as_text(one.database))
    one.start()
    assert STOPPED == events_as_text(one.database)[before:]
    assert [(BTC, at(1), at(7200))] == one.market.requests
    (span,) = one.database.spans
    assert (at(1), at(7200), 3, 0, None) == (span.since, span.until, span.trades, span.bars, span.gap)
    state = one.database.portfolios[rules().portfolio]
    assert (0, 0) == (len(state.open_orders), len(state.positions))
    assert state.progress.data_at == at(7200)


def test_the_same_data_are_asked_for_once() -> None:
    one = bracket((60, "99"), (90, "98"))
    one.pass_to(at(70))
    one.start()
    assert [(BTC, at(1), at(70))] == one.market.requests
    assert one.stepper is not None
    one.stepper.crash("Sizer")  # a new generation of the same process settles nothing
    one.stepper.run()
    assert 1 == len(one.market.requests)
    one.pass_to(at(90))
    one.tick()
    one.kill()
    one.pass_to(at(3600))
    one.start()
    assert (BTC, at(90), at(3600)) == one.market.requests[1]


@pytest.mark.parametrize("answered", [True, False])
def test_what_nobody_knows_is_recorded_as_a_gap(answered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    one = bracket((60, "94"), (7300, "93"), unknown="it has no past")
    if not answered:
        monkeypatch.setattr(HistoryFetch, "run", lambda *_: None)
    one.pass_to(at(7200))
    before = len(events_as_text(one.database))
    one.start(recovery_timeout=60)
    if not answered:
        assert [] == one.database.spans
        one.clock.pass_by(61)
        one.tick()
    (span,) = one.database.spans
    assert ("it has no past" if answered else "the price source did not answer in time") == span.gap
    assert [] == events_as_text(one.database)[before:]
    one.pass_to(at(7300))  # the first new price counts as a gap
    live = ["05 14:01:40 default 2 Filled SELL 1 at 93", "05 14:01:40 default 2 OrderTriggered"]
    assert live == events_as_text(one.database)[before:]
    one.kill()
    one.start()
    assert 1 == len(one.database.spans)


@pytest.mark.parametrize("gap", [None, "it has no past"])
def test_a_mark_that_moved_within_a_second_survives_a_kill(gap: str | None) -> None:
    one = served((1, "100"), (2.5, "101"), (2.8, "107.50"), (3.2, "104"), unknown=gap)
    one.pass_to(at(1))
    put(one, quantity="1", trailing_stop="5")
    one.tick()
    one.pass_to(at(2.5))
    assert one.stepper is not None
    one.stepper.tell("PriceTracker", Tick())
    one.stepper.run()
    one.pass_to(at(3.2))
    one.stepper.tell("PriceTracker", Tick())  # stores the prices; the mark is stored no more
    one.stepper.run()
    stored = one.database.prices[-1]
    assert (Decimal("107.50"), Decimal(104), Decimal(104)) == (stored.high, stored.low, stored.last.price)
    assert [(Decimal(100), Decimal(95))] == marks(one)
    one.kill()
    one.pass_to(at(60))
    one.start()
    assert [(Decimal("107.50"), Decimal("102.50"))] == marks(one)
    assert [gap] == [span.gap for span in one.database.spans]


def marks(one: Served) -> list[tuple[Decimal | None, Decimal | None]]:
    """Return mark and stop price of each open order as they are stored."""
    return [(open_order.mark, open_order.stop_price) for open_order in one.database.portfolios[NAME].open_orders]


def test_an_order_of_another_source_waits_for_it() -> None:
    one = bracket((60, "94"), (7300, "93"))
    first, one.market = one.market, RecordedMarket(one.market.instruments, source_name="other")
    one.pass_to(at(100))
    before = len(events_as_text(one.database))
    one.start()
    one.see([trade(BTC, "80", at(100), source="other")])
    one.tick()
    assert [] == events_as_text(one.database)[before:] + one.market.requests
    one.kill()
    one.market = first
    one.start()
    assert [
        "05 12:01:00 recovered default 2 Filled SELL 1 at 94",
        "05 12:01:00 recovered default 2 OrderTriggered",
    ] == (events_as_text(one.database)[before:])


class Held:
    """Keeps the answers of the price source back until the test lets them go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting: list[Callable[[], None]] = []
        run = HistoryFetch.run

        def hold(fetch: HistoryFetch, reply_to: Callable[[object], None]) -> None:
            self.waiting.append(lambda: run(fetch, reply_to))

        monkeypatch.setattr(HistoryFetch, "run", hold)

    def answer(self) -> None:
        for one in self.waiting:
            one()
        self.waiting.clear()


def test_a_decision_waits_for_the_settlement_and_its_age_counts_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    one = bracket((60, "94"), (7210, "120"))
    held = Held(monkeypatch)
    one.pass_to(at(7200))
    stepper = one.start(max_decision_age=20, max_price_age=20, recovery_timeout=60)
    waiting = put(one, 2, quantity="1")
    one.pass_to(at(7210))
    one.clock.pass_by(25)
    one.tick()
    stepper.tell("Snapshotter", Tick())
    stepper.run()
    assert (None, []) == (one.database.rows[waiting].outcome, one.database.snapshots)
    held.answer()
    stepper.run()
    assert [NOON + 2 * HOUR] == [snapshot.time for snapshot in one.database.snapshots]  # as soon as its state is known
    one.see([replace(trade(BTC, "121", one.clock.now()), is_trade=False)])
    one.tick()
    outcome = one.database.rows[waiting].outcome
    assert outcome is not None
    assert "bought 1 BTC/USDT at 121" == outcome.reason


def test_a_cancel_comes_after_what_had_happened_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    one = bracket((60, "94"))
    held = Held(monkeypatch)
    one.pass_to(at(7200))
    stepper = one.start()
    cancel = put(one, 2, decision="CANCEL", target="all", symbol="*")
    assert one.database.rows[cancel].outcome is None
    held.answer()
    stepper.run()
    outcome = one.database.rows[cancel].outcome
    assert outcome is not None
    assert (OutcomeStatus.REJECTED, "nothing to cancel: no order of portfolio default is open") == (
        outcome.status,
        outcome.reason,
    )


def test_an_expiry_in_the_gap_has_its_own_time() -> None:
    one = served((1, "100"), (100, "80"))
    one.pass_to(at(1))
    terms = {"order_type": "limit", "limit_price": "90", "time_in_force": "GTD", "order_expires_at": at(50)}
    expired = put(one, quantity="1", **terms)
    one.kill()
    one.pass_to(at(7200))
    before = len(events_as_text(one.database))
    one.start()
    assert ["05 12:00:50 recovered default 1 OrderEnded"] == events_as_text(one.database)[before:]
    outcome = one.database.rows[expired].outcome
    assert outcome is not None
    assert (OutcomeStatus.EXPIRED, "expired: at 2026-01-05 12:00:50 UTC") == (outcome.status, outcome.reason)


def test_a_portfolio_that_was_removed_is_not_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    one = bracket((60, "94"))
    monkeypatch.setattr(HistoryFetch, "run", lambda *_: None)
    one.pass_to(at(100))
    stepper = one.start()
    name = rules().portfolio
    one.database.portfolios[name] = replace(one.database.portfolios[name], rules=replace(rules(), halted="a test"))
    stepper.wiring.wake("paper_config")
    stepper.run()
    del one.database.portfolios[name]
    stepper.wiring.wake("paper_config")
    stepper.run()
    one.clock.pass_by(61)
    one.tick()
    assert [] == one.database.spans


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kills_with_gaps_change_no_fill_or_mark_it(seed: int) -> None:
    counted = play_seed(seed, kills=6)
    assert 12 == counted.faults["death"]
    assert counted.decisions >= 6


THREE_PIECES = BufferLimits(kept=3)


def overflowing(*after: tuple[float, str], last: str = "98", **market: object) -> Served:
    """Return a bracket of which more data waited for the database than are kept: those of the minute 1 are lost."""
    one = served((1, "100"), (60, "94"), (61, "96"), (62, "97"), (63, last), *after, limits=THREE_PIECES, **market)
    one.pass_to(at(1))
    put(one, quantity="1", stop_loss="95", take_profit="110")
    one.pass_to(at(2))
    one.tick()
    one.database.away = True
    one.pass_to(at(64))
    assert one.stepper is not None
    assert (1, 3) == (one.stepper.wiring.market_data.dropped, len(one.stepper.wiring.market_data))
    return one


def back(one: Served) -> list[str]:
    """Let the database answer again; return what happened since."""
    before = len(events_as_text(one.database))
    one.database.away = False
    assert one.stepper is not None
    one.stepper.settle()
    return events_as_text(one.database)[before:]


LOST = ["05 12:01:00 recovered default 2 Filled SELL 1 at 94", "05 12:01:00 recovered default 2 OrderTriggered"]


def test_what_was_dropped_before_it_was_committed_is_settled() -> None:
    one = overflowing((70, "120"), (80, "96"))
    assert LOST == back(one)
    assert [(BTC, at(1), at(64))] == one.market.requests
    (span,) = one.database.spans
    assert (at(1), at(64), 4, None) == (span.since, span.until, span.trades, span.gap)
    put(one, 2, quantity="1", order_type="limit", limit_price="97")  # the portfolio goes on, with new data
    one.pass_to(at(80))
    one.tick()
    assert "05 12:01:20 default 1 Filled BUY 1 at 97" in events_as_text(one.database)
    assert 1 == len(one.market.requests)
    assert one.stepper is not None
    one.stepper.crash("Sizer")
    one.stepper.settle()
    assert 1 == len(one.market.requests)  # it is settled once
    one.kill()
    one.pass_to(at(90))
    one.start()
    assert 0 == len(one.database.portfolios[NAME].open_orders)


@pytest.mark.parametrize("answered", [True, False])
def test_where_nobody_knows_what_was_dropped_the_kept_data_are_matched(
    answered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = overflowing(last="94.5", unknown="it has no past")
    if not answered:
        monkeypatch.setattr(HistoryFetch, "run", lambda *_: None)
        assert [] == back(one) + one.database.spans
        one.clock.pass_by(61)
        one.tick()
        stopped = ["05 12:02:05 default 2 Filled SELL 1 at 94.5", "05 12:02:05 default 2 OrderTriggered"]
    else:
        back(one)
        stopped = ["05 12:01:04 default 2 Filled SELL 1 at 94.5", "05 12:01:04 default 2 OrderTriggered"]
    assert stopped == events_as_text(one.database)[-2:]  # not at 94, which nobody knows
    (span,) = one.database.spans
    assert ("it has no past" if answered else "the price source did not answer in time") == span.gap
    assert answered == bool(one.market.requests)
    one.tick()
    assert 1 == len(one.database.spans)


@pytest.mark.parametrize("killed", [False, True])
def test_a_settlement_of_what_was_dropped_goes_on_where_it_stopped(
    killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = [(1, "100"), (60, "106"), (61, "111"), (62, "99"), (63, "98"), (64, "97")]
    one = served(*prices, limits=THREE_PIECES)
    one.pass_to(at(1))
    put(one, quantity="1", stop_loss="95", take_profits="105:0.5,110:0.5")
    one.pass_to(at(2))
    one.tick()
    one.database.away = True
    one.pass_to(at(64))
    stepper = one.stepper
    assert stepper is not None
    sent: list[int] = []

    def hook(moment: str, subject: str) -> None:
        within = isinstance(CURRENT.sender, SteppedCell) and CURRENT.sender.name == "ExecutionSimulator"
        if within and (moment, subject) == ("sends", "Record") and len(sent) < 2:
            sent.append(len(sales(one)))
            if len(sent) == 2:  # the first part of the settlement is sent, the second one is not
                before, CURRENT.sender = CURRENT.sender, None
                while not sales(one):
                    assert stepper.step()
                CURRENT.sender = before
                raise RuntimeError("injected")

    monkeypatch.setattr(failpoints, "hook", hook)
    one.database.away = False
    if killed:
        while len(sent) < 2:
            stepper.step()
        assert 1 == len(sales(one))
        one.kill()
        one.start(limits=THREE_PIECES)
    else:
        stepper.settle()
    assert [0, 0] == sent
    assert [
        "05 12:01:00 recovered default 3 Filled SELL 0.5 at 105",
        "05 12:01:01 recovered default 4 Filled SELL 0.5 at 110",
    ] == sales(one)
    assert 0 == len(one.database.portfolios[NAME].open_orders)
    assert (0 if killed else 1) == len(stepper.wiring.log.failures)


def sales(one: Served) -> list[str]:
    """Return the fills of exits as they are stored."""
    return [text for text in events_as_text(one.database) if "Filled SELL" in text]
