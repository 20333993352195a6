"""Keys of the live view: what a terminal sends, what scrolls, and which portfolio a key chooses."""

from __future__ import annotations

import pytest

from console.live.foot import foot
from console.live.keys import KeyDecoder
from console.live.layout import frame
from console.live.scroll import Scroll, next_portfolio
from console.live.state import ViewState
from tests.support.values.view_states import database_view, decision, portfolio, position, view_state

ALL_KEYS = {
    "\x1b[A": "up", "\x1bOA": "up", "k": "up", "\x1b[B": "down", "\x1bOB": "down", "j": "down",
    "\x1b[C": "right", "\x1bOC": "right", "l": "right", "\x1b[D": "left", "\x1bOD": "left", "h": "left",
    "\x1b[5~": "page up", "\x1b[6~": "page down",
    "\x1b[H": "home", "\x1b[1~": "home", "g": "home", "\x1b[F": "end", "\x1b[4~": "end", "G": "end",
    "\t": "tab", "\x1b[Z": "shift tab", "q": "q", "Q": "q", "3": "3", "a": "a",
}  # fmt: skip


@pytest.mark.parametrize(("typed", "key"), ALL_KEYS.items())
def test_each_key_has_its_name_also_where_it_arrives_in_parts(typed: str, key: str) -> None:
    assert [key] == KeyDecoder().feed(typed)
    decoder = KeyDecoder()
    assert [key] == [name for character in typed for name in decoder.feed(character)]


def test_many_keys_at_once_and_sequences_that_mean_nothing() -> None:
    assert ["down", "up", "q"] == KeyDecoder().feed("j\x1b[A\x1b[1;5P\x1b[99~q")
    decoder = KeyDecoder()
    assert [] == decoder.feed("\x1b")
    assert ["q"] == decoder.feed("q")  # the key ESC, then q


def crowd(decisions: int = 30, positions: int = 12) -> ViewState:
    return view_state(
        database=database_view(
            portfolios=[portfolio("cautious", "10000", "10000", 0), portfolio("default", "10000", "10000", 0)],
            positions=[
                position(f"P{n:02}/USDT", "1", "100", "101", "default" if n % 2 else "cautious")
                for n in range(positions)
            ],
            decisions=[
                decision(n, "HOLD", "BTC/USDT", "ignored", "hold", portfolio="default" if n % 3 else "cautious")
                for n in range(decisions, 0, -1)
            ],
        )
    )


def screen(state: ViewState, scroll: Scroll, width: int = 80, height: int = 24) -> list[str]:
    lines = frame(state, width, height, lambda: foot(state, scroll, width), scroll)
    assert height == len(lines)
    return [line.plain.rstrip() for line in lines]


def positions_on(lines: list[str]) -> list[str]:
    return [line.split()[0] for line in lines if line.startswith("P") and line[1:3].isdigit()]


def decisions_on(lines: list[str]) -> list[int]:
    return [int(line.split()[0][1:]) for line in lines if line.startswith("#")]


def test_arrows_and_pages_scroll_the_positions_and_end_at_the_ends() -> None:
    state, scroll = crowd(), Scroll()
    first = screen(state, scroll)
    seen = len(positions_on(first))
    assert 3 <= seen < 12
    assert f"P{seen - 1:02}/USDT" == positions_on(first)[-1]
    assert scroll.press("down")
    second = screen(state, scroll)
    assert [f"P{n:02}/USDT" for n in range(1, seen + 1)] == positions_on(second)
    assert any(line.startswith(f"position 2–{seen + 1} of 12") for line in second)
    scroll.press("page down")
    assert f"P{seen:02}/USDT" == positions_on(screen(state, scroll))[0]
    scroll.press("end")
    assert "P11/USDT" == positions_on(screen(state, scroll))[-1]
    scroll.press("down")
    assert "P11/USDT" == positions_on(screen(state, scroll))[-1]
    scroll.press("up")
    assert "P10/USDT" == positions_on(screen(state, scroll))[-1]
    scroll.press("home")
    assert first == screen(state, scroll)
    scroll.press("page up")
    assert first == screen(state, scroll)


