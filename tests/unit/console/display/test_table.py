"""Tables that scroll: they fit a terminal, and lose nothing in a pipe."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

from console.commands.list_rows import POSITIONS, list_table
from console.debug.render import render
from console.display.table import Column, full_table, table_lines

NAMES = ["id", "symbol", "commission", "net", "reason"]
ROW = ["#7", "BTC/USDT", "1,000.25", "+10,110.62", "no room: it is worth 2,038.04, the position limit is 2,018.24"]


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def printed(stream: io.StringIO, width: int, row: list[str]) -> str:
    out = Console(file=stream, width=width, color_system=None, highlight=False, markup=False)
    out.print(full_table(out, NAMES, [row], right=["commission", "net"], gives_way=["commission"]))
    return stream.getvalue()


def test_a_wide_terminal_and_a_pipe_get_every_column_on_one_line() -> None:
    expected = [NAMES, ROW[:4] + ROW[4].split()]
    for stream, width in ((Screen(), 120), (io.StringIO(), 120)):
        assert expected == [line.split() for line in printed(stream, width, ROW).splitlines()]


TABLES = {
    80: """\
id  symbol    commission         net  reason
#7  BTC/USDT    1,000.25  +10,110.62  no room: it is worth 2,038.04, the
                                      position limit is 2,018.24
""",
    60: """\
id  symbol    commission         net
    reason
#7  BTC/USDT    1,000.25  +10,110.62
    no room: it is worth 2,038.04, the position limit is
    2,018.24
""",
    30: """\
id  symbol           net
    reason
#7  BTC/USDT  +10,110.62
    no room: it is worth
    2,038.04, the position
    limit is 2,018.24
too narrow for: commission
""",
    20: """\
id          #7
symbol      BTC/USDT
commission  1,000.25
net
+10,110.62
reason      no room:
it is worth
2,038.04, the
position limit is
2,018.24
""",
}


@pytest.mark.parametrize("width", TABLES)
def test_a_table_fits_a_narrow_terminal_in_four_steps(width: int) -> None:
    text = printed(Screen(), width, ROW)
    assert TABLES[width] == text
    assert all(len(line) <= width for line in text.splitlines())


def test_records_are_separated_and_have_no_empty_fields() -> None:
    screen = Screen()
    out = Console(file=screen, width=12, color_system=None, highlight=False, markup=False)
    out.print(full_table(out, ["symbol", "side", "stop"], [["BTC/USDT", "BUY", ""], ["ETH/USDT", "SELL", "5"]]))
    expected = ["symbol", "BTC/USDT", "side    BUY", "", "symbol", "ETH/USDT", "side    SELL", "stop    5"]
    assert expected == screen.getvalue().splitlines()


def test_the_free_width_goes_to_the_sentences_that_need_it() -> None:
    long, short = "word " * 20, "three or four words of text, not more"
    columns = [Column("id", ["1"]), Column("a", [long.strip()]), Column("b", [short])]
    first = table_lines(columns, 100)[1].plain
    assert f"1   {' '.join(['word'] * 11)}     {short}" == first


def test_control_characters_are_written_as_escapes() -> None:
    assert r"BTC\x1b[31m" in printed(Screen(), 120, ["#7", "BTC\x1b[31m", "", "", ""])


def test_the_debug_console_keeps_the_levels_of_open_orders_at_80_columns() -> None:
    row = {
        "decision_id": 123, "leg": 2, "portfolio": "default", "symbol": "BTC/USDT", "side": "SELL",
        "order_type": "trailing_stop", "quantity": "0.01442492", "filled_quantity": "0", "limit_price": None,
        "stop_price": "104961.55", "reserved": "951.000000001", "created_at": "2026-01-05T12:00:00+00:00",
        "order_expires_at": None,
    }  # fmt: skip
    screen = Screen()
    render("open-orders", [row], Console(file=screen, width=80, color_system=None, highlight=False, markup=False))
    names = ["decision_id", "symbol", "side", "quantity", "limit_price", "stop_price", "reserved"]
    assert names == screen.getvalue().splitlines()[0].split()


def test_the_debug_console_keeps_types_of_orders_and_stops_of_positions_at_80_columns() -> None:
    position = {
        "portfolio": "default", "symbol": "SOL/USDT", "side": "LONG", "quantity": "21.307249",
        "entry_price": "200.2666107643721158", "current_price": "200", "unrealized_pnl": "-5.680741942557",
        "stop_price": "196",
    }  # fmt: skip
    order = {
        "created_at": "2026-01-05T12:00:00+00:00", "decision_id": 123, "portfolio": "default", "symbol": "BTC/USDT",
        "side": "SELL", "order_type": "trailing_stop", "quantity": "0.01442492", "status": "cancelled",
        "average_fill_price": None,
    }  # fmt: skip
    for command, row, kept in (("positions", position, "stop_price"), ("orders", order, "order_type")):
        screen = Screen()
        render(command, [row], Console(file=screen, width=80, color_system=None, highlight=False, markup=False))
        assert kept in screen.getvalue().splitlines()[0].split()


@pytest.mark.parametrize(
    ("stop", "text"),
    [(None, "no stop"), (Decimal(5), "95,057.20 for 5, more below"), (Decimal("21.307249"), "95,057.20")],
)
def test_positions_keep_their_stops_at_80_columns(stop: Decimal | None, text: str) -> None:
    position = {
        "portfolio": "default", "symbol": "SOL/USDT", "side": "LONG", "quantity": Decimal("21.307249"),
        "entry_price": Decimal("100060.20"), "current_price": Decimal(100_000), "position_value": Decimal("2130724.9"),
        "unrealized_pnl": Decimal("-1282.69"), "unrealized_pnl_pct": Decimal("-0.0006"), "currency": "USDT",
        "stop_price": None if stop is None else Decimal("95057.2"), "first_stop_quantity": stop,
        "stop_quantity": Decimal("21.307249"), "stop_expires_at": None,
    }  # fmt: skip
    screen = Screen()
    out = Console(file=screen, width=80, color_system=None, highlight=False, markup=False)
    out.print(list_table(out, POSITIONS, [position]))
    heading, row, *_ = screen.getvalue().splitlines()
    assert ["default", "SOL/USDT", "LONG", "21.307249"] == row.split()[:4]
    assert "stop" == heading.split()[-1]
    assert text in row
