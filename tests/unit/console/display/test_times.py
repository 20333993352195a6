"""Times for people: local on a terminal, in UTC elsewhere; and stored sentences as people read them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta

import pytest

from console.display.format import sentence
from console.display.times import in_zone, local_times, moment, show_utc, span, time_of_day, utc_moment
from tests.support.screens.fixed_clock import local_zone
from tests.support.screens.rendering import FakeTerminal

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
BEFORE_SUMMER = datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)
"""A second before Berlin's clocks go forward."""


@pytest.fixture(autouse=True)
def berlin() -> Iterator[None]:
    with local_zone("Europe/Berlin"):
        yield
    show_utc(False)


def on(stream: io.StringIO, form: Callable[..., str], *values: object) -> str:
    """Return what a function returns while stdout is that stream."""
    with redirect_stdout(stream):
        return form(*values)


def all_forms(stream: io.StringIO) -> list[str]:
    end = NOON + timedelta(hours=1)
    forms: list[tuple[Callable[..., str], tuple[object, ...]]] = [
        (moment, (NOON,)), (moment, (None,)), (span, (NOON, end)), (time_of_day, (NOON,)), (utc_moment, (NOON,)),
    ]  # fmt: skip
    return [on(stream, form, *values) for form, values in forms]


LOCAL = ["2026-01-05 13:00:00 CET", "–", "2026-01-05 13:00:00 to 2026-01-05 14:00:00 CET", "13:00:00"]
UNIVERSAL = ["2026-01-05 12:00:00 UTC", "–", "2026-01-05 12:00:00 to 2026-01-05 13:00:00 UTC", "12:00:00"]


def test_a_terminal_shows_local_times_with_their_zone_unless_utc_is_wanted() -> None:
    assert [*LOCAL, "2026-01-05 12:00:00 UTC"] == all_forms(FakeTerminal())
    show_utc(True)
    assert [*UNIVERSAL, "2026-01-05 12:00:00 UTC"] == all_forms(FakeTerminal())


def test_a_pipe_has_utc_and_names_it() -> None:
    assert [*UNIVERSAL, "2026-01-05 12:00:00 UTC"] == all_forms(io.StringIO())


def test_each_time_has_the_zone_of_its_own_day() -> None:
    summer = BEFORE_SUMMER + timedelta(seconds=1)
    assert "2026-03-29 01:59:59 CET to 2026-03-29 03:00:00 CEST" == on(FakeTerminal(), span, BEFORE_SUMMER, summer)


def test_a_time_that_has_no_local_time_stays_in_utc() -> None:
    last = datetime(9999, 12, 31, 23, 30, tzinfo=UTC)
    assert last == in_zone(last, None)
    assert "9999-12-31 23:30:00 UTC" == f"{in_zone(last, None):%Y-%m-%d %H:%M:%S %Z}"


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("expired: at 2026-01-05 12:00:00 UTC", "expired: at 2026-01-05 13:00:00 CET"),
        ("sized 2026-07-05 12:00:00.123 UTC, 3 ms later", "sized 2026-07-05 14:00:00.123 CEST, 3 ms later"),
        (
            "no process served from 2026-01-05 12:00:00 to 2026-01-05 13:00:00 UTC",
            "no process served from 2026-01-05 13:00:00 to 2026-01-05 14:00:00 CET",
        ),
        (
            "from the peak at 2026-03-29 00:59 to the trough at 2026-03-29 01:00 UTC",
            "from the peak at 2026-03-29 01:59 CET to the trough at 2026-03-29 03:00 CEST",
        ),
        ("at 2026-01-05 12:00:00, it says", "at 2026-01-05 12:00:00, it says"),
        ("whole days, from 00:00 to 24:00 UTC", "whole days, from 00:00 to 24:00 UTC"),
        ("at 2026-99-05 12:00:00 UTC", "at 2026-99-05 12:00:00 UTC"),
    ],
)
def test_a_stored_storedgets_local_times(stored: str, expected: str) -> None:
    assert expected == on(FakeTerminal(), local_times, stored)


def test_a_stored_storedstays_as_it_is_in_a_pipe() -> None:
    stored = "expired: at 2026-01-05 12:00:00 UTC"
    assert stored == on(io.StringIO(), local_times, stored)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (
            "no room: ETH/USDT is worth 2038.0403324925, the position limit is 2018.24033578979",
            "no room: ETH/USDT is worth 2,038.04, the position limit is 2,018.24",
        ),
        ("bought 0.01442492 BTC/USDT at 110617.14", "bought 0.01442492 BTC/USDT at 110,617.14"),
        ("0.0144249212345 are free", "0.0144249 are free"),
        ("free cash is 951.000000001.", "free cash is 951.00."),
        ("21.307249 at 2000.5 is 123456789.123456789", "21.307249 at 2,000.5 is 123,456,789.12"),
        ("decision 12345678 of 2026 at 127.0.0.1:5432, version 1.2345678901.3", None),
        ("#1234567.123456789 and a1.123456789012", None),
    ],
)
def test_reasons_have_the_precision_that_people_need(stored: str, expected: str | None) -> None:
    assert (stored if expected is None else expected) == sentence(stored)