def test_right_and_left_choose_the_list() -> None:
    state, scroll = crowd(), Scroll()
    screen(state, scroll)
    assert "positions" == scroll.active
    assert scroll.press("right")
    assert "decisions" == scroll.active
    scroll.press("down")
    lines = screen(state, scroll)
    assert (29, "P00/USDT") == (decisions_on(lines)[0], positions_on(lines)[0])
    scroll.press("left")
    assert "positions" == scroll.active


def test_new_decisions_do_not_move_the_rows_that_a_person_reads() -> None:
    scroll = Scroll()
    screen(crowd(), scroll)
    scroll.press("right")
    scroll.press("down")
    before = decisions_on(screen(crowd(), scroll))
    after = decisions_on(screen(crowd(decisions=34), scroll))
    assert before == after
    scroll.press("home")
    assert 34 == decisions_on(screen(crowd(decisions=34), scroll))[0]


def test_a_list_that_has_become_short_begins_with_its_first_row_again() -> None:
    scroll = Scroll()
    screen(crowd(), scroll)
    scroll.press("end")
    screen(crowd(), scroll)
    assert ["P00/USDT", "P01/USDT"] == positions_on(screen(crowd(positions=2), scroll))
    assert "decisions" == scroll.active
    assert "P00/USDT" == positions_on(screen(crowd(), scroll))[0]


def test_where_all_rows_fit_no_key_scrolls() -> None:
    state, scroll = view_state(), Scroll()
    screen(state, scroll, 160, 60)
    assert (None, "", False) == (scroll.active, scroll.range, scroll.press("down"))


@pytest.mark.parametrize(
    ("key", "chosen", "expected"),
    [
        ("tab", None, "a"), ("tab", "a", "b"), ("tab", "b", None), ("shift tab", None, "b"), ("shift tab", "a", None),
        ("tab", "gone", "a"), ("1", None, "a"), ("2", "a", "b"), ("3", "a", "a"), ("a", "b", None), ("0", "b", None),
        ("x", "a", "a"), ("²", "a", "a"),
    ],
)  # fmt: skip
def test_which_portfolio_a_key_chooses(key: str, chosen: str | None, expected: str | None) -> None:
    assert expected == next_portfolio(key, ["a", "b"], chosen)


def test_one_portfolio_alone_has_its_positions_decisions_and_no_sum() -> None:
    state = crowd()
    text = "\n".join(screen(ViewState(**{**fields(state), "portfolio": "cautious"}), Scroll()))
    assert "only cautious" in text
    assert {"P00/USDT", "P02/USDT", "P04/USDT"} <= set(positions_on(text.splitlines()))
    assert [30, 27, 24] == decisions_on(text.splitlines())[:3]
    assert "together" not in text
    assert "default" not in text
    assert "together" in "\n".join(screen(state, Scroll()))


def fields(state: ViewState) -> dict[str, object]:
    return {name: getattr(state, name) for name in ViewState.__dataclass_fields__}


FEET = {
    140: "q ends this view; trading goes on · ↑↓ PgUp PgDn scroll positions 1–3 of 12 · ←→ other list"
    " · Tab or 1–2 one portfolio",
    80: "q ends · ↑↓ PgUp PgDn positions 1–3 of 12 · ←→ list · Tab portfolio",
    60: "q ends · ↑↓ positions 1–3 of 12 · ←→ list · Tab portfolio",
    45: "q ends · ↑↓ positions · ←→ list · Tab",
    20: "q · ↑↓ · ←→ · Tab",
}


@pytest.mark.parametrize("width", FEET)
def test_the_last_line_says_the_keys_in_the_longest_wording_that_fits(width: int) -> None:
    state, scroll = crowd(), Scroll()
    scroll.window("positions", list(range(12)), 3)
    scroll.window("decisions", list(range(30)), 5)
    assert FEET[width] == foot(state, scroll, width).plain


def test_the_last_line_names_only_keys_that_do_something() -> None:
    alone = view_state(process=None, database=database_view(portfolios=[portfolio("default", "1", "1", 0)]))
    assert "q ends this view; trading goes on" == foot(alone, Scroll(), 80).plain
    chosen = ViewState(**{**fields(crowd()), "portfolio": "default"})
    assert (
        "q ends this view; trading goes on · Tab or 1–2 one portfolio · a all portfolios"
        == foot(chosen, Scroll(), 80).plain
    )
    assert "q ends this view" == foot(ViewState(at=alone.at), Scroll(), 80).plain
