"""An exchange on this machine, and sources of its prices."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from tests.support.exchange.okx import OkxServer
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import SourceFactory


@pytest.fixture(scope="session")
def _ccxt() -> None:
    """ccxt, loaded before a test waits for a price: its 400 modules take a busy machine longer than any answer."""
    for exchange in ("pro.kraken", "pro.okx", "async_support.bitstamp"):
        importlib.import_module(f"ccxt.{exchange}")


@pytest.fixture
def server(_ccxt: None) -> Iterator[ExchangeServer]:
    with ExchangeServer() as running:
        yield running


@pytest.fixture
def okx(_ccxt: None) -> Iterator[OkxServer]:
    with OkxServer() as running:
        yield running


@pytest.fixture
def open_source(server: ExchangeServer) -> Iterator[SourceFactory]:
    factory = SourceFactory(server)
    yield factory
    factory.close()


@pytest.fixture
def open_okx(okx: OkxServer) -> Iterator[SourceFactory]:
    factory = SourceFactory(okx)
    yield factory
    factory.close()
