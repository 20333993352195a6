"""The simulated market: its paths, its pace, and its instruments."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice, pairwise
from statistics import stdev

import pytest

from domain.errors import SettingsError
from domain.trading.arithmetic import QUANTITY_STEP, divide
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.quotes import PriceSource, Quote
from domain.types import Symbol
from market.base import MonotonicTimer
from market.simulated import (
    DEMO_INSTRUMENTS,
    MAX_LATE_TICKS,
    SECONDS_PER_YEAR,
    SimulatedInstrument,
    SimulatedMarket,
    prices,
    simulated_instruments,
)
from tests.support.exchange.fixed_price_source import FixedPriceSource
from tests.support.system.running_system import until

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
BTC, DOGE = DEMO_INSTRUMENTS[0], DEMO_INSTRUMENTS[4]


class CountingClock:
    """A clock that advances by one second at each call."""

    def __init__(self) -> None:
        self.calls = 0

    def now(self) -> datetime:
        self.calls += 1
        return NOON + timedelta(seconds=self.calls - 1)

    def monotonic(self) -> float:
        return float(self.calls - 1)


class Listener:
    def __init__(self, enough: int = 1) -> None:
        self.catalogs: list[InstrumentCatalog] = []
        self.batches: list[Sequence[Quote]] = []
        self.ends: list[str] = []
        self.enough, self.has_enough, self.ended = enough, threading.Event(), threading.Event()

    def instruments_loaded(self, catalog: InstrumentCatalog) -> None:
        assert not self.batches
        self.catalogs.append(catalog)

    def quotes_seen(self, quotes: Sequence[Quote]) -> None:
        self.batches.append(quotes)
        if len(self.batches) == self.enough:
            self.has_enough.set()

    def source_ended(self, reason: str) -> None:
        self.ends.append(reason)
        self.ended.set()


class InstantTimer(MonotonicTimer):
    """A timer whose sleeps take no time, until ``enough`` of them are over: the next one waits for the stop."""

    def __init__(self, enough: int, delays: dict[int, float] | None = None) -> None:
        self.time, self.enough, self.waits = 0.0, enough, list[float]()
        self.delays = delays or {}

    def seconds(self) -> float:
        return self.time

    def wait(self, stopped: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.time += max(seconds, 0.0) + self.delays.get(len(self.waits), 0.0)
        return stopped.wait(10 if len(self.waits) > self.enough else 0)


def path(simulated: SimulatedInstrument, seed: int, count: int, step: float = 1.0) -> list[Decimal]:
    return list(islice(prices(simulated, seed, step), count))


def played(market: PriceSource, listener: Listener) -> list[Sequence[Quote]]:
    market.start(listener)
    assert listener.has_enough.wait(10)
    market.stop()
    assert listener.ends == []
    return listener.batches


def test_the_same_seed_gives_the_same_path() -> None:
    assert path(BTC, 1, 500) == path(BTC, 1, 500)
    assert path(BTC, 1, 500) != path(BTC, 2, 500)


def test_the_path_of_a_seed_never_changes() -> None:
    expected = ["110485.85", "110481.35", "110481.74", "110480.06"]
    assert path(BTC, 1, 4) == [Decimal(price) for price in expected]


def test_it_begins_at_the_price_and_keeps_to_the_tick() -> None:
    for simulated in DEMO_INSTRUMENTS:
        tick = simulated.instrument.tick
        generated = path(simulated, 7, 300)
        assert generated[0] == simulated.price
        assert all(type(price) is Decimal and divide(price, tick) % 1 == 0 for price in generated)
        assert len(set(generated)) > 30


def test_steps_below_the_tick_still_move_the_price() -> None:
    assert len(set(path(DOGE, 1, 20_000, step=0.001))) > 3


@pytest.mark.parametrize("volatility", [50.0, 1e6])
@pytest.mark.parametrize("step", [0.001, 1.0, 1e9, 1e300])
@pytest.mark.parametrize("drift", [-1e6, 0.0, 1e6])
def test_prices_stay_positive_and_storable_whatever_happens(volatility: float, step: float, drift: float) -> None:
    for simulated in DEMO_INSTRUMENTS:
        wild = replace(simulated, volatility=volatility, drift=drift)
        generated = path(wild, 3, 300, step)
        assert all(simulated.instrument.tick <= price < Decimal("1e20") for price in generated)


def test_without_volatility_it_grows_by_the_drift() -> None:
    generated = path(replace(BTC, volatility=0.0, drift=0.1), 1, 2, step=SECONDS_PER_YEAR)
    assert generated == [Decimal("110485.85"), Decimal("122105.75")]  # × e^0.1


def test_a_years_volatility_is_the_volatility() -> None:
    generated = path(BTC, 5, 20_000, step=3600)
    returns = [float((after / before).ln()) for before, after in pairwise(generated)]
    assert stdev(returns) * (365 * 24) ** 0.5 == pytest.approx(BTC.volatility, rel=0.02)


def test_another_symbol_changes_no_path() -> None:
    def of_btc(names: list[str]) -> list[Decimal]:
        market = SimulatedMarket(simulated_instruments(names), 1, 0.5, CountingClock(), timer=InstantTimer(enough=20))
        batches = played(market, Listener(enough=20))
        return [quote.price for batch in batches for quote in batch if quote.symbol == "BTC/USDT"][:20]

    assert of_btc(["BTC/USDT"]) == of_btc(["NEW/USDT", "ETH/USDT", "BTC/USDT"]) == path(BTC, 1, 20, step=0.5)


def test_speed_lengthens_the_step_of_the_market_not_the_wait() -> None:
    timer = InstantTimer(enough=10)
    market = SimulatedMarket([BTC], 1, 0.5, CountingClock(), speed=60, timer=timer)
    batches = played(market, Listener(enough=10))
    assert [batch[0].price for batch in batches[:10]] == path(BTC, 1, 10, step=30)
    assert timer.waits[:10] == [0.5] * 10


def test_one_batch_an_interval_with_every_symbol_and_the_clocks_time() -> None:
    listener = Listener(enough=3)
    batches = played(SimulatedMarket(DEMO_INSTRUMENTS, 1, 2.0, CountingClock(), timer=InstantTimer(enough=3)), listener)
    assert len(listener.catalogs) == 1
    assert list(listener.catalogs[0].instruments) == [simulated.instrument.symbol for simulated in DEMO_INSTRUMENTS]
    for number, batch in enumerate(batches[:3]):
        assert [quote.symbol for quote in batch] == [simulated.instrument.symbol for simulated in DEMO_INSTRUMENTS]
        at = NOON + timedelta(seconds=number)
        assert {(quote.price_time, quote.seen_at, quote.source) for quote in batch} == {(at, at, "simulated")}


def test_without_a_spread_there_is_no_bid_and_no_ask() -> None:
    batches = played(
        SimulatedMarket(DEMO_INSTRUMENTS, 1, 1.0, CountingClock(), timer=InstantTimer(enough=1)), Listener()
    )
    assert {(None, None, None, None)} == {(q.bid, q.ask, q.bid_size, q.ask_size) for q in batches[0]}


@pytest.mark.parametrize(
    ("spread", "price", "tick", "bid", "ask"),
    [
        ("0.001", "110485.85", "0.01", "110430.60", "110541.10"),  # 110430.607075 down, 110541.092925 up
        ("0.02", "100", "0.01", "99", "101"),  # on the tick
        ("0.000001", "2.45", "0.0001", "2.4499", "2.4501"),  # narrower than the tick
        ("1e-60", "2.45", "0.0001", "2.45", "2.4501"),  # lost in rounding: still one tick apart
        ("0.5", "0.00001", "0.00001", "0.00001", "0.00002"),  # no bid of 0
        ("1", "0.00002", "0.00001", "0.00001", "0.00003"),
        ("1", "1000000000000000000", "0.01", "500000000000000000", "1500000000000000000"),
    ],
)
def test_bid_and_ask_lie_around_the_price_and_on_the_tick(
    spread: str, price: str, tick: str, bid: str, ask: str
) -> None:
    instrument = Instrument(Symbol("NEW/USDT"), "USDT", tick=Decimal(tick))
    simulated = SimulatedInstrument(instrument, Decimal(price), spread=Decimal(spread))
    market = SimulatedMarket([simulated], 1, 1.0, CountingClock(), timer=InstantTimer(enough=1))
    ((quote,), *_) = played(market, Listener())
    assert (Decimal(bid), Decimal(price), Decimal(ask)) == (quote.bid, quote.price, quote.ask)
    assert (None, None) == (quote.bid_size, quote.ask_size)


def test_a_spread_changes_no_price() -> None:
    market = SimulatedMarket([replace(BTC, spread=Decimal("0.1"))], 1, 1.0, CountingClock(), timer=InstantTimer(5))
    batches = played(market, Listener(enough=5))
    assert path(BTC, 1, 5) == [batch[0].price for batch in batches[:5]]


@pytest.mark.parametrize("spread", ["-0.001", "1.001", "NaN", "Infinity"])
def test_a_spread_is_a_fraction(spread: str) -> None:
    with pytest.raises(ValueError, match=f"spread = {spread}: must be between 0 and 1"):
        replace(BTC, spread=Decimal(spread))


def test_being_late_is_made_up_for() -> None:
    timer = InstantTimer(enough=5, delays={1: 2.5})
    played(SimulatedMarket([BTC], 1, 1.0, CountingClock(), timer=timer), Listener(enough=6))
    assert timer.waits[:5] == [1.0, -1.5, -0.5, 0.5, 1.0]


def test_ticks_missed_for_long_are_skipped_and_cost_no_price() -> None:
    timer = InstantTimer(enough=5, delays={1: 10.0 * MAX_LATE_TICKS})
    batches = played(SimulatedMarket([BTC], 1, 1.0, CountingClock(), timer=timer), Listener(enough=6))
    assert timer.waits[:4] == [1.0, 0.0, 1.0, 1.0]
    assert [batch[0].price for batch in batches[:6]] == path(BTC, 1, 6)


def test_the_first_prices_come_at_once_and_the_stop_does_not_wait() -> None:
    market, listener = SimulatedMarket(DEMO_INSTRUMENTS, 1, 3600, CountingClock()), Listener()
    market.stop()
    assert len(played(market, listener)) == 1
    market.stop()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "prices-simulated"])


def test_it_starts_again_where_it_stopped() -> None:
    market = SimulatedMarket([BTC], 1, 3600, CountingClock())
    batches = [played(market, Listener())[0] for _ in range(4)]
    assert [batch[0].price for batch in batches] == path(BTC, 1, 4, step=3600)


def test_it_does_not_start_twice() -> None:
    market = SimulatedMarket([BTC], 1, 3600, CountingClock())
    market.start(Listener())
    try:
        with pytest.raises(RuntimeError, match="the price source 'simulated' is running already"):
            market.start(Listener())
    finally:
        market.stop()


def test_a_failure_is_reported() -> None:
    class BrokenClock(CountingClock):
        def now(self) -> datetime:
            raise ValueError("no time")

    market, listener = SimulatedMarket([BTC], 1, 3600, BrokenClock()), Listener()
    market.start(listener)
    assert listener.ended.wait(10)
    market.stop()
    assert listener.ends == ["the price source 'simulated' failed: ValueError: no time"]


def test_the_five_are_the_default() -> None:
    assert simulated_instruments(None) == DEMO_INSTRUMENTS
    assert [
        (i.instrument.symbol, str(i.price), str(i.instrument.tick), i.instrument.step) for i in DEMO_INSTRUMENTS
    ] == [
        ("BTC/USDT", "110485.85", "0.01", QUANTITY_STEP),
        ("ETH/USDT", "3950", "0.01", QUANTITY_STEP),
        ("SOL/USDT", "190", "0.01", Decimal("0.0001")),
        ("XRP/USDT", "2.45", "0.0001", Decimal("0.01")),
        ("DOGE/USDT", "0.195", "0.00001", Decimal("0.01")),
    ]
    assert {simulated.instrument.quote for simulated in DEMO_INSTRUMENTS} == {"USDT"}


@pytest.mark.parametrize("typed", ["DOGE/USDT", "doge/usdt", " doge-usdt ", "DOGEUSDT"])
def test_the_five_are_found_however_they_are_spelt(typed: str) -> None:
    assert simulated_instruments([typed, "DOGE/USDT"]) == (DOGE,)


def test_any_other_pair_has_a_price_of_its_own() -> None:
    names = [f"COIN{number}/EUR" for number in range(500)]
    instruments = simulated_instruments(names)
    assert instruments == simulated_instruments(names)
    assert [simulated.instrument.symbol for simulated in instruments] == names
    assert {simulated.instrument.quote for simulated in instruments} == {"EUR"}
    assert all(
        1 <= simulated.price <= 1000 and divide(simulated.price, Decimal("0.01")) % 1 == 0 for simulated in instruments
    )
    assert len({simulated.price for simulated in instruments}) > 450


@pytest.mark.parametrize(
    "typed", ["", "BTC", "BTC/", "/USDT", "BTC/USDT/EUR", "NEW-USDT", "'; DROP TABLE x; --", "Ä/B"]
)
def test_malformed_names_are_refused(typed: str) -> None:
    with pytest.raises(SettingsError) as caught:
        simulated_instruments(["BTC/USDT", typed])
    expected = f"symbols = {typed!r}: a simulated market has a name of the form BASE/QUOTE, such as BTC/USDT"
    assert str(caught.value) == expected


def test_no_names_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"symbols = \[\]: must name at least one market"):
        simulated_instruments([])


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan"), float("inf")])
def test_an_interval_is_a_time(interval: float) -> None:
    with pytest.raises(ValueError, match="interval"):
        SimulatedMarket(DEMO_INSTRUMENTS, 1, interval, CountingClock())


def test_fixed_prices_are_confirmed_each_interval() -> None:
    market = FixedPriceSource(
        {"BTC/USDT": "110485.85", "NEW/USDT": Decimal(100)}, CountingClock(), 1.0, timer=InstantTimer(enough=3)
    )
    listener = Listener(enough=3)
    batches = played(market, listener)[:3]
    assert listener.catalogs[0].instruments["BTC/USDT"] == BTC.instrument
    assert [[(quote.symbol, quote.price) for quote in batch] for batch in batches] == 3 * [
        [("BTC/USDT", Decimal("110485.85")), ("NEW/USDT", Decimal(100))]
    ]
    assert [batch[0].seen_at for batch in batches] == [NOON + timedelta(seconds=number) for number in range(3)]


def test_a_symbol_may_have_no_fixed_price() -> None:
    market = FixedPriceSource({"BTC/USDT": "1"}, CountingClock(), 3600, instruments=[BTC.instrument, DOGE.instrument])
    listener = Listener()
    assert [quote.symbol for quote in played(market, listener)[0]] == ["BTC/USDT"]
    assert len(listener.catalogs[0]) == 2


def test_a_fixed_price_can_be_changed() -> None:
    apple = Instrument(Symbol("AAPL"), None, tick=Decimal("0.01"), asset_class="equity")
    market = FixedPriceSource({"AAPL": "200"}, CountingClock(), 3600, instruments=[apple])
    assert played(market, Listener())[0][0].price == 200
    market.set_price("AAPL", "201.5")
    assert played(market, Listener())[0][0].price == Decimal("201.5")
    for price in ("0", "-1", "NaN", "Infinity"):
        with pytest.raises(ValueError, match=f"price of AAPL = {price}: must be above 0"):
            market.set_price("AAPL", price)
