"""Every command, as people and scripts use it: exit codes, documents, sentences."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from console.cli import COMMANDS
from persistence.embedded.server import running
from tests.support.system.program import ROOT, Ended, Program, environment, run, run_all, until

SECRET = "s3cret-word"


@pytest.fixture
def env(embedded_url: str, tmp_path: Path) -> dict[str, str]:
    """An empty database that nothing serves."""
    return environment(tmp_path, prices="simulated", database_url=embedded_url)


@pytest.fixture
def served(env: dict[str, str]) -> Iterator[dict[str, str]]:
    """The same, with a service on it."""
    with Program("start", env=env) as service:
        service.wait_for()
        yield env
        assert service.stop().code == 0


def refused(ended: Ended, code: int) -> str:
    assert ended.code == code, ended.err + ended.out
    lines = ended.err.strip().splitlines()
    assert len(lines) == 1, ended.err
    assert "Traceback" not in ended.err
    return lines[0]


def test_help_names_every_command_and_is_there_at_once(tmp_path: Path) -> None:
    ended = run("--help", env=environment(tmp_path))
    assert ended.code == 0
    assert all(f"\n  {name} " in ended.out for name in COMMANDS)
    assert "Exit codes" in ended.out
    loaded = "import sys; from console.cli import main; main(['--help']); print(sorted(sys.modules))"
    modules = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert "'typer'" in modules.stdout
    for heavy in ("sqlalchemy", "alembic", "ccxt", "pykka", "pydantic_settings"):
        assert f"'{heavy}'" not in modules.stdout


@pytest.mark.parametrize(
    "name",
    [
        *COMMANDS, "portfolio create", "portfolio set", "portfolio list",
        "portfolio deposit", "portfolio withdraw", "portfolio adjust", "portfolio events", "db url", "db backup",
        "validate show", "validate start", "validate stop", "validate list", "history download", "history import",
        "history list", "history check", "history export", "history remove",
    ],
)  # fmt: skip
def test_each_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from console.cli import main  # noqa: PLC0415

    assert main([*name.split(), "--help"]) == 0
    help_text = capsys.readouterr().out
    assert name in help_text
    assert "\\b" not in help_text
    if name != "db":
        assert "--json" in help_text or name in {"portfolio", "validate", "history", "psql", "agent"}


@pytest.mark.parametrize(
    "words",
    [
        "halt", "resume now", "history", "history import", "history export BTC/USDT",
        "console now", "report extra", "validate stop", "validate --nonsense", "nonsense",
        "start extra", "start --nonsense",
        "decide BUY BTC/USDT", "decide BUY", "orders --limit 0", "orders --limit many", "db", "db nonsense",
        "db backup", "db restore",
        "portfolio nonsense", "portfolio create x", "demo --seconds soon",
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_with_a_hint(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    from console.cli import main  # noqa: PLC0415

    assert main(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("run.py: ")
    assert "--help" in captured.err


def test_the_error_for_a_wrong_command_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    from console.cli import main  # noqa: PLC0415

    assert main(["statsu"]) == 2
    message = "run.py: No such command 'statsu'. Did you mean 'status', 'start'? See run.py --help\n"
    assert message == capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--exchange binance --prices simulated", "--exchange binance applies to prices = ccxt only"),
        ("--seed 7 --prices ccxt", "--seed 7 applies to prices = simulated only, but prices is ccxt"),
        ("--from 2025-01-01 --prices ccxt", "--from 2025-01-01 applies to recorded prices only, but prices is ccxt"),
        ("--to 2025 --prices simulated", "setting price_to = '2025': must be a date or a time such as"),
        ("--price-speed max --prices simulated", "price_speed = max is for recorded prices"),
        ("--max-age 7d --prices simulated", "--max-age 7d applies to --include-backlog only"),
        ("--include-backlog --max-age soon --prices simulated", "--max-age 'soon': must be a duration such as 30m"),
    ],
)
def test_an_option_without_effect_is_refused(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    from console.cli import main  # noqa: PLC0415

    assert main(["start", *words.split()]) == 2
    assert message in capsys.readouterr().err


def test_with_json_an_error_is_a_document_too(tmp_path: Path) -> None:
    ended = run("decide", "LONG", "BTC/USDT", "--confidence", "0.5", "--json", env=environment(tmp_path))
    assert ended.code == 2
    assert ended.json == {
        "error": "decision = 'LONG': must be BUY, SELL, HOLD, CANCEL, AMEND or PROTECT",
        "code": "invalid_decision",
        "exit_code": 2,
    }
    assert "must be BUY, SELL, HOLD, CANCEL, AMEND or PROTECT" in ended.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("BUY", "BTC/USDT", "--confidence", "1.5"), "confidence = '1.5'"),
        (("BUY", "BTC/USDT", "--confidence", "NaN"), "confidence = 'NaN': must be a finite number"),
        (("BUY", "BTC/USDT", "--confidence", "-1"), "confidence = '-1'"),
        (("BUY", "BTC/USDT", "--confidence", "sure"), "must be a decimal number such as 0.75"),
        (("BUY", " ", "--confidence", "0.8"), "symbol"),
        (("LONG", "BTC/USDT", "--confidence", "0.8"), "must be BUY, SELL, HOLD, CANCEL, AMEND or PROTECT"),
        (("BUY", "BTC/USDT", "--confidence", "0.8", "--quantity", "0"), "quantity = '0'"),
        (("BUY", "BTC/USDT", "--confidence", "0.8", "--quantity", "-1"), "quantity = '-1'"),
        (("BUY", "BTC/USDT", "--confidence", "0.8", "--quantity", "NaN"), "quantity = 'NaN'"),
        (("BUY", "BTC/USDT", "--confidence", "0.8", "--risk-score", "2"), "risk_score = '2'"),
        (("BUY", "BTC/USDT", "--confidence", "0.8", "--expires-at", "soon"), "expires_at = 'soon'"),
        (("BUY", "BTC/USDT", "--confidence", "0.8", "--expires-at", "2030-01-01T00:00:00"), "expires_at"),
    ],
)
def test_an_invalid_decision_is_refused(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from console.cli import main  # noqa: PLC0415

    assert main(["decide", *words, "--home", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []  # refused before any database is opened


def test_without_a_running_service_a_decision_is_queued(env: dict[str, str]) -> None:
    ended = run("decide", "buy", "btc-usdt", "--confidence", "0.75", env=env)
    assert (ended.code, ended.out) == (0, "decision 1 queued; the service is not running: BUY btc-usdt\n")
    waiting = run("decide", "BUY", "BTC/USDT", "--confidence", "0.75", "--wait", env=env)
    assert "decision 2 is queued, but the service is not running" in refused(waiting, 3)
    status = run("status", "--json", env=env)
    assert status.code == 3
    assert status.json["running"] is False
    assert status.json["waiting"] == 2
    assert "run.py status" not in status.err


def test_decisions_get_their_outcomes(served: dict[str, str], embedded_url: str) -> None:
    first, second = (
        run("decide", *words.split(), env=served)
        for words in (
            "BUY BTC/USDT --confidence 0.75 --reasoning momentum",
            "BUY ETH/USDT --confidence 0.8 --idempotency-key k1 --strategy s --wait",
        )
    )
    assert (first.code, first.out) == (0, "decision 1 accepted: BUY BTC/USDT\n")
    assert second.out.startswith("decision 2 accepted: BUY ETH/USDT\nexecuted: bought ")
    again, nothing, unknown, elsewhere, part = run_all(
        "decide BUY ETH/USDT --confidence 0.8 --idempotency-key k1 --strategy s --json",
        "decide SELL XRP/USDT --confidence 0.8 --wait --json",
        """decide BUY "'; DROP TABLE paper_orders; --" --confidence 0.8 --wait""",
        "decide BUY BTC/USDT --confidence 0.8 --portfolio nowhere --wait",
        "decide SELL ETH/USDT --confidence 0.9 --quantity 0.1 --wait --json",
        env=served,
    )
    assert again.code == 0, again.err
    assert [ended.code for ended in (again, nothing, unknown, elsewhere, part)] == [0, 0, 0, 2, 0]
    assert (again.json["decision_id"], again.json["sent_before"], again.json["outcome"]) == (2, True, "executed")
    assert nothing.json["outcome"] == "rejected"
    assert nothing.json["reason"].startswith("nothing held")
    assert "rejected: unknown symbol" in unknown.out
    assert "run.py: there is no portfolio 'nowhere'; `run.py portfolio list`" in elsewhere.err
    assert part.json["outcome"] == "executed"

    positions, orders, trades, decisions, status, listed, traded, report = run_all(
        "positions --json", "orders --limit 1 --json", "trades --json", "decisions", "status", "positions", "trades",
        "report",
        env=served,
    )  # fmt: skip
    assert {row["symbol"] for row in positions.json["positions"]} == {"BTC/USDT", "ETH/USDT"}
    amounts = [row[name] for row in positions.json["positions"] for name in ("quantity", "cost", "position_value")]
    assert all(isinstance(amount, str) for amount in amounts)
    assert [row["side"] for row in orders.json["orders"]] == ["SELL"]
    assert orders.json["price_sources"] == ["simulated"]
    (trade,) = trades.json["trades"]
    assert trade["quantity"] == "0.1"
    assert trade["exit_time"].endswith("+00:00")
    assert "unknown symbol" in decisions.out
    assert "received 5 100.0%" in " ".join(report.out.split())
    for ended in (listed, traded, report):
        assert "simulated prices: results prove nothing about real markets" in ended.out
    assert status.code == 0
    assert "books      balance" in status.out
    assert "3 executed, 2 rejected" in status.out
    with psycopg.connect(embedded_url) as connection:
        assert connection.execute("SELECT count(*) FROM trading_decisions").fetchone() == (5,)


@pytest.mark.slow
def test_portfolios(env: dict[str, str]) -> None:
    assert "No portfolios yet" in run("portfolio", env=env).out
    created = run("portfolio", "create", "europe", "--capital", "5000.50", "--currency", "eur", env=env)
    assert (created.code, created.out) == (0, "portfolio europe created: 5,000.50 EUR\n")
    wrong = {
        "portfolio create europe --capital 1000": "portfolio 'europe' exists already",
        "portfolio create broke --capital -1": "initial_capital must be above 0",
        "portfolio create small --capital 999.99": "would be 1 USDT, more than 0.1 % of the capital, 999.99",
        "portfolio create b --capital much": "initial_capital = 'much': must be a decimal number",
        "portfolio set europe --max-position-size 3": "max_position_size must be a fraction above 0, at most 1",
        "portfolio set asia --min-notional 1": "there is no portfolio 'asia'",
        "portfolio set europe": "at least one rule",
        "portfolio set europe --price-rule ask": "price_rule = 'ask': must be quote or last",
        "portfolio set europe --max-touch-share 2": "max_touch_share must be a fraction from 0 to 1",
        "portfolio set europe --fill-on-touch maybe": "fill_on_touch = 'maybe': must be yes or no",
        "portfolio set europe --fees mine": "fees = 'mine': must be own or venue",
        "portfolio set europe --max-bar-share 0": "max_bar_share must be a fraction above 0, at most 1",
    }
    for message, ended in zip(wrong.values(), run_all(*wrong, env=env), strict=True):
        assert message in refused(ended, 2)
    changed = run("portfolio", "set", "europe", "--max-position-size", "0.1", "--json", env=env)
    assert changed.json["portfolio"]["max_position_size"] == "0.1"
    assert changed.json["portfolio"]["revision"] == 2
    changed = run("portfolio", "set", "europe", "--price-rule", "last", "--max-touch-share", "0.5", env=env)
    assert changed.out == "portfolio europe: price_rule last, max_touch_share 0.5 (revision 3)\n"
    changed = run("portfolio", "set", "europe", "--fill-on-touch", "yes", "--max-bar-share", "0.2", env=env)
    assert changed.out == "portfolio europe: fill_on_touch yes, max_bar_share 0.2 (revision 4)\n"
    assert (
        "portfolio europe: fees venue (revision 5)\n"
        == run("portfolio", "set", "europe", "--fees", "venue", env=env).out
    )
    (row,) = run("portfolio", "list", "--json", env=env).json["portfolios"]
    assert "venue" == row["fees"]
    assert (row["portfolio"], row["currency"], row["cash"]) == ("europe", "EUR", "5000.5")
    assert (row["price_rule"], row["max_touch_share"]) == ("last", "0.5")
    assert "price rule" in " ".join(run("portfolio", "list", env=env).out.split())
    created = run("portfolio", "create", "tokyo", "--capital", "1500000.5", "--currency", "JPY", env=env)
    assert (created.code, created.out) == (0, "portfolio tokyo created: 1,500,001 JPY\n")


def test_the_database_is_upgraded_once(env: dict[str, str], embedded_url: str) -> None:
    first = run("db", "upgrade", "--json", env=env)
    assert first.code == 0, first.err
    again = run("db", "upgrade", "--json", env=env)
    assert again.json == first.json
    url = run("db", "url", env=env).out.strip()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM trading_decisions").fetchone() == (0,)
    assert "has never run on this database" in run("status", env=env).out


@pytest.mark.slow
def test_check_shows_the_settings_and_no_secret(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "paper.toml").write_text('max_position_size = "0.1"')
    checked = run("check", "--offline", "--json", "--log-level", "WARNING", env=env, cwd=tmp_path)
    assert checked.code == 0, checked.err
    settings = checked.json["settings"]
    assert settings["database_url"] == {"value": "********", "from": "PAPER_DATABASE_URL"}
    assert settings["max_position_size"] == {"value": "0.1", "from": "paper.toml"}
    assert settings["log_level"] == {"value": "WARNING", "from": "option"}
    assert settings["min_commission"] == {"value": "1", "from": "default"}
    unreachable = env | {"PAPER_DATABASE_URL": f"postgresql://u:{SECRET}@127.0.0.1:1/d"}
    failed = run("check", env=unreachable, cwd=tmp_path)
    assert "refused" in refused(failed, 1)
    assert "max_position_size" in failed.out
    assert SECRET not in failed.out + failed.err


@pytest.mark.slow
def test_check_and_status_show_what_the_bars_of_a_file_are(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "BTC-USDT.csv"
    path.write_text("time,close\n0,100\n60,101\n61,102\n120,103\n180,104\n")
    sentence = (
        "BTC/USDT: 5 bars of 1 m, 1970-01-01 00:00:00 to 1970-01-01 00:04:00, 2 bars of another length: rows 3 and 4"
        " (BTC-USDT.csv, read as bars; BTC/USDT: time from 'time', close from 'close'; symbol BTC/USDT from the file's"
        " name)"
    )
    env = env | {"PAPER_PRICES": str(path)}
    assert f"prices     {sentence}\n" in run("check", env=env).out
    checked = run("check", "--json", env=env).json["prices"]
    assert {"source": "file", "real": False, "notes": [sentence], "unreachable": None} == checked
    with Program("start", env=env) as service:
        service.wait_for()
        until(lambda: f"source     {sentence}\n" in run("status", env=env).out, "the PriceTracker is not busy")
        assert f"price file {path}: {sentence}" in service.printed()
        assert service.stop().code == 0


def test_db_url_prints_the_password(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://u:{SECRET}@h:5433/d"
    ended = run("db", "url", "--log-level", "DEBUG", env=environment(tmp_path, database_url=url))
    assert ended.out == f"postgresql://u:{SECRET}@h:5433/d\n"
    assert SECRET not in ended.err


def test_status_creates_no_home(tmp_path: Path) -> None:
    ended = run("status", env=environment(tmp_path / "home"))
    assert "has no database" in refused(ended, 3)
    assert not (tmp_path / "home").exists()


def test_a_command_starts_the_embedded_database_and_stops_it(tmp_path: Path) -> None:
    env = environment(tmp_path / "home")
    ended = run("decide", "HOLD", "BTC/USDT", "--confidence", "1", env=env)
    assert (ended.code, ended.out) == (0, "decision 1 queued; the service is not running: HOLD BTC/USDT\n")
    assert not running(tmp_path / "home")
    assert "embedded, in" in run("status", env=env).out
    assert "No portfolios yet" in run("report", env=env).out
    assert not running(tmp_path / "home")


def test_a_closed_pipe_on_stdout_is_no_error(env: dict[str, str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, "run.py", "check", "--offline"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=env,
        cwd=ROOT,
        check=False,
        timeout=60,
    )
    os.close(writer)
    assert b"Traceback" not in process.stderr
    assert b"BrokenPipe" not in process.stderr


@pytest.mark.slow
def test_a_terminal_gets_styles_but_no_colour_with_no_color(env: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        with os.fdopen(theirs, "wb") as terminal:
            words = [sys.executable, "run.py", "check", "--offline", "--log-level", "DEBUG"]
            look = {**env, "TERM": "xterm", "NO_COLOR": "1"}
            subprocess.run(words, stdout=terminal, stderr=terminal, env=look, cwd=ROOT, check=True, timeout=60)
        output = screen.read(65536)
    assert b"\x1b[1m" in output
    assert b"\x1b[3" not in output
