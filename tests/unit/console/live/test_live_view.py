"""Frames of the live view: content at each size, and that nothing is wider than the screen."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from rich.cells import cell_len
from rich.text import Text

from console.display import chart
from console.display.table import Column, fitted_table, flow
from console.live.layout import frame, share
from console.live.state import LedgerCheck, ViewState
from domain.wording import one_line
from tests.support.values.view_states import (
    actor,
    at,
    database_view,
    decision,
    portfolio,
    position,
    process,
    view_state,
)

SIZES = [(1, 1), (7, 30), (20, 5), (40, 10), (60, 20), (80, 24), (100, 30), (139, 40), (140, 34), (160, 50), (300, 90)]
FULL = """\
Paper trading  running for 2 h 14 min                               12:00:00 UTC
12.3 decisions/s · 5 waiting · books balance, checked 8 s ago
simulated prices: results prove nothing about real markets
portfolio       value  currency    result  result %        cash  positions
cautious     9,995.31  USDT         -4.69   -0.05 %    9,594.79          1
default     10,111.74  USDT       +111.74   +1.12 %    7,648.85          2
together    20,107.05  USDT       +107.05   +0.54 %   17,243.64          3
equity                                                   20,107.05 USDT  +107.05
20,107.05 ┤                                                ⣀⣀⣀⣀⣀⠤⠤⠤⠤⠤⠔⠒⠒⠒⠒⠒⠒⠊⠉⠉⠉
          ┤                                 ⣀⣀⣀⠤⠤⠤⠔⠒⠒⠒⠊⠉⠉⠉⠉
19,983.00 ┤⠒⠒⠒⠢⠤⠤⠤⠤⠤⠤⢄⣀⣀⣀⣀⣀⣀⠤⠤⠤⠤⠤⠤⠤⠒⠒⠒⠒⠒⠊⠉⠉⠉
          11:55:00                     ── 5 min ──                      12:00:00
