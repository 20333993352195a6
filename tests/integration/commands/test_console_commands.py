"""Commands of the debug console that are those of the command line: the same rows, the same sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.cli import main
from domain.errors import InvalidRequest, PaperTradingError
from tests.support.system.console_sessions import buy, console_session
from tests.support.system.running_system import until


@pytest.mark.slow
def test_trades_and_report_print_what_the_commands_print(
    embedded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(line: str) -> str:
        assert 0 == main([*line.split(), "--home", str(tmp_path), "--database-url", embedded_url])
        return capsys.readouterr().out

    def console(line: str) -> str:
        assert "" == talk.do(line)  # nothing by the socket
        return capsys.readouterr().out

    with console_session(embedded_url, tmp_path) as talk:
        buy(talk.system, quantity="0.004")
        for quantity in ("0.001", "0.002"):
            buy(talk.system, decision="SELL", quantity=quantity)
        until(lambda: 2 == len(talk.system.ledger_reader.trades()))
        rows = command("trades").splitlines()
        assert rows == console("trades").splitlines()
        assert [True, True] == [
            f"  {quantity}  " in row for quantity, row in zip(("0.002", "0.001"), rows[1:3], strict=True)
        ]
        assert command("trades --limit 1") == console("trades 1 --portfolio default")
        assert json.loads(command("trades --json")) == json.loads(console("trades --json"))

        report = console("report --portfolio default")
        assert "Portfolio default" in report.splitlines()[0]
        sentences = "a trade closes a position, or a part of it; a round trip is a position from flat to flat."
        assert sentences in " ".join(report.split())
        in_json = json.loads(console("report --json"))
        assert ["default"] == [portfolio["portfolio"] for portfolio in in_json["portfolios"]]
        chain = talk.do("chain 2")
        assert (
            "A fill executes an order, or a part of it; a trade closes a position, or a part of it;"
            " a round trip is a position from flat to flat.\n"
        ) in chain

        with pytest.raises(InvalidRequest, match="n must be a whole number from 1 to 1000"):
            talk.do("trades 0")
        with pytest.raises(InvalidRequest, match="--from 'yesterday': must be a day such as 2026-01-31"):
            talk.do("report --from yesterday")
        with pytest.raises(PaperTradingError, match="nobody"):
            talk.do("report --portfolio nobody")
