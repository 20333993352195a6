"""The metrics' endpoint among other users of the machine: few clients at once, each for a short time."""

from __future__ import annotations

import os
import socket
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from console.metrics import http_server
from console.metrics.collector import MetricsCollector
from console.metrics.endpoint import MetricsEndpoint
from console.metrics.http_server import MAX_CLIENTS
from domain.errors import SettingsError
from tests.support.database.server import free_port
from tests.support.system.running_system import until
from tests.support.system.scrapes import fetch


@pytest.fixture
def port() -> Iterator[int]:
    port = free_port()
    with MetricsEndpoint(port, MetricsCollector().registry):
        yield port


def half_request(port: int) -> socket.socket:
    """Connect, and begin a request that never ends."""
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    return client


def answers(port: int) -> bool:
    """Return whether a scrape is answered."""
    try:
        return fetch(port).value("paper_up") == 0
    except OSError:  # there was no place for it
        return False


def send_slowly(client: socket.socket) -> None:
    """Send a header every 20 ms for 10 s."""
    begin = time.monotonic()
    while time.monotonic() - begin < 10:
        client.sendall(b"X: y\r\n")
        time.sleep(0.02)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9464", "LOCALHOST"])
def test_it_answers_to_the_names_of_this_machine(port: int, host: str) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Host": host})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert b"paper_up 0.0" in answer.read()


def test_it_does_not_answer_to_a_foreign_name(port: int) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Host": "rebound.example:80"})
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request, timeout=30)
    with raised.value as answer:
        assert (403, b"The metrics are served as 127.0.0.1 and localhost only.\n") == (answer.code, answer.read())


def test_half_requests_take_eight_places_at_most_and_give_them_back(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "REQUEST_TIMEOUT_S", 0.5)
    with ExitStack() as clients:
        first = [clients.enter_context(half_request(port)) for _ in range(MAX_CLIENTS)]
        refused = clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        assert b"" == refused.recv(1)  # closed at once, while the others are still waited for
        assert [b""] * MAX_CLIENTS == [client.recv(1) for client in first]
    until(lambda: answers(port))


def test_a_request_that_trickles_in_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "REQUEST_TIMEOUT_S", 0.3)
    with half_request(port) as client, pytest.raises(ConnectionError):
        send_slowly(client)


# A Unix socket


def endpoint_at(path: Path) -> MetricsEndpoint:
    return MetricsEndpoint(None, MetricsCollector().registry, path)


def scraped(path: Path) -> str:
    """Return the answer to a scrape at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
        return b"".join(iter(lambda: client.recv(65_536), b"")).decode()


def refused(path: Path) -> str:
    """Return why a socket is not served."""
    with pytest.raises(SettingsError) as raised, endpoint_at(path):
        pass
    return str(raised.value)


@pytest.mark.parametrize(("folder_mode", "expected"), [(0o700, 0o600), (0o2750, 0o660)])
def test_a_socket_serves_its_user_and_in_a_setgid_folder_the_group(
    tmp_path: Path, folder_mode: int, expected: int
) -> None:
    tmp_path.chmod(folder_mode)
    path = tmp_path / "metrics.sock"
    before = os.umask(0)
    try:
        with endpoint_at(path) as endpoint:
            assert (path, None) == (endpoint.socket_path, endpoint.url)
            assert expected == stat.S_IMODE(path.stat().st_mode)
            assert "paper_up 0.0" in scraped(path)
    finally:
        os.umask(before)
    assert not path.exists()


def test_port_and_socket_serve_at_once(tmp_path: Path) -> None:
    path, port = tmp_path / "metrics.sock", free_port()
    with MetricsEndpoint(port, MetricsCollector().registry, path):
        assert "paper_up 0.0" in scraped(path)
        assert 0 == fetch(port).value("paper_up")


def test_half_requests_at_a_socket_are_limited_too(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    with endpoint_at(path), ExitStack() as clients:
        for _ in range(MAX_CLIENTS):
            client = clients.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.connect(str(path))
            client.sendall(b"GET ")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as late:
            late.settimeout(30)
            late.connect(str(path))
            assert b"" == late.recv(1)


def test_the_socket_of_a_killed_process_is_replaced_and_that_of_another_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
        killed.bind(str(path))
    with endpoint_at(path):
        sentence = f"setting metrics_socket = '{path}': cannot listen there (another program does)"
        assert sentence == refused(path)
        assert "paper_up 0.0" in scraped(path)


def test_something_else_of_that_name_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    path.write_text("mine")
    assert refused(path).endswith("cannot listen there (a file that is no socket has this name)")
    victim = tmp_path / "victim"
    path.rename(victim)
    path.symlink_to(victim)
    assert refused(path).endswith("cannot listen there (a file that is no socket has this name)")
    assert "mine" == victim.read_text()


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    reason = f"the folder {tmp_path} must be your own, and it may be written by everybody"
    assert reason in refused(tmp_path / "metrics.sock")


def test_a_start_that_fails_leaves_no_server(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(SettingsError), MetricsEndpoint(port, MetricsCollector().registry, tmp_path / "none" / "x.sock"):
        pass
    with MetricsEndpoint(port, MetricsCollector().registry):
        assert 0 == fetch(port).value("paper_up")
