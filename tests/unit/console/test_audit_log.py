"""The audit log of the console: each request that is carried out has a record, whatever it looks like."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.runtime.timer import SystemClock
from console.debug.protocol import ConsoleConnection
from console.debug.server import ConsoleServer
from console.errors import Refused
from console.service.actions import AuditLog
from domain.errors import InvalidRequest


class Recorded:
    """A console with one command that is recorded, and what it was called with."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "logs" / "console.jsonl"
        self.path = folder / "console.sock"
        self.calls: list[Any] = []
        self.command = AuditLog(self.file, SystemClock()).recorded("halt", self._halt)

    def _halt(self, request: Any) -> None:
        self.calls.append(request)

    @property
    def lines(self) -> list[bytes]:
        return self.file.read_bytes().splitlines() if self.file.exists() else []

    @property
    def records(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]

    def answers(self, *lines: bytes) -> list[Any]:
        """Return the answers to raw lines, each sent on a connection of its own."""
        answers = []
        for line in lines:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(10)
                client.connect(str(self.path))
                client.sendall(line)
                client.shutdown(socket.SHUT_WR)
                answers.append(b"".join(iter(lambda: client.recv(65_536), b"")))
        return answers


@contextmanager
def recorded(folder: Path) -> Iterator[Recorded]:
    console = Recorded(folder)
    with ConsoleServer(console.path, {"halt": console.command}):
        yield console


def halt(reason: str) -> bytes:
    """Return a request; the reason is a JSON string without its quotation marks."""
    return f'{{"v": 1, "id": 1, "do": "halt", "with": {{"reason": "{reason}"}}}}\n'.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("reason", ["\\ud800", "\\udc80", "a\\uDfffb", "\udc80", "\\ud83d and \\ude00"])
def test_half_a_character_is_refused_before_anything_is_done(tmp_path: Path, reason: str) -> None:
    with recorded(tmp_path) as console:
        (answer,) = console.answers(halt(reason))
        assert ([], []) == (console.calls, console.records)
    assert json.loads(answer)["error"] in {
        "the line is not valid text: half a character (a surrogate), or nested too deeply",
        "the line is not valid JSON",  # the bytes themselves are no UTF-8
    }


def test_both_halves_are_a_character(tmp_path: Path) -> None:
    with recorded(tmp_path) as console:
        console.answers(halt("\\ud83d\\ude00"))
        assert ["😀"] == [record["with"]["reason"] for record in console.records]


def test_a_client_whose_argument_is_no_text_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with recorded(tmp_path) as console, ConsoleConnection(console.path) as connection:
        with pytest.raises(Refused, match="half a character"):
            connection.ask("halt", reason=os.fsdecode(b"\x80"))
        connection.ask("halt", reason="next")
        assert ["next"] == [record["with"]["reason"] for record in console.records]


@pytest.mark.parametrize("depth", [10, 200, 300, 400, 480, 600, 900, 980, 20_000])
def test_what_is_nested_is_recorded_or_not_done(tmp_path: Path, depth: int) -> None:
    line = b'{"v": 1, "id": 1, "do": "halt", "with": {"x": ' + b"[" * depth + b"]" * depth + b"}}\n"
    with recorded(tmp_path) as console:
        console.answers(line)
        assert len(console.calls) == len(console.lines)


def test_what_reaches_the_log_in_another_way_is_recorded_as_its_escape(tmp_path: Path) -> None:
    console = Recorded(tmp_path)
    console.command({"reason": "\udc80", "who": "me"})
    assert (["\udc80"], b'"\\udc80"') == (
        [record["with"]["reason"] for record in console.records],
        console.file.read_bytes().partition(b'"reason": ')[2][:8],
    )


def test_what_cannot_be_recorded_is_not_done(tmp_path: Path) -> None:
    nested: list[Any] = []
    nested.append(nested)
    console = Recorded(tmp_path)
    with pytest.raises(InvalidRequest, match="the request cannot be recorded, so it is not carried out"):
        console.command({"x": nested, "who": "me"})
    assert ([], []) == (console.calls, console.records)


def test_the_log_is_private_and_no_link_is_followed(tmp_path: Path) -> None:
    console = Recorded(tmp_path)
    before = os.umask(0)
    try:
        console.command({"reason": "one"})
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (console.file, console.file.parent)]
    assert [0o600, 0o700] == modes
    victim = tmp_path / "authorized_keys"
    victim.write_text("mine\n")
    console.file.unlink()
    console.file.symlink_to(victim)
    console.command({"reason": "two"})
    assert "mine\n" == victim.read_text()


LINES = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=20).map(lambda text: halt(json.dumps(text)[1:-1])),
    st.text(alphabet=st.characters(categories=["Cs", "Cc", "Lu", "So"]), max_size=20).map(
        lambda text: halt(json.dumps(text)[1:-1])
    ),
    st.text(alphabet='\\ud8dcf0"{}[]:,', max_size=30).map(halt),
)


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, min_size=1, max_size=4))
def test_each_request_that_is_carried_out_has_one_record(
    lines: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with recorded(tmp_path_factory.mktemp("fuzz")) as console:
        answers = console.answers(*(line.replace(b"\n", b"") + b"\n" for line in lines))
        assert [1] * len(lines) == [answer.count(b"\n") for answer in answers]
        assert [call.get("reason") for call in console.calls] == [
            record["with"].get("reason") for record in console.records
        ]
