"""``run.py validate``: output and exit codes, on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from actors import Decision, validation_job
from console.cli import main
from domain.alarms import AlarmKind
from domain.errors import WouldEndValidation
from persistence import schema
from persistence.stores import portfolios
from tests.support.system.histories import FIRST_DAY, Deal, Moment, as_of, store
from tests.support.system.recorded_alarms import RecordedAlarms
from tests.support.system.running_system import running_system, until
from tests.support.system.validation_runs import KEEPER, begun_at, execute, process
from tests.support.values.builders import BTC

pytestmark = pytest.mark.clock

DAYS = 14
HOUR = timedelta(hours=1)
AFTER = FIRST_DAY + timedelta(days=DAYS) + HOUR
"""Time as of which the fortnight is judged."""
Validate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def validate(embedded_url: str, capsys: pytest.CaptureFixture[str]) -> Validate:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(["validate", *words, "--database-url", embedded_url])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def fortnight(embedded_url: str) -> Iterator[None]:
    """Two weeks of one portfolio that meet every criterion, by what may be luck; judged an hour after them."""
    url, since = embedded_url, FIRST_DAY
    deals: list[Deal] = []
    moments: list[Moment] = [(since - HOUR, {}, 0)]
    for day in range(DAYS):
        for number, move in enumerate((4, 4) if day % 2 == 0 else (1, -6)):
            at = since + timedelta(days=day) + (2 + 4 * number) * HOUR
            for side, price, when in (("BUY", 100, at), ("SELL", 100 + move, at + HOUR)):
                deals.append(Deal(len(deals) + 1, "default", BTC, side, Decimal(10), Decimal(price), when))
        moments.append((since + timedelta(days=day + 1), {}, len(deals)))
    store(url, {"default": 10_000}, deals, moments)
    process(url)
    begun_at(url, since)
    execute(url, "INSERT INTO paper_uptime VALUES (100, %s, %s)", since, AFTER, writer="Supervisor")
    for table in ("paper_audits", "paper_validation_acceptances"):  # what the tests add comes in that hour
        execute(url, f"ALTER TABLE {table} ALTER COLUMN at SET DEFAULT '{AFTER - HOUR / 2:%Y-%m-%d %H:%M}Z'")
    execute(url, "INSERT INTO paper_audits (epoch, portfolios, differences) VALUES (100, 1, '[]')", writer=KEEPER)
    with as_of(AFTER):
        yield


@pytest.mark.usefixtures("fortnight")
def test_an_underpowered_result_is_ready_once_a_person_accepts_it(embedded_url: str, validate: Validate) -> None:
    code, out, _ = validate()
    assert 4 == code
    assert "\nstatistical: underpowered\n" in out
    assert "✗ not met" in out  # PSR alone
    assert 1 == out.count("✗")
    assert (
        "with 14 normally distributed daily returns, an annualised Sharpe ratio of about 9.21 is needed to be 95 % sure"
        in out
    )
    assert "at this rate, the strategy needs " in out
    assert out.endswith(
        "\ndefault: not ready: statistically underpowered: all criteria are met, but the result may still be luck\n"
    )
    code, out, _ = validate("--accept-underpowered", "anna")
    assert 0 == code
    assert "accepted as it is by anna" in out
    assert out.endswith("\ndefault: ready\n")
    assert 0 == validate("spring")[0]  # it holds for the run
    assert [("anna", True)] == execute(
        embedded_url, "SELECT by_whom, psr BETWEEN 0.5 AND 0.95 FROM paper_validation_acceptances"
    )
    code, out, _ = validate("--json")
    document = json.loads(out)
    assert (0, True, "underpowered", "anna") == (
        code, document["ready"], document["portfolios"][0]["statistical"], document["portfolios"][0]["accepted_by"]
    )  # fmt: skip
    # An acceptance does not outweigh an operational failure.
    execute(
        embedded_url,
        "INSERT INTO paper_audits (epoch, portfolios, differences) VALUES (100, 1, '[\"cash\"]')",
        writer=KEEPER,
    )
    code, out, _ = validate()
    assert 4 == code
    assert out.endswith("\ndefault: not ready: operationally failed (audits)\n")


def test_nothing_but_an_underpowered_result_can_be_accepted(embedded_url: str, validate: Validate) -> None:
    schema.upgrade(embedded_url)
    code, _, refused = validate("--accept-underpowered", "anna")
    assert (2, "run.py: --accept-underpowered has no effect: there is no portfolio\n") == (
        code,
        refused,
    )
    portfolios.create(embedded_url, "default", {"initial_capital": 1000})
    code, _, refused = validate("--accept-underpowered", "anna")
    assert 2 == code
    assert refused.startswith("run.py: --accept-underpowered has no effect: portfolio default: no price")
    assert [] == execute(embedded_url, "SELECT * FROM paper_validation_acceptances")
    assert 4 == validate()[0]


def test_an_empty_database_is_not_ready(embedded_url: str, validate: Validate) -> None:
    code, out, _ = validate()
    assert (4, "not ready: there is no portfolio yet; the first start creates the portfolio default\n") == (code, out)
    assert (0, "no validation run yet; start one with `run.py validate start`\n", "") == validate("list")
    code, _, refused = validate("start")
    assert (2, True) == (code, refused.startswith("run.py: nothing has served this database yet"))


def test_a_change_of_rules_or_settings_ends_a_run(embedded_url: str, validate: Validate) -> None:
    with running_system(embedded_url) as system:
        system.execute_order(symbol="BTC/USDT", side="BUY", quantity="0.01")
        until(lambda: system.ledger_reader.waiting() == 0)
        code, out, _ = validate("start", "spring", "--portfolio", "default")
        assert (0, "validation run spring has started: portfolio default, strategy manual") == (
            code,
            out.splitlines()[0],
        )
        code, _, refused = validate("start", "summer")
        assert (
            "portfolio default is in run spring already, which must end first: run.py validate stop spring" in refused
        )
        code, out, _ = validate()
        assert 4 == code
        assert "· run spring ·" in out.splitlines()[0]
        portfolios.change(embedded_url, "default", {"commission_pct": Decimal("0.002")})
        code, out, _ = validate("list")
        assert "commission_pct of portfolio default 0.001 → 0.002" in out
        code, out, _ = validate()
        assert "a preview, no run" in out.splitlines()[0]
        assert "the last run, spring, ended at" in out
        assert "is known yet" not in out
        misspelled = validate("start", "winter", "--strategy", "manul")[1]
        assert "No decision of manul is known yet: is that the strategy that your agent states?" in misspelled
        assert 0 == validate("stop", "winter", "--reason", "misspelled")[0]
        assert 0 == validate("start", "autumn")[0]
    # The next process, with other settings, ends it at its start.
    with running_system(embedded_url, max_price_age=60.0) as system:
        ended = "SELECT end_reason FROM paper_validation_runs WHERE name = 'autumn' AND ended_at IS NOT NULL"
        until(lambda: bool(system.ledger_reader.rows(ended)))
        assert [{"end_reason": "max_price_age 30 → 60 since epoch 2"}] == system.ledger_reader.rows(ended)


def test_no_stray_action_ends_a_run_without_a_question(
    embedded_url: str, validate: Validate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[int, str]:
        code = main([*words, "--database-url", embedded_url])
        return code, capsys.readouterr().err

    monkeypatch.setattr(validation_job, "CHECK_INTERVAL_S", 0.1)
    alarms = RecordedAlarms()
    with running_system(embedded_url, alarms) as system:
        assert 0 == validate("start", "spring", "--strategy", "trend")[0]
        assert 0 == run("decide", "BUY", "BTC/USDT", "--confidence", "1", "--strategy", "trend", "--wait")[0]
        assert 0 == main(["status", "--json", "--database-url", embedded_url])
        (progress,) = json.loads(capsys.readouterr().out)["validation"]
        assert ("spring", "default") == (progress["run"], progress["portfolio"])
        assert progress["progress"].startswith("day 1 of 14, 0 of 20 round trips, ")
        main(["status", "--database-url", embedded_url])
        assert "spring of default: day 1 of 14, 0 of 20 round trips, " in capsys.readouterr().out
        stop = "end the run first: run.py validate stop spring --reason TEXT"
        bound = "portfolio default is in validation run spring, which is not bound to strategy"
        with pytest.raises(WouldEndValidation, match=f"{bound} manual, so the decision would be rejected; {stop}"):
            system.execute_order(symbol="BTC/USDT", side="SELL", quantity="0.01")
        # A decision of another sender is rejected, and the run goes on.
        stray = Decision(symbol="BTC/USDT", decision="SELL", confidence=1, strategy="stray")
        outcome = system.submit(stray).get(timeout=10)
        assert ("rejected", "under_validation") == (outcome.status, outcome.code)
        assert "portfolio is under validation: run spring is not bound to strategy stray" == outcome.reason
        cases = [
            ("decide", "SELL", "BTC/USDT", "--confidence", "1"),
            ("protect", "BTC/USDT", "--stop-loss", "5%"),
            ("portfolio", "deposit", "default", "5", "--reason", "x"),
            ("portfolio", "withdraw", "default", "5", "--reason", "x"),
            ("portfolio", "set", "default", "--max-position-size", "0.1"),
        ]
        for words in cases:
            code, err = run(*words)
            assert (2, True, True) == (code, "is in validation run spring, which" in err, err.endswith(f"{stop}\n"))
        assert 0 == run("portfolio", "adjust", "default", "BTC/USDT", "--dividend", "1", "--reason", "x")[0]
        assert "open" in validate("list")[1]
        # That simulated prices prove nothing is an alarm of the first look, before the run begins or after it.
        assert [] == [alarm for alarm in alarms.alarms if alarm.kind is not AlarmKind.VALIDATION_AT_RISK]
        # On a terminal it asks; after no, nothing is done.
        answers: list[bool] = [False]
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        monkeypatch.setattr("typer.confirm", lambda *_, **__: answers.pop())
        assert (2, "run.py: nothing was done\n") == run(*cases[0])
        for words, reason in (
            (cases[0], "decide SELL BTC/USDT"), (cases[2], "deposit of 5 by "),
            (cases[4], "max_position_size of portfolio default 0.2 → 0.1"),
            (("flatten", "--yes"), "flatten"),
        ):  # fmt: skip
            answers.append(True)
            run(*words)
            alarms.expect("validation_ended", "validation run ")
            (ended,) = system.ledger_reader.rows(
                "SELECT end_reason FROM paper_validation_runs ORDER BY id DESC LIMIT 1"
            )
            assert reason in ended["end_reason"]
            assert 0 == validate("start", "--strategy", "trend")[0]
            run("decide", "BUY", "BTC/USDT", "--confidence", "1", "--strategy", "trend", "--wait")


def test_a_run_is_stopped_with_a_reason(embedded_url: str, validate: Validate) -> None:
    schema.upgrade(embedded_url)
    portfolios.create(embedded_url, "default", {"initial_capital": 1000})
    process(embedded_url)
    assert "no validation run is open" in validate("stop", "--reason", "x")[2]
    execute(
        embedded_url,
        'UPDATE paper_processes SET settings = settings || \'{"prices": "simulated"}\'',
        writer="Supervisor",
    )
    assert "is a command of validate" in validate("start", "list")[2]
    code, out, _ = validate("start", "spring", "--strategy", "trend")
    assert 0 == code
    assert out.endswith(
        "\nsimulated prices: results prove nothing about real markets, so this run cannot become ready\n"
    )
    code, out, _ = validate("stop", "--reason", "retrained")
    assert 0 == code
    assert out.startswith("validation run spring has ended: stopped by ")
    assert out.endswith(": retrained\n")
    assert "validation run spring ended at" in validate("stop", "spring", "--reason", "x")[2]
    assert "there is no validation run 'nope'; no run is open" in validate("stop", "nope", "--reason", "x")[2]
    (run,) = json.loads(validate("list", "--json")[1])["runs"]
    assert (["default"], ["trend"], 14) == (run["portfolios"], run["strategies"], run["criteria"]["min_days"])


def test_criteria_are_those_of_the_start(
    embedded_url: str, validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.upgrade(embedded_url)
    portfolios.create(embedded_url, "default", {"initial_capital": 1000})
    process(embedded_url)
    monkeypatch.setenv("PAPER_VALIDATION_MIN_DAYS", "30")
    assert "required: 30 days" in validate("start", "--strategy", "trend")[1]
    monkeypatch.setenv("PAPER_VALIDATION_MIN_DAYS", "1")
    out = validate()[1]
    assert "at least 30, from 00:00 to 24:00 UTC" in out
    assert "validation_min_days is 1 in the settings now; the run keeps the 30 that it began with" in out


def test_days_without_a_running_service_are_judged_at_the_next_start(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    portfolios.create(embedded_url, "default", {"initial_capital": 1000})
    process(embedded_url)
    portfolios.create(embedded_url, "gone", {"initial_capital": 1000})
    begun_at(embedded_url, FIRST_DAY + HOUR)
    # The run was ended in its fourth day, while the service was not running.
    ended = "UPDATE paper_validation_runs SET ended_at = %s, end_reason = 'by hand'"
    execute(embedded_url, ended, FIRST_DAY + timedelta(days=3, hours=5))
    execute(embedded_url, "DELETE FROM paper_trading_config WHERE portfolio = 'gone'")  # whose rules are unknown now
    with running_system(embedded_url) as system:
        days = "SELECT DISTINCT day FROM v_paper_validation WHERE portfolio = 'default' ORDER BY day"
        until(lambda: len(system.ledger_reader.rows(days)) == 3)
        assert [(FIRST_DAY + timedelta(days=n)).date() for n in range(3)] == [
            row["day"] for row in system.ledger_reader.rows(days)
        ]
        (seen,) = system.ledger_reader.rows(
            "SELECT DISTINCT seen FROM v_paper_validation WHERE criterion = 'uptime' AND day = '2026-01-06'"
        )
        assert seen["seen"].startswith("0 % of ")
