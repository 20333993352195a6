"""Each command on a database whose texts are all an attack: its terminal gets no character beyond the program's own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.commands import status, top
from persistence import schema
from tests.integration.commands.test_every_command_fits import CHANGING, READING, command_line
from tests.support.command_list import options_of
from tests.support.database.planted import plant
from tests.support.database.server import Server
from tests.support.planted_escapes import PLANTED, PLANTED_NAME, PROGRESS, obeyed
from tests.support.screens import fixed_database
from tests.support.screens.fixed_clock import fixed_clock, process_status
from tests.support.screens.rendering import Rendered, rendered

OF_OTHERS = {
    *(
        f"trading_decisions.{name}"
        for name in ("symbol", "portfolio", "strategy", "reasoning", "idempotency_key", "outcome_reason", "target")
    ),
    "paper_halts.reason", "paper_halts.by_whom", "paper_halts.portfolio", "paper_account_requests.reason",
    "paper_account_requests.author", "paper_trading_config.name", "paper_validation_runs.name", "market_prices.symbol",
    "market_prices.source", "paper_lease.holder",
}  # fmt: skip
"""Columns that people and other programs write, or whose texts come from them; there are more."""
ABSENT = {"amend": ["no-such-order --quantity 1"], "cancel": ["no-such-order"]}
"""Other ends of command lines, where an order of this database would be amended and its outcome awaited."""
FORMS = ("--json", "--csv")


@pytest.fixture(scope="module")
def planted_url(embedded_server: Server) -> Iterator[str]:
    refused: set[str] = set()

    def fill(url: str) -> None:
        schema.upgrade(url)
        fixed_database.write(url)
        refused.update(plant(url))

    url = embedded_server.prepared_database(fill)
    assert set() == OF_OTHERS & refused
    yield url
    embedded_server.drop_database(url)


def with_attack(value: Any, name: str = "") -> Any:
    """Return an answer of the service with the attack in each text that may come from outside."""
    match value:
        case dict():
            return {key: with_attack(one, key) for key, one in value.items()}
        case list():
            return [with_attack(one, name) for one in value]
        case str() if name in {"source", "symbol", "error", "message", "troubles", "notes", "silent", "frozen"}:
            return f"{value}{PLANTED}"
    return value


def attacked_status() -> dict[str, Any]:
    """Return the status of a process that is in trouble in every way."""
    process = process_status()
    failure = {
        "reference": "f-1", "at": process["prices"]["newest"], "kind": "crash", "actor": "Sizer", "error": "x",
        "message": "Size", "decisions": [], "traceback": PLANTED,
    }  # fmt: skip
    prices = {**process["prices"], "troubles": ["x"], "notes": ["x"], "silent": ["BTC/USDT"], "frozen": ["ETH/USDT"]}
    document = {**process, "prices": prices, "failures": [failure], "disk_problem": PLANTED, "clock_problem": PLANTED}
    away = {"intake_paused_since": process["prices"]["newest"], "intake_paused_by": PLANTED}
    attacked: dict[str, Any] = with_attack({**document, **away})
    return attacked


def assert_printable(command: str, rest: str, url: str, home: Path, columns: int = 120) -> Rendered:
    # A dumb terminal gets one frame of `top`; any other one needs its descriptor.
    term = "dumb" if command == "top" else "xterm-256color"
    output = rendered(*command_line(command, rest, url, home, columns), columns=columns, lines=60, term=term)
    assert ([], []) == (obeyed(output.out), obeyed(output.err, PROGRESS)), f"{command} {rest} at {columns} columns"
    assert "unexpected" not in output.err
    return output


def prepare(command: str, home: Path) -> None:
    """Put the attack into the files that a command reads."""
    if command == "logs":
        (home / "logs").mkdir()
        entry = {
            "time": "2026-01-19T09:29:00+00:00",
            "level": f"INFO{PLANTED}",
            "decision": PLANTED,
            "message": PLANTED,
        }
        lines = json.dumps(entry, ensure_ascii=False) + f"\nno JSON {PLANTED_NAME}\n"
        (home / "logs" / "paper-trading.jsonl").write_text(lines, encoding="utf-8")
    if command.startswith("history"):
        (home / "history" / f"a{PLANTED_NAME.replace('/', '')[:20]}").mkdir(parents=True)


@pytest.mark.parametrize("command", [*READING, *CHANGING])
def test_no_command_passes_an_attack_on_to_the_terminal(
    command: str, planted_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(command, tmp_path)
    lines = ABSENT.get(command) or [*READING.get(command, ()), *CHANGING.get(command, ())]
    with fixed_clock(served=command in READING):
        if command in READING:
            monkeypatch.setattr(status, "_process", lambda _: attacked_status())
            monkeypatch.setattr(top._StatusClient, "status", lambda _: attacked_status())
        for rest in lines:
            assert_printable(command, rest, planted_url, tmp_path)
            assert_printable(command, rest, planted_url, tmp_path, columns=45)
            for form in FORMS:
                if form in options_of(command) and (form == "--json" or command != "report"):
                    assert_printable(
                        command, f"{rest} {form}".replace("{home}", f"{{home}}/{form}"), planted_url, tmp_path
                    )


def test_the_attack_is_shown_as_escapes_and_is_exact_in_a_document(planted_url: str, tmp_path: Path) -> None:
    with fixed_clock():
        table = assert_printable("decisions", "", planted_url, tmp_path)
        document = assert_printable("decisions", "--json", planted_url, tmp_path)
    assert r"\x1b[2J" in table.out
    assert PLANTED in [row["outcome_reason"] for row in json.loads(document.out)["decisions"]]


def test_the_page_has_no_control_characters(planted_url: str, tmp_path: Path) -> None:
    with fixed_clock():
        assert (
            0 == rendered("report", "--html", str(tmp_path / "a.html"), "--database-url", planted_url, columns=120).code
        )
    page = re.sub(r"<script.*?</script>", "", (tmp_path / "a.html").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert [] == obeyed(page)
    assert r"\x1b[2J" in page


@pytest.mark.parametrize("words", ["decisions --symbol", "explain", "history list --home", "nonsense", "report --from"])
def test_a_refused_argument_is_no_attack_either(words: str, planted_url: str) -> None:
    database = [] if words.startswith(("history", "nonsense")) else ["--database-url", planted_url]
    output = rendered(*words.split(), PLANTED, *database, columns=120, term="xterm-256color")
    assert ([], []) == (obeyed(output.out), obeyed(output.err))
