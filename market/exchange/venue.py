"""One exchange through ccxt: its public data, in this program's types. ccxt is imported only when it is used."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import pkgutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.errors import SettingsError
from domain.trading.arithmetic import PRICE_QUANTUM, QUANTITY_STEP, STORED_QUANTUM, ZERO
from domain.trading.decision import MAX_AMOUNT
from domain.trading.freshness.age import ClockKind
from domain.trading.instruments import Instrument
from domain.types import Symbol
from domain.wording import did_you_mean
from market.exchange.exchange_clock import ClockReading, time_in_headers, time_of
from market.exchange.market_list import MarketListCheck
from market.exchange.parsing import number

NOT_EXCHANGES = frozenset({"base", "test", "abstract", "protobuf", "static_dependencies"})
KEYS = frozenset({
    "apikey", "secret", "password", "uid", "login", "token", "walletaddress", "privatekey", "twofa", "accountid",
    "passphrase", "authorization",
})  # fmt: skip
"""ccxt's names of credentials; public data needs none, so none is accepted."""
QUOTED_STREAM = {"options": {"watchTickers": {"name": "ticker"}}}
DEFAULT_OPTIONS: Mapping[str, Mapping[str, Any]] = {"binance": QUOTED_STREAM, "binanceus": QUOTED_STREAM}
"""Options in place of ccxt's own, by exchange. Binance's ``miniTicker``, ccxt's default, has neither bid nor ask."""
_READS_MARKETS = ContextVar("reads_markets", default=False)
"""Whether this task reads the list of markets; others may read prices meanwhile."""

CLOCK_TIMEOUT_S = 5.0
"""For the answer to a request for the exchange's time; without it, the time in the header of an answer counts."""
CACHE_POLL_S = 0.2
"""ccxt wakes only tasks that wait at that moment; a ticker that arrived just before is found in its cache."""


def check(exchange_id: str, options: Mapping[str, Any]) -> None:
    """Refuse an exchange that ccxt does not know, and options that are keys.

    Raises:
        SettingsError: the message is one sentence and never holds a value of the options.
    """
    exchanges = _modules("async_support")
    if exchange_id not in exchanges:
        hint = did_you_mean(exchange_id, exchanges, most=3)
        raise SettingsError(f"setting exchange = {exchange_id!r}: ccxt knows no such exchange{hint}")
    for name in _names(options):
        if name.replace("_", "").replace("-", "").lower() in KEYS:
            msg = f"setting exchange_options holds {name!r}: only public data is used, so no key belongs here"
            raise SettingsError(msg)


def _names(options: object) -> Iterator[str]:
    """Yield the names in ``options``, however deep."""
    if isinstance(options, Mapping):
        for name, value in options.items():
            yield str(name)
            yield from _names(value)
    elif isinstance(options, list):
        for value in options:
            yield from _names(value)


def _modules(package: str) -> set[str]:
    """Return the exchanges of a package of ccxt, by their files: importing all of them would take a second."""
    ccxt = importlib.util.find_spec("ccxt")
    assert ccxt is not None
    folders = [f"{folder}/{package}" for folder in ccxt.submodule_search_locations or ()]
    return {module.name for module in pkgutil.iter_modules(folders)} - NOT_EXCHANGES


def configured(exchange_id: str, options: Mapping[str, Any]) -> Any:
    """Return ccxt's exchange with options; it connects with the first request. The import takes a second."""
    package = "pro" if exchange_id in _modules("pro") else "async_support"
    exchange_class = getattr(importlib.import_module(f"ccxt.{package}.{exchange_id}"), exchange_id)
    merged = exchange_class.deep_extend(DEFAULT_OPTIONS.get(exchange_id, {}), options)
    return exchange_class({"enableRateLimit": True, **merged})


