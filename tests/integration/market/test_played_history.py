"""``prices = history`` in a real system: a file is traded at its closes, by its instrument's tick and step."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from actors import TradingSystem
from console.cli import main
from tests.support.system.running_system import isolated_settings

FILL = "SELECT base_price, price, quantity, price_source, real_prices FROM paper_fills"


def test_an_imported_file_is_traded(embedded_url: str, tmp_path: Path) -> None:
    file = tmp_path / "BTC_USDT-1m.csv"
    file.write_text(
        "time,open,high,low,close,volume\n2025-01-01T00:00Z,99,101,98,100,50\n2025-01-02T00:00Z,100,201,98,200,50\n"
    )
    options = ["--tick", "0.5", "--step", "0.1", "--home", str(tmp_path)]
    assert 0 == main(["history", "import", str(file), "--exchange", "kraken", "--timeframe", "1m", *options])
    settings = isolated_settings(embedded_url, prices="history", home=tmp_path, price_grace=300)
    with TradingSystem.start(settings) as system:
        assert "filled" == system.execute_order(symbol="BTC/USDT", side="BUY", quantity="1.25")["status"]
        (fill,) = system.ledger_reader.rows(FILL)
        assert (Decimal(100), Decimal("1.2")) == (fill["base_price"], fill["quantity"])
        assert 0 == fill["price"] % Decimal("0.5")
        assert ("file", False) == (fill["price_source"], fill["real_prices"])
        assert [] == system.ledger_reader.ledger_differences()
