"""The series of the store that are played: one of each symbol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain.errors import SettingsError
from domain.wording import alternatives, counted, did_you_mean, quoted
from market.history.storage.manifest import Manifest
from market.history.storage.names import symbol_name
from market.history.store import HistoryStore, key_of
from market.history.timeframe import Timeframe

_MONTH = timedelta(days=30)
"""The length of a month in comparison with other timeframes."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The series that are played.

    Attributes:
        manifests: of these series, by symbol.
        notes: sentences about the choice, where a symbol has several series.
    """

    manifests: tuple[Manifest, ...]
    notes: tuple[str, ...]


def select(
    store: HistoryStore, symbols: Sequence[str] | None, exchange: str, timeframe: Timeframe | None = None
) -> Selection:
    """Return one series of each symbol: of the shortest bars, or of those of a length.

    Args:
        store: the history.
        symbols: those that are wanted, as people type them; None: all.
        exchange: is preferred, where a symbol is stored from several.
        timeframe: the length of the bars; None: the shortest that are stored.

    Raises:
        SettingsError: nothing is stored, a symbol is not, its file is damaged, or its exchange is open.
    """
    stored = list(store.stored())
    if not stored:
        raise SettingsError(
            "prices = history: nothing is stored yet; `history import` and `history download` bring bars"
        )
    folders = None if symbols is None else {symbol_name(symbol) for symbol in symbols}
    for one in stored:
        if one.manifest is None and (folders is None or one.path.parent.name in folders):
            raise SettingsError(f"prices = history: {one.fault}")
    manifests = [one.manifest for one in stored if one.manifest is not None]
    if timeframe is not None:
        lengths = sorted({manifest.timeframe for manifest in manifests})
        manifests = [manifest for manifest in manifests if manifest.timeframe == str(timeframe)]
        if not manifests:
            raise SettingsError(f"timeframe {timeframe} is not in the history, which has {', '.join(lengths)}")
    names = sorted({manifest.symbol for manifest in manifests})
    wanted = names if symbols is None else _resolved(symbols, names)
    chosen, notes = [], []
    for symbol in wanted:
        candidates = [manifest for manifest in manifests if manifest.symbol == symbol]
        manifest = _one_of(candidates, exchange)
        chosen.append(manifest)
        if others := [str(key_of(other)) for other in candidates if other is not manifest]:
            notes.append(f"{key_of(manifest)} is played, and not {', '.join(others)}")
    return Selection(tuple(chosen), tuple(notes))


def _resolved(symbols: Iterable[str], names: Sequence[str]) -> list[str]:
    by_letters = {_letters(name): name for name in names}
    resolved: dict[str, None] = {}
    missing: list[str] = []
    for symbol in symbols:
        name = symbol if symbol in names else by_letters.get(_letters(symbol))
        if name is None:
            missing.append(symbol)
        else:
            resolved[name] = None
    if missing:
        quoted_names = ", ".join(map(quoted, missing))
        hint = did_you_mean(missing[0], names) or f"; {counted(len(names), 'symbol')} are stored"
        raise SettingsError(f"symbols: {quoted_names} {'is' if len(missing) == 1 else 'are'} not in the history{hint}")
    return list(resolved)


def _one_of(candidates: Sequence[Manifest], exchange: str) -> Manifest:
    exchanges = sorted({manifest.exchange for manifest in candidates})
    if len(exchanges) > 1 and exchange not in exchanges:
        raise SettingsError(
            f"prices = history: {candidates[0].symbol} is stored from {alternatives(exchanges)}; say which by the"
            " setting exchange"
        )
    of_exchange = [one for one in candidates if len(exchanges) == 1 or one.exchange == exchange]
    return min(of_exchange, key=lambda manifest: _length(Timeframe.parse(manifest.timeframe)))


def _length(timeframe: Timeframe) -> timedelta:
    return timeframe.length or timeframe.count * _MONTH


def _letters(symbol: str) -> str:
    return "".join(character for character in symbol.upper() if character not in "/-_: ")
