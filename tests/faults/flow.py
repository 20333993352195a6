"""What goes on while faults are injected: a real system, decisions by SQL and by `submit()`, and what stirs them up."""

from __future__ import annotations

import itertools
import random
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg

from actors import Decision, TradingSystem
from actors.messages import DataSeen, Execute, SourceEnded
from actors.runtime.address import CURRENT
from actors.runtime.pykka_adapter import Envelope, Future, Timeout
from actors.runtime.timer import SystemClock
from actors.supervision.messages import Replace
from domain.errors import PaperTradingError
from domain.trading.decision import Outcome
from domain.trading.instruments import Instrument
from domain.trading.quotes import History, Quote
from domain.types import Clock, Instant, OrderType, Symbol
from persistence import schema
from persistence.stores import portfolios
from tests.faults import downtime
from tests.faults.matrix import Needs, Point, who
from tests.support.exchange.fixed_price_source import FixedPriceSource
from tests.support.system.running_system import PRICES, isolated_settings, running_system

CAPITAL = 1_000_000
PORTFOLIOS = ("default", "second", "third")
BEGUN_ANEW = "spare"
"""A portfolio without decisions that is reset again and again."""
SETTINGS: dict[str, Any] = {
    "initial_capital": CAPITAL,
    "check_interval": 0.2,
    "snapshot_interval": 1,
    "audit_interval": 0.7,
    "max_price_age": 0.5,
    # Faults come much faster than in life: none of them is to be slowed down by those before it, or to end the process.
    "max_restarts": 1_000,
    "restart_window": 0.05,
    "hang_timeout": 3.0,
}
SYMBOLS = ("BTC/USDT", "btc-usdt", "ETH/USDT", "ETHUSDT", "SOL/USDT", "SOL/USDT")
QUANTITIES = {
    "B": ("0.01", "0.0145", "0.00012345"),
    "b": ("0.01", "0.5"),
    "E": ("0.3", "0.33333333"),
    "S": ("7", "0.7"),
}
OrderColumns = tuple[str, str | None, str | None, str | None, str | None, str | None, str | None, str | None]
COLUMNS = (
    "uid", "symbol", "decision", "confidence", "quantity", "portfolio", "order_type", "limit_price", "stop_price",
    "stop_loss_pct", "take_profit_pct", "trail_pct", "trailing_stop_pct", "target",
)  # fmt: skip
REQUEST = """
INSERT INTO paper_account_requests (portfolio, kind, symbol, amount, ratio_new, ratio_old, reason, author)
VALUES (%s, %s, %s, %s, %s, %s, 'a fault', 'a test')
"""
REQUESTS = [
    ("deposit", None, 1, None, None),
    ("withdrawal", None, 1_000_000_000, None, None),  # it is refused
]
"""Changes of each account while decisions are sent."""
SPLITS = [("split", symbol, None, Decimal("1.000001"), 1) for symbol in ("BTC/USDT", "ETH/USDT", "SOL/USDT")]
"""Changes of all accounts at once; one of what nobody holds is refused. Prices hardly change."""
INSERT = f"INSERT INTO trading_decisions ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"
NO_TERMS: OrderColumns = ("market", None, None, None, None, None, None, None)
MOVES = tuple(Decimal(factor) for factor in ("1", "0.999", "1.001", "0.99", "1.01", "1"))
"""Of the prices, one after the other, and again."""
OFFSETS = ("0.992", "0.9995", "1.0005", "1.008")
"""Of limit and stop prices, from the price at the start."""
FAR_BELOW = Decimal(60_000)
"""A price of BTC that the source never sends."""
OVERTAKING = FAR_BELOW - 1
"""The price that only a `Meddler` sends: it fills what rests far below."""
CHOSEN = "LTC/USDT"
"""A symbol of one chosen decision alone: no other one uses up the limit of its position."""
AMENDED = "XLM/USDT"
"""A symbol of orders that rest until they are cancelled, at its price's half."""
JUMPING = "JUMP/USDT"
"""A symbol that nobody trades. Each second price is too far from the one before, and is held back."""
Accepted = Callable[[uuid.UUID, Future[Outcome]], None]
Row = tuple[uuid.UUID, str, str, str, str | None, str, *OrderColumns]