class Venue:
    """An exchange; made and used on one asyncio loop.

    Args:
        exchange_id: as ccxt spells it.
        options: further options of ccxt's exchange.
        timeout: for one answer, in seconds.
        check_markets: refuses lists of markets that cannot be right.

    Attributes:
        name: ccxt's id.
        streams: whether it has a WebSocket for tickers.
        answers: whether it answers requests for tickers.
        streams_trades: whether it has a WebSocket for trades.
        is_pro: whether ccxt has any WebSocket for it.
    """

    def __init__(
        self, exchange_id: str, options: Mapping[str, Any], timeout: float, check_markets: MarketListCheck
    ) -> None:
        self.name = exchange_id
        self._ccxt = configured(exchange_id, {"timeout": int(timeout * 1000), **options})
        # ccxt's own default is float; with str, prices keep every digit that was sent. ccxt compares the numbers in the
        # lists of some exchanges while it reads them, which does not work on text.
        self._ccxt.number = lambda value: float(value) if _READS_MARKETS.get() else str(value)
        limits = importlib.import_module("market.exchange.answer_limit")  # it imports aiohttp
        limits.limit_answers(
            self._ccxt, lambda: limits.MAX_LIST_BYTES if _READS_MARKETS.get() else limits.MAX_ANSWER_BYTES
        )
        self._check_markets = check_markets
        self._load, self._ccxt.load_markets = self._ccxt.load_markets, self._loaded_markets
        self._fetch_markets, self._ccxt.fetch_markets = self._ccxt.fetch_markets, self._checked_markets
        self._handle_errors, self._ccxt.handle_errors = self._ccxt.handle_errors, self._handle_answer
        self._loading = asyncio.Lock()
        self._listed = asyncio.Event()
        self._date: tuple[datetime, float] | None = None  # by the last answer's header, and when it arrived
        self._watched: frozenset[Symbol] = frozenset()
        self._returned: dict[Symbol, Mapping[str, Any]] = {}
        self._all_at_once = bool(self._ccxt.has.get("fetchTickers"))
        self._streams_many = bool(self._ccxt.has.get("watchTickers"))
        self.is_pro = exchange_id in _modules("pro")
        self.streams = self.is_pro and (self._streams_many or bool(self._ccxt.has.get("watchTicker")))
        self.streams_trades = self.is_pro and bool(self._ccxt.has.get("watchTrades"))
        self.answers = self._all_at_once or bool(self._ccxt.has.get("fetchTicker"))

    async def instruments(self) -> list[Instrument]:
        """Request the instruments and their rules; after a failure the last good list stays in use.

        Raises:
            ImplausibleMarketList: the answer is readable, but cannot be right.
        """
        async with self._loading:  # one after the other, so that no older answer replaces a newer one
            reads = _READS_MARKETS.set(True)
            try:
                markets = await self._load(True)
            finally:
                _READS_MARKETS.reset(reads)
        self._listed.set()
        return [self._instrument(market) for market in markets.values() if market.get("symbol")]

    async def read_clock(self) -> ClockReading | None:
        """Return the exchange's time: as it answers, else by the header of its last answer; None without either."""
        await self._listed.wait()
        if self._ccxt.has.get("fetchTime"):
            with suppress(Exception):
                milliseconds = await asyncio.wait_for(self._ccxt.fetch_time(), CLOCK_TIMEOUT_S)
                if (there := time_of(milliseconds)) is not None:
                    return ClockReading(there, ClockKind.EXCHANGE)
        if self._date is None:
            return None
        date, arrived = self._date
        since = asyncio.get_running_loop().time() - arrived
        return ClockReading(date + timedelta(seconds=since), ClockKind.HTTP_DATE)

    @property
    def awaited(self) -> frozenset[Symbol]:
        """Symbols that the last list of markets left out, and that do not count as delisted yet."""
        return self._check_markets.awaited

    @property
    def listed(self) -> bool:
        """Whether a list of markets was loaded; requests for prices wait for it."""
        return self._listed.is_set()

    async def _checked_markets(self, *args: Any, **kwargs: Any) -> Any:
        """Replace ccxt's own method: a bad list must not become ccxt's, or ccxt would find no symbol in it."""
        markets = await self._fetch_markets(*args, **kwargs)
        return self._check_markets.check(markets or (), asyncio.get_running_loop().time())

    async def _loaded_markets(self, *_: object, **__: object) -> Any:
        """Replace ccxt's own method, which would request a list before prices, and fail the prices with it."""
        await self._listed.wait()
        return self._ccxt.markets

    def _handle_answer(self, *answer: Any) -> Any:
        """Replace ccxt's own method, which takes an answer that is no JSON for an empty one."""
        status, _, url, _, headers, body, document, *_ = answer
        if (date := time_in_headers(headers or {})) is not None:
            self._date = date, asyncio.get_running_loop().time()
        if 200 <= status < 300 and document is None and (defect := unreadable(body)) is not None:
            from ccxt import BadResponse  # noqa: PLC0415 - ccxt is imported only when it is used

            raise BadResponse(f"the answer of {url.partition('?')[0]} is {defect}")
        return self._handle_errors(*answer)

    async def tickers(self, symbols: Sequence[Symbol]) -> list[Mapping[str, Any]]:
        """Request the tickers of ``symbols``, in one request where the exchange offers that."""
        await self._listed.wait()
        if self._ccxt.has.get("fetchTicker") and not (self._all_at_once and len(symbols) > 1):
            return [await self._ccxt.fetch_ticker(symbol) for symbol in symbols]
        return list((await self._ccxt.fetch_tickers(list(symbols))).values())

    async def next_tickers(self, symbols: Sequence[Symbol]) -> list[Mapping[str, Any]]:
        """Wait for the next tickers of ``symbols`` that the exchange streams."""
        await self._listed.wait()
        # A ticker that ccxt kept from an earlier subscription, or from before the stream broke, is outdated.
        self._fresh([symbol for symbol in symbols if symbol not in self._watched])
        self._watched = frozenset(symbols)
        watches = self._watches(symbols)
        try:
            while not (fresh := self._fresh(symbols)):
                done, _ = await asyncio.wait(watches, timeout=CACHE_POLL_S, return_when=asyncio.FIRST_COMPLETED)
                for watch in done:
                    watch.result()
                if done:
                    _cancel(watches)
                    watches = self._watches(symbols)
        except Exception:
            self._watched = frozenset()
            raise
        finally:
            _cancel(watches)
        return fresh

    def _watches(self, symbols: Sequence[Symbol]) -> list[asyncio.Future[Any]]:
        if self._streams_many:
            return [asyncio.ensure_future(self._ccxt.watch_tickers(list(symbols)))]
        return [asyncio.ensure_future(self._ccxt.watch_ticker(symbol)) for symbol in symbols]

    def _fresh(self, symbols: Sequence[Symbol]) -> list[Mapping[str, Any]]:
        """Return the tickers not returned before: ccxt returns one, and keeps those that came with it in its cache."""
        fresh = []
        for symbol in symbols:
            ticker = self._ccxt.tickers.get(symbol)
            if ticker is not None and ticker is not self._returned.get(symbol):
                self._returned[symbol] = ticker
                fresh.append(ticker)
        return fresh

    async def unwatch(self, symbols: Collection[Symbol]) -> None:
        """Unsubscribe from the stream of ``symbols``, where the exchange offers that."""
        if symbols and self._ccxt.has.get("unWatchTickers"):
            with suppress(Exception):
                await self._ccxt.un_watch_tickers(list(symbols))

    async def next_trade(self, symbol: Symbol) -> None:
        """Wait until the exchange streams the next trades of ``symbol``; `trades` then holds them."""
        await self._listed.wait()
        await self._ccxt.watch_trades(symbol)

    def trades(self, symbol: Symbol) -> Sequence[Mapping[str, Any]]:
        """Return the last 1 000 streamed trades of ``symbol``, in the order in which they arrived."""
        return self._ccxt.trades.get(symbol) or ()

    async def unwatch_trades(self, symbols: Collection[Symbol]) -> None:
        """Unsubscribe from the trades of ``symbols``, where the exchange offers that."""
        if self._ccxt.has.get("unWatchTrades"):
            for symbol in symbols:
                with suppress(Exception):
                    await self._ccxt.un_watch_trades(symbol)

    @property
    def markets(self) -> Mapping[str, Any]:
        """The last list of markets, by symbol, as ccxt keeps it."""
        return self._ccxt.markets or {}

    def lists(self, symbol: Symbol) -> bool:
        """Return whether the last list of markets holds this symbol; True before the first list."""
        return self._ccxt.markets is None or symbol in self._ccxt.markets

    def retry_after(self) -> float:
        """Return the seconds of the last answer's ``Retry-After``, at most 300; 0 without that header."""
        headers = {str(name).lower(): value for name, value in (self._ccxt.last_response_headers or {}).items()}
        self._ccxt.last_response_headers = None  # or it would count for a later failure without an answer, too
        with suppress(ValueError, TypeError):
            return min(max(float(headers.get("retry-after", 0)), 0.0), 300.0)
        return 0.0

    async def close(self) -> None:
        """Close every connection; the next request opens new ones."""
        await self._ccxt.close()

    def _instrument(self, market: Mapping[str, Any]) -> Instrument:
        limits, precision = market.get("limits") or {}, market.get("precision") or {}
        return Instrument(
            symbol=Symbol(market["symbol"]),
            quote=market.get("quote"),
            tick=self._quantum(precision.get("price"), PRICE_QUANTUM),
            step=self._quantum(precision.get("amount"), QUANTITY_STEP),
            min_notional=_minimum(limits.get("cost")),
            min_quantity=_minimum(limits.get("amount")),
            not_traded=self._not_traded(market),
            maker_fee=_fee(market, "maker"),
            taker_fee=_fee(market, "taker"),
        )

    def _not_traded(self, market: Mapping[str, Any]) -> str | None:
        if not market.get("spot"):
            return f"is a {market.get('type') or 'derivative'} at {self.name}, and only spot markets are traded"
        if market.get("active") is False:
            return f"is delisted or suspended at {self.name}"
        return None

    def _quantum(self, precision: object, default: Decimal) -> Decimal:
        """Return a tick or step, ``default`` where the exchange gives none; see ccxt's manual, Precision Mode."""
        value = number(precision)
        if value is None:
            return default
        if self._ccxt.precisionMode == TICK_SIZE:
            return value if STORED_QUANTUM <= value < MAX_AMOUNT else default
        if self._ccxt.precisionMode == DECIMAL_PLACES and value == value.to_integral_value() and abs(value) <= 18:
            return Decimal(1).scaleb(-int(value))
        return default  # significant digits: the quantum depends on the price


def unreadable(body: str) -> str | None:
    """Return a description of an answer that is no JSON; None where it is JSON.

    >>> unreadable("<html>")
    'HTML in place of JSON'
    """
    text = body.strip()
    if not text or text == "null":
        return "empty"
    if text.startswith("<"):
        return "HTML in place of JSON"
    try:
        json.loads(text)
    except ValueError:
        return "no JSON, or only a part of it"
    return None


def _cancel(tasks: Iterable[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()


DECIMAL_PLACES = 2
TICK_SIZE = 4
"""ccxt's constants of the same names."""


def _minimum(limit: Mapping[str, Any] | None) -> Decimal:
    value = number((limit or {}).get("min"))
    return value if value is not None and ZERO < value < MAX_AMOUNT else ZERO


MAX_FEE = Decimal("0.1")
"""A larger rate cannot be right; it is the limit of ``commission_pct``, too."""


def _fee(market: Mapping[str, Any], liquidity: str) -> Decimal | None:
    """Return a commission rate of a market, None where the exchange states none; see ccxt's manual, Fee Structure."""
    rate = number(market.get(liquidity)) if market.get("percentage") is not False else None
    return rate if rate is not None and abs(rate) <= MAX_FEE else None
