"""The options of ``run.py decide`` that say how an order is executed, and ``--wait`` with and without a value."""

from __future__ import annotations

import pytest

from actors.client import wait_of
from console.cli import _with_wait_values, main
from console.commands.decide import order_terms
from domain.errors import InvalidRequest
from domain.trading.decision import Decision

SHARE_TOO_LARGE = (
    "must be 1 to 10 of price or pct, each with a share of at most 1; numbers are above 0, with at most 18 decimals"
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"stop_loss": "5%"}, {"stop_loss_pct": "0.05"}),
        ({"stop_loss": "0.5 %", "take_profit": ["12.5%"]}, {"stop_loss_pct": "0.005", "take_profit_pct": "0.125"}),
        ({"trailing_stop": "2%"}, {"trailing_stop_pct": "0.02"}),
        ({"order_type": "trailing_stop", "trail": "1.5%"}, {"order_type": "trailing_stop", "trail_pct": "0.015"}),
        ({"order_type": "trailing_stop", "trail": "500"}, {"order_type": "trailing_stop", "trail": "500"}),
        ({"take_profit": []}, {}),
        ({"take_profit": ["5%:0.5", "110000:0.25"]}, {"take_profits": "5%:0.5,110000:0.25"}),
        ({"stop_loss": "95000", "take_profit": ["110000"]}, {"stop_loss": "95000", "take_profit": "110000"}),
        ({"order_type": "limit", "limit": "100", "stop": None}, {"order_type": "limit", "limit_price": "100"}),
        ({"order_type": "stop", "stop": "100", "post_only": None}, {"order_type": "stop", "stop_price": "100"}),
        ({"stop_loss": "much%"}, {"stop_loss_pct": "much%"}),
    ],
)
def test_a_percentage_becomes_a_fraction(options: dict[str, str | None], expected: dict[str, str]) -> None:
    assert expected == order_terms(**options)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("decide BUY X --wait", "decide BUY X --wait=default"),
        ("decide --wait BUY X", "decide --wait=default BUY X"),
        ("decide --wait open BUY X", "decide --wait open BUY X"),
        ("decide BUY X --wait=ended --json", "decide BUY X --wait=ended --json"),
        ("decide BUY X --wait --json", "decide BUY X --wait=default --json"),
    ],
)
def test_wait_may_stand_alone(words: str, expected: str) -> None:
    assert expected.split() == _with_wait_values(words.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("BUY X", "Missing option '--confidence'; see run.py decide --help"),
        ("SELL", "Missing argument 'SYMBOL'; see run.py decide --help"),
        (
            "BUY X --confidence 1 --wait=soon",
            "--wait is accepted, open or ended, or stands alone; see run.py decide --help",
        ),
        ("CANCEL", "a CANCEL or AMEND needs a target, and no other decision has one"),
        ("BUY X --confidence 1 --target 7", "a CANCEL or AMEND needs a target, and no other decision has one"),
        ("BUY X --confidence 1 --limit 5", "limit_price needs order_type limit or stop_limit"),
        ("BUY X --confidence 1 --order-type stop", "order_type stop and stop_limit need a stop_price"),
        ("SELL X --confidence 1 --stop-loss 5%", "stop_loss, take_profit, trailing_stop are for a BUY or PROTECT"),
        ("BUY X --confidence 1 --take-profit 5%:2", f"take_profits = '5%:2': {SHARE_TOO_LARGE}"),
        (
            "BUY X --confidence 1 --take-profit 5% --take-profit 110",
            "several --take-profit need shares, such as 5%:0.5; see run.py decide --help",
        ),
        ("BUY X --confidence 1 --stop-loss 120%", "stop_loss_pct = '1.2': must be below 1"),
        (
            "BUY X --confidence 1 --order-type iceberg",
            "order_type = 'iceberg': must be market, limit, stop, stop_limit or trailing_stop",
        ),
        (
            "BUY X --confidence 1 --order-type limit --limit 5 --time-in-force GTD",
            "time_in_force GTD needs an order_expires_at",
        ),
    ],
)  # fmt: skip
def test_terms_that_do_not_fit_are_refused_before_any_database_is_opened(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == main(["decide", *words.split()])
    assert ("", f"run.py: {message}\n") == capsys.readouterr()


@pytest.mark.parametrize(
    ("order_type", "wait", "expected"),
    [
        ("market", None, "ended"), ("market", "accepted", "accepted"), ("market", "open", "open"),
        ("limit", None, "open"), ("limit", "accepted", "accepted"), ("limit", "ended", "ended"),
    ],
)  # fmt: skip
def test_a_caller_waits_for_the_end_of_a_market_order_and_until_others_rest(
    order_type: str, wait: str | None, expected: str
) -> None:
    limit = {"limit_price": 100} if order_type == "limit" else {}
    decision = Decision(symbol="X", decision="BUY", confidence=1, order_type=order_type, **limit)
    assert expected == wait_of(decision, wait)  # type: ignore[arg-type]


@pytest.mark.parametrize("wait", ["filled", "", 5])
def test_an_unknown_wait_is_refused(wait: object) -> None:
    decision = Decision(symbol="X", decision="BUY", confidence=1)
    with pytest.raises(InvalidRequest) as raised:
        wait_of(decision, wait)  # type: ignore[arg-type]
    assert f"wait = {wait!r}: must be accepted, open or ended" == str(raised.value)
