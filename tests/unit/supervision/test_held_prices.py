"""Prices that are held back as a split: who sees them, the alarms, and the commands that end it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.messages import (
    AcceptPrice,
    DataSeen,
    ForgetPrice,
    HeldBack,
    InstrumentsLoaded,
    Prices,
    QuotesSeen,
    SendPrices,
    Tick,
    Watch,
)
from domain.market_data.awaited_splits import AwaitedSplit
from domain.trading.account.requests import Ratio
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.quotes import Quote
from domain.types import Instant, Symbol
from tests.support.actors.tracked_prices import Tracked

NVDA = Symbol("NVDA/USD")
LOOKS = "NVDA/USD at 120.888 after 1208.88 looks like a 10:1 split"
TAKEN = "INFO NVDA/USD at 120.888 is taken as real after 10 min"
REFUSE = 'run.py console -c "accept-price NVDA/USD" --yes'


@pytest.fixture
def tracked(monkeypatch: pytest.MonkeyPatch) -> Tracked:
    """A PriceTracker that has seen a share at 1 208.88, and stores it."""
    monkeypatch.setattr("actors.supervision.held_prices.command_name", lambda: "run.py")
    tracked = Tracked()
    tracked.tracker.started()
    share = Instrument(NVDA, "USD", Decimal("0.01"), asset_class="equity")
    tracked.tracker.handle(InstrumentsLoaded(InstrumentCatalog([share])))
    see(tracked, "1208.88")
    tracked.tracker.handle(Tick())
    tracked.sizer.clear()
    return tracked


def see(tracked: Tracked, price: str, *, book: bool = False) -> None:
    """Have the source send a price, with bid and ask or without."""
    now = Instant.of(tracked.clock)
    bid, ask = (Decimal(price) * Decimal(factor) for factor in ("0.999", "1.001")) if book else (None, None)
    quote = Quote(NVDA, Decimal(price), now.time, now, "kraken", real=True, bid=bid, ask=ask)
    tracked.tracker.handle(QuotesSeen({NVDA: quote}))


def sized_from(tracked: Tracked) -> list[tuple[str, str | None]]:
    """Return the quotes that the Sizer got: the price, and why nothing is bought at it."""
    return [(str(q.price), q.no_buy) for m in tracked.sizer if isinstance(m, QuotesSeen) for q in m.quotes.values()]


def test_a_split_is_reported_once_and_taken_as_real_after_ten_minutes(tracked: Tracked) -> None:
    for _ in range(60):
        see(tracked, "120.888")
        tracked.after(10)
    assert [] == sized_from(tracked)
    confirm = "run.py portfolio adjust NVDA/USD --split 10:1 --all-portfolios --reason …"
    held = f"WARNING {LOOKS}; it is held back until 12:10:00 UTC, and nothing is bought."
    commands = f"Confirm with `{confirm}`, or refuse with `{REFUSE}`"
    assert [f"{held} {commands}"] == tracked.sent_alarms()
    state = tracked.tracker.describe()
    assert [LOOKS] == state["troubles"]
    assert ("10:1", Decimal("1208.88"), 60) == tuple(
        state["held_back"][NVDA][name] for name in ("split", "before", "answers")
    )
    see(tracked, "120.888")
    assert [("120.888", None)] == sized_from(tracked)
    ended = f"{TAKEN}: it was neither confirmed nor refused as a 10:1 split"
    assert ended == tracked.sent_alarms()[-1]
    assert {} == tracked.tracker.describe()["held_back"]


def test_the_book_lets_sells_go_on_and_nothing_else_changes(tracked: Tracked) -> None:
    tracked.tracker.handle(Watch({NVDA: 0}, frozenset({NVDA})))
    tracked.exchange.clear()
    stored = len(tracked.records.offered)
    for _ in range(3):
        see(tracked, "120.888", book=True)
        tracked.after(5)
    assert [("120.888", LOOKS)] == sized_from(tracked)
    data = [quote for message in tracked.exchange if isinstance(message, DataSeen) for quote in message.quotes]
    assert [("120.888", LOOKS)] == [(str(quote.price), quote.no_buy) for quote in data if isinstance(quote, Quote)]
    # Marks, snapshots and the table of prices keep the last price that counts.
    assert stored == len(tracked.records.offered)
    answers: list[Prices] = []
    tracked.tracker.handle(SendPrices(answers.append))
    assert [Decimal("1208.88")] == [answer.points[NVDA].price for answer in answers]


def test_a_person_may_say_that_it_is_no_split(tracked: Tracked) -> None:
    see(tracked, "120.888")
    tracked.tracker.handle(AcceptPrice(NVDA))
    see(tracked, "121")
    assert [("121", None)] == sized_from(tracked)
    assert "INFO the price of NVDA/USD is no longer held back: it counts as it is" == tracked.sent_alarms()[-1]
    tracked.tracker.handle(AcceptPrice(NVDA))  # nothing is held back any more
    assert 2 == len(tracked.sent_alarms())


def test_a_split_in_the_books_ends_it(tracked: Tracked) -> None:
    see(tracked, "120.888")
    booked = ForgetPrice(NVDA, tracked.clock.now())
    tracked.tracker.handle(booked)
    see(tracked, "121")
    assert [("121", None)] == sized_from(tracked)
    assert "INFO the price of NVDA/USD is no longer held back: the split is in the books" == tracked.sent_alarms()[-1]
    tracked.after(1)
    see(tracked, "12.1")
    tracked.tracker.handle(booked)  # again, as a new generation begins: it says nothing about what came later
    see(tracked, "12.1")
    assert [("121", None)] == sized_from(tracked)


def test_the_sizer_knows_what_is_held_back_and_when_it_is_over(tracked: Tracked) -> None:
    see(tracked, "120.888")
    see(tracked, "120.9")
    answers: list[Prices] = []
    tracked.tracker.handle(SendPrices(answers.append))
    assert [{NVDA: LOOKS}] == [answer.held_back for answer in answers]
    see(tracked, "1210")
    see(tracked, "9000")
    unconfirmed = {NVDA: "NVDA/USD at 9000 after 1210 is not confirmed yet"}
    assert [{NVDA: LOOKS}, {}, unconfirmed] == [m.reasons for m in tracked.sizer if isinstance(m, HeldBack)]


def test_a_price_that_comes_back_ends_it(tracked: Tracked) -> None:
    see(tracked, "120.888")
    see(tracked, "1210")
    assert [("1210", None)] == sized_from(tracked)
    assert "INFO NVDA/USD is back at 1210: no 10:1 split" == tracked.sent_alarms()[-1]


# A split is in the books, and the price has not followed it.

NOT_FOLLOWED = (
    "the price of NVDA/USD has not followed the split 10:1 that is in the books: it is 1209.5, not about 120.888, so"
    " its positions have a wrong value"
)
TAKE_BACK = "run.py portfolio adjust NVDA/USD --split 1:10 --all-portfolios --reason …"


def book(tracked: Tracked, awaited: AwaitedSplit | None = None) -> None:
    """Have a split of NVDA/USD in the books now, after which this is awaited."""
    tracked.after(1)
    tracked.records.held, tracked.records.awaited = {NVDA: None}, {} if awaited is None else {NVDA: awaited}
    tracked.tracker.handle(ForgetPrice(NVDA, tracked.clock.now()))
    tracked.after(1)


def ten_for_one(tracked: Tracked) -> AwaitedSplit:
    return AwaitedSplit(Ratio(Decimal(10), Decimal(1)), tracked.clock.now(), Decimal("1208.88"))


def test_a_price_that_does_not_follow_a_split_is_reported_once_and_until_the_split_is_taken_back(
    tracked: Tracked,
) -> None:
    book(tracked, ten_for_one(tracked))
    for price in ("1209.5", "1211", "1200"):
        see(tracked, price)
    assert [f"WARNING {NOT_FOLLOWED}; if it is no split, take it back with `{TAKE_BACK}`"] == tracked.sent_alarms()
    assert [NOT_FOLLOWED] == tracked.tracker.describe()["troubles"]
    assert ["1209.5", "1211", "1200"] == [price for price, _ in sized_from(tracked)]
    book(tracked)
    see(tracked, "1201")
    assert "INFO the price of NVDA/USD fits the books again" == tracked.sent_alarms()[-1]
    assert (2, []) == (len(tracked.sent_alarms()), tracked.tracker.describe()["troubles"])


def test_the_price_that_follows_a_split_in_the_books_is_no_jump(tracked: Tracked) -> None:
    book(tracked, ten_for_one(tracked))
    see(tracked, "1209.5")
    tracked.sizer.clear()
    tracked.after(20)
    see(tracked, "120.5")
    assert [("120.5", None)] == sized_from(tracked)
    assert "INFO the price of NVDA/USD has followed the split 10:1: 120.5" == tracked.sent_alarms()[-1]
    assert [] == tracked.tracker.describe()["troubles"]
    see(tracked, "1209.5")  # now this is a jump
    assert [("120.5", None)] == sized_from(tracked)


def test_a_price_that_follows_at_once_says_nothing(tracked: Tracked) -> None:
    book(tracked, ten_for_one(tracked))
    see(tracked, "121")
    assert ([("121", None)], []) == (sized_from(tracked), tracked.sent_alarms())


def test_a_further_split_is_reported_anew(tracked: Tracked) -> None:
    book(tracked, ten_for_one(tracked))
    see(tracked, "1209.5")
    twenty = AwaitedSplit(Ratio(Decimal(20), Decimal(1)), tracked.clock.now(), Decimal("1208.88"))
    book(tracked, twenty)
    see(tracked, "1209.5")
    assert 2 == len(tracked.sent_alarms())
    assert "the split 20:1 that is in the books: it is 1209.5, not about 60.444," in tracked.sent_alarms()[-1]
