"""The reader of the intake: when a read that passes over decisions is repeated at once."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from actors.intake.reader import IntakeReader, IntakeRules
from domain.trading.freshness.price_waits import Left, SymbolOf
from domain.types import Instant, PortfolioName
from tests.support.actors.stepped_runtime import StepClock
from tests.support.values.builders import BTC, received

LEFT = frozenset({SymbolOf(PortfolioName("waiting"), BTC)})


class Table:
    """A table whose next read has decisions of these portfolios."""

    def __init__(self, portfolios: Collection[str]) -> None:
        self.rows = [received(number=number, portfolio=name) for number, name in enumerate(portfolios, 1)]

    def pending_in_turn(self, *_: object) -> list[Any]:
        return list(self.rows)


class Waits:
    """Decisions of one portfolio are left in the table."""

    active = False

    def __init__(self, *, passes: bool) -> None:
        self.again = 0
        self._left = Left(LEFT, passes)

    def left(self, now: Instant) -> Left:
        return self._left

    def pass_again(self) -> None:
        self.again += 1


@pytest.mark.parametrize(
    ("portfolios", "passes", "again"),
    [
        (["waiting", "other"], True, 1),
        (["other", "other"], True, 0),  # what the read has passed over is behind no decision that it found
        (["waiting", "other"], False, 0),
        (["waiting"], True, 0),  # the read was not full: nothing is behind it
    ],
)
def test_a_read_is_repeated_where_it_found_decisions_of_those_that_are_left(
    portfolios: list[str], passes: bool, again: int
) -> None:
    reader = IntakeReader(Table(portfolios), IntakeRules(), StepClock())  # type: ignore[arg-type]
    reader.waits = waits = Waits(passes=passes)  # type: ignore[assignment]
    reader.read((), 2)
    assert again == waits.again
