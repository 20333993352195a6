"""The markets of the local exchange at its start, its trades, and the answers without data that it can send."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web


@dataclass
class Listing:
    """A market, with the venue's rules for it as its interface spells them.

    Attributes:
        bid: None means the last price; ``ask`` too.
        bid_size: the quantity offered at the bid, which only Kraken sends; ``ask_size`` likewise.
    """

    symbol: str
    price_decimals: int
    lot_decimals: int
    min_quantity: str
    min_value: str
    last: str
    bid: str | None = None
    ask: str | None = None
    bid_size: str = "1"
    ask_size: str = "1"
    online: bool = True

    @property
    def base(self) -> str:
        return self.symbol.partition("/")[0]

    @property
    def quote(self) -> str:
        return self.symbol.partition("/")[2]

    @property
    def id(self) -> str:
        return self.symbol.replace("/", "")

    @property
    def best_bid(self) -> list[str]:
        """Price and size."""
        return [self.bid or self.last, self.bid_size]

    @property
    def best_ask(self) -> list[str]:
        """Price and size."""
        return [self.ask or self.last, self.ask_size]


def listings() -> dict[str, Listing]:
    """Return the markets at the start, by symbol."""
    rows = [
        Listing("BTC/USDT", 1, 8, "0.0001", "5", "110485.8"),
        Listing("ETH/USDT", 2, 8, "0.002", "5", "3950.01"),
        Listing("SOL/USDT", 2, 6, "0.02", "5", "190.25"),
        Listing("XRP/USDT", 5, 5, "2", "5", "2.45"),
        Listing("ADA/USDT", 6, 4, "50", "5", "0.8"),
        Listing("BTC/EUR", 1, 8, "0.0001", "0.5", "95000.1"),
        Listing("DOT/USDT", 4, 5, "1", "5", "7.1", online=False),
    ]
    return {row.symbol: row for row in rows}


def kraken_trades(symbol: str, trades: Sequence[tuple[str, str]], earlier: int, time: float) -> list[dict[str, Any]]:
    """Return trades of a price and an amount as Kraken streams them; ``earlier`` of them were before."""
    text = datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")
    return [
        {"symbol": symbol, "side": "sell", "price": float(price), "qty": float(amount), "ord_type": "market",
         "trade_id": number, "timestamp": text}
        # ccxt sorts trades of one moment by the text of their number, so that all have seven digits.
        for number, (price, amount) in enumerate(trades, start=1_000_000 + earlier)
    ]  # fmt: skip


def kraken_market(market: Listing) -> dict[str, Any]:
    """Return a market as Kraken lists it."""
    return {
        "altname": market.id, "wsname": market.symbol, "base": market.base, "quote": market.quote,
        "pair_decimals": market.price_decimals, "lot_decimals": market.lot_decimals, "ordermin": market.min_quantity,
        "costmin": market.min_value, "fees": [[0, 0.26]], "fees_maker": [[0, 0.16]], "leverage_buy": [],
        "leverage_sell": [], "status": "online" if market.online else "cancel_only",
    }  # fmt: skip


def kraken_requested_ticker(market: Listing, last: str) -> dict[str, Any]:
    """Return a ticker as Kraken answers a request for it."""
    return {
        # The price, the size in whole lots, the size.
        "a": [market.ask or market.last, "1", market.ask_size],
        "b": [market.bid or market.last, "1", market.bid_size],
        "c": [last, "0.01"],
        "v": ["100", "200"],
        "p": [market.last, market.last],
        "t": [10, 20],
        "l": [market.last, market.last],
        "h": [market.last, market.last],
        "o": market.last,
    }


def kraken_ticker(market: Listing, last: float) -> dict[str, Any]:
    """Return a message with a ticker as Kraken streams it."""
    bid, ask = float(market.bid or market.last), float(market.ask or market.last)
    sizes = {"bid_qty": float(market.bid_size), "ask_qty": float(market.ask_size)}
    data = {"symbol": market.symbol, "bid": bid, "ask": ask, "last": last, **sizes}
    rest = {"volume": 200.0, "vwap": last, "low": last, "high": last, "change": 0.0, "change_pct": 0.0}
    return {"channel": "ticker", "type": "update", "data": [data | rest]}


def kraken_book(market: Listing, last: str) -> dict[str, Any]:
    """Return a message with the whole order book, one level on each side, as Kraken streams it.

    Args:
        market: without a bid or ask, its levels are at ``last``.
        last: its price.
    """
    sides = {
        name: [{"price": float(price), "qty": float(size)}]
        for name, price, size in (
            ("bids", market.bid or last, market.bid_size),
            ("asks", market.ask or last, market.ask_size),
        )
    }
    return {"channel": "book", "type": "snapshot", "data": [{"symbol": market.symbol, **sides, "checksum": 0}]}


def bitstamp_market(market: Listing) -> dict[str, Any]:
    """Return a market as Bitstamp lists it."""
    return {
        "name": market.symbol, "market_symbol": market.id.lower(), "base_currency": market.base,
        "counter_currency": market.quote, "base_decimals": market.lot_decimals,
        "counter_decimals": market.price_decimals, "minimum_order_value": market.min_value,
        "minimum_order_amount": market.min_quantity, "trading": "Enabled" if market.online else "Disabled",
        "market_type": "SPOT", "description": f"{market.base} / {market.quote}",
    }  # fmt: skip


BODIES = ("html", "plain", "empty", "null", "cut", "nothing")
"""Answers with status 200 without data: a proxy's page, plain text, no byte, JSON's null, a part, an empty list."""


HUGE_BYTES = 21_000_000
"""More than an answer may have, also a list of markets: a correct one with so many spaces is ``huge``."""


async def answer_with(kind: str, request: web.Request, document: object) -> web.StreamResponse:
    """Answer with one of the `BODIES`, ``half``, or as is right: the connection breaks in the middle of ``half``."""
    if kind != "half":
        return bad_answer(kind, document) or web.json_response(document)
    text = json.dumps(document)
    response = web.StreamResponse(headers={"Content-Length": str(len(text)), "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(text[: len(text) // 2].encode())
    assert request.transport is not None
    request.transport.close()
    return response


def bad_answer(kind: str, document: object) -> web.Response | None:
    """Return an answer of one of the `BODIES`, None for another kind."""
    nothing = {"error": [], "result": {}} if isinstance(document, dict) and "result" in document else type(document)()
    match kind:
        case "html":
            return web.Response(
                text="<!DOCTYPE html><html><body>Checking your browser</body></html>", content_type="text/html"
            )
        case "plain":
            return web.Response(text="error code: 1015", content_type="text/plain")
        case "empty":
            text = ""
        case "null":
            text = "null"
        case "cut":
            text = json.dumps(document)[:-20]
        case "nothing":
            text = json.dumps(nothing)
        case "huge":
            text = json.dumps(document) + " " * HUGE_BYTES
        case _:
            return None
    return web.Response(text=text, content_type="application/json")
