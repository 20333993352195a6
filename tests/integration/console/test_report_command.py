"""``run.py report`` as people and programs read it, in a terminal, in a pipe and as JSON; and how it refuses."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.cli import main
from console.report.json_document import KEYS
from persistence import schema
from persistence.connections import engine_for
from persistence.stores import portfolios
from tests.support.database.reports import report_now
from tests.support.database.servers import Server
from tests.support.system.histories import CAPITAL, MIDNIGHT, NOW
from tests.support.system.program import environment
from tests.support.system.report_databases import BEGUN, Sold, sell, value
from tests.support.system.terminal import Screen

pytestmark = pytest.mark.clock


@pytest.fixture(scope="module")
def url(sixty_days: str, as_of_then: None) -> str:
    return sixty_days


@pytest.fixture(scope="module")
def sold(embedded_server: Server, as_of_then: None) -> Iterator[str]:
    """One deal at simulated prices, and portfolios beside it in which nothing happened."""
    made = embedded_server.create_database()
    schema.upgrade(made)
    sell(made, Sold("one", "100", "110", strategy="trend"))
    value(made, "one", BEGUN + timedelta(hours=2), "1008")
    for number in range(10):
        portfolios.create(made, f"a{number}", {"initial_capital": 5})
    yield made
    embedded_server.drop_database(made)


def report_output(capsys: pytest.CaptureFixture[str], url: str, *words: str) -> str:
    """Return what the command prints on stdout; check that it exits with 0 and prints nothing on stderr."""
    assert main(["report", *words, "--database-url", url]) == 0, capsys.readouterr().err
    output = capsys.readouterr()
    assert output.err == ""
    return output.out


def document(capsys: pytest.CaptureFixture[str], url: str, *words: str) -> Any:
    return json.loads(report_output(capsys, url, "--json", *words))


def refused(capsys: pytest.CaptureFixture[str], url: str, *words: str) -> str:
    assert main(["report", *words, "--database-url", url]) == 2
    output = capsys.readouterr()
    assert (output.out, 1) == ("", len(output.err.splitlines()))
    return output.err.removeprefix("run.py: ").strip()


def test_in_a_pipe_it_is_plain_text_of_a_hundred_columns(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = report_output(capsys, url)
    assert "\x1b" not in text
    assert 100 == max(map(len, text.splitlines()))
    assert [] == [line for line in text.splitlines() if line != line.rstrip()]
    heads = re.findall(r"^Portfolio (\w+) ", text, re.MULTILINE)
    assert ["default", "shares", "losers"] == heads
    # A portfolio without trades is one sentence at the end.
    assert re.search(r"^empty: value 10,000\.00 USDT; from .* nothing was decided,\n", text, re.MULTILINE)
    losers = text[text.index("Portfolio losers") :]
    assert re.search(r"^Win rate +0\.00 %|Win rate +0\.00 %$", losers, re.MULTILINE)
    # The reason for missing figures appears once.
    missing = re.findall(r"\d+ of\s+at\s+least 10 daily returns$", losers, re.MULTILINE)
    assert 1 == len(re.findall(r"^– Annual return, .*$", losers, re.MULTILINE))
    assert missing


def test_simulated_prices_are_marked_at_the_top_and_empty_portfolios_do_not_hide_the_others(
    sold: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = report_output(capsys, sold).splitlines()
    assert lines[0].startswith("Portfolio one ")
    assert "simulated prices: results prove nothing about real markets" == lines[2]
    assert lines[3].startswith("Value 1,008.00 USDT  +8.00 (+0.80 %)  from 1,000.00")
    empty = [line for line in lines if re.match(r"a\d: ", line)]
    assert 10 == len(empty)
    assert [f"a{number}" for number in range(10)] == [line[:2] for line in empty]
    assert lines.index(empty[0]) > lines.index("Validation")


def test_the_report_of_one_round_trip_has_every_number(sold: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(report_output(capsys, sold, "--portfolio", "one").split())
    for words in (
        "1 round trip: their number × the expectancy +8.00", "Net result of all closings +8.00",
        "Result: change of the value +8.00",
        "holding BTC/USDT: not known: no price of BTC/USDT is stored", "confidence 0.9 to 1.0 alone",
        "hour (UTC) 12:00 alone",
        "Net result +8.00", "Gross result +10.00", "Round trips 1", "Wins 1", "Losses 0", "Win rate 100.00 %",
        "Average win +8.00", "Average loss –", "Profit factor –", "Traded value 210.00", "Average holding time 1 h",
        "– Average loss, Profit factor: no losing round trip yet", "Gross before costs +11.00",
        "Commission 2.00 0.9524 % 18.18 %", "Slippage 1.00 0.4762 % 9.09 %", "Total 3.00 1.4286 % 27.27 %",
        "received 2 100.0%", "filled 2 100.0%", "symbol BTC/USDT alone", "strategy trend alone", "Open positions none",
        "Operational: failed", "Statistical: not yet", "? round trips at least 20 1", "Not ready: ",
    ):  # fmt: skip
        assert words in text, words


@pytest.mark.parametrize(("columns", "side_by_side"), [(80, False), (120, True)])
def test_in_a_terminal(url: str, tmp_path: Path, columns: int, side_by_side: bool) -> None:
    # pytest-xdist passes its own width to its workers.
    env = {name: kept for name, kept in environment(tmp_path, database_url=url).items() if name != "COLUMNS"}
    words = "report", "--portfolio", "default", "--to", f"{NOW:%Y-%m-%dT%H:%M}"
    with Screen(*words, env=env, columns=columns, lines=300) as screen:
        assert screen.ended() == 0
        lines = screen.lines
    assert b"\x1b[" in screen.raw
    text = "\n".join(lines)
    assert lines[1] == "━" * columns
    assert side_by_side == any("Last days" in line and "Net results of" in line for line in lines)
    for heading in ("Value", "Drawdown", "Figures", "Months", "Last days", "Results by group", "Costs"):
        assert any(line.startswith(heading) for line in lines), heading
    # The curve has its highest and lowest value and its first and last day beside it.
    chart = lines[lines.index("Value") + 1 : lines.index("Drawdown")]
    assert re.match(r" *[\d,]+\.\d\d ┤", chart[0])
    assert re.search(r"[⠁-⣿]", "".join(chart))
    assert re.search(r"^ +\d{4}-\d\d-\d\d +\d{4}-\d\d-\d\d$", text, re.MULTILINE)
    # No number is cut.
    assert "…" not in re.sub(r" +…$", "", text, flags=re.MULTILINE)


def test_json_has_everything(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    end = MIDNIGHT - timedelta(days=10)
    result = document(capsys, url, "--portfolio", "default", "--to", f"{end:%Y-%m-%dT%H:%M}")
    (mine,) = result["portfolios"]
    engine = engine_for(url, "reader")
    report = report_now(engine, "default", until=end)
    engine.dispose()
    assert {*(KEYS.get(name, name) for name in report.__dataclass_fields__), "gate"} == mine.keys()
    assert report.until.isoformat() == mine["until"]
    amounts = [report.opening, report.closing, report.trade_stats.net_pnl, report.trade_stats.traded]
    results = mine["results"]
    assert amounts == [
        Decimal(one) for one in (mine["opening"], mine["closing"], results["net_pnl"], results["traded"])
    ]
    assert [point.value for point in report.curve] == [Decimal(point["value"]) for point in mine["curve"]]
    assert [point.drawdown for point in report.curve] == [Decimal(point["drawdown"]) for point in mine["curve"]]
    assert [trip.net for trip in report.round_trips] == [Decimal(trip["net"]) for trip in mine["trips"]]
    assert [day.start.isoformat() for day in report.days] == [day["start"] for day in mine["days"]]
    assert report.performance is not None
    sharpe = report.performance.sharpe_ratio
    assert (sharpe.value, None) == (
        Decimal(mine["performance"]["sharpe_ratio"]["value"]), mine["performance"]["sharpe_ratio"]["reason"],
    )  # fmt: skip
    closes = report.performance.returns
    assert list(closes.values) == [Decimal(day["return"]) for day in mine["performance"]["returns"]["days"]]
    assert {"symbol", "strategy", "asset_class", "day", "side", "confidence", "hour"} == mine["by"].keys()
    assert mine["by"].keys() - {"day"} == mine["curves"].keys()
    trends = mine["curves"]["strategy"]["trend"]
    assert Decimal(mine["by"]["strategy"]["trend"]["net_pnl"]) == Decimal(trends[-1]["net"])
    last = mine["trips"][-1]
    assert {"decision_id", "confidence", "reasoning", "exit_decision_id", "exit_by", "exit_reasoning"} < last.keys()
    assert "decision" == last["exit_by"]
    assert ["traded symbols, equal weights", "BTC/USDT", "ETH/USDT"] == [one["name"] for one in mine["benchmarks"]]
    assert "no price of BTC/USDT is stored" == mine["benchmarks"][1]["change"]["reason"]
    assert "failed" == mine["gate"]["operational"]


def test_a_strategy_in_json_has_no_value_of_its_own(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    reported_portfolios = document(capsys, url, "--strategy", "trend")["portfolios"]
    assert {"default", "shares", "losers"} == {portfolio["portfolio"] for portfolio in reported_portfolios}
    assert [None] * 3 == [portfolio["performance"] for portfolio in reported_portfolios]


def test_days_are_whole_and_moments_are_utc(sold: str, capsys: pytest.CaptureFixture[str]) -> None:
    def trips(*words: str) -> int:
        return len(document(capsys, sold, "--portfolio", "one", *words)["portfolios"][0]["trips"])

    assert (1, 1, 0, 0) == (
        trips("--from", "2026-01-10", "--to", "2026-01-10"),
        trips("--from", "2026-01-10T13:00+00:00", "--to", "2026-01-10T14:00:01+01:00"),
        trips("--to", "2026-01-10T13:00"),
        trips("--from", "2026-01-11"),
    )


WRONG = {
    "--portfolio onee": "there is no portfolio 'onee'; did you mean one?",
    "--portfolio nobody": "there is no portfolio 'nobody'; `run.py portfolio list` shows those that exist",
    "--strategy tredn": "there is no strategy 'tredn'; did you mean trend?",
    "--strategy x --portfolio one": "there is no strategy 'x' in portfolio one; known: trend",
    "--from soon": "--from 'soon': must be a day such as 2026-01-31, or a time such as 2026-01-31T12:00 (UTC)",
    "--to 2026-02-30": "--to '2026-02-30': must be a day such as 2026-01-31, or a time",
    "--from 0000-01-01": "--from '0000-01-01': must be a day such as",
    "--from 0044-03-15": "--from '0044-03-15': must be from 1970 to 2999",
    "--to 9999-12-31": "--to '9999-12-31': must be from 1970 to 2999",
    "--to 9998-12-31": "--to '9998-12-31': must be from 1970 to 2999",
    "--from 2900-01-01": "--from 2900-01-01 is in the future; a report covers the past",
    "--from 2026-02-01 --to 2026-01-31": "--from 2026-02-01 must be before --to 2026-01-31",
    "--portfolio one --to 1999-12-31": "the period ends before portfolio one began; omit --to, or choose",
    "--to 1999-12-31": "the period ends before every requested portfolio began",
    "--force": "--force applies to --csv only",
    "--csv {folder}/new --strategy trend": "--csv writes complete portfolios",
    "--csv {folder}/file": "--csv {folder}/file is a file; name a folder",
    "--csv {folder}/no/new": "--csv {folder}/no/new: there is no folder {folder}/no; create it first",
    "--csv {folder}": "--csv {folder} holds trades.csv already; choose another folder or use --force",
    "--html {folder}": "--html {folder} is a folder; name a file, such as {folder}/report.html",
    "--html -": "--html -: the page cannot go to stdout; name a file, such as report.html",
    "--benchmark=": "--benchmark is empty: name a symbol, such as BTC/USDT",
    "--benchmark BTC/USDT --strategy trend": "--benchmark compares the value of a portfolio, and a strategy has none",
    "--html=": "--html is empty: name a file",
    "--csv=": "--csv is empty: name a folder",
    "--html {folder}/no/page.html": "--html {folder}/no/page.html: there is no folder {folder}/no; create it first",
}


@pytest.mark.parametrize(("words", "sentence"), WRONG.items())
def test_wrong_usage_is_one_sentence(
    sold: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, sentence: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "trades.csv").touch()
    message = refused(capsys, sold, *words.format(folder=tmp_path).split())
    assert message.startswith(sentence.format(folder=tmp_path))
    assert {"file", "trades.csv"} == {path.name for path in tmp_path.iterdir()}


def test_with_no_portfolio_there_is_nothing_to_report(
    embedded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema.upgrade(embedded_url)
    assert "No portfolios yet; the first start of the service creates the portfolio default.\n" == report_output(
        capsys, embedded_url
    )
    assert [] == document(capsys, embedded_url)["portfolios"]
    assert "there is no portfolio to report" in refused(capsys, embedded_url, "--html", str(tmp_path / "page.html"))


def test_a_page_is_written_whole_or_not_at_all(sold: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "page.html"
    file.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))  # a full disk
    try:
        assert main(["report", "--html", str(file), "--database-url", sold]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f"run.py: cannot write {file}: File too large\n" == capsys.readouterr().err
    assert ("old", [file]) == (file.read_text(), list(tmp_path.iterdir()))
    output = report_output(capsys, sold, "--html", str(file))
    assert re.fullmatch(rf"{re.escape(str(file))}: [\d.]+ (kB|MB)\n", output)
    assert "</html>" in file.read_text()
    assert [file] == list(tmp_path.iterdir())
    written = document(capsys, sold, "--html", str(file))["written"]
    assert [{"file": str(file), "bytes": file.stat().st_size}] == written


def test_open_writes_the_page_and_opens_it(
    sold: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or len(opened) < 3)
    monkeypatch.setenv("PAPER_HOME", str(tmp_path / "home"))
    page = tmp_path / "home" / "report.html"
    assert report_output(capsys, sold, "--open").startswith(f"{page}: ")
    assert "</html>" in page.read_text()
    other = tmp_path / "other.html"
    assert document(capsys, sold, "--open", "--html", str(other))["opened"] is True
    assert [page.as_uri(), other.as_uri()] == opened
    # Where there is no browser, the page is written all the same.
    assert main(["report", "--open", "--json", "--database-url", sold]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["opened"] is False
    assert f"cannot open a browser here (BROWSER can name one): open {page} yourself\n" == output.err


def test_it_reads_and_changes_nothing(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    def state() -> list[Any]:
        with psycopg.connect(url) as connection:
            return connection.execute(
                "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables ORDER BY 1"
            ).fetchall()

    before = state()
    report_output(capsys, url)
    assert before == state()
    assert set(CAPITAL) == {portfolio["portfolio"] for portfolio in document(capsys, url)["portfolios"]}
