"""The registry of price sources: each name has its source, other texts are files, and only what is used is imported."""

import math
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import SettingsError
from domain.trading.quotes import PriceSource
from market import simulated
from market.exchange import ccxt_source
from market.files import file_source, history_source
from market.registry import FILE, SOURCES, SourceModule, SourceOptions, open_source

MODULES: dict[str, SourceModule] = {
    module.__name__: module for module in (ccxt_source, simulated, file_source, history_source)
}


class StandingClock:
    """A clock that stands still."""

    def now(self) -> datetime:
        """Return the same time always."""
        return datetime(2026, 1, 31, tzinfo=UTC)


def source_options(folder: Path, prices: str, speed: float = 1.0) -> SourceOptions:
    """Return the options of a setting `prices`, with the other settings as they are by default."""
    return SourceOptions(
        prices=prices, home=folder, clock=StandingClock(), exchange="kraken", exchange_options={}, symbols=None, seed=1,
        price_interval=1.0, price_speed=speed, price_from=None, price_to=None, price_spread=Decimal(0),
        max_price_age=30.0, max_quote_lag=60.0,
    )  # fmt: skip


def opened(folder: Path, prices: str, speed: float = 1.0) -> PriceSource:
    """Return the source of a setting `prices`."""
    return open_source(source_options(folder, prices, speed))


def test_each_name_opens_its_source_and_any_other_text_is_the_path_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("time,symbol,price\n2026-01-31,BTC/USDT,1\n")
    sources = [opened(tmp_path, name) for name in ("ccxt", "simulated", str(file))]
    assert [("kraken", True), ("simulated", False), ("file", False)] == [(s.name, s.real) for s in sources]
    assert set(MODULES) == {*SOURCES.values(), FILE}


def test_a_simulated_market_has_no_greatest_speed(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        opened(tmp_path, "simulated", math.inf)
    assert "price_speed = max is for recorded prices; a simulated market needs a number, such as 60" == str(
        caught.value
    )


def test_an_unknown_name_is_a_missing_file_and_opens_no_other_source(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        opened(tmp_path, "simulate")


def test_a_new_source_is_one_module_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_source.py").write_text("def from_options(options):\n    return options\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(SOURCES, "mine", "my_source")
    assert "mine" == opened(tmp_path, "mine").prices  # type: ignore[attr-defined]


@pytest.mark.slow
def test_no_source_is_imported_before_it_is_used() -> None:
    names = "sorted(name for name in sys.modules if name.startswith('market') or name == 'ccxt')"
    code = f"import sys, actors.system; print(*{names})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert ["market", "market.registry"] == loaded.split()
