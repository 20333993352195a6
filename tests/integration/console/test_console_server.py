"""The console's server: bad requests, other users, clients that hang, and an unreachable database."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from rich.console import Console

from console.debug.client import Session
from console.debug.command_spec import COMMAND_SPECS
from console.debug.protocol import ConsoleConnection
from console.debug.server import MAX_CLIENTS, ConsoleServer
from console.errors import Refused
from domain.errors import NotRunning, PaperTradingError
from tests.support.captured_log import captured_log
from tests.support.database.servers import Server
from tests.support.system.console_sessions import ConsoleSession, buy, console_session
from tests.support.system.running_system import until


@pytest.mark.parametrize("mode", [0o777, 0o720, None])
def test_a_folder_prepared_by_others_is_left_alone(tmp_path: Path, mode: int | None) -> None:
    folder, theirs = tmp_path / "socket", tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "console.sock").write_text("theirs")
    if mode is None:
        folder.symlink_to(theirs)
    else:
        folder.mkdir()
        folder.chmod(mode)
    with captured_log("console", "WARNING") as lines, ConsoleServer(folder / "console.sock", {"echo": dict}):
        (line,) = lines
        assert f"no console: cannot listen at {folder}/console.sock (folder {folder} is not private" in line
        assert [] == [path for path in folder.iterdir() if path.is_socket()]
    assert "theirs" == (theirs / "console.sock").read_text()


def test_a_thousand_bad_requests_do_no_harm(embedded_url: str, tmp_path: Path) -> None:
    draw = random.Random(1)

    def spoiled() -> bytes:
        good = json.dumps(
            {"v": 1, "id": 1, "do": draw.choice([*COMMAND_SPECS, "hello"]), "with": {"actor": "Sizer", "n": -1}}
        )
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

    with console_session(embedded_url, tmp_path) as talk:
        for _ in range(100):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.connect(str(talk.path))
                try:
                    client.sendall(b"".join(spoiled() for _ in range(10)))
                except OSError:
                    continue  # disconnected, as expected
        assert 1 == len([buy(talk.system)])
        assert [0] * 7 == [actor["restarts"] for actor in talk.json("ps")["actors"]]
        assert "the books balance" in talk.do("audit")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_cannot_connect(tmp_path_factory: pytest.TempPathFactory) -> None:
    python = shutil.which("python3", path="/usr/bin:/bin")  # this one's own folder may be closed to others
    if python is None:
        pytest.skip("there is no Python that another user may run")
    folder = Path("/tmp") / f"paper-console-{os.getpid()}"
    folder.mkdir(mode=0o711)
    try:
        with ConsoleServer(folder / "console.sock", {"echo": dict}):
            attempt = f"import socket; socket.socket(socket.AF_UNIX).connect({str(folder / 'console.sock')!r})"
            done = subprocess.run(
                [python, "-c", attempt], user="nobody", group="nogroup", extra_groups=[], capture_output=True,
                text=True, check=False, cwd="/", timeout=60,
            )  # fmt: skip
            assert "PermissionError" in done.stderr
    finally:
        folder.rmdir()


def test_one_console_too_many_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    with ConsoleServer(path, {"echo": dict}), ExitStack() as crowd:
        lines = [crowd.enter_context(ConsoleConnection(path)) for _ in range(MAX_CLIENTS)]
        assert [{"n": 1, "who": ANY}] * MAX_CLIENTS == [line.ask("echo", n=1) for line in lines]
        for _ in range(3):
            with (
                ConsoleConnection(path) as late,
                pytest.raises(Refused, match=r"^32 consoles are open already; close one$"),
            ):
                late.ask("echo")
        lines[0].close()

        def let_in() -> bool:
            try:
                with ConsoleConnection(path) as line:
                    return bool(line.ask("echo"))
            except Refused:
                return False

        until(let_in)


def test_close_waits_for_the_answer_to_a_request_that_is_being_handled(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"

    def end(request: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a crash over the limit of restarts does: the process closes the server before this returns."""
        threading.Thread(target=server.close).start()
        until(lambda: not path.exists())  # it does not listen any more, and closes the connections next
        threading.Event().wait(0.2)
        return {"n": request["n"]}

    server = ConsoleServer(path, {"end": end})
    with server, ConsoleConnection(path) as line, ConsoleConnection(path) as idle:
        assert {"n": 1} == line.ask("end", n=1)
        with pytest.raises(NotRunning):
            idle.ask("end", n=2)


@pytest.mark.slow
def test_close_ends_a_stream_and_does_not_wait_for_a_command_that_hangs(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    released = threading.Event()
    server = ConsoleServer(
        path, {"stream": lambda _: (number for number in count()), "hang": lambda _: released.wait()}
    )
    try:
        with server, ConsoleConnection(path) as streaming, ConsoleConnection(path) as hanging:
            numbers = streaming.stream("stream")
            assert 0 == next(numbers)
            request = threading.Thread(target=suppressed_request, args=(hanging, "hang"))
            request.start()
            server.close()
            with pytest.raises(NotRunning):
                list(numbers)
            request.join(10)
            assert not request.is_alive()
    finally:
        released.set()


def suppressed_request(connection: ConsoleConnection, command: str) -> None:
    with suppress(NotRunning):
        connection.ask(command)


def test_after_ctrl_c_the_next_request_neither_waits_for_the_answer_nor_gets_it(tmp_path: Path) -> None:
    released = threading.Event()

    def wait(_: Mapping[str, Any]) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        released.wait()
        return "late"

    path = tmp_path / "console.sock"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with ConsoleServer(path, {"wait": wait, "next": lambda _: "the next"}), ConsoleConnection(path) as connection:
            with pytest.raises(KeyboardInterrupt):
                connection.ask("wait")
            assert "the next" == connection.ask("next")
            released.set()
            assert "the next" == connection.ask("next")
    finally:
        released.set()
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_the_server_accepts_again_when_files_are_free_again(tmp_path: Path) -> None:
    # In a process of its own: what an earlier test left behind could close a file, and so there would be one more.
    alone = multiprocessing.get_context("spawn").Process(
        target=without_files, args=(tmp_path / "console.sock",), daemon=True
    )
    alone.start()  # a daemon, because the end of Python waits for any other without a limit
    alone.join(30)
    assert 0 == alone.exitcode


def without_files(path: Path) -> None:
    first, client = (socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(2))
    with ConsoleServer(path, {"echo": dict}), first, client:
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
    with console_session(embedded_url, tmp_path) as talk:
        embedded_server.stop(immediate=True)
        try:
            with ConsoleConnection(talk.path) as line:
                session = Session(line, Console(file=io.StringIO()))
                assert ([], []) == (session.hello["decisions"], session.hello["portfolios"])
                assert 7 == len(line.ask("ps")["actors"])
                assert "10000" == talk.do("state PositionKeeper portfolios.default.cash").strip()
        finally:
            embedded_server.start()


def test_a_client_that_hangs_is_cut_off_and_disturbs_nobody(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as talk:
        deaf = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(40)]
        try:
            for client in deaf:
                client.connect(str(talk.path))
                try:
                    client.sendall(b'{"v": 1, "id": 1, "do": "decisions", "with": {"n": 1000}}\n' * 5)
                except OSError:
                    continue
            buy(talk.system)
            assert 0 == talk.system.status().dead_letters
        finally:
            for client in deaf:
                client.close()
        until(lambda: "PositionKeeper" in attempt(talk))


def attempt(talk: ConsoleSession) -> str:
    """A new console, once there is room for one."""
    try:
        with ConsoleConnection(talk.path) as line:
            return str(line.ask("ps"))
    except PaperTradingError:
        return ""
