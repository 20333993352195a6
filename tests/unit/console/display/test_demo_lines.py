"""The lines of the demo about stops and targets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from console.demo.screen import Screen

BOUGHT: dict[str, Any] = {
    "id": 7, "portfolio": "default", "symbol": "BTC/USDT", "decision": "BUY", "confidence": Decimal("0.75"),
    "status": "executed", "outcome_reason": "bought", "side": "BUY", "quantity": Decimal("0.01"),
    "price": Decimal(100_000), "net_pnl": None, "stop": None, "target": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("exits", "expected"),
    [
        ({}, "0.01 @ 100,000.00"),
        ({"stop": Decimal(99_000)}, "0.01 @ 100,000.00, stop 99,000.00"),
        (
            {"stop": Decimal(99_000), "target": Decimal(101_500)},
            "0.01 @ 100,000.00, stop 99,000.00, target 101,500.00",
        ),
    ],
)
def test_a_buy_is_shown_with_its_stop_and_target(
    exits: dict[str, Decimal], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Screen(1, stderr=False).ended(0.25, {**BOUGHT, **exits})
    head = "  0.2   #7 default   BUY  BTC/USDT         75% executed "
    assert f"{head}{expected}\n" == capsys.readouterr().out


@pytest.mark.parametrize(("order_type", "name"), [("stop", "stop"), ("trailing_stop", "stop"), ("limit", "target")])
def test_a_filled_exit_has_a_line_of_its_own(order_type: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    row = {**BOUGHT, "side": "SELL", "order_type": order_type, "price": Decimal(99_000), "net_pnl": Decimal(-12)}
    Screen(1, stderr=False).exit_filled(4.5, row)
    head = f"  4.5   #7 default   SELL BTC/USDT  {name:>10} filled   "
    assert f"{head}0.01 @ 99,000.00 net -12.00\n" == capsys.readouterr().out
