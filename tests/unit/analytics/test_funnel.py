"""The decision funnel: each decision counts at exactly one place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.analytics.funnel import AFTER_SIZING, AFTER_THRESHOLD, DropOff, Funnel, Stage, funnel
from domain.trading.decision import Reason


def test_known_by_hand() -> None:
    counts = funnel(
        [
            ("executed", "bought 1 BTC/USDT", True, 5),
            ("executed", "sold 1 BTC/USDT", True, 3),
            ("pending", None, False, 2),
            ("ignored", "hold", False, 1),
            ("ignored", "confidence below threshold", False, 4),
            ("rejected", "no price in time", False, 2),
            ("rejected", "not enough cash", False, 6),
            ("rejected", "no fill at that price", False, 1),
            ("cancelled", "changed my mind", False, 1),
            ("cancelled", None, False, 1),
        ]
    )
    expected = Funnel(
        received=26,
        above_threshold=17,
        sized=9,
        filled=8,
        waiting=2,
        lost=(
            DropOff(Stage.RECEIVED, "confidence below threshold", 4),
            DropOff(Stage.RECEIVED, "cancelled", 2),
            DropOff(Stage.RECEIVED, "hold", 1),
            DropOff(Stage.ABOVE_THRESHOLD, "not enough cash", 6),
            DropOff(Stage.ABOVE_THRESHOLD, "no price in time", 2),
            DropOff(Stage.SIZED, "no fill at that price", 1),
        ),
    )
    assert expected == counts
    assert [("received", 26), ("above threshold", 17), ("sized", 9), ("filled", 8)] == [
        (str(stage), number) for stage, number in counts.stages.items()
    ]


def test_an_order_that_rested_and_ended_without_a_fill_was_sized() -> None:
    counts = funnel(
        [
            ("executed", "bought 1 BTC/USDT", True, 1),
            ("open", "open", True, 1),
            ("cancelled", "cancelled", True, 2),  # it rested
            ("cancelled", "cancelled", False, 1),  # before it was sized
            ("expired", "expired", True, 1),
            ("rejected", "not enough cash", True, 1),  # a stop, behind a gap
            ("cancelled", "not enough volume", False, 1),  # FOK
        ]
    )
    lost = (
        DropOff(Stage.ABOVE_THRESHOLD, "cancelled", 1),
        DropOff(Stage.SIZED, "cancelled", 2),
        DropOff(Stage.SIZED, "expired", 1),
        DropOff(Stage.SIZED, "not enough cash", 1),
        DropOff(Stage.SIZED, "not enough volume", 1),
    )
    assert Funnel(received=8, above_threshold=7, sized=6, filled=1, waiting=1, lost=lost) == counts


def test_no_decisions() -> None:
    assert Funnel(0, 0, 0, 0, 0, ()) == funnel([])


def test_every_reason_has_a_place() -> None:
    before = {
        Reason.HOLD,
        Reason.LOW_CONFIDENCE,
        Reason.UNKNOWN_PORTFOLIO,
        Reason.INVALID,
        Reason.HALTED,
        Reason.ADOPTED,
        Reason.NOTHING_OPEN,
        Reason.NOTHING_TO_AMEND,
        Reason.NOTHING_TO_PROTECT,
        Reason.UNDER_VALIDATION,
        Reason.CLOSED,
        Reason.OTHER_SOURCE,
    }
    assert set(Reason) == before | AFTER_THRESHOLD | AFTER_SIZING


statuses = st.sampled_from(["executed", "pending", "open", "ignored", "rejected", "expired", "cancelled"])
reasons = st.none() | st.sampled_from(list(Reason)).map(str) | st.text(max_size=5)


@given(st.lists(st.tuples(statuses, reasons, st.booleans(), st.integers(1, 10**6))))
def test_each_decision_is_counted_once(counted: list[tuple[str, str | None, bool, int]]) -> None:
    counts = funnel(counted)
    assert sum(number for *_, number in counted) == counts.received
    assert counts.received == counts.filled + counts.waiting + sum(lost.number for lost in counts.lost)
    numbers = list(counts.stages.values())
    assert sorted(numbers, reverse=True) == numbers
