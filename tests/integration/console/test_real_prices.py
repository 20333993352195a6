"""Whether prices are real: a source that is handed in says so, under any name, and each interface marks results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from actors import Decision, TradingSystem
from actors.runtime.timer import SystemClock
from console.cli import main
from tests.support.database.servers import Server
from tests.support.exchange.fixed_price_source import FixedPriceSource
from tests.support.system.running_system import PRICES, isolated_settings, until

WARNING = "mine prices: results prove nothing about real markets"
NOT_RUNNING, NOT_READY = 3, 4


class OwnSource(FixedPriceSource):
    """A source of a user's own, under a name that the program does not know."""

    name = "mine"

    def __init__(self, *, real: bool) -> None:
        super().__init__(PRICES, SystemClock(), 0.1)
        self.real = real


@pytest.fixture(scope="module", params=[False, True], ids=["not real", "real"])
def served(request: pytest.FixtureRequest, embedded_server: Server) -> Iterator[tuple[str, bool]]:
    """Return a database that a process served at prices of its own, with one position; and whether they are real."""
    url = embedded_server.create_database()
    with TradingSystem.start(isolated_settings(url), source=OwnSource(real=request.param)) as system:
        bought = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence="0.9"))
        assert "executed" == bought.get(timeout=30).status
        until(lambda: bool(system.ledger_reader.rows("SELECT FROM market_prices WHERE symbol = 'BTC/USDT'")))
    yield url, request.param
    embedded_server.drop_database(url)


@pytest.fixture
def printed(served: tuple[str, bool], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Return what a command prints on stdout for that database, whose service has stopped."""

    def run(*words: str, code: int = 0) -> str:
        assert code == main([*words, "--database-url", served[0], "--home", str(tmp_path)])
        return capsys.readouterr().out

    return run


def sources(*, real: bool) -> dict[str, list[str]]:
    return {"price_sources": ["mine"], "price_sources_not_real": [] if real else ["mine"]}


def of_sources(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key.startswith("price_sources")}


def test_each_fill_stores_it(served: tuple[str, bool]) -> None:
    url, real = served
    with psycopg.connect(url) as connection:
        assert [("mine", real)] == connection.execute("SELECT price_source, real_prices FROM paper_fills").fetchall()


def test_the_report_marks_them_in_the_terminal_on_the_page_and_as_json(
    served: tuple[str, bool], printed: Callable[..., str], tmp_path: Path
) -> None:
    _, real = served
    assert real is (WARNING not in printed("report"))
    page = tmp_path / "report.html"
    printed("report", "--html", str(page))
    assert real is ("results prove nothing about real markets" not in page.read_text(encoding="utf-8"))
    (document,) = json.loads(printed("report", "--json"))["portfolios"]
    assert sources(real=real) == of_sources(document)
    assert real is document["gate"]["real_prices"]


def test_status_and_lists_mark_them(served: tuple[str, bool], printed: Callable[..., str]) -> None:
    _, real = served
    assert real is (WARNING not in printed("status", code=NOT_RUNNING))
    assert sources(real=real) == of_sources(json.loads(printed("status", "--json", code=NOT_RUNNING)))
    for words in (["positions"], ["orders"], ["portfolio", "list"]):
        assert real is (WARNING not in printed(*words))
        assert sources(real=real) == of_sources(json.loads(printed(*words, "--json")))


def test_top_marks_them(served: tuple[str, bool], printed: Callable[..., str]) -> None:
    _, real = served
    assert real is (WARNING not in printed("top", code=NOT_RUNNING))
    document = json.loads(printed("top", "--json", code=NOT_RUNNING))
    assert ([] if real else ["mine"]) == document["price_sources_not_real"]
    assert {real} == {row["real_prices"] for row in document["prices"]}


def test_validation_marks_them(served: tuple[str, bool], printed: Callable[..., str]) -> None:
    _, real = served
    assert real is (WARNING not in printed("validate", code=NOT_READY))
    (verdict,) = json.loads(printed("validate", "--json", code=NOT_READY))["portfolios"]
    assert (["mine"], real) == (verdict["price_sources"], verdict["real_prices"])


def test_a_fill_of_an_earlier_version_is_judged_by_its_sources_name(embedded_server: Server) -> None:
    url = embedded_server.create_database()
    with TradingSystem.start(isolated_settings(url), source=OwnSource(real=True)) as system:
        bought = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence="0.9"))
        assert "executed" == bought.get(timeout=30).status
    judged = {}
    with psycopg.connect(url) as connection:
        connection.execute("SET paper.writer = 'PositionKeeper'")
        for name in ("simulated", "file", "kraken"):
            connection.execute("UPDATE paper_fills SET price_source = %s, real_prices = NULL", [name])
            judged[name] = connection.execute("SELECT real_prices FROM v_paper_fill_sources").fetchall()
    assert {"simulated": [(False,)], "file": [(False,)], "kraken": [(True,)]} == judged
    embedded_server.drop_database(url)
