"""Prices count as real only from the exchange's own addresses over verified TLS, or from hosts that a person names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.settings import Settings
from domain.errors import SettingsError
from market.exchange import provenance as provenance_module
from market.exchange.ccxt_source import ExchangePrices, from_options
from market.exchange.provenance import Access, provenance
from tests.unit.market.test_registry import StandingClock, source_options

LOCAL = {"urls": {"api": {"public": "http://127.0.0.1:8080/kraken"}}}
FOREIGN = {"urls": {"api": {"public": "https://u:pw@prices.example/0", "ws": {"publicV2": "wss://ws.example/v2"}}}}
FROM = "prices of kraken come from {}, which ccxt does not know as its address; exchange_trusted_hosts can name it"
UNCHECKED = "certificates are not checked (exchange_options: verify), so anybody on the way can send prices"
TEST_SYSTEM = "prices of {} come from its test system, as exchange_options demands"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"timeout": 5000, "rateLimit": 20, "has": {"watchTrades": False}, "enableRateLimit": True},
        {"httpsProxy": "http://me:pw@proxy:1", "wsProxy": "http://proxy:1", "headers": {"X-Any": "1"}},
        {"options": {"defaultType": "spot", "sandbox": False}},
    ],
)
def test_usual_options_are_real_and_need_no_import_of_ccxt(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance_module, "configured", lambda *_: pytest.fail("ccxt was hosts"))
    assert ("kraken", True, ()) == _facts("kraken", options)


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        ({"urls": {"www": "https://www.kraken.com"}, "unknown": 1}, None),
        ({"urls": {"api": {"public": "https://api.kraken.com/other/path"}}}, None),
        ({"verify": True, "urls": {"logo": "https://elsewhere.example/logo.png"}}, None),
        (LOCAL, (FROM.format("http://127.0.0.1:8080"),)),
        (FOREIGN, (FROM.format("prices.example and ws.example"),)),
        ({"urls": {"api": {"public": "http://api.kraken.com"}}}, (FROM.format("http://api.kraken.com"),)),
        ({"urls": {"api": {"public": "https://api.kraken.com:444"}}}, (FROM.format("api.kraken.com:444"),)),
        ({"proxyUrl": "https://cors.example/"}, (FROM.format("cors.example"),)),
        ({"headers": {"Host": "other.example"}}, (FROM.format("other.example"),)),
        ({"verify": False}, (UNCHECKED,)),
        ({"verify": 0}, (UNCHECKED,)),
        ({"ssl_context": False}, (UNCHECKED,)),
        ({"cafile": "/tmp/ca.pem"}, ("certificates are checked by a list of your own (exchange_options: cafile)",)),
        ({**LOCAL, "verify": False}, (FROM.format("http://127.0.0.1:8080"), UNCHECKED)),
    ],
)  # fmt: skip
def test_prices_from_elsewhere_have_a_name_of_their_own(options: dict[str, Any], notes: tuple[str, ...] | None) -> None:
    expected = ("kraken", True, ()) if notes is None else ("unverified kraken", False, notes)
    assert expected == _facts("kraken", options)


@pytest.mark.parametrize(
    ("exchange", "options"),
    [
        ("binance", {"sandbox": True}),
        ("binance", {"options": {"sandbox": True}}),
        ("okx", {"options": {"sandboxMode": True}}),
        ("okx", {"headers": {"x-simulated-trading": "1"}}),
        ("bybit", {"testnet": True}),
        ("bybit", {"options": {"enableDemoTrading": True}}),
    ],
)
def test_a_test_system_of_the_exchange_is_no_real_market(exchange: str, options: dict[str, Any]) -> None:
    name, real, notes = _facts(exchange, options)
    assert (f"unverified {exchange}", False) == (name, real)
    assert TEST_SYSTEM.format(exchange) in notes


def test_a_host_name_of_ccxt_is_part_of_the_address() -> None:
    name, real, notes = _facts("okx", {"hostname": "okx.example"})
    assert ("unverified okx", False) == (name, real)
    assert "okx.example" in notes[0]


@pytest.mark.parametrize("hosts", [{"127.0.0.1"}, {"127.0.0.1:8080"}, {"127.0.0.1", "other.example"}])
def test_named_hosts_count_as_the_exchange_and_are_noted(hosts: set[str]) -> None:
    note = "prices of kraken come from http://127.0.0.1:8080, as exchange_trusted_hosts allows"
    assert ("kraken", True, (note,)) == _facts("kraken", LOCAL, hosts)
    assert not provenance("kraken", Access(LOCAL, frozenset({"127.0.0.2", "127.0.0.1:80"}))).real


def test_without_a_check_of_certificates_each_host_must_be_named() -> None:
    assert not provenance("kraken", Access({"verify": False}, frozenset({"api.kraken.com"}))).real
    hosts = {origin.host for origin in provenance_module._origins("kraken", {})}
    assert provenance("kraken", Access({"verify": False}, frozenset(hosts))).real


def test_options_that_ccxt_refuses_are_one_sentence_without_a_secret() -> None:
    with pytest.raises(SettingsError) as refused:
        provenance("kraken", Access({"sandbox": True, "urls": {"api": {"public": "https://u:s3cret@h.example"}}}))
    assert str(refused.value).startswith("setting exchange_options: ccxt refuses them (")
    assert "s3cret" not in str(refused.value)


def test_the_source_has_name_and_notes_and_a_list_of_markets_of_its_own(tmp_path: Path) -> None:
    options = replace(source_options(tmp_path, "ccxt"), exchange_options=LOCAL)
    source = from_options(options)
    assert ("unverified kraken", False, True) == (source.name, source.real, source.live)
    assert tmp_path / "markets" / "unverified-kraken.json" == source._cache
    trusted = from_options(replace(options, exchange_trusted_hosts=("127.0.0.1",)))
    assert ("kraken", True, tmp_path / "markets" / "kraken.json") == (trusted.name, trusted.real, trusted._cache)


def test_an_exchange_that_does_not_exist_is_said_before_its_addresses(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ccxt knows no such exchange"):
        from_options(replace(source_options(tmp_path, "ccxt"), exchange="krakn", exchange_options=LOCAL))
    with pytest.raises(SettingsError, match="only public data is used"):
        ExchangePrices("kraken", StandingClock(), cache=None, access=Access({**LOCAL, "apiKey": "s3cret"}))


@pytest.mark.parametrize("host", ["http://h", "h/path", "user@h", "h:port", "", "h h"])
def test_a_trusted_host_is_a_host(host: str) -> None:
    if host:
        with pytest.raises(SettingsError, match=r"exchange_trusted_hosts = .*: must be hosts, perhaps with a port"):
            Settings.isolated(exchange_trusted_hosts=[host])
    assert ("a.example", "[::1]:80") == Settings.isolated(
        exchange_trusted_hosts="A.example, [::1]:80"
    ).exchange_trusted_hosts


def _facts(exchange: str, options: dict[str, Any], hosts: set[str] | None = None) -> tuple[str, bool, tuple[str, ...]]:
    origin = provenance(exchange, Access(options, frozenset(hosts or ())))
    return origin.name, origin.real, origin.notes
