"""Settings of recorded prices: their speed, and the part of them that is played."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import pytest

from actors.settings import Settings
from domain.errors import SettingsError

CONTRADICTION = (
    "settings contradict each other: price_from = 2025-02-01T00:00:00+00:00 must be before"
    " price_to = 2025-02-01T00:00:00+00:00"
)
NO_TIME = (
    "setting price_from = 'soon': must be a date or a time such as 2025-01-31 or 2025-01-31T12:00:00Z; without a zone"
    " it is in UTC"
)


@pytest.mark.parametrize(("value", "speed"), [("max", math.inf), ("60", 60.0), (0.5, 0.5), (1_000_000, 1_000_000.0)])
def test_the_speed_is_a_number_or_max(value: object, speed: float) -> None:
    assert speed == Settings.isolated(price_speed=value).price_speed


def test_the_greatest_speed_is_recorded_and_shown_as_max() -> None:
    settings = Settings.isolated(price_speed="max")
    assert "max" == settings.recorded_values()["price_speed"] == settings.redacted()["price_speed"]


def test_the_part_that_is_played_is_in_utc() -> None:
    settings = Settings.isolated(price_from=date(2025, 1, 31), price_to="2025-02-01T01:00+02:00")
    begin, end = datetime(2025, 1, 31, tzinfo=UTC), datetime(2025, 1, 31, 23, tzinfo=UTC)
    assert (begin, end) == (settings.price_from, settings.price_to)
    assert "2025-01-31 00:00:00+00:00" == settings.recorded_values()["price_from"]
    assert (None, None) == (Settings.isolated().price_from, Settings.isolated().price_to)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"price_speed": 0}, "setting price_speed = 0: must be a number above 0, at most 1000000, or max"),
        ({"price_speed": "fast"}, "setting price_speed = 'fast': must be a number above 0, at most 1000000, or max"),
        ({"price_speed": math.nan}, "setting price_speed = nan: must be a number above 0, at most 1000000, or max"),
        ({"price_from": "soon"}, NO_TIME),
        ({"price_from": "2025-02-01", "price_to": "2025-02-01"}, CONTRADICTION),
    ],
)
def test_a_wrong_one_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.isolated(**options)
    assert message == str(caught.value)
