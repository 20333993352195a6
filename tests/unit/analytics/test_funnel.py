"""The decision funnel: each decision counts at exactly one place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.analytics.funnel import AFTER_SIZING, AFTER_THRESHOLD, DropOff, Funnel, Stage, funnel
from domain.trading.decision import Reason


def test_known_by_hand() -> None:
    counts = funnel(
        [
            ("executed", "bought 1 BTC/USDT", 5),
            ("executed", "sold 1 BTC/USDT", 3),
            ("pending", None, 2),
            ("ignored", "hold", 1),
            ("ignored", "confidence below threshold", 4),
            ("rejected", "no price in time", 2),
            ("rejected", "not enough cash", 6),
            ("rejected", "no fill at that price", 1),
            ("cancelled", "changed my mind", 1),
            ("cancelled", None, 1),
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
    }
    assert set(Reason) == before | AFTER_THRESHOLD | AFTER_SIZING


statuses = st.sampled_from(["executed", "pending", "open", "ignored", "rejected", "expired", "cancelled"])
reasons = st.none() | st.sampled_from(list(Reason)).map(str) | st.text(max_size=5)


@given(st.lists(st.tuples(statuses, reasons, st.integers(1, 10**6))))
def test_each_decision_is_counted_once(counted: list[tuple[str, str | None, int]]) -> None:
    counts = funnel(counted)
    assert sum(number for _, _, number in counted) == counts.received
    assert counts.received == counts.filled + counts.waiting + sum(lost.number for lost in counts.lost)
    numbers = list(counts.stages.values())
    assert sorted(numbers, reverse=True) == numbers