def prepare(url: str) -> None:
    """Make the tables, and the portfolios."""
    schema.upgrade(url)
    values = isolated_settings(url, **SETTINGS).portfolio_values()
    for name in (*PORTFOLIOS, BEGUN_ANEW):
        portfolios.create(url, name, values)


@contextmanager
def serving(url: str, **changes: Any) -> Iterator[TradingSystem]:
    """A real system on that database, at prices that move up and down."""
    with running_system(url, source=MovingPriceSource, **(SETTINGS | changes)) as system:
        yield system


class MovingPriceSource(FixedPriceSource):
    """Prices that move up and down, through the levels of orders, and come back to where they began.

    It knows the past of two symbols alone, see `tests.faults.downtime`.
    """

    _intervals = itertools.count()

    def __init__(
        self, prices: Mapping[str, Decimal | str], clock: Clock, interval: float, instruments: Iterable[Instrument]
    ) -> None:
        added = {
            CHOSEN: prices["BTC/USDT"],
            AMENDED: Decimal(100),
            JUMPING: Decimal(100),
            **dict.fromkeys(downtime.SYMBOLS, downtime.USUAL_PRICE),
        }
        more = [*instruments, *(Instrument(Symbol(name), "USDT") for name in added)]
        super().__init__({**prices, **added}, clock, interval, more)

    def _next_prices(self) -> Iterable[tuple[Symbol, Decimal]]:
        number = next(self._intervals)
        factor = MOVES[number % len(MOVES)]
        jump = 1 + 4 * (number % 2)
        return [(s, price * (jump if s == JUMPING else factor)) for s, price in super()._next_prices()]

    def history(self, symbol: Symbol, since: datetime, until: datetime, timeout: float) -> History:
        """Return what happened to orders that rested over a downtime."""
        if symbol not in downtime.SYMBOLS:
            return super().history(symbol, since, until, timeout)
        return History(tuple(downtime.past(symbol, since, until, self.name)))


def drawn(draw: random.Random, count: int) -> list[Row]:
    """Decisions of every kind: with and without quantity, partial closes, and all that is refused."""
    rows = [a_decision(draw) for _ in range(count - 3)]
    for symbol, action, quantity, portfolio in (
        ("DEAD/USDT", "BUY", "1", draw.choice(PORTFOLIOS)),
        ("BTC/USDT", "BUY", "0.01", "nobody"),
        ("BTC/USDT", "HOLD", None, draw.choice(PORTFOLIOS)),
    ):
        rows.insert(draw.randrange(len(rows)), (_uid(draw), symbol, action, "1", quantity, portfolio, *NO_TERMS))
    for place, row in reversed(list(enumerate(rows))):
        if row[6] != "market" and draw.random() < 0.3:
            rows.insert(place + 1, _amend(draw, row))
    return rows + amended_afterwards(draw)


def protected_afterwards(draw: random.Random) -> list[Row]:
    """A BUY without exits, and a PROTECT of what it buys."""
    portfolio = draw.choice(PORTFOLIOS)
    buy = (_uid(draw), "SOL/USDT", "BUY", "1", "7", portfolio, *NO_TERMS)
    return [buy, _protect(draw, "SOL/USDT", portfolio)]


def amended_afterwards(draw: random.Random) -> list[Row]:
    """A BUY that surely rests, an AMEND of it, and its CANCEL."""
    portfolio = draw.choice(PORTFOLIOS)
    terms: OrderColumns = ("limit", "50", *NO_TERMS[2:])
    buy: Row = (_uid(draw), AMENDED, "BUY", "1", "1", portfolio, *terms)
    amend: Row = (_uid(draw), "*", "AMEND", "1", "2", portfolio, *NO_TERMS[:-1], str(buy[0]))
    cancel: Row = (_uid(draw), "*", "CANCEL", "1", None, portfolio, *NO_TERMS[:-1], str(buy[0]))
    return [buy, amend, cancel]


