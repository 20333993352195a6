"""One exchange through ccxt: its public data, in this program's words. ccxt is imported only when it is used."""

from __future__ import annotations

import asyncio
import difflib
import importlib
import importlib.util
import json
import pkgutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from domain.errors import SettingsError
from domain.trading.arithmetic import CONTEXT, PRICE_QUANTUM, QUANTITY_STEP, ZERO, add, divide
from domain.trading.decision import MAX_AMOUNT
from domain.trading.instruments import Instrument
from domain.trading.quotes import Quote
from domain.types import Symbol
from market.exchange.market_list import MarketListCheck

NOT_EXCHANGES = frozenset({"base", "test", "abstract", "protobuf", "static_dependencies"})
KEYS = frozenset({
    "apikey", "secret", "password", "uid", "login", "token", "walletaddress", "privatekey", "twofa", "accountid",
    "passphrase", "authorization",
})  # fmt: skip
"""What ccxt calls credentials; public data needs none, so none is taken."""
SMALLEST = Decimal("1e-18")
"""Prices are stored with 18 decimals."""
SANE = timedelta(days=365)
"""A moment that an exchange names is kept as evidence if it is nearer than this; its clock may be off."""

_READS_MARKETS = ContextVar("reads_markets", default=False)
"""Whether this task reads the list of markets; others may read prices meanwhile."""

LOOK = 0.2
"""Seconds. ccxt wakes only who waits at that moment, so what arrives just before is found by looking at its cache."""


