"""The ages of prices by both clocks, their spreads and sources, on the screens."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from console.debug.render import RENDERERS
from console.display.quotes import quote_cells
from console.live import panels
from console.live.scroll import Scroll
from tests.support.values.view_states import database_view, process, view_state


def described(**changes: Any) -> dict[str, Any]:
    """Return a quote as the status has it."""
    usual = {
        "price": "110485.85", "age_s": 1.25, "exchange_age_s": 3.5, "exchange_clock": "exchange", "time_mark": None,
        "fresh": "all", "spread": "0.0001", "source": "kraken",
    }  # fmt: skip
    return {**usual, **changes}


@pytest.mark.parametrize(
    ("quote", "cells"),
    [
        (described(), ("1.2 s", "3.5 s", "0.010 %", "kraken", "")),
        (described(age_s=75.0, exchange_age_s=680.0), ("1 min 15 s", "11 min 20 s", "0.010 %", "kraken", "")),
        (
            described(exchange_age_s=None, time_mark="no exchange time", spread=None),
            ("1.2 s", "–", "–", "kraken", "no exchange time"),
        ),
        (described(fresh="book"), ("1.2 s", "3.5 s", "0.010 %", "kraken", "only bid and ask are fresh")),
        (
            described(fresh="nothing", time_mark="impossible time", exchange_age_s=None),
            ("1.2 s", "–", "0.010 %", "kraken", "impossible time, too old to fill"),
        ),
        (
            described(source="simulated", fresh=None, exchange_clock=None, exchange_age_s=None),
            ("1.2 s", "–", "0.010 %", "simulated", ""),
        ),
    ],
)
def test_the_cells_of_a_quote(quote: dict[str, Any], cells: tuple[str, ...]) -> None:
    assert cells == quote_cells(quote)


def test_the_live_view_has_both_ages_the_spread_and_the_source() -> None:
    state = view_state(process=process())
    assert state.process is not None
    state.process["prices"]["quotes"] = {"BTC/USDT": described(source="simulated")}
    lines = [str(line) for line in panels.prices(state, 120, 5, Scroll())]
    assert ["price", "last", "age", "by", "exchange", "spread", "source", "change", "trend"] == lines[0].split()
    (bitcoin,) = [line for line in lines if line.startswith("BTC/USDT")]
    assert ["3.5", "s", "0.010", "%", "simulated"] == bitcoin.split()[4:9]
    (other,) = [line for line in lines if line.startswith("DOGE/USDT")]
    assert ["–", "–", "simulated"] == other.split()[4:7]  # the process watches it no more


def headings(width: int, **quote: Any) -> list[str]:
    """Return the headings of the prices at a width, where both quotes are so."""
    state = view_state(process=process())
    assert state.process is not None
    state.process["prices"]["quotes"] = dict.fromkeys(("BTC/USDT", "ETH/USDT"), described(**quote))
    return str(panels.prices(state, width, 5, Scroll())[0]).split()


def test_ages_and_spread_stay_longer_than_change_and_trend() -> None:
    assert ["price", "last", "age", "by", "exchange", "spread", "change"] == headings(62)
    assert ["price", "last", "age", "by", "exchange"] == headings(44)
    # What is not known, and the one source of all, make room first.
    assert ["price", "last", "age", "spread", "change", "trend"] == headings(64, exchange_age_s=None)
    assert ["price", "last", "age", "change", "trend"] == headings(58, exchange_age_s=None, spread=None)


def compact(**quote: Any) -> str:
    state = view_state(process=process())
    assert state.process is not None
    state.process["prices"]["quotes"] = {"BTC/USDT": described(**quote)}
    return " ".join(str(line) for line in panels.prices_line(state, 200, 2))


def test_the_compact_line_names_the_source_and_an_age_by_the_exchange_that_says_more() -> None:
    assert "prices of simulated  BTC/USDT 112,405.73 (0.4 s)  " in compact(exchange_age_s=11.2)
    assert "BTC/USDT 112,405.73 (0.4 s, by exchange 10 min)" in compact(exchange_age_s=600.0, fresh="nothing")
    assert "BTC/USDT 112,405.73 (0.4 s)  " in compact(exchange_age_s=None)


def test_the_live_view_has_no_such_column_without_a_process() -> None:
    state = view_state(process=None, database=database_view())
    assert "BTC/USDT" in "\n".join(str(line) for line in panels.prices(state, 120, 5, Scroll()))


def test_the_debug_console_has_them_too() -> None:
    out = Console(file=StringIO(), width=120, force_terminal=False)
    quotes = {"BTC/USDT": {"price": "110485.85", "seen_at": "2026-01-05T12:00:00+00:00"}}
    source = {"source": "kraken", "ended": False, "quotes": {"BTC/USDT": described()}}
    RENDERERS["prices"]({"now": "2026-01-05T12:00:02+00:00", "source": source, "quotes": quotes}, out)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert ["BTC/USDT", "110485.85", "2.0", "s", "3.5", "s", "0.010", "%", "kraken"] == text.splitlines()[-1].split()
