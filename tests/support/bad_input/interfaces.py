"""The three interfaces, and the result that each returns for a case."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import psycopg

from actors import Decision, TradingSystem
from console.cli import main
from domain.errors import PaperTradingError
from domain.trading.decision import reason_code
from domain.types import OutcomeStatus
from tests.support.bad_input.cases import GOOD, MISSING, Case
from tests.support.database.server import one_transaction
from tests.support.system.running_system import until

INTERFACES = ("Python", "SQL", "command line")
OPTIONS = {"limit_price": "limit", "stop_price": "stop"}
"""Options of the command line that have other names than the columns."""
MAX_DETAIL_LENGTH = 130


def answers(system: TradingSystem, case: Case) -> tuple[str, ...]:
    """Send a case through each interface, each with a portfolio of its own; return the results."""
    return tuple(_answer(system, interface, case) for interface in INTERFACES)


def _answer(system: TradingSystem, interface: str, case: Case) -> str:
    values = {**GOOD, case.field: case.value}
    if case.value is MISSING:
        del values[case.field]
    if case.twice:  # else all interfaces would send the same decision
        values[case.field] = str(uuid5(NAMESPACE_OID, case.value + interface))
    if case.field != "portfolio":
        values["portfolio"] = f"{case.name} by {interface}"[:100].replace("\n", " ")
        with psycopg.connect(system.database_url) as connection:
            connection.execute("INSERT INTO paper_trading_config (portfolio) VALUES (%s)", [values["portfolio"]])
    send = {"Python": _by_python, "SQL": _by_sql, "command line": _by_command}[interface]
    if case.twice:
        send(system, values)
    return _cell(*send(system, values))


def _by_python(system: TradingSystem, values: Mapping[str, Any]) -> tuple[str, str, str]:
    try:
        outcome = system.submit(Decision(**values)).get(timeout=10)
    except PaperTradingError as error:
        return "refused", error.code, str(error)
    return outcome.status, outcome.code, outcome.reason


def _by_sql(system: TradingSystem, values: Mapping[str, Any]) -> tuple[str, str, str]:
    # Quoted text, as in psql: the server converts it to the column's type.
    names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    statement = f"INSERT INTO trading_decisions ({names}) VALUES ({marks}) RETURNING id"
    try:
        with one_transaction(system.database_url, options="-c timezone=UTC") as connection:
            row = connection.execute(statement, list(values.values())).fetchone()  # type: ignore[call-overload]
    except psycopg.Error as error:
        rule = error.diag.constraint_name if error.sqlstate in {"23514", "23505"} else None
        return "refused", error.sqlstate or "driver", rule or error.diag.message_primary or str(error)
    assert row is not None
    ended: list[dict[str, Any]] = []
    until(
        lambda: bool(ended.extend(r for r in [system.ledger_reader.decision(row[0])] if r["processed_at"]) or ended), 10
    )
    status, reason = ended[0]["status"], ended[0]["outcome_reason"]
    return status, reason_code(status, reason), reason


def _by_command(system: TradingSystem, values: Mapping[str, Any]) -> tuple[str, str, str]:
    if any("\x00" in value for value in values.values()):
        return "refused", "shell", "no command line can hold a NUL"
    options = [
        f"--{OPTIONS.get(name, name).replace('_', '-')}={value}"
        for name, value in values.items()
        if name not in {"symbol", "decision"}
    ]
    words = [values[name] for name in ("decision", "symbol") if name in values]
    settings = ["--wait", "--json", f"--database-url={system.database_url}"]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        exit_code = main(["decide", *settings, *options, "--", *words])
    document = json.loads(out.getvalue())
    if exit_code == 0:
        return document["outcome"], document["code"], document["reason"]
    assert [document["error"]] == [line.removeprefix("run.py: ") for line in err.getvalue().splitlines()]
    return f"exit {exit_code}", document["code"], document["error"]


def _cell(status: str, code: str, message: str) -> str:
    """Return a result as a cell of the page's table."""
    detail = message.partition(": ")[2] if message.startswith(code.replace("_", " ")) else message
    for status_word in OutcomeStatus:
        detail = detail.removeprefix(f"{status_word}: ")
    if status == "executed":
        detail = detail.partition(" at ")[0]  # each decision has its own slippage
    detail = "".join(character if character.isprintable() else repr(character)[1:-1] for character in detail)
    detail = detail if len(detail) <= MAX_DETAIL_LENGTH else detail[: MAX_DETAIL_LENGTH - 1] + "…"
    outcome = status if status == code else f"{status} `{code}`"
    return f"{outcome}: {detail}".replace("|", "\\|").replace("<", "\\<").replace("*", "\\*")