position   portfolio  quantity        last      stop     age    result  result %
DOGE/USDT  cautious      1,635     0.21549      none   0.4 s     +5.33   +1.54 %
BTC/USDT   default     0.01445  112,405.73      none   0.4 s     -8.33   -0.51 %
ETH/USDT   default      0.5127    3,918.09  3,750.00   0.4 s    -10.60   -0.53 %
decision  portfolio  side  symbol     status     reason
#10       default    BUY   XRP/USDT   pending
#9        default    SELL  BTC/USDT   executed   0.01792 @ 112,375.67 net +24.30
#8        default    BUY   DOGE/USDT  rejected   no room: DOGE/USDT is worth…
#7        default    HOLD  SOL/USDT   ignored    hold: nothing to do
prices of simulated  BTC/USDT 112,405.73 (0.4 s)  DOGE/USDT 0.21549 (45 s)
actors  7 healthy  mailboxes empty  0 restarts
q ends"""


def frame_text(state: ViewState, width: int = 80, height: int = 24) -> str:
    lines = frame(state, width, height, Text("q ends"))
    return "\n".join(line.plain.rstrip() for line in lines)


def crowded() -> ViewState:
    """Return a state with more rows than fit any screen, and with texts meant to break it."""
    hostile = "\x1b[2J\x1b]0;gone\x07 \r\n\t 漢字 " * 20
    return view_state(
        process=process(
            actors=[actor("Sizer", state="waiting", busy_for=3.2, mailbox=123_456, restarts=12)],
            failures=[{"reference": "3-1", "at": at(-5).isoformat(), "kind": "crash", "actor": "Sizer",
                       "error": hostile}],
            intake_paused_since=at(-5).isoformat(),
            lease_held=False,
        ),
        database_error=hostile,
        database_error_since=at(-5),
        ledger_check=LedgerCheck(at(0), [hostile] * 9, {"executed": 10**9}, 3, 1.0),
        database=database_view(
            portfolios=[portfolio(f"漢字{hostile}{n}", "1" + "0" * 20, "1", 0, halted=hostile) for n in range(50)],
            positions=[position(f"S{n}{hostile}/USDT", "1e19", "1e-9", "1e19", price_time=None) for n in range(50)],
            decisions=[decision(n, "buy", hostile, "rejected", hostile) for n in range(100)],
        ),
    )  # fmt: skip


def test_a_frame_of_80_by_24() -> None:
    assert FULL == frame_text(view_state())


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(
    "state", [view_state(), crowded(), ViewState(at=at(0)), view_state(process=None, equity_curve=())]
)
def test_nothing_is_wider_or_longer_than_the_screen_or_moves_the_cursor(
    width: int, height: int, state: ViewState
) -> None:
    lines = frame(state, width, height, Text("q ends"))
    assert height == len(lines)
    assert [] == [line.plain for line in lines if cell_len(line.plain) > width or not line.plain.isprintable()]
    assert ("q ends" if width > 6 else "…") == lines[-1].plain


@pytest.mark.parametrize(("width", "height"), [(60, 20), (80, 24), (100, 30), (139, 40), (140, 34), (160, 50)])
def test_the_essentials_are_there_from_60_by_20_upward(width: int, height: int) -> None:
    text = frame_text(view_state(), width, height)
    for part in (
        "running",
        "12.3 decisions/s",
        "books balance",
        "prove nothing",
        "+107.05",
        "position",
        "#9",
        "7 healthy",
    ):
        assert part in text or (part == "7 healthy" and "DecisionWatcher" in text), part


def test_a_wide_frame_has_a_row_for_each_price_and_actor_at_the_right() -> None:
    lines = frame_text(view_state(), 160, 50).splitlines()
    assert any("Sizer" in line and line.endswith("16") and "┤" in line for line in lines)
    assert any(line.endswith("+0.36 %  ▁▄█") and "BTC/USDT   112,405.73   0.4 s" in line for line in lines)
    assert "22 executed · 9 ignored · 7 rejected" in lines[1]


def test_a_stopped_service_and_an_unreachable_database_are_reported() -> None:
    idle = {**database_view().served, "running": False}
    stopped = view_state(process=None, database=database_view(served=idle))
    assert "no service runs; the last was process 7 on home" in frame_text(stopped, 100)
    assert 3 == stopped.exit_code
    away = view_state(database_error="the database is not available: refused", database_error_since=at(-90))
    text = frame_text(away)
    assert "database unreachable for 1 min 30 s: the database is not available" in text
    assert "the data below is of 12:00:00 UTC" in text
    assert 1 == away.exit_code
    blind = replace(away, process=None)
    assert "it is not known whether a service runs" in frame_text(blind)
    assert 1 == blind.exit_code
    elsewhere = view_state(process=None)
    assert "running for 2 h 14 min by process 7 on home" in frame_text(elsewhere)
    assert "not visible: the process is not of this user" in frame_text(elsewhere)
    assert 0 == elsewhere.exit_code


def test_problems_stand_above_the_rest() -> None:
    actors = [actor("PositionKeeper", state="waiting", busy_for=7.0, mailbox=41), actor("Sizer", restarts=2)]
    failure = {"reference": "3-1", "at": at(-60).isoformat(), "kind": "hang", "actor": "Sizer", "error": "oh"}
    troubled = view_state(
        process=process(
            actors=actors, failures=[failure], lease_held=False, intake_paused_since=at(-9).isoformat()
        ),
        ledger_check=LedgerCheck(at(0), ["cash of portfolio default is 1, its fills make it 2"], {}, 1, 0.1),
        database=database_view(portfolios=[portfolio("default", "10000", "10000", 0, halted="too wild")]),
    )  # fmt: skip
    text = frame_text(troubled, 100, 40)
    for sentence in (
        "intake paused since 11:59:51 UTC",
        "the connection that holds the lease is lost",
        "failure 3-1 at 11:59:00 UTC: hang of Sizer: oh",
        "default is halted: too wild",
        "books: cash of portfolio default is 1, its fills make it 2",
        "1 in quarantine",
    ):
        assert sentence in text
    assert "books balance" not in text
    assert 1 == troubled.exit_code
    (line,) = [line for line in frame_text(troubled, 100, 24).splitlines() if line.startswith("actors")]
    assert "actors  PositionKeeper waiting 7 s  1 healthy  41 wait for PositionKeeper  2 restarts" == line


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 36), (160, 50)])
def test_empty_panels_say_none(width: int, height: int) -> None:
    text = frame_text(view_state(database=database_view(decisions=[], positions=[], prices=[])), width, height)
    assert 2 == text.count("none yet")
    assert "none open" in text
    assert " 0 of " not in text


def test_an_exchange_without_instruments_is_a_problem() -> None:
    away = process()
    away["prices"] = {**away["prices"], "source": "kraken", "real": True, "instruments": None}
    assert "prices: kraken has not sent its list of instruments yet" in frame_text(view_state(process=away))
    away["prices"]["instruments"] = 0
    assert "list of instruments" not in frame_text(view_state(process=away))


def test_positions_of_another_price_source_miss_no_prices() -> None:
    unknown = process()
    unknown["prices"] = {**unknown["prices"], "source": "kraken", "real": True, "instruments": None}
    held = position("BTC/USDT", "1", "100", "101")

    def exit_code(**changes: bool) -> int:
        rows = [portfolio("default", "10001", "9900", 1, **changes)]
        return view_state(
            process=unknown, database=database_view(portfolios=rows, positions=[held], waiting=0)
        ).exit_code

    assert (1, 0) == (exit_code(), exit_code(other_source=True))


def test_a_retry_of_the_price_source_is_a_problem() -> None:
    away = process()
    away["prices"] |= {"troubles": ["Cannot get prices from kraken (RequestTimeout); retrying"]}
    assert "prices: Cannot get prices from kraken (RequestTimeout); retrying" in frame_text(view_state(process=away))


def test_real_prices_have_no_mark_and_another_currency_is_not_added_up() -> None:
    real = process()
    real["prices"] = {**real["prices"], "source": "kraken", "real": True}
    pots = [portfolio("default", "10010", "10010", 0), portfolio("euros", "10000", "10000", 0, "EUR")]
    text = frame_text(view_state(process=real, database=database_view(portfolios=pots, prices=[], positions=[])))
    assert "prove nothing" not in text
    assert "together" not in text
    assert "none open" in text


def test_columns_give_way_in_order_and_numbers_are_never_cut() -> None:
    columns = [
        Column("a", ["first"]),
        Column("b", ["123456"], right=True, gives_way=2),
        Column("c", ["1234"], right=True, gives_way=1),
    ]
    assert ["a", "b", "c"] == fitted_table(columns, 19, 2)[0].plain.split()
    assert ["a", "c"] == fitted_table(columns, 18, 2)[0].plain.split()
    assert ["a"] == fitted_table(columns, 10, 2)[0].plain.split()


def test_a_heading_says_how_many_of_the_rows_are_frame_text() -> None:
    lines = fitted_table([Column("position", ["x", "y", "z"])], 20, 3)
    assert ["position 2 of 3", "x", "y"] == [line.plain.rstrip() for line in lines]
    assert [] == fitted_table([Column("position", ["x"])], 20, 0)


def test_rows_are_shared_out_by_importance_then_in_turn() -> None:
    parts = [("a", 2, 3), ("b", 4, 9), ("c", 3, 5)]
    assert {"a": 2, "b": 4, "c": 0} == share(6, parts) | {"c": 0}
    assert {"a": 0, "b": 0, "c": 0} == share(1, parts)
    assert {"a": 3, "b": 5, "c": 4} == share(12, parts)
    assert {"a": 3, "b": 9, "c": 5} == share(99, parts)


def test_items_flow_without_being_divided() -> None:
    assert ["one · two", "three"] == [line.plain for line in flow([("one", ""), ("two", ""), ("three", "")], 11, 3)]


def test_texts_from_outside_cannot_move_the_cursor() -> None:
    assert r"a b\x1b[31mred\u202ec" == one_line("a\n b\x1b[31mred\u202ec")


def test_a_curve_has_its_ends_at_the_edges() -> None:
    assert ["⠀⠀⡠⠊", "⡠⠊⠀⠀"] == chart.curve([(0, 1), (9, 2)], 4, 2)
    assert [chart.BLANK * 3] == chart.curve([], 3, 1)
    (flat,) = chart.curve([(0, 5), (1, 5)], 3, 1)
    assert 1 == len(set(flat))
    assert "▁▄█" == chart.blocks([9, 1, 2, 3], 3)
    assert "" == chart.blocks([], 3)


def test_a_curve_shows_a_spike_of_one_point_among_many() -> None:
    points = [(float(x), 100.0 if x == 500 else 1.0) for x in range(1000)]
    top, *_ = chart.curve(points, 40, 5)
    assert top.strip(chart.BLANK)


def test_a_worth_that_stands_still_has_one_label() -> None:
    still = view_state(equity_curve=[(at(0), Decimal(20_000))])
    lines = [line for line in frame_text(still).splitlines() if "┤" in line]
    assert 1 == sum("20,000.00" in line for line in lines)


def test_open_orders_are_counted_and_an_open_decision_shows_its_order() -> None:
    resting = [portfolio("default", "10000", "9000", 1, open_orders=3), portfolio("second", "10000", "9000", 0)]
    rows = [decision(7, "BUY", "BTC/USDT", "open", "open: BUY 0.01 BTC/USDT, limit 95000")]
    text = frame_text(view_state(database=database_view(portfolios=resting, decisions=rows)))
    assert "12.3 decisions/s · 5 waiting · 3 open orders · books balance, checked 8 s ago" in text
    assert "#7        default    BUY   BTC/USDT   open       0.01, limit 95000" in text
