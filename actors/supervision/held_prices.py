"""Prices that are held back: the log and the alarms about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Context
from typing import Any

from loguru import logger

from domain.alarms import AlarmKind, Notify
from domain.log_once import LogOnce
from domain.market_data.awaited_splits import AwaitedSplit
from domain.price_filter import MAX_PRICE_RATIO, PriceFilter, Suspect, Verdict
from domain.program import command_name
from domain.trading.arithmetic import ZERO, plain
from domain.trading.instruments import InstrumentCatalog
from domain.trading.quotes import Quote
from domain.types import Symbol
from domain.wording import format_duration

_SIX_DIGITS = Context(prec=6)


class HeldPrices:
    """Judges prices by a `PriceFilter`, and reports those that it holds back.

    Args:
        split_hold: how long a price that looks like a split is held back.
        notify: sends an alarm about such a price.

    Attributes:
        refused: the number of prices that were not accepted.
        filter: the filter.
    """

    def __init__(self, split_hold: timedelta, notify: Notify) -> None:
        self.refused = 0
        self.filter = PriceFilter(split_hold)
        self._split_hold = split_hold
        self._notify = notify
        self._log = LogOnce.to(logger)
        self._awaited: dict[Symbol, AwaitedSplit] = {}
        self._unfollowed: dict[Symbol, str] = {}

    def await_splits(self, awaited: Mapping[Symbol, AwaitedSplit]) -> None:
        """Report prices that do not follow these splits, which are in the books; those of before count no more."""
        for symbol in [name for name in self._unfollowed if awaited.get(name) != self._awaited.get(name)]:
            del self._unfollowed[symbol]
            if symbol not in awaited:
                self._report(f"the price of {symbol} fits the books again", over=True)
        self._awaited = dict(awaited)

    def judge(self, quote: Quote, catalog: InstrumentCatalog | None) -> Quote | None:
        """Return a quote that may be used, perhaps with `Quote.no_buy`; None for one that is set aside."""
        if (awaited := self._awaited.get(quote.symbol)) is not None:
            self._compare_with_split(quote, awaited)
        instrument = catalog.instruments.get(quote.symbol) if catalog is not None else None
        before = self.filter.suspects.get(quote.symbol)
        verdict = self.filter.judge(quote, instrument.asset_class if instrument is not None else "")
        suspect = self.filter.suspects.get(quote.symbol)
        if verdict is Verdict.ACCEPTED:
            self._log.recovered(key=quote.symbol)
            if before is not None and before.split is not None:
                self._report_end(quote, before)
            return quote
        if suspect is not None and suspect.split is not None and suspect.first is quote:
            self._report_split(suspect)
        if verdict is Verdict.SELLS_ONLY:
            assert suspect is not None
            return replace(quote, no_buy=_sentence(suspect))
        self.refused += 1
        action = f"over {MAX_PRICE_RATIO} times away from the last price; set aside until confirmed"
        if verdict is Verdict.INVALID:
            action = "dropped"
        elif suspect is not None and suspect.split is not None:
            return None  # it was reported
        message = f"price source {quote.source} sent {quote.price:f} for {quote.symbol}: {action}"
        self._log.failed(message, key=quote.symbol)  # until an accepted price arrives
        return None

    def release(self, symbol: Symbol, reason: str, until: datetime | None = None) -> None:
        """Accept the next price of a symbol, whatever it is.

        Args:
            symbol: the symbol.
            reason: a clause for the alarm.
            until: not if a price is held back that was first seen after this.
        """
        held = self.filter.suspects.get(symbol)
        if held is not None and until is not None and held.first.seen_at > until:
            return
        suspect = self.filter.forget(symbol)
        if suspect is not None and suspect.split is not None:
            self._report(f"the price of {symbol} is no longer held back: {reason}", over=True)

    @property
    def reasons(self) -> dict[Symbol, str]:
        """Why the newest price of a symbol is held back."""
        return {symbol: _sentence(suspect) for symbol, suspect in self.filter.suspects.items()}

    @property
    def sentences(self) -> list[str]:
        """The splits that are suspected, and those that a price has not followed, each as a sentence."""
        suspected = [_sentence(suspect) for suspect in self.filter.suspects.values() if suspect.split is not None]
        return [*suspected, *self._unfollowed.values()]

    def describe(self) -> Mapping[Symbol, Any]:
        """Return the prices that are held back, for consoles."""
        return {
            symbol: {
                "price": suspect.newest.price,
                "before": suspect.before,
                "since": suspect.first.seen_at,
                "answers": suspect.answers,
                "split": str(suspect.split) if suspect.split is not None else None,
            }
            for symbol, suspect in self.filter.suspects.items()
        }

    def _compare_with_split(self, quote: Quote, split: AwaitedSplit) -> None:
        """Report once that a price is still as before a split in the books; let the price that follows it pass."""
        symbol, price = quote.symbol, quote.price
        if quote.seen_at <= split.at or not price.is_finite() or price <= ZERO:
            return
        if split.is_followed_by(price):
            del self._awaited[symbol]
            self.filter.forget(symbol)  # the books expect it, so it is no jump
            if self._unfollowed.pop(symbol, None) is not None:
                self._report(f"the price of {symbol} has followed the split {split.ratio}: {plain(price)}", over=True)
        elif symbol not in self._unfollowed:
            expected = plain(_SIX_DIGITS.plus(split.expected))
            self._unfollowed[symbol] = (
                f"the price of {symbol} has not followed the split {split.ratio} that is in the books: it is"
                f" {plain(price)}, not about {expected}, so its positions have a wrong value"
            )
            back = f"{command_name()} portfolio adjust {symbol} --split {split.ratio.back} --all-portfolios --reason …"
            self._report(f"{self._unfollowed[symbol]}; if it is no split, take it back with `{back}`")

    def _report_split(self, suspect: Suspect) -> None:
        symbol = suspect.first.symbol
        until = ""
        if suspect.first.real:
            until = f" until {(suspect.first.seen_at + self._split_hold).astimezone(UTC):%H:%M:%S} UTC"
        program = command_name()
        adjust = f"{program} portfolio adjust {symbol} --split {suspect.split} --all-portfolios --reason …"
        self._report(
            f"{_sentence(suspect)}; it is held back{until}, and nothing is bought. Confirm with `{adjust}`, or refuse"
            f' with `{program} console -c "accept-price {symbol}" --yes`'
        )

    def _report_end(self, quote: Quote, suspect: Suspect) -> None:
        if suspect.agrees(quote):
            text = f"{quote.symbol} at {plain(quote.price)} is taken as real after {format_duration(self._split_hold)}"
            self._report(f"{text}: it was neither confirmed nor refused as a {suspect.split} split", over=True)
        else:
            text = f"{quote.symbol} is back at {plain(quote.price)}: no {suspect.split} split"
            self._report(text, over=True)

    def _report(self, text: str, *, over: bool = False) -> None:
        logger.log("INFO" if over else "WARNING", "{}", text)
        self._notify(AlarmKind.SPLIT_SUSPECTED, text, over=over)


def _sentence(suspect: Suspect) -> str:
    price, before = plain(suspect.first.price), plain(suspect.before)
    looks = f"looks like a {suspect.split} split" if suspect.split is not None else "is not confirmed yet"
    return f"{suspect.first.symbol} at {price} after {before} {looks}"