def a_decision(draw: random.Random) -> Row:
    """A decision whose outcome depends on the portfolio as it stands; its order may rest.

    A few are CANCELs, and a few give a position exits, if it has none.
    """
    if draw.random() < 0.06:
        return _cancel(draw, draw.choice(PORTFOLIOS))
    if draw.random() < 0.08:
        return _protect(draw, draw.choice(SYMBOLS), draw.choice(PORTFOLIOS))
    symbol = draw.choice([*SYMBOLS, *SYMBOLS, "NOPE/USDT"])
    quantity = draw.choice([None, *QUANTITIES.get(symbol[0], ("1",))])
    confidence = draw.choice(["0.59", "0.6", "0.75", "0.8", "1"])
    action = draw.choice(["BUY", "BUY", "BUY", "SELL", "SELL"])
    terms = _terms(draw, action, symbol) if draw.random() < 0.5 else NO_TERMS
    return (_uid(draw), symbol, action, confidence, quantity, draw.choice(PORTFOLIOS), *terms)


def _terms(draw: random.Random, action: str, symbol: str) -> OrderColumns:
    price = next((Decimal(price) for name, price in PRICES.items() if name[0] == symbol[0].upper()), Decimal(100))
    near = [str((price * Decimal(factor)).quantize(Decimal("0.01"))) for factor in draw.choices(OFFSETS, k=2)]
    kind = draw.choice(["market", "limit", "limit", "stop", "stop_limit", "trailing_stop"])
    stop_loss, take_profit = draw.choice([(None, None), ("0.008", None), ("0.008", "0.008"), (None, "0.008")])
    trailing = "0.015" if stop_loss is None and draw.random() < 0.7 else None
    return (
        kind,
        near[0] if kind in {"limit", "stop_limit"} else None,
        near[1] if kind in {"stop", "stop_limit"} else None,
        *((stop_loss, take_profit) if action == "BUY" else (None, None)),
        "0.015" if kind == "trailing_stop" else None,
        trailing if action == "BUY" else None,
        None,
    )


def _cancel(draw: random.Random, portfolio: str) -> Row:
    return (_uid(draw), "*", "CANCEL", "1", None, portfolio, *NO_TERMS[:-1], "all")


def _protect(draw: random.Random, symbol: str, portfolio: str) -> Row:
    exits = draw.choice([("0.03", "0.03", None, None), (None, None, None, "0.015")])
    return (_uid(draw), symbol, "PROTECT", "1", None, portfolio, "market", None, None, *exits, None)


def _amend(draw: random.Random, of: Row) -> Row:
    """An AMEND of the order of another decision, which may have been refused, or filled at once."""
    quantity = draw.choice(QUANTITIES.get(str(of[1])[0], ("1",)))
    return (_uid(draw), "*", "AMEND", "1", quantity, of[5], *NO_TERMS[:-1], str(of[0]))


def _uid(draw: random.Random) -> uuid.UUID:
    return uuid.UUID(int=draw.getrandbits(128), version=4)


def _rest(system: TradingSystem) -> None:
    """Let an order rest in each portfolio, at a price that only a `Meddler` sends; then send a market order.

    One after the other, so that what the Meddler hears of the exchange is about its own price.
    """
    for portfolio in PORTFOLIOS:
        for kind in ("limit", "market"):
            limit = FAR_BELOW if kind == "limit" else None
            with suppress(PaperTradingError, Timeout):
                decision = Decision(
                    symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001", portfolio=portfolio,
                    order_type=kind, limit_price=limit,
                )  # fmt: skip
                system.submit(decision, wait="open").get(timeout=3.0)


def send(system: TradingSystem, url: str, rows: list[Row], accepted: Accepted) -> None:
    """Send two thirds of the decisions by SQL, the rest by `submit()`, in turns.

    Args:
        system: that serves them.
        url: of its database.
        rows: the decisions.
        accepted: called for each that `submit()` accepted, as soon as it returned, with the future that it returned.
    """
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        for begin in range(0, len(rows), 6):
            with connection.transaction():
                cursor.executemany(INSERT, rows[begin : begin + 4])
            for row in rows[begin + 4 : begin + 6]:
                values = {name: value for name, value in zip(COLUMNS, row, strict=True) if value is not None}
                wanted = Decision(**values)
                with suppress(PaperTradingError):  # refused, or in doubt: then nothing was promised
                    accepted(row[0], system.submit(wanted, wait="open"))
            if begin == 6:
                cursor.executemany(REQUEST, [(name, *request) for name in PORTFOLIOS for request in REQUESTS])
                cursor.executemany(REQUEST, [(None, *split) for split in SPLITS])
                cursor.execute(REQUEST, (BEGUN_ANEW, "reset", None, None, None, None))


