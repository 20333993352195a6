"""The debug console against a real system: what it shows, what it changes, what it must not be able to."""

from __future__ import annotations

import io
import json
import os
import random
import resource
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rich.console import Console

from actors import Decision, TradingSystem, tracing
from console import debug
from console.acting import answers
from console.debug import Session
from console.door import ConsoleDoor
from console.vocabulary import WORDS, read
from console.wire import Line, Refused
from domain import points
from domain.errors import InvalidRequest, PaperTradingError
from tests.integration.running import running, settings, until
from tests.servers import Server


class Talk:
    """A console attached to a system."""

    def __init__(self, system: TradingSystem, path: Path) -> None:
        self.system = system
        self.path = path
        self.shown = io.StringIO()
        out = Console(file=self.shown, width=160, highlight=False, markup=False)
        self.session = Session(Line(path), out, yes=True)

    def do(self, line: str) -> str:
        """What a line shows."""
        self.shown.seek(0)
        self.shown.truncate()
        self.session.do(read(line))
        return self.shown.getvalue()

    def json(self, line: str) -> Any:
        return json.loads(self.do(f"{line} --json"))


@contextmanager
def talking(url: str, tmp_path: Path, **changes: Any) -> Iterator[Talk]:
    allow_repl = changes.pop("allow_repl", False)
    with running(url, home=tmp_path, **changes) as system:
        commands = answers(system, settings(url, home=tmp_path), allow_repl=allow_repl)
        with ConsoleDoor(tmp_path / "console.sock", commands):
            talk = Talk(system, tmp_path / "console.sock")
            with talk.session.line:
                yield talk


def bought(system: TradingSystem, **changes: Any) -> int:
    given = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": 1, "quantity": "0.001", **changes}
    outcome = system.submit(Decision(**given)).get(timeout=10)
    assert isinstance(outcome.decision_id, int)
    return outcome.decision_id


def test_every_command_answers(embedded_url: str, tmp_path: Path) -> None:
    with talking(embedded_url, tmp_path) as talk:
        bought(talk.system)
        rejected = bought(talk.system, symbol="NOPE")
        arguments = {
            "state": "Sizer", "inbox": "Sizer", "stack": "Sizer", "chain": "1", "trace": "--max 1 --seconds 5",
            "decide": "BUY BTC/USDT --confidence 1 --quantity 0.001", "retry": str(rejected),
            "suspend": "Snapshotter", "resume-actor": "Snapshotter", "restart": "Snapshotter", "crash": "Snapshotter",
            "send": 'PriceTracker Subscribe {"symbol": "BTC/USDT"}', "halt": "just so", "resume": "all clear",
            "loglevel": "WARNING",
        }  # fmt: skip
        for name in WORDS:
            if name not in {"exit", "repl"}:
                assert talk.do(f"{name} {arguments.get(name, '')}"), name
            if name not in {"exit", "repl", "help", "top", "trace"}:
                talk.json(f"{name} {arguments.get(name, '')}") if not WORDS[name].changes else None
        with pytest.raises(Refused, match="the service was started without --allow-repl"):
            talk.session.line.ask("repl", source="1 + 1")


def test_what_is_shown_is_what_is(embedded_url: str, tmp_path: Path) -> None:
    with talking(embedded_url, tmp_path) as talk:
        bought(talk.system, quantity="0.004")
        portfolio = talk.system.portfolio()
        assert str(portfolio["cash"].normalize()) == talk.do("state PositionKeeper portfolios.default.cash").strip()
        assert talk.do("state Sizer projections.default.cash") == talk.do("state Pos portfolios.default.cash")
        assert "0.004" == talk.do("state Sizer projections.default.positions.BTC/USDT.quantity").strip()
        actors = {each["actor"]: each for each in talk.json("ps")["actors"]}
        assert list(actors) == talk.system.inspector.names
        assert {"idle", "busy"} >= {each["state"] for each in actors.values()}
        assert "memory equals the database, and the books balance" in talk.do("audit")
        assert "running" in talk.do("lease")
        with pytest.raises(Refused, match="there is no part 'projektions'; did you mean projections"):
            talk.do("state Sizer projektions")