def check(exchange_id: str, options: Mapping[str, Any]) -> None:
    """Refuse an exchange that ccxt does not know, and options that are keys.

    Raises:
        SettingsError: with one sentence; a value of the options is never repeated.
    """
    known = _modules("async_support")
    if exchange_id not in known:
        near = difflib.get_close_matches(exchange_id, known, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        msg = f"setting exchange = {exchange_id!r}: ccxt knows no such exchange{hint}"
        raise SettingsError(msg)
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
    """Return the exchanges of a part of ccxt, by their files: importing all of it would take a second."""
    found = importlib.util.find_spec("ccxt")
    assert found is not None
    places = [f"{place}/{package}" for place in found.submodule_search_locations or ()]
    return {module.name for module in pkgutil.iter_modules(places)} - NOT_EXCHANGES


class Venue:
    """An exchange. To be made and used on one asyncio loop.

    Attributes:
        name: ccxt's id.
        streams: it has a WebSocket for tickers.
    """

    def __init__(
        self, exchange_id: str, options: Mapping[str, Any], timeout: float, check_markets: MarketListCheck
    ) -> None:
        package = "pro" if exchange_id in _modules("pro") else "async_support"
        made = getattr(importlib.import_module(f"ccxt.{package}.{exchange_id}"), exchange_id)
        self.name = exchange_id
        self._ccxt = made({"enableRateLimit": True, "timeout": int(timeout * 1000), **options})
        # ccxt's own default is float; so prices stay as they were sent, to the last digit. Some exchanges' rules are
        # compared while they are read, which does not work on text.
        self._ccxt.number = lambda value: float(value) if _READS_MARKETS.get() else str(value)
        self._check_markets = check_markets
        self._load, self._ccxt.load_markets = self._ccxt.load_markets, self._known_markets
        self._fetch_markets, self._ccxt.fetch_markets = self._ccxt.fetch_markets, self._good_markets
        self._handle_errors, self._ccxt.handle_errors = self._ccxt.handle_errors, self._handle_answer
        self._loading = asyncio.Lock()
        self._listed = asyncio.Event()
        self._watched: frozenset[Symbol] = frozenset()
        self._returned: dict[Symbol, Mapping[str, Any]] = {}
        self._all_at_once = bool(self._ccxt.has.get("fetchTickers"))
        self._streams_many = bool(self._ccxt.has.get("watchTickers"))
        self.streams = package == "pro" and (self._streams_many or bool(self._ccxt.has.get("watchTicker")))
        self.answers = self._all_at_once or bool(self._ccxt.has.get("fetchTicker"))

    async def instruments(self) -> list[Instrument]:
        """Ask what can be traded, and by which rules; what was known before stays where the answer is no good.

        Raises:
            DoubtfulMarkets: the answer is readable, but not to be believed.
        """
        async with self._loading:  # one after the other, so that no older answer replaces a newer one
            reads = _READS_MARKETS.set(True)
            try:
                markets = await self._load(True)
            finally:
                _READS_MARKETS.reset(reads)
        self._listed.set()
        return [self._instrument(market) for market in markets.values() if market.get("symbol")]

    @property
    def listed(self) -> bool:
        """Whether the exchange has said what it trades; its prices wait for that."""
        return self._listed.is_set()

    async def _good_markets(self, *args: Any, **kwargs: Any) -> Any:
        """Stand before ccxt's own method: a bad list never becomes ccxt's, else it would find no symbol in it."""
        markets = await self._fetch_markets(*args, **kwargs)
        self._check_markets.check(markets or (), asyncio.get_running_loop().time())
        return markets

    async def _known_markets(self, *_: object, **__: object) -> Any:
        """Stand before ccxt's own method, which would have prices wait for a list, and fail with it."""
        await self._listed.wait()
        return self._ccxt.markets

    def _handle_answer(self, *answer: Any) -> Any:
        """Stand before ccxt's own method, which takes an answer that is no JSON for one that says nothing."""
        status, _, url, _, _, body, document, *_ = answer
        if 200 <= status < 300 and document is None and (wrong := unreadable(body)) is not None:
            from ccxt import BadResponse  # noqa: PLC0415 - ccxt is imported only when it is used

            msg = f"the answer of {url.partition('?')[0]} is {wrong}"
            raise BadResponse(msg)
        return self._handle_errors(*answer)

    async def tickers(self, symbols: Sequence[Symbol]) -> list[Mapping[str, Any]]:
        """Ask for the tickers of ``symbols``, in one request where the exchange has one for it."""
        await self._listed.wait()
        if self._all_at_once and len(symbols) > 1:
            return list((await self._ccxt.fetch_tickers(list(symbols))).values())
        if self._ccxt.has.get("fetchTicker"):
            return [await self._ccxt.fetch_ticker(symbol) for symbol in symbols]
        return list((await self._ccxt.fetch_tickers(list(symbols))).values())

    async def next_tickers(self, symbols: Sequence[Symbol]) -> list[Mapping[str, Any]]:
        """Wait for the next tickers of ``symbols`` that the exchange sends by itself."""
        await self._listed.wait()
        # What ccxt kept of a symbol from an earlier time, or from before the stream broke, is no news.
        self._fresh([symbol for symbol in symbols if symbol not in self._watched])
        self._watched = frozenset(symbols)
        watches = self._watches(symbols)
        try:
            while not (fresh := self._fresh(symbols)):
                done, _ = await asyncio.wait(watches, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()
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
        """Return the tickers not returned before: ccxt answers with one, those that came with it wait in its cache."""
        fresh = []
        for symbol in symbols:
            ticker = self._ccxt.tickers.get(symbol)
            if ticker is not None and ticker is not self._returned.get(symbol):
                self._returned[symbol] = ticker
                fresh.append(ticker)
        return fresh

    async def forget(self, symbols: Collection[Symbol]) -> None:
        """Have the exchange send ``symbols`` no more, where it can be told so."""
        if symbols and self._ccxt.has.get("unWatchTickers"):
            with suppress(Exception):
                await self._ccxt.un_watch_tickers(list(symbols))

    def knows(self, symbol: Symbol) -> bool:
        """Say whether the exchange listed this symbol when it was asked last; before that, yes."""
        return self._ccxt.markets is None or symbol in self._ccxt.markets

    def retry_after(self) -> float:
        """Return the seconds that the last answer asked to wait, 0 if it did not."""
        headers = {str(name).lower(): value for name, value in (self._ccxt.last_response_headers or {}).items()}
        self._ccxt.last_response_headers = None  # else it would count for a later failure without an answer, too
        with suppress(ValueError, TypeError):
            return min(max(float(headers.get("retry-after", 0)), 0.0), 300.0)
        return 0.0

    async def hang_up(self) -> None:
        """Close every connection; the next request makes new ones."""
        await self._ccxt.close()

    def _instrument(self, market: Mapping[str, Any]) -> Instrument:
        limits, precision = market.get("limits") or {}, market.get("precision") or {}
        return Instrument(
            symbol=Symbol(market["symbol"]),
            quote=market.get("quote"),
            tick=self._quantum(precision.get("price"), PRICE_QUANTUM),
            step=self._quantum(precision.get("amount"), QUANTITY_STEP),
            min_notional=_least(limits.get("cost")),
            min_quantity=_least(limits.get("amount")),
            not_traded=self._not_traded(market),
        )

    def _not_traded(self, market: Mapping[str, Any]) -> str | None:
        if not market.get("spot"):
            return f"is a {market.get('type') or 'derivative'} at {self.name}, and only spot markets are traded"
        if market.get("active") is False:
            return f"is delisted or suspended at {self.name}"
        return None

    def _quantum(self, precision: object, otherwise: Decimal) -> Decimal:
        """Return a tick or step; see ccxt's manual, section Precision Mode."""
        number = _number(precision)
        if number is None:
            return otherwise
        if self._ccxt.precisionMode == TICK_SIZE:
            return number if SMALLEST <= number < MAX_AMOUNT else otherwise
        if self._ccxt.precisionMode == DECIMAL_PLACES and number == number.to_integral_value() and abs(number) <= 18:
            return Decimal(1).scaleb(-int(number))
        return otherwise  # significant digits: the quantum depends on the price


def unreadable(body: str) -> str | None:
    """Return what an answer is in place of JSON; None where it is JSON.

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
    for each in tasks:
        each.cancel()


DECIMAL_PLACES = 2
TICK_SIZE = 4
"""ccxt's constants of the same names."""


def _least(limit: Mapping[str, Any] | None) -> Decimal:
    number = _number((limit or {}).get("min"))
    return number if number is not None and ZERO < number < MAX_AMOUNT else ZERO


def _number(value: object) -> Decimal | None:
    """Return what an exchange sent as a finite number, None where it is none."""
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def quotes(
    tickers: Iterable[Mapping[str, Any]], source: str, now: datetime
) -> tuple[list[Quote], dict[Symbol, object]]:
    """Return the prices in ``tickers``, and by symbol what stood there instead: zero, negative, or no number.

    The base price is the last trade's; where a venue sends only bid and ask, their middle.
    """
    good: list[Quote] = []
    bad: dict[Symbol, object] = {}
    for ticker in tickers:
        bid, ask = _positive(ticker.get("bid")), _positive(ticker.get("ask"))
        last = ticker.get("last") if ticker.get("last") is not None else ticker.get("close")
        price = _positive(last)
        if last is None and bid is not None and ask is not None:
            price = _stored(divide(add(bid, ask), Decimal(2)))
        symbol = Symbol(str(ticker.get("symbol")))
        if price is None:
            bad[symbol] = last
        else:
            volume = _volume(ticker.get("baseVolume"))
            good.append(Quote(symbol, price, _moment(ticker.get("timestamp"), now), now, source, bid, ask, volume))
    return good, bad


def _positive(value: object) -> Decimal | None:
    number = _number(value)
    if number is None or not ZERO < number < MAX_AMOUNT:
        return None
    return _stored(number)


def _volume(value: object) -> Decimal | None:
    """Return a volume that can be stored; it is evidence only, so a senseless one is left out and spoils no price."""
    number = _number(value)
    if number is None or not ZERO <= number < MAX_AMOUNT:
        return None
    return CONTEXT.quantize(number, SMALLEST) if int(number.as_tuple().exponent) < -18 else number


def _stored(price: Decimal) -> Decimal | None:
    rounded = CONTEXT.quantize(price, SMALLEST) if int(price.as_tuple().exponent) < -18 else price
    return rounded if rounded > ZERO else None


def _moment(milliseconds: object, now: datetime) -> datetime:
    """Return when the exchange says that it was the price, or now where it does not say, or nonsense."""
    with suppress(ValueError, TypeError, OverflowError):
        time = datetime.fromtimestamp(int(milliseconds) / 1000, UTC)  # type: ignore[call-overload]
        if abs(time - now) < SANE:
            return time
    return now
