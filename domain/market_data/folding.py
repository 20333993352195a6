"""Folding: many pieces of market data of a symbol become one, which is matched like a bar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from domain.trading.arithmetic import total
from domain.trading.freshness.age import Fresh
from domain.trading.prices import mark, may_fill, spread_known
from domain.trading.quotes import Bar, MarketData, Quote, QuoteRange
from domain.types import PriceRule


def fold(pieces: Sequence[MarketData]) -> Bar:
    """Return one piece in place of several of a symbol, with the number and the moment of the last one.

    What came when between its first and its last piece is not known any more, so each fill by it is *ambiguous*, and an
    order that has seen a part of them is filled by it only at the worse side. Its volume is that of the trades whose
    size is known; it is unknown where there are none. Pieces whose last trade is too old count only where all are.

    Args:
        pieces: in the order of their numbers, at least one; some may be folded already.
    """
    last = pieces[-1]
    begin, first_no = _begin(pieces[0]), _first_no(pieces[0])
    end, real = max(piece.market_time for piece in pieces), all(piece.real for piece in pieces)
    fresh = [piece for piece in pieces if piece.freshness is None or piece.freshness.fresh is Fresh.ALL]
    by_book = [piece for piece in pieces if may_fill(piece, PriceRule.QUOTE)]
    pieces = fresh or by_book or pieces
    first, newest = pieces[0], pieces[-1]
    ranges = [_prices(piece) for piece in pieces]
    by_quote = [_by_quote(piece) for piece in pieces]
    volumes = [volume for piece in pieces if (volume := _volume(piece)) is not None]
    return Bar(
        symbol=last.symbol,
        open=first.open if isinstance(first, Bar) else first.price,
        high=max(high for high, _ in ranges),
        low=min(low for _, low in ranges),
        close=newest.close if isinstance(newest, Bar) else newest.price,
        begin=begin,
        end=end,
        seen=last.seen,
        source=last.source,
        real=real,
        volume=total(volumes) if volumes else None,
        data_no=last.data_no,
        by_quote=QuoteRange(
            by_quote[0].first,
            high=max(one.high for one in by_quote),
            low=min(one.low for one in by_quote),
            ask_low=min(one.ask_low for one in by_quote),
            bid_high=max(one.bid_high for one in by_quote),
        ),
        first_no=first_no,
        freshness=None if fresh else newest.freshness,
        no_buy=next((piece.no_buy for piece in pieces if piece.no_buy is not None), None),
    )


def _begin(piece: MarketData) -> datetime:
    return piece.begin if isinstance(piece, Bar) else piece.market_time


def _first_no(piece: MarketData) -> int:
    return (piece.first_no if isinstance(piece, Bar) else 0) or piece.data_no


def _prices(piece: MarketData) -> tuple[Decimal, Decimal]:
    return (piece.high, piece.low) if isinstance(piece, Bar) else (piece.price, piece.price)


def _volume(piece: MarketData) -> Decimal | None:
    if isinstance(piece, Bar):
        return piece.volume
    return piece.last_size if piece.is_trade else None


def _by_quote(piece: MarketData) -> QuoteRange:
    """Return what orders with price rule *quote* see of a piece; `see` in `open_orders.matching` tells the same."""
    if isinstance(piece, Bar):
        return piece.by_quote or QuoteRange(piece.open, piece.high, piece.low, piece.low, piece.high)
    present = mark(PriceRule.QUOTE, *piece.point)
    if piece.is_trade:
        return QuoteRange(present, present, present, piece.price, piece.price)
    ask, bid = _book(piece)
    return QuoteRange(present, present, present, ask, bid)


def _book(quote: Quote) -> tuple[Decimal, Decimal]:
    """Return ask and bid, or the last trade in place of both."""
    if quote.bid is None or quote.ask is None or not spread_known(quote.bid, quote.ask):
        return quote.price, quote.price
    return quote.ask, quote.bid