def test_a_trace_shows_messages_as_they_pass_and_ends_by_itself(embedded_url: str, tmp_path: Path) -> None:
    with talking(embedded_url, tmp_path) as talk:
        found: list[str] = []
        started = threading.Event()

        def trace() -> None:
            with Line(talk.path) as line:
                stream = line.stream("trace", of="Execute", max=3, seconds=20)
                started.set()
                found.extend(message["message"] for message in stream)

        thread = threading.Thread(target=trace)
        thread.start()
        started.wait(5)
        while thread.is_alive():
            bought(talk.system)
        thread.join(10)
        assert ["Execute"] * 3 == found
        until(lambda: tracing.TAPS == ())


def test_a_trace_of_somebody_who_has_hung_up_ends(embedded_url: str, tmp_path: Path) -> None:
    with talking(embedded_url, tmp_path) as talk:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(talk.path))
            client.sendall(b'{"v": 1, "id": 1, "do": "trace", "with": {"of": "no such decision", "seconds": 600}}\n')
            until(lambda: len(tracing.TAPS) == 1)
        until(lambda: tracing.TAPS == ())


def test_an_actor_that_is_stuck_is_found_and_replaced_by_the_console_alone(embedded_url: str, tmp_path: Path) -> None:
    stuck, go = threading.Event(), threading.Event()

    def hook(moment: str, what: str) -> None:
        if (moment, what, stuck.is_set()) == ("takes", "Execute", False):
            stuck.set()
            go.wait(60)

    with talking(embedded_url, tmp_path) as talk:
        points.hook = hook
        try:
            future = talk.system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001"))
            assert stuck.wait(10)
            (actor,) = (each for each in talk.json("ps")["actors"] if each["actor"] == "ExecutionSimulator")
            assert ("busy", "Execute") == (actor["state"], actor["doing"])
            assert "go.wait(60)" in talk.do("stack ExecutionSimulator")
            assert "busy with Execute for" in talk.do("state ExecutionSimulator")
            talk.do("restart ExecutionSimulator")
            assert "executed" == future.get(timeout=10).status
            assert "was replaced by hand" in talk.do("failures")
        finally:
            points.hook = None
            go.set()
        assert "the books balance" in talk.do("audit")


def test_chains_of_a_rejected_a_restarted_and_a_quarantined_decision(embedded_url: str, tmp_path: Path) -> None:
    with talking(embedded_url, tmp_path) as talk:
        rejected = bought(talk.system, symbol="NOPE")
        assert "rejected: unknown symbol: 'NOPE' is not traded here" in talk.do(f"chain {rejected}")
        talk.do("suspend Sizer")
        future = talk.system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001"))
        until(lambda: "is under way" in talk.do("chain 2"))
        talk.do("crash ExecutionSimulator")
        talk.do("restart PositionKeeper")
        talk.do("resume-actor Sizer")
        assert "executed" == future.get(timeout=10).status
        shown = talk.do("chain 2")
        for what in ("inserted", "price seen", "sized", "filled", "executed", "cash_delta"):
            assert what in shown

        def poison(moment: str, what: str) -> None:
            if (moment, what) == ("takes", "Execute"):
                raise ValueError("boom")

        points.hook = poison
        try:
            quarantined = bought(talk.system)
        finally:
            points.hook = None
        until(lambda: "quarantine" in talk.do(f"chain {quarantined}"))
        shown = talk.do(f"chain {quarantined}")
        assert "internal error: ExecutionSimulator crashed twice on it (ValueError: boom); reference 1-" in shown
        assert f" {quarantined} " in talk.do("quarantine")
        again = talk.json(f"retry {quarantined}")["decision_id"]
        until(lambda: "executed" in talk.do(f"chain {again}"))
        assert f"as decision {again}" in talk.do(f"chain {quarantined}")
        for id_, why in (("2", "was executed"), ("999", "there is no decision"), ("x", "there is no decision")):
            with pytest.raises(Refused, match=why):
                talk.do(f"retry {id_}")


