"""The metrics' endpoint among other users of the machine: few clients at once, each for a short time."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from console.metrics import endpoint
from console.metrics.collector import MetricsCollector
from console.metrics.endpoint import MAX_CLIENTS, MetricsEndpoint
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
    monkeypatch.setattr(endpoint, "REQUEST_TIMEOUT_S", 0.5)
    with ExitStack() as clients:
        first = [clients.enter_context(half_request(port)) for _ in range(MAX_CLIENTS)]
        refused = clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        assert b"" == refused.recv(1)  # closed at once, while the others are still waited for
        assert [b""] * MAX_CLIENTS == [client.recv(1) for client in first]
    until(lambda: answers(port))


def test_a_request_that_trickles_in_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "REQUEST_TIMEOUT_S", 0.3)
    with half_request(port) as client, pytest.raises(ConnectionError):
        send_slowly(client)
