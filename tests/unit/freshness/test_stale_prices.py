"""The PriceTracker with prices that are old although they arrive."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from actors.messages import QuotesSeen, Subscribe
from domain.trading.freshness.age import ClockKind, Fresh, Freshness, TimeMark
from domain.trading.quotes import Quote
from domain.types import Instant, Symbol
from tests.support.actors.tracked_prices import BTC, ETH, SOL, Tracked, tracked
from tests.support.values.builders import NOON

__all__ = ["tracked"]  # a fixture

pytestmark = pytest.mark.logged("actors", alarms=False)


def aged(tracked: Tracked, symbol: Symbol, price: int, fresh: Fresh = Fresh.ALL, behind: float = 0) -> Quote:
    """Return a quote of an exchange whose own time is so many seconds behind."""
    now = Instant.of(tracked.clock)
    freshness = Freshness(now.time, ClockKind.EXCHANGE, fresh=fresh)
    time = now.time - timedelta(seconds=behind)
    return Quote(symbol, Decimal(price), time, now, "kraken", real=True, freshness=freshness)


def test_a_frozen_symbol_is_marked_reported_and_alarmed_once_and_its_end(
    tracked: Tracked, log_lines: list[str]
) -> None:
    for number in range(21):
        tracked.tracker.handle(QuotesSeen({BTC: replace(aged(tracked, BTC, 100 + number), price_time=NOON)}))
        tracked.clock.pass_by(1)
    frozen = {BTC: replace(aged(tracked, BTC, 120), price_time=NOON)}
    tracked.tracker.handle(QuotesSeen({ETH: aged(tracked, ETH, 10)}))
    tracked.clock.pass_by(60)
    tracked.tracker.handle(QuotesSeen({ETH: aged(tracked, ETH, 11)}))
    for _ in range(3):
        frozen = {BTC: replace(frozen[BTC], seen=Instant.of(tracked.clock))}
        tracked.tracker.handle(QuotesSeen(frozen))
    sent = tracked.sizer[-1]
    assert isinstance(sent, QuotesSeen)
    mark = sent.quotes[BTC].freshness
    assert mark is not None
    assert (True, Fresh.NOTHING) == (mark.frozen, mark.fresh)
    state = tracked.tracker.describe()
    text = "price source kraken has repeated one price of BTC/USDT since 12:00:20 UTC; it fills nothing"
    assert ([BTC], [text]) == (state["frozen"], state["troubles"])
    tracked.tracker.handle(QuotesSeen({BTC: aged(tracked, BTC, 121)}))
    over = "price source kraken sends new prices of BTC/USDT again"
    assert [f"WARNING {text}", f"INFO {over}"] == log_lines == tracked.sent_alarms()
    assert ([], []) == (tracked.tracker.describe()["frozen"], tracked.tracker.describe()["troubles"])


def test_old_prices_are_reported_once_and_their_end(tracked: Tracked, log_lines: list[str]) -> None:
    for _ in range(3):
        tracked.tracker.handle(QuotesSeen({BTC: aged(tracked, BTC, 100, Fresh.NOTHING, behind=600)}))
    old = (
        "the newest of BTC/USDT is old: its time is 2026-01-05 11:50:00 UTC, the clock of kraken"
        " 2026-01-05 12:00:00 UTC (asked for); it fills nothing"
    )
    assert [old] == tracked.tracker.describe()["troubles"]
    tracked.tracker.handle(QuotesSeen({BTC: aged(tracked, BTC, 101)}))
    assert [f"WARNING {old}", "INFO price source kraken sends fresh prices of BTC/USDT again"] == log_lines
    assert ([], []) == (tracked.tracker.describe()["troubles"], tracked.sent_alarms())


def test_the_status_has_both_ages_the_spread_and_the_source_of_each_watched_price(tracked: Tracked) -> None:
    for symbol in (BTC, ETH):
        tracked.tracker.handle(Subscribe(symbol))
    both = {"bid": Decimal("99.5"), "ask": Decimal("100.5")}
    unknown = Freshness(tracked.clock.now(), ClockKind.HTTP_DATE, TimeMark.NO_TIME)
    tracked.tracker.handle(
        QuotesSeen(
            {
                BTC: replace(aged(tracked, BTC, 100, Fresh.BOOK, behind=600), **both),  # type: ignore[arg-type]
                ETH: replace(aged(tracked, ETH, 10), freshness=unknown),
                SOL: aged(tracked, SOL, 5),
            }
        )
    )
    tracked.clock.pass_by(2)
    assert tracked.tracker.describe()["quotes"] == {
        BTC: {
            "price": 100, "age_s": 2, "exchange_age_s": 602, "exchange_clock": "exchange", "time_mark": None,
            "fresh": "book", "spread": Decimal("0.01"), "source": "kraken",
        },
        ETH: {
            "price": 10, "age_s": 2, "exchange_age_s": None, "exchange_clock": "http_date",
            "time_mark": "no exchange time", "fresh": "all", "spread": None, "source": "kraken",
        },
    }  # fmt: skip
