"""The debug console against a real system: what it shows, what it changes, what it must not be able to."""

from __future__ import annotations

import io
import json
import socket
import threading
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from rich.console import Console

from actors import Decision
from actors.messages import QuotesSeen
from actors.runtime import tracing
from actors.runtime.timer import SystemClock
from console.debug import client as client_module
from console.debug.client import Session
from console.debug.command_spec import COMMAND_SPECS, parse
from console.debug.protocol import ConsoleConnection
from console.errors import Refused
from domain import failpoints
from domain.errors import InvalidRequest
from domain.redaction.mask import KNOWN
from domain.trading.quotes import Quote
from domain.types import Instant, Symbol
from tests.support.system.console_sessions import buy, console_session
from tests.support.system.running_system import until


def test_every_command_answers(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as talk:
        buy(talk.system)
        rejected = buy(talk.system, symbol="NOPE")
        arguments = {
            "state": "Sizer", "inbox": "Sizer", "stack": "Sizer", "chain": "1", "explain": "1",
            "trace": "--max 1 --seconds 5",
            "decide": "BUY BTC/USDT --confidence 1 --quantity 0.001", "retry": str(rejected),
            "suspend": "Snapshotter", "resume-actor": "Snapshotter", "restart": "Snapshotter", "crash": "Snapshotter",
            "send": 'PriceTracker Subscribe {"symbol": "BTC/USDT"}', "halt": "just so", "resume": "all clear",
            "loglevel": "WARNING", "cancel": "all", "amend": "1 --quantity 1",
            "protect": "BTC/USDT --stop-loss-pct 0.05",
        }  # fmt: skip
        for name in COMMAND_SPECS:
            if name in talk.session.local_commands:
                continue  # they print to stdout
            if name not in {"exit", "repl", "accept-price"}:
                assert talk.do(f"{name} {arguments.get(name, '')}"), name
            if name not in {"exit", "repl", "help", "top", "trace"}:
                talk.json(f"{name} {arguments.get(name, '')}") if not COMMAND_SPECS[name].changes else None
        with pytest.raises(Refused, match="the service was started without --allow-repl"):
            talk.session.connection.ask("repl", source="1 + 1")


def test_a_price_that_is_held_back_counts_when_a_person_says_so(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as talk:
        with pytest.raises(Refused, match="no price is held back"):
            talk.do("accept-price BTC/USDT")
        dead = Symbol("DEAD/USDT")
        for price, part in (("1208.88", "last_seen"), ("120.888", "held_back")):
            now = Instant.of(SystemClock())
            quote = Quote(dead, Decimal(price), now.time, now, "simulated", real=False)
            talk.system.tell("PriceTracker", QuotesSeen({dead: quote}))
            until(lambda part=part: dead in talk.system.inspector.state("PriceTracker")[part])
        assert "10:1" == talk.do("state PriceTracker held_back.DEAD/USDT.split").strip()
        with pytest.raises(Refused, match="there is no price held back of 'BTC/USDT'"):
            talk.do("accept-price BTC/USDT")
        talk.do("accept-price DEAD/USDT")
        until(lambda: {} == talk.system.inspector.state("PriceTracker")["held_back"])


def test_queries_show_the_state_of_the_system(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as talk:
        buy(talk.system, quantity="0.004")
        portfolio = talk.system.portfolio()
        assert str(portfolio["cash"].normalize()) == talk.do("state PositionKeeper portfolios.default.cash").strip()
        assert talk.do("state Sizer projections.default.cash") == talk.do("state Pos portfolios.default.cash")
        assert "0.004" == talk.do("state Sizer projections.default.positions.BTC/USDT.quantity").strip()
        actors = {actor["actor"]: actor for actor in talk.json("ps")["actors"]}
        assert list(actors) == talk.system.inspector.names
        assert {"idle", "busy"} >= {actor["state"] for actor in actors.values()}
        assert "memory equals the database, and the books balance" in talk.do("audit")
        assert "running" in talk.do("lease")
        with pytest.raises(Refused, match="there is no part 'projektions'; did you mean projections"):
            talk.do("state Sizer projektions")


def test_a_trace_shows_messages_and_ends_after_its_maximum(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as talk:
        messages: list[str] = []
        started = threading.Event()

        def trace() -> None:
            with ConsoleConnection(talk.path) as connection:
                stream = connection.stream("trace", of="Execute", max=3, seconds=20)
                started.set()
                messages.extend(message["message"] for message in stream)

        thread = threading.Thread(target=trace, daemon=True)
        thread.start()
        assert started.wait(5)
        while thread.is_alive():
            buy(talk.system)
        thread.join(10)
        assert ["Execute"] * 3 == messages
        until(lambda: tracing.TAPS == ())


def test_a_trace_ends_when_its_client_disconnects(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as talk:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(talk.path))
            client.sendall(b'{"v": 1, "id": 1, "do": "trace", "with": {"of": "no such decision", "seconds": 600}}\n')
            until(lambda: len(tracing.TAPS) == 1)
        until(lambda: tracing.TAPS == ())


def test_the_console_finds_and_replaces_an_actor_that_hangs(embedded_url: str, tmp_path: Path) -> None:
    stuck, go = threading.Event(), threading.Event()

    def hook(moment: str, what: str) -> None:
        if (moment, what, stuck.is_set()) == ("takes", "Execute", False):
            stuck.set()
            go.wait(60)

    with console_session(embedded_url, tmp_path) as talk:
        failpoints.hook = hook
        try:
            future = talk.system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001"))
            assert stuck.wait(10)
            (actor,) = (actor for actor in talk.json("ps")["actors"] if actor["actor"] == "ExecutionSimulator")
            assert ("busy", "Execute") == (actor["state"], actor["doing"])
            assert "go.wait(60)" in talk.do("stack ExecutionSimulator")
            assert "busy with Execute for" in talk.do("state ExecutionSimulator")
            talk.do("restart ExecutionSimulator")
            assert "executed" == future.get(timeout=10).status
            assert "nothing" == talk.do("failures").strip()
            assert "was restarted by hand" in talk.do("chain 1")
            (actor,) = (actor for actor in talk.json("ps")["actors"] if actor["actor"] == "ExecutionSimulator")
            assert (0, 1) == (actor["restarts"], actor["restarted_by_hand"])
            assert "0 + 1 by hand" in talk.do("ps")
            assert "restarted 0 times, by hand 1" in talk.do("tree")
            status = talk.do("status")
            assert "nothing is wrong with this process" in status.splitlines()[0]
            assert "0 + 1 by hand" in status
            assert "replaced" not in status
        finally:
            failpoints.hook = None
            go.set()
        assert "the books balance" in talk.do("audit")


def test_chains_of_a_rejected_a_restarted_and_a_quarantined_decision(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as talk:
        rejected = buy(talk.system, symbol="NOPE")
        assert "rejected: unknown symbol: 'NOPE' is not traded here" in talk.do(f"chain {rejected}")
        talk.do("suspend Sizer")
        future = talk.system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001"))
        until(lambda: "is under way" in talk.do("chain 2"))
        talk.do("crash ExecutionSimulator")
        talk.do("restart PositionKeeper")
        talk.do("resume-actor Sizer")
        assert "executed" == future.get(timeout=10).status
        chain = talk.do("chain 2")
        for what in ("inserted", "price seen", "sized", "filled", "executed", "cash_delta"):
            assert what in chain

        def poison(moment: str, what: str) -> None:
            if (moment, what) == ("takes", "Execute"):
                raise ValueError("boom")

        failpoints.hook = poison
        try:
            quarantined = buy(talk.system)
        finally:
            failpoints.hook = None
        until(lambda: "quarantine" in talk.do(f"chain {quarantined}"))
        chain = talk.do(f"chain {quarantined}")
        assert "internal error: ExecutionSimulator crashed twice on it (ValueError: boom); reference 1-" in chain
        assert f" {quarantined} " in talk.do("quarantine")
        again = talk.json(f"retry {quarantined}")["decision_id"]
        until(lambda: "executed" in talk.do(f"chain {again}"))
        assert f"as decision {again}" in talk.do(f"chain {quarantined}")
        for id_, why in (("2", "was executed"), ("999", "there is no decision"), ("x", "there is no decision")):
            with pytest.raises(Refused, match=why):
                talk.do(f"retry {id_}")


class Film(io.StringIO):
    """Output stream of a terminal; raises KeyboardInterrupt at the third frame, as Ctrl-C does."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[str] = []

    def write(self, text: str) -> int:
        if "Supervisor" in text:
            self.frames.append(text)
            if len(self.frames) == 3:
                raise KeyboardInterrupt
        return super().write(text)


def test_each_frame_of_top_replaces_the_one_before(
    embedded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "TOP_INTERVAL_S", 0.01)
    with console_session(embedded_url, tmp_path) as talk:
        film = Film()
        screen = Console(file=film, force_terminal=True, width=120, height=40)
        Session(talk.session.connection, screen).do(parse("top"))
        assert [1, 1, 1] == [frame.count("PriceTracker") for frame in film.frames[:3]]


def test_an_invalid_id_is_refused_with_a_message(embedded_url: str, tmp_path: Path) -> None:
    with (
        console_session(embedded_url, tmp_path) as talk,
        pytest.raises(Refused, match="there is no decision 'abc', and it cannot"),
    ):
        talk.do("chain abc")


@pytest.mark.slow
def test_a_change_must_be_confirmed_and_is_recorded(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as talk:
        questions: list[str] = []
        careful = Session(ConsoleConnection(talk.path), Console(file=io.StringIO()))
        with pytest.raises(InvalidRequest, match="'crash Sizer' changes something; confirm it with --yes"):
            careful.do(parse("crash Sizer"))
        careful.confirm = lambda question: bool(questions.append(question))
        with pytest.raises(InvalidRequest, match="nothing was done"):
            careful.do(parse("crash Sizer"))
        with pytest.raises(InvalidRequest, match="nothing was done"):
            careful.do(parse("decide --confidence 0.7 BUY SOL/USDT"))
        assert [
            "crash Sizer: make an actor crash at its next message. Really?",
            "decide BUY SOL/USDT --confidence 0.7: send a decision and wait for its outcome. Really?",
        ] == questions
        careful.connection.close()
        talk.do("suspend Snapshotter")
        with pytest.raises(Refused, match="there is no actor 'Nobody'"):
            talk.do("crash Nobody")
        log = tmp_path / "logs" / "console.jsonl"
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        assert ["suspend", "crash"] == [entry["command"] for entry in entries]
        assert "there is no actor" in entries[1]["failed"]
        assert 0o600 == log.stat().st_mode & 0o777


def test_a_python_prompt_opens_only_where_it_is_allowed(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path, allow_repl=True) as talk:
        ask = talk.session.connection.ask
        assert {"output": "2\n", "more": False} == ask("repl", source="1 + 1")
        assert ask("repl", source="for n in range(2):")["more"]
        assert "ZeroDivisionError" in ask("repl", source="1 / 0")["output"]
        assert "10000" in ask("repl", source="system.portfolio()['cash']")["output"]
        with pytest.raises(Refused, match=r"exit\(\) would not end the process"):
            ask("repl", source="exit()")
        log = (tmp_path / "logs" / "console.jsonl").read_text().splitlines()
        assert "exit()" == json.loads(log[-1])["with"]["source"]


def test_the_answer_to_a_decision_that_waits_says_that_it_is_committed(
    embedded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.service.actions.DECISION_TIMEOUT_S", 0.3)
    with console_session(embedded_url, tmp_path) as talk, ConsoleConnection(talk.path, timeout=0.1) as hasty:
        answer = hasty.ask("decide", decision="BUY", symbol="DEAD/USDT", confidence="1", quantity="1")
        assert "pending" == answer["outcome"]
        assert f"chain {answer['decision_id']} shows where it waits" in answer["reason"]
        assert "waits in the Sizer for a price of DEAD/USDT" in talk.do(f"chain {answer['decision_id']}")


def test_a_wrong_argument_is_refused_with_a_message(
    embedded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KNOWN, "_texts", ("s3cret-token",))
    with console_session(embedded_url, tmp_path) as talk:
        with pytest.raises(Refused, match=r"^seconds must be a whole number from 1 to 600$"):
            talk.do("trace --seconds soon")
        with pytest.raises(Refused, match=r"^the Supervisor cannot be suspended"):
            talk.do("suspend Supervisor")
        with pytest.raises(Refused, match=r"^there is no actor '\*{8}'"):
            talk.do("state s3cret-token")


def test_control_characters_in_a_row_are_not_printed(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as talk, psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO trading_decisions (symbol, decision, confidence, reasoning)"
            " VALUES ('BTC/USDT', 'HOLD', 1, %s)",
            ["\x1b[31mred\x1b[0m [bold]markup[/bold] {braces} %s"],
        )
        until(lambda: "ignored" in talk.do("decisions"))
        assert "\x1b" not in talk.do("chain 1")
