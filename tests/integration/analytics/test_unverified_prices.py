"""Prices that come from another address than the exchange's fill orders, are marked everywhere, and prove nothing."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from actors import Decision, TradingSystem
from actors.runtime.timer import SystemClock
from actors.settings import Settings
from console.commands.serve import _warnings
from market.exchange.ccxt_source import ExchangePrices
from market.exchange.provenance import Access
from persistence.queries.row_lists import LedgerReader
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import BTC, QUICK, trusted
from tests.support.screens.rendering import rendered

FILLS = "SELECT price_source, real_prices FROM paper_fills"
PROVES_NOTHING = "unverified kraken prices prove nothing"


@pytest.mark.parametrize("is_trusted", [False, True], ids=["unverified", "trusted"])
def test_only_hosts_that_a_person_names_make_results_real(is_trusted: bool, embedded_url: str, tmp_path: Path) -> None:
    with ExchangeServer() as server:
        server.set_price(BTC, "100", bid="99", ask="101")
        access = trusted(server.kraken) if is_trusted else Access(server.kraken)
        source = ExchangePrices("kraken", SystemClock(), cache=None, symbols=[BTC], access=access, timing=QUICK)
        hosts = ["127.0.0.1"] if is_trusted else []
        settings = Settings.isolated(
            home=tmp_path, database_url=embedded_url, exchange_options=server.kraken, exchange_trusted_hosts=hosts
        )
        with TradingSystem.start(settings, source=source) as system:
            buy = Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.1")
            assert "executed" == system.submit(buy).get(timeout=30).status
            (warning,) = _warnings(system, settings)
    name = "kraken" if is_trusted else "unverified kraken"
    assert ("as exchange_trusted_hosts allows" if is_trusted else "which ccxt does not know as its address") in warning
    with closing(LedgerReader(embedded_url)) as reader:
        assert [{"price_source": name, "real_prices": is_trusted}] == reader.rows(FILLS)
    verdict = json.loads(rendered("validate", "--json", "--database-url", embedded_url, columns=80).out)["portfolios"][
        0
    ]
    assert is_trusted is verdict["real_prices"]
    assert is_trusted is not (PROVES_NOTHING in " ".join(verdict["missing"]))
    assert is_trusted is any("exchange_trusted_hosts says so" in note for note in verdict["notes"])
    status = rendered("status", "--database-url", embedded_url, "--home", str(tmp_path), columns=400).out
    assert is_trusted is ("unverified kraken prices: results prove nothing" not in status)


def test_the_past_of_another_address_is_not_real_either() -> None:
    with ExchangeServer() as server:
        begin = datetime(2026, 1, 5, 12, tzinfo=UTC)
        server.past.add("BTCUSDT", *((begin.timestamp() + second, "100", "1") for second in range(0, 700, 10)))
        source = ExchangePrices("kraken", SystemClock(), cache=None, access=Access(server.kraken), timing=QUICK)
        history = source.history(BTC, begin + timedelta(seconds=60), begin + timedelta(seconds=600), 30)
    assert history.unknown is None
    assert {("unverified kraken", False)} == {(one.source, one.real) for one in history.data}
