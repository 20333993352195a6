"""The surroundings of a fixed database: its time, the process that seems to serve it, and names of this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from actors.runtime.timer import SystemClock
from console.commands import status, top
from persistence.queries import live_view
from persistence.queries.row_lists import LedgerReader
from tests.support.screens.fixed_database import FIRST_DAY, HOLDER, NOW
from tests.support.values.view_states import process

DATABASE, SERVER = "postgresql://paper@localhost/paper", "PostgreSQL 18.9, TimescaleDB 2.23.0"
SIZE: dict[str, Any] = {
    "bytes": 5_200_000, "bytes_per_day": 310_000, "tables_per_day": {"market_prices": 240_000, "paper_fills": 50_000},
}  # fmt: skip
SERVED = {
    "epoch": 3, "holder": HOLDER, "started_at": FIRST_DAY, "renewed_at": NOW, "generation": 5,
    "renewed_ago": timedelta(seconds=1), "running": True, "locked_by": None,
}  # fmt: skip
NOT_SERVED = {**SERVED, "running": False}


def process_status() -> dict[str, Any]:
    """Return the status of a process, as its socket answers."""
    quote = {
        "age_s": 0.4, "exchange_age_s": 0.6, "spread": "0.00012", "source": "simulated", "time_mark": None,
        "fresh": "all",
    }  # fmt: skip
    status = process()
    newest = (NOW - timedelta(seconds=0.4)).isoformat()
    prices = {
        **status["prices"], "symbols": 2, "newest": newest, "last_seen": {"BTC/USDT": newest, "ETH/USDT": newest},
        "quotes": {"BTC/USDT": quote, "ETH/USDT": {**quote, "age_s": 12.0, "time_mark": "no exchange time"}},
    }  # fmt: skip
    return {**status, "prices": prices}


@contextmanager
def local_zone(name: str) -> Iterator[None]:
    """Have this machine in a time zone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


@contextmanager
def fixed_clock(zone: str = "Europe/Berlin", *, served: bool = True) -> Iterator[None]:
    """Have commands read the database as of its time.

    Args:
        zone: the time zone of this machine.
        served: whether a process seems to serve the database.
    """
    look, storage = live_view.DatabaseViews.look, LedgerReader.storage

    def fixed_look(reader: live_view.DatabaseViews, *args: Any, **values: Any) -> live_view.DatabaseView:
        return replace(look(reader, *args, **values), served=SERVED if served else NOT_SERVED)

    with local_zone(zone), pytest.MonkeyPatch.context() as patch:
        patch.setattr(SystemClock, "now", lambda _clock: NOW)
        patch.setattr(live_view.DatabaseViews, "look", fixed_look)
        patch.setattr(LedgerReader, "storage", lambda reader: replace(storage(reader), **SIZE))
        patch.setattr(status, "database_label", lambda _settings, _url: DATABASE)
        patch.setattr(status, "probe", lambda _url: SERVER)
        patch.setattr(status, "file_in_use", lambda _home: "paper.toml")
        if served:
            patch.setattr(LedgerReader, "served", lambda _reader: dict(SERVED))
            patch.setattr(status, "_process", lambda _settings: process_status())
            patch.setattr(top._StatusClient, "status", lambda _client: process_status())
        yield


NOT_SIZE: dict[str, Any] = {
    "bytes": 5_200_000, "bytes_per_day": 310_000, "tables_per_day": {"market_prices": 240_000, "paper_fills": 50_000},
}  # fmt: skip
SERVED = {**SERVED, "running": False, "locked_by": None}
