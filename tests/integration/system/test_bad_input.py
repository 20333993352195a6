"""The matrix of docs/bad-input.md on a running system, and arbitrary texts from Hypothesis."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import Decision, TradingSystem
from console.cli import main
from domain.errors import InvalidDecision
from domain.trading.decision import Reason
from tests.support.bad_input.cases import CASES, GOOD, Case
from tests.support.bad_input.interfaces import answers
from tests.support.bad_input.page import PAGE, row, rows
from tests.support.captured_log import captured_log
from tests.support.database.servers import Server
from tests.support.system.running_system import assert_sound, running_system, until_all_ended

FIELDS = (
    "symbol",
    "decision",
    "confidence",
    "risk_score",
    "quantity",
    "reasoning",
    "strategy",
    "expires_at",
    "portfolio",
)
ANYTHING = st.fixed_dictionaries(
    {}, optional={field: st.text(st.characters(exclude_categories=["Cs"]), max_size=30) for field in FIELDS}
)


@pytest.fixture(scope="module")
def log_lines() -> Iterator[list[str]]:
    """Log lines from WARNING on, of all cases."""
    with captured_log(level="WARNING") as lines:
        yield lines


@pytest.fixture(scope="module")
def system(embedded_server: Server, log_lines: list[str]) -> Iterator[TradingSystem]:
    """One system for all cases: damage by one case shows in the next."""
    url = embedded_server.create_database()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("console.logs.to_terminal", lambda _: None)  # else it would replace this test's log handler
        with running_system(url) as system:
            yield system
            until_all_ended(system.ledger_reader)
            assert_sound(system.ledger_reader, sum(system.ledger_reader.outcomes().values()))
    embedded_server.drop_database(url)


@pytest.mark.parametrize("case", CASES, ids=[case.name[:60] for case in CASES])
def test_each_case_ends_as_the_page_says(system: TradingSystem, log_lines: list[str], case: Case) -> None:
    del log_lines[:]
    assert rows()[case.name] == row(case, answers(system, case))
    assert system.wait(0) is None
    assert log_lines == []  # errors of the caller go to the caller, not to the log


@settings(max_examples=40)
@given(changes=ANYTHING)
def test_any_text_by_sql_is_refused_or_ends_and_the_next_is_executed(
    system: TradingSystem, log_lines: list[str], changes: dict[str, str]
) -> None:
    values = {**GOOD, **changes}
    names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        try:
            connection.execute(
                f"INSERT INTO trading_decisions ({names}) VALUES ({marks})",  # type: ignore[call-overload]
                list(values.values()),
            )
        except (psycopg.errors.DataError, psycopg.errors.IntegrityError, psycopg.DataError) as error:
            assert str(error)
    until_all_ended(system.ledger_reader)
    assert system.ledger_reader.ledger_differences() == []
    assert log_lines == []


@settings(max_examples=40)
@given(changes=ANYTHING)
def test_any_text_on_the_command_line_is_refused_in_one_line_or_ends(
    system: TradingSystem, changes: dict[str, str]
) -> None:
    values = {**GOOD, **changes}
    options = [f"--{name.replace('_', '-')}={values[name]}" for name in values if name not in {"symbol", "decision"}]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(
            ["decide", f"--database-url={system.database_url}", *options, "--", values["decision"], values["symbol"]]
        )
    assert code in {0, 2}
    assert len(err.getvalue().splitlines()) == (1 if code else 0)
    assert bool(out.getvalue()) is (code == 0)


CHANGED = Decision(**GOOD).model_copy(update={"decision": "SELL"})


@pytest.mark.parametrize(
    "wrong",
    [None, {}, dict(GOOD), "BUY BTC/USDT", 5, Decision, CHANGED],
    ids=["nothing", "empty", "dict", "text", "number", "class", "changed"],
)
def test_an_object_that_is_not_a_decision_is_refused_and_the_next_decision_is_executed(
    system: TradingSystem, log_lines: list[str], wrong: Any
) -> None:
    with TradingSystem.attach(system.database_url) as attached:
        for client in (system, attached):
            with pytest.raises(
                InvalidDecision, match=r"submit\(\) takes a Decision made with Decision\(…\), not "
            ) as raised:
                client.submit(wrong)
            assert raised.value.code == "no_decision"
        good = Decision(**GOOD, quantity="0.001", portfolio="after")
        with psycopg.connect(system.database_url) as connection:
            connection.execute("INSERT INTO paper_trading_config (portfolio) VALUES ('after') ON CONFLICT DO NOTHING")
        assert system.submit(good).get(timeout=10).status == "executed"
    assert log_lines == []


def test_control_characters_in_a_row_do_not_reach_the_terminal(
    system: TradingSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO trading_decisions (symbol, decision, confidence, portfolio, strategy)"
            r" VALUES (E'\x1b[2J\u202eX\nY', 'BUY', 1, E'\x1b]0;p\x07', E'\u009b31m')"
        )
    until_all_ended(system.ledger_reader)
    assert main(["decisions", f"--database-url={system.database_url}"]) == 0
    output = capsys.readouterr().out
    assert r"\x1b[2J\u202eX\nY" in output
    assert [] == [line for line in output.splitlines() if not line.isprintable()]


def test_the_page_has_every_case_once_and_every_code() -> None:
    assert [case.name for case in CASES] == list(rows())
    assert len(CASES) == len({case.name for case in CASES})
    text = PAGE.read_text(encoding="utf-8")
    assert [reason for reason in Reason if f"| `{reason.name.lower()}` | {reason} |" not in text] == []
