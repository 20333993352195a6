"""The reason for which an exchange cannot be reached, in the words of people."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import closing
from typing import Any

import ccxt.async_support
import pytest

from market.exchange.retry import describe_error


def failure_of(address: str) -> str:
    """Request an address as the price source does; return the reason of the failure."""

    async def request() -> str:
        exchange: Any = ccxt.async_support.kraken({"urls": {"api": {"public": address}}, "timeout": 300})
        try:
            await exchange.fetch_time()
        except Exception as error:  # noqa: BLE001 - it is what is looked at
            return describe_error(error)
        finally:
            await exchange.close()
        return "it answered"

    return asyncio.run(request())


def test_a_name_that_cannot_be_looked_up_and_a_port_that_nobody_listens_on() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        assert "no answer in time" == failure_of(f"http://127.0.0.1:{port}")
    assert "Connection refused" == failure_of(f"http://127.0.0.1:{port}")
    assert "DNS lookup failed" == failure_of("http://nowhere.invalid")


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (ssl.SSLError(1, "wrong version number"), "TLS failed: wrong version number"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (ValueError("of another kind"), "RuntimeError: GET https://api"),
        (FileNotFoundError(2, "No such file", "a.pem"), "RuntimeError: GET https://api"),
        (OSError("without a number"), "RuntimeError: GET https://api"),
    ],
)
def test_the_cause_counts_where_the_system_names_it(cause: Exception, reason: str) -> None:
    error = RuntimeError("GET https://api")
    error.__cause__ = cause
    assert reason == describe_error(error)
