"""Tables that scroll: they fit a terminal, and lose nothing in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from console.debug.render import render
from console.display.table import full_table

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


@pytest.mark.parametrize(
    ("width", "missing"), [(80, []), (50, ["commission"]), (40, ["commission", "reason"]), (16, NAMES[2:])]
)
def test_a_narrow_terminal_wraps_sentences_and_leaves_out_columns_in_order(width: int, missing: list[str]) -> None:
    text = printed(Screen(), width, ROW)
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    table, _, note = text.partition("too narrow")  # the next words may be on the next line
    assert ", ".join(missing).split() == note.split()[1:]
    kept = [cell for name, cell in zip(NAMES, ROW, strict=True) if name not in missing]
    assert sorted(" ".join(kept).split()) == sorted(" ".join(table.splitlines()[1:]).split())


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