class Film(io.StringIO):
    """What a terminal is sent; after some frames a person presses Ctrl-C."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[str] = []

    def write(self, told: str) -> int:
        if "Supervisor" in told:
            self.frames.append(told)
            if len(self.frames) == 3:
                raise KeyboardInterrupt
        return super().write(told)


def test_each_look_of_top_takes_the_place_of_the_one_before(
    embedded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debug, "TOP_EVERY", 0.01)
    with talking(embedded_url, tmp_path) as talk:
        film = Film()
        screen = Console(file=film, force_terminal=True, width=120, height=40)
        Session(talk.session.line, screen).do(read("top"))
        assert [1, 1, 1] == [frame.count("PriceTracker") for frame in film.frames[:3]]


def test_what_is_no_id_is_said_in_a_sentence(embedded_url: str, tmp_path: Path) -> None:
    with talking(embedded_url, tmp_path) as talk, pytest.raises(Refused, match="there is no decision 'abc', and no id"):
        talk.do("chain abc")


def test_what_changes_something_must_be_confirmed_and_is_written_down(embedded_url: str, tmp_path: Path) -> None:
    with talking(embedded_url, tmp_path) as talk:
        asked: list[str] = []
        careful = Session(Line(talk.path), Console(file=io.StringIO()))
        with pytest.raises(InvalidRequest, match="'crash Sizer' changes something; confirm it with --yes"):
            careful.do(read("crash Sizer"))
        careful.confirm = lambda question: bool(asked.append(question))
        with pytest.raises(InvalidRequest, match="nothing was done"):
            careful.do(read("crash Sizer"))
        with pytest.raises(InvalidRequest, match="nothing was done"):
            careful.do(read("decide --confidence 0.7 BUY SOL/USDT"))
        assert [
            "crash Sizer: make an actor crash at its next message. Really?",
            "decide BUY SOL/USDT --confidence 0.7: send a decision, and wait for its outcome. Really?",
        ] == asked
        careful.line.close()
        talk.do("suspend Snapshotter")
        with pytest.raises(Refused, match="there is no actor 'Nobody'"):
            talk.do("crash Nobody")
        log = tmp_path / "logs" / "console.jsonl"
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        assert ["suspend", "crash"] == [entry["command"] for entry in entries]
        assert "there is no actor" in entries[1]["failed"]
        assert 0o600 == log.stat().st_mode & 0o777


def test_a_python_prompt_only_where_it_was_allowed(embedded_url: str, tmp_path: Path) -> None:
    with talking(embedded_url, tmp_path, allow_repl=True) as talk:
        ask = talk.session.line.ask
        assert {"output": "2\n", "more": False} == ask("repl", source="1 + 1")
        assert ask("repl", source="for n in range(2):")["more"]
        assert "ZeroDivisionError" in ask("repl", source="1 / 0")["output"]
        assert "10000" in ask("repl", source="system.portfolio()['cash']")["output"]
        with pytest.raises(Refused, match=r"exit\(\) would end a thread here, not the process"):
            ask("repl", source="exit()")
        log = (tmp_path / "logs" / "console.jsonl").read_text().splitlines()
        assert "exit()" == json.loads(log[-1])["with"]["source"]


def test_a_decision_that_waits_is_said_to_be_committed(
    embedded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.acting.DECIDE_WITHIN", 0.3)
    with talking(embedded_url, tmp_path) as talk, Line(talk.path, patience=0.1) as hasty:
        told = hasty.ask("decide", decision="BUY", symbol="DEAD/USDT", confidence="1", quantity="1")
        assert "pending" == told["outcome"]
        assert f"chain {told['decision_id']} shows where it waits" in told["reason"]
        assert "waits in the Sizer for a price of DEAD/USDT" in talk.do(f"chain {told['decision_id']}")


def test_what_makes_no_sense_is_refused_with_a_sentence(
    embedded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.logs._secrets", {"s3cret-token"})
    with talking(embedded_url, tmp_path) as talk:
        with pytest.raises(Refused, match=r"^seconds must be a whole number from 1 to 600$"):
            talk.do("trace --seconds soon")
        with pytest.raises(Refused, match=r"^the Supervisor cannot be suspended"):
            talk.do("suspend Supervisor")
        with pytest.raises(Refused, match=r"^there is no actor '\*{8}'"):
            talk.do("state s3cret-token")


def test_a_thousand_bad_requests_do_no_harm(embedded_url: str, tmp_path: Path) -> None:
    draw = random.Random(1)

    def spoiled() -> bytes:
        good = json.dumps({"v": 1, "id": 1, "do": draw.choice([*WORDS, "hello"]), "with": {"actor": "Sizer", "n": -1}})
        data = bytearray(good.encode() + b"\n")
        for _ in range(draw.randint(1, 8)):
            place = draw.randrange(len(data))
            match draw.randrange(3):
                case 0:
                    data[place] = draw.randrange(256)
                case 1:
                    del data[place:]
                    data += b"\n"
                case _:
                    data[place:place] = bytes([draw.randrange(256)]) * draw.choice([1, 10, 5_000])
        return bytes(data)

    with talking(embedded_url, tmp_path) as talk:
        for _ in range(100):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.connect(str(talk.path))
                try:
                    client.sendall(b"".join(spoiled() for _ in range(10)))
                except OSError:
                    continue  # cut off, as it should be
        assert 1 == len([bought(talk.system)])
        assert [0] * 7 == [each["restarts"] for each in talk.json("ps")["actors"]]
        assert "the books balance" in talk.do("audit")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_cannot_connect(tmp_path_factory: pytest.TempPathFactory) -> None:
    python = shutil.which("python3", path="/usr/bin:/bin")  # this one's own folder may be closed to others
    if python is None:
        pytest.skip("there is no Python that another user may run")
    folder = Path("/tmp") / f"paper-console-{os.getpid()}"
    folder.mkdir(mode=0o711)
    try:
        with ConsoleDoor(folder / "console.sock", {"echo": dict}):
            attempt = f"import socket; socket.socket(socket.AF_UNIX).connect({str(folder / 'console.sock')!r})"
            done = subprocess.run(
                [python, "-c", attempt], user="nobody", group="nogroup", extra_groups=[], capture_output=True,
                text=True, check=False, cwd="/",
            )  # fmt: skip
            assert "PermissionError" in done.stderr
    finally:
        folder.rmdir()


def test_the_door_opens_again_when_there_are_files_again(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    first, client = (socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(2))
    with ConsoleDoor(path, {"echo": dict}), first, client:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            first.connect(str(path))  # for which the system has put a file aside already
            client.connect(str(path))
            client.settimeout(0.1)
            client.sendall(b'{"v": 1, "id": 1, "do": "echo", "with": {}}\n')
            with pytest.raises(TimeoutError):
                client.recv(1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        client.settimeout(5)
        assert b'"ok": true' in client.recv(1000)


def test_while_the_database_is_away_a_console_can_look_in(
    embedded_server: Server, embedded_url: str, tmp_path: Path
) -> None:
    with talking(embedded_url, tmp_path) as talk:
        embedded_server.stop(immediate=True)
        try:
            with Line(talk.path) as line:
                session = Session(line, Console(file=io.StringIO()))
                assert ([], []) == (session.hello["decisions"], session.hello["portfolios"])
                assert 7 == len(line.ask("ps")["actors"])
                assert "10000" == talk.do("state PositionKeeper portfolios.default.cash").strip()
        finally:
            embedded_server.start()


def test_a_client_that_hangs_is_cut_off_and_disturbs_nobody(embedded_url: str, tmp_path: Path) -> None:
    with talking(embedded_url, tmp_path) as talk:
        deaf = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(40)]
        try:
            for client in deaf:
                client.connect(str(talk.path))
                try:
                    client.sendall(b'{"v": 1, "id": 1, "do": "decisions", "with": {"n": 1000}}\n' * 5)
                except OSError:
                    continue
            bought(talk.system)
            assert 0 == talk.system.status().dead_letters
        finally:
            for client in deaf:
                client.close()
        until(lambda: "PositionKeeper" in attempt(talk))


def attempt(talk: Talk) -> str:
    """A new console, once there is room for one."""
    try:
        with Line(talk.path) as line:
            return str(line.ask("ps"))
    except PaperTradingError:
        return ""


def test_rows_of_somebody_else_do_not_disturb(embedded_url: str, tmp_path: Path) -> None:
    with talking(embedded_url, tmp_path) as talk, psycopg.connect(embedded_url, autocommit=True) as somebody:
        somebody.execute(
            "INSERT INTO trading_decisions (symbol, decision, confidence, reasoning)"
            " VALUES ('BTC/USDT', 'HOLD', 1, %s)",
            ["\x1b[31mred\x1b[0m [bold]markup[/bold] {braces} %s"],
        )
        until(lambda: "ignored" in talk.do("decisions"))
        assert "\x1b" not in talk.do("chain 1")
