"""``run.py backtest``: prices from files and from the history, the outputs, and one sentence for each mistake."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.cli import main

ROOT = Path(__file__).parents[4]
Run = Callable[..., tuple[int, str, str]]
CROSSOVER = "research.examples.crossover:MovingAverageCrossover"
FAST = ("--param", "fast=2", "--param", "slow=4")
CLOSES = [100, 100, 100, 100, 100, 110, 110, 110, 110, 90, 90, 90, 90, 120, 120, 120]
PEEKING = """
from research.strategy import Intent, Parameters, Strategy

class Peeking(Strategy[Parameters]):
    def on_bar(self, bar, view):
        closes = view._columns.closes
        if bar.index + 1 < len(closes) and closes[bar.index + 1] > closes[bar.index]:
            return Intent.buy()
"""


def candles(closes: list[int], minutes: int = 60, skip: int | None = None) -> str:
    rows = ["timestamp,open,high,low,close,volume"]
    for index, close in enumerate(closes):
        if index != skip:
            day, rest = divmod(index * minutes, 1440)
            time = f"2025-01-{day + 1:02}T{rest // 60:02}:{rest % 60:02}:00Z"
            rows.append(f"{time},{close},{close},{close},{close},1000")
    return "\n".join(rows) + "\n"


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The working folder, with a file of prices; the program's home does not exist yet."""
    for name in [name for name in os.environ if name.upper().startswith("PAPER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PAPER_HOME", str(tmp_path / "home"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "BTCUSDT_1h.csv").write_text(candles(CLOSES))
    return folder


@pytest.fixture
def run(work: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``backtest`` with arguments; return the exit code, and what was printed on stdout and stderr."""

    def run_backtest(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["backtest", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_backtest


def document(run: Run, *arguments: str) -> dict[str, Any]:
    code, out, err = run(*arguments, "--json")
    assert 0 == code, err
    value: dict[str, Any] = json.loads(out)
    return value


def test_a_strategy_is_reported_like_a_portfolio(run: Run) -> None:
    code, out, err = run(CROSSOVER, "BTCUSDT_1h.csv", *FAST)
    assert 0 == code
    assert "Backtest: MovingAverageCrossover" in out
    assert "backtest of recorded prices: results prove nothing about real markets" in out
    assert "16 bars in " in err
    assert ", 3 decisions, 3 fills" in err


def test_the_document_has_the_report_and_the_run(run: Run) -> None:
    made = document(run, CROSSOVER, "BTCUSDT_1h.csv", *FAST)
    assert ("open", 16, 3, 3) == tuple(made["backtest"][name] for name in ("fill_at", "bars", "decisions", "fills"))
    (report,) = made["portfolios"]
    assert ("backtest of recorded prices", ["backtest"], None) == (
        report["origin"], report["price_sources_not_real"], report["gate"],
    )  # fmt: skip
    assert 1 == report["results"]["total_trades"]


def test_the_history_gives_the_same_as_the_file(run: Run) -> None:
    assert 0 == main(["history", "import", "BTCUSDT_1h.csv", "--exchange", "kraken"])
    by_file, stored = document(run, CROSSOVER, "BTCUSDT_1h.csv", *FAST), document(run, CROSSOVER, "--history", *FAST)
    assert by_file["portfolios"][0]["trips"]
    assert by_file["portfolios"] == stored["portfolios"]


def test_a_tape_is_executed(run: Run, work: Path) -> None:
    rows = ["created_at,symbol,decision,confidence", "2025-01-01T01:00:00Z,BTC/USDT,BUY,0.8"]
    (work / "tape.csv").write_text("\n".join(rows))
    made = document(run, "tape.csv", "BTCUSDT_1h.csv")
    assert ("tape.csv", 1) == (made["backtest"]["name"], made["backtest"]["fills"])


def test_a_part_of_the_prices_is_tested(run: Run) -> None:
    made = document(run, CROSSOVER, "BTCUSDT_1h.csv", *FAST, "--from", "2025-01-01T08:00", "--to", "2025-01-01T12:00")
    # The bars before warm it up: at 08:00 the fast average is above, so it buys at once.
    assert ("2025-01-01T08:00:00Z", "2025-01-01T12:00:00Z") == tuple(
        text.replace("+00:00", "Z") for text in (made["backtest"]["since"], made["backtest"]["until"])
    )
    assert 2 == made["backtest"]["fills"]


def test_the_page_and_the_kept_files_are_written(run: Run, work: Path) -> None:
    code, out, _ = run(CROSSOVER, "BTCUSDT_1h.csv", *FAST, "--html", "page.html", "--save", "first")
    assert 0 == code
    kept = work.parent / "home" / "backtests" / "first"
    names = ["ends.csv", "fills.csv", "report.html", "report.json", "trades.csv", "values.csv"]
    assert names == sorted(file.name for file in kept.iterdir())
    assert "page.html: " in out
    assert "Backtest of recorded prices" in (work / "page.html").read_text()
    assert json.loads((kept / "report.json").read_text())["backtest"]["fills"] == 3
    fills = (kept / "fills.csv").read_text().splitlines()
    assert 4 == len(fills)
    assert fills[0].startswith("at,decision_id,order_id,position_id,leg,fill_no,symbol,")
    assert fills[1].startswith("2025-01-01T06:00:00.000000Z,1,")
    code, _, err = run(CROSSOVER, "BTCUSDT_1h.csv", *FAST, "--save", "first")
    assert (2, True) == (code, "exists already; choose another name" in err)


def test_rules_come_from_a_file_and_else_from_the_settings(run: Run, work: Path) -> None:
    (work / "rules.toml").write_text("initial_capital = 500\nmin_commission = 0\nmax_position_size = 1\n")
    made = document(run, CROSSOVER, "BTCUSDT_1h.csv", *FAST, "--portfolio-rules", "rules.toml")
    assert "500" == made["portfolios"][0]["initial_capital"]
    usual = document(run, CROSSOVER, "BTCUSDT_1h.csv", *FAST)
    assert "10000" == usual["portfolios"][0]["initial_capital"]


def test_gaps_are_named(run: Run, work: Path) -> None:
    (work / "ETHUSDT_1h.csv").write_text(candles(CLOSES, skip=3))
    notes = document(run, CROSSOVER, "ETHUSDT_1h.csv", *FAST)["backtest"]["notes"]
    assert any("ETH/USDT: 1 gap with 1 bar missing, the first after 2025-01-01 03:00 UTC" in note for note in notes)


def test_look_ahead_is_caught(run: Run, work: Path) -> None:
    (work / "peeking.py").write_text(PEEKING)
    code, _, err = run("peeking.py", "BTCUSDT_1h.csv", "--check-lookahead")
    assert 1 == code
    assert "look-ahead: at 2025-01-01 05:00:00 UTC it decides BUY BTC/USDT" in err
    code, _, err = run(CROSSOVER, "BTCUSDT_1h.csv", *FAST, "--check-lookahead")
    assert (0, True) == (code, "no look-ahead: on histories that end earlier it decides the same" in err)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((CROSSOVER, "none.csv"), "none.csv"),
        ((CROSSOVER,), "nothing is stored yet"),
        ((CROSSOVER, "--history", "BTCUSDT_1h.csv"), "--history and 'BTCUSDT_1h.csv' are two sources of prices"),
        ((CROSSOVER, "BTCUSDT_1h.csv", "--param", "fsat=1"), "has no parameter 'fsat'; did you mean fast?"),
        ((CROSSOVER, "BTCUSDT_1h.csv", "--symbols", "ETH/USDT"), "symbols: 'ETH/USDT' is not among the prices"),
        ((CROSSOVER, "BTCUSDT_1h.csv", "--symbols", ","), "--symbols is empty"),
        ((CROSSOVER, "BTCUSDT_1h.csv", "--timeframe", "1m"), "has no bars of this length"),
        ((CROSSOVER, "BTCUSDT_1h.csv", "--timeframe", "soon"), "'soon' is no timeframe"),
        (
            (CROSSOVER, "BTCUSDT_1h.csv", "--from", "2025-02-01"),
            "2025-02-01: the prices end at 2025-01-01 16:00",
        ),
        ((CROSSOVER, "BTCUSDT_1h.csv", "--from", "2025-01-02", "--to", "2025-01-01"), "must be before --to 2025-01-01"),
        ((CROSSOVER, "BTCUSDT_1h.csv", "--fill-at", "noon"), "--fill-at 'noon': must be open or close"),
        ((CROSSOVER, "BTCUSDT_1h.csv", "--save", "../x"), "--save '../x': must be letters"),
        ((CROSSOVER, "BTCUSDT_1h.csv", "--html", ""), "--html is empty"),
        ((CROSSOVER, "BTCUSDT_1h.csv", "--portfolio-rules", "no.toml"), "portfolio rules no.toml: cannot read it"),
        (("research.examples.crossover:Crossing", "BTCUSDT_1h.csv"), "has no strategy 'Crossing'"),
        (("tape.csv", "BTCUSDT_1h.csv"), "decisions tape.csv: cannot read it"),
    ],
)
def test_a_mistake_gets_one_sentence(arguments: tuple[str, ...], sentence: str, run: Run) -> None:
    code, out, err = run(*arguments)
    assert (2, "") == (code, out)
    assert 1 == len(err.splitlines())
    assert sentence in err


def test_the_strategy_of_the_documents_is_one(run: Run, work: Path) -> None:
    text = (ROOT / "docs" / "research.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (rules,) = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (work / "dip.py").write_text(source)
    (work / "rules.toml").write_text(rules)
    (work / "ETHUSDT_1h.csv").write_text(candles([100 + index % 7 - 9 * (index % 11 == 10) for index in range(200)]))
    made = document(
        run, "dip.py:Dip", "ETHUSDT_1h.csv", "--param", "depth=0.03", "--check-lookahead",
        "--portfolio-rules", "rules.toml",
    )  # fmt: skip
    assert made["backtest"]["fills"] > 10
    assert "50000" == made["portfolios"][0]["initial_capital"]
