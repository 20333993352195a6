"""An exchange on this machine, sources of its prices, and what they log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import SourceFactory
from tests.support.system.running_system import captured_log


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as running:
        yield running


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    with captured_log("market") as lines:
        yield lines


@pytest.fixture
def open_source(server: ExchangeServer) -> Iterator[SourceFactory]:
    factory = SourceFactory(server)
    yield factory
    factory.close()
