"""Amounts on screens have the decimals of their currency: 8 of BTC, none of JPY."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from console.commands.list_rows import POSITIONS, TRADES
from console.commands.orders import OPEN_ORDERS, ORDERS
from console.display.format import amount, currency_places, money, percent, signed, signed_money
from console.live import panels
from console.live.scroll import Scroll
from console.report.html.formatting import Amounts
from console.report.terminal.page import report_lines
from docs.pictures.sample import reports
from tests.support.values.view_states import database_view, decision, portfolio, position, view_state

BITCOINS, YEN = Decimal("0.0144924999"), Decimal("15000.4")


@pytest.mark.parametrize(
    ("value", "currency", "text", "result"),
    [
        (BITCOINS, "BTC", "0.01449250", "+0.01449250"),
        (YEN, "JPY", "15,000", "+15,000"),
        (Decimal("8892.7224286"), "USDT", "8,892.72", "+8,892.72"),
        (Decimal("8892.7224286"), "EUR", "8,892.72", "+8,892.72"),
        (Decimal("8892.7224286"), "KWD", "8,892.722", "+8,892.722"),
        (Decimal("8892.7224286"), "WHATEVER", "8,892.72", "+8,892.72"),
        (None, "BTC", "–", "–"),
    ],
)
def test_amounts_and_results(value: Decimal | None, currency: str, text: str, result: str) -> None:
    assert (text, result) == (money(value, currency), signed_money(value, currency))


def test_a_small_capital_has_more_places() -> None:
    assert [2, 8, 8, 0, 8] == [
        currency_places(currency, Decimal(capital))
        for currency, capital in (("USDT", 10), ("USDT", 9), ("BTC", 1000), ("JPY", 10_000), ("JPY", 9))
    ]


def test_the_lists() -> None:
    row = {"currency": "BTC", "commission": BITCOINS, "slippage": BITCOINS, "reserved": BITCOINS, "net_pnl": BITCOINS}
    row |= {"realized_pnl": BITCOINS, "position_value": BITCOINS, "unrealized_pnl": -BITCOINS}
    cells = {**{f"order {name}": cell for name, cell in ORDERS.items()}, **OPEN_ORDERS, **TRADES, **POSITIONS}
    amounts = ("order commission", "order slippage", "reserved", "commission", "gross", "net", "value", "unrealised")
    assert ["0.01449250"] * 4 + ["+0.01449250"] * 2 + ["0.01449250", "-0.01449250"] == [
        cells[name](row) for name in amounts
    ]
    assert "0" == cells["commission"]({"currency": "JPY", "commission": Decimal("0.4")})


def test_the_live_view() -> None:
    sold = decision(9, "SELL", "ETH/BTC", "executed", "sold", side="SELL", quantity=Decimal(1), price=Decimal("0.05"),
                    net_pnl=BITCOINS, portfolio="coins")  # fmt: skip
    view = view_state(
        database=database_view(
            portfolios=[
                portfolio("coins", "10.0144924999", "9.5", 1, "BTC", initial_capital=Decimal(10), result=BITCOINS),
                portfolio("yen", "1000000.4", "1000000.4", 0, "JPY"),
            ],
            positions=[position("ETH/BTC", "10", "0.05", "0.051", "coins")],
            decisions=[sold],
        )
    )
    rows, positions, decisions = (
        "\n".join(line.plain for line in panel(view, 200, 5, Scroll()))
        for panel in (panels.portfolios, panels.positions, panels.decisions)
    )
    assert {"10.01449250", "9.50000000", "+0.01449250", "1,000,000"} <= set(rows.split())
    assert {"0.51000000", "+0.01000000"} <= set(positions.split())
    assert "net +0.01449250" in decisions


def test_what_rounds_to_zero_has_no_minus() -> None:
    tiny = Decimal("-0.00001")
    assert ("0.00", "+0.00", "+0.00 %", "0.00 %") == (
        amount(tiny),
        signed(tiny),
        percent(tiny),
        percent(tiny, sign=False),
    )
    assert ("-0.01", "-0.01", "-0.01 %") == (
        amount(Decimal("-0.006")),
        signed(Decimal("-0.006")),
        percent(Decimal("-0.00006")),
    )


def test_the_report() -> None:
    (first, *_) = reports(4)
    of_yen, of_coins = replace(first, currency="JPY"), replace(first, currency="BTC")
    terminal = [
        "\n".join(line.plain for line in report_lines(report, None, 140, over=False)) for report in (of_yen, of_coins)
    ]
    value = f"Value {first.closing:,.8f} BTC"
    assert value in terminal[1]
    assert f"Value {first.closing:,.0f} JPY" in terminal[0]
    assert ("4,711", "4,711.12345678") == tuple(
        Amounts.of(report).plain(Decimal("4711.12345678")) for report in (of_yen, of_coins)
    )
