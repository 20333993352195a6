"""The messages by which it is settled what the market did while the program was away.

::

    ExecutionSimulator ── Settling ───────► Sizer, Snapshotter: their work on these portfolios waits
                       ── RequestHistory ─► PriceTracker ── HistoryFetched ─► ExecutionSimulator, for each symbol
                       ── MatchedUpTo ────► PositionKeeper ── Settling ─────► Snapshotter, after the commit
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from actors.messages.base import Message, PathMessage
from domain.trading.quotes import History
from domain.types import Generation, PortfolioName, Symbol


class Settling(Message):
    """ExecutionSimulator to Sizer and Snapshotter: the portfolios whose downtime is being settled, all of them.

    Their decisions and snapshots wait. PositionKeeper passes it on to the Snapshotter when a settlement is committed.
    It is no `PathMessage`: after a crash of the Snapshotter no generation begins that would bring another one.
    """

    generation: Generation
    portfolios: frozenset[PortfolioName]


class RequestHistory(Message):
    """ExecutionSimulator to PriceTracker: find out what the market did while no process saw it, or kept it.

    It is no `PathMessage`: after a crash of the PriceTracker no generation begins that would bring another one.

    Attributes:
        since: for each symbol, the market's time up to which it is known.
        timeout: how long the ExecutionSimulator waits for the answers.
    """

    generation: Generation
    since: Mapping[Symbol, datetime]
    timeout: timedelta


class HistoryFetched(PathMessage):
    """The answer to `RequestHistory`: what the market of a symbol did.

    Attributes:
        until: the time of the request.
        data_no: the number of the last data that were received by then; later ones are not in the history.
        first_no: the number for the first piece of a history; 0 for one below those that this process receives.
    """

    symbol: Symbol
    history: History
    until: datetime
    data_no: int
    first_no: int = 0