def stir(system: TradingSystem, point: Point, *, rebuild: bool = False) -> None:
    """Do what a point needs, besides decisions."""
    match point.needs:
        case Needs.CRASH:
            system.crash(point.who if point.who != "failures" else "Sizer")
        case Needs.ANY_CRASH:
            system.crash("Snapshotter")
            system.crash("ExecutionSimulator")
        case Needs.ENDED:
            system._wiring.address("PriceTracker").tell(SourceEnded("the test has it end"))
        case Needs.OVERTAKEN:
            _rest(system)
        case Needs.GONE:
            system.submit(Decision(symbol="ETH/USDT", decision="BUY", confidence=1, quantity="0.3"))
        case Needs.BY_HAND:
            system._wiring.address("Supervisor").tell(Replace("Sizer"))
        case Needs.REBUILD | Needs.START if rebuild:
            system.crash("Sizer")


class Meddler:
    """A hook that brings about, once, what a point needs and only a hook can do."""

    def __init__(self, url: str, needs: Needs) -> None:
        self.released = threading.Event()
        self._url = url
        self._needs = needs
        self._done = False
        self._recorded = threading.Event()

    def __call__(self, moment: str, what: str) -> None:
        """Meddle, if this is the moment."""
        if self._done:
            return
        match self._needs, who(), moment, what:
            case Needs.GONE, "ExecutionSimulator", "takes", "Execute":
                self._done = self._cancel()
            case Needs.OVERTAKEN, "Sizer", "sends", "Execute":
                self._overtake()
            case Needs.OVERTAKEN, "ExecutionSimulator", "sent", "Record":
                data = [message for message in in_hand() if isinstance(message, DataSeen)]
                if any(quote.price == OVERTAKING for message in data for quote in message.quotes):
                    self._recorded.set()
            case Needs.OVERTAKEN, "ExecutionSimulator", "sends", "SizeAgain":
                self._done = True
            case Needs.AWAY, "DecisionWatcher", "commits", "refusals":
                self._done = True
                disconnect(self._url, "DecisionWatcher")
            case Needs.HANG, "ExecutionSimulator", "takes", "Execute":
                self._done = True
                self.released.wait(30)

    def again(self) -> None:
        """Meddle once more."""
        self._done = False

    def _overtake(self) -> None:
        """Fill an order of the portfolio that rests far below, before the order in hand gets to the exchange."""
        sizer: Any = CURRENT.sender
        queue, routes = sizer._behaviour._queue, sizer._behaviour._routes
        accounts = [one for one in queue._accounts.values() if one.in_flight and one.in_flight[0].id == queue.about]
        if not any(o.order.limit_price == FAR_BELOW for one in accounts for o in one.state.open_orders):
            return
        now = Instant.of(SystemClock())
        self._recorded.clear()
        quote = Quote(Symbol("BTC/USDT"), OVERTAKING, now.time, now, MovingPriceSource.name, real=False)
        # Into the mailbox itself: it is no message of the Sizer.
        routes.price_tracker._mailbox.put(Envelope(DataSeen((quote,))))
        self._recorded.wait(2)

    def _cancel(self) -> bool:
        """Cancel the decision of a market order, which is surely filled; return False for another order."""
        (message,) = in_hand()
        assert isinstance(message, Execute)
        if message.sized.order.order_type is not OrderType.MARKET:
            return False
        with psycopg.connect(self._url) as connection:
            connection.execute(
                "UPDATE trading_decisions SET status = 'cancelled', processed_at = now() WHERE id = %s",
                [message.sized.decision_id],
            )
        return True


def in_hand() -> list[Any]:
    """Return what the actor of this thread handles now."""
    return getattr(CURRENT.sender, "in_hand", [])


def disconnect(url: str, actor: str) -> None:
    """End an actor's connections; return when they have ended."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = current_database()",
            [f"paper-trading {actor}"],
        )
