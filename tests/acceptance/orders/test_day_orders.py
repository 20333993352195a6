"""A DAY order through the real program at a recorded market: it rests over a kill -9, and expires at the close."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from persistence.queries.row_lists import LedgerReader
from tests.support.system.program import Ended, Program, environment, run
from tests.support.system.running_system import until

pytestmark = pytest.mark.clock

IN_SESSION = datetime(2026, 11, 27, 15, tzinfo=UTC)
"""New York is open: it is the half day after Thanksgiving, which ends at 18:00 UTC."""
BEFORE_CLOSE = datetime(2026, 11, 27, 17, 59, 58, tzinfo=UTC)
SHIFTED = """
import time
from datetime import datetime, timedelta
from pathlib import Path
from domain.clocks.database_clock import DatabaseClock

def now(clock):
    moment, set_at = Path({path!r}).read_text().split()
    return datetime.fromisoformat(moment) + timedelta(seconds=time.monotonic() - float(set_at))
DatabaseClock.now = now
"""
"""Python runs a sitecustomize before anything else: the program sees another time, which the test can set."""
INSERT = """
INSERT INTO trading_decisions (symbol, decision, confidence, quantity, order_type, limit_price, time_in_force)
VALUES (%s, 'BUY', 1, 1, 'limit', 90, 'DAY') RETURNING id
"""
ORDERS = "SELECT status, time_in_force, calendar, order_expires_at, end_reason, ended_at FROM paper_orders"


class ShiftedClock:
    """A clock of programs that are started with `environment`, which a test sets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "clock"
        self._folder.mkdir()
        self._offset = self._folder / "offset"
        (self._folder / "sitecustomize.py").write_text(SHIFTED.format(path=str(self._offset)), encoding="utf-8")

    def set(self, moment: datetime) -> None:
        """Let the programs' time be ``moment`` now."""
        new = self._folder / "new"
        new.write_text(f"{moment.isoformat()} {time.monotonic()}", encoding="utf-8")
        new.replace(self._offset)

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        return {**env, "PYTHONPATH": f"{self._folder}{os.pathsep}{env['PYTHONPATH']}"}


def recorded_market(file: Path) -> Path:
    """Write ten minutes of a market: a price each quarter of a second, whose bid and ask never reach 90."""
    lines = ["time,symbol,price,bid,ask"]
    begin = IN_SESSION.timestamp()
    for number in range(2_400):
        moment = datetime.fromtimestamp(begin + number / 4, UTC)
        lines += [f"{moment.isoformat()},{symbol},100,99.9,100.1" for symbol in ("AAPL", "GOLD")]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


@pytest.mark.slow
def test_it_rests_over_a_kill_and_expires_at_the_close(embedded_url: str, tmp_path: Path) -> None:
    clock = ShiftedClock(tmp_path)
    env = clock.environment(
        environment(
            tmp_path, database_url=embedded_url, prices=str(recorded_market(tmp_path / "market.csv")),
            calendars=json.dumps({"AAPL": "XNYS"}), quote_currency="USD", max_position_size="1",
        )
    )  # fmt: skip
    ledger = LedgerReader(embedded_url)

    def typed(line: str) -> Ended:
        return run(*line.split(), env=env)

    clock.set(IN_SESSION)
    with Program("start", env=env) as service:
        service.wait_for("Serving")
        with psycopg.connect(embedded_url) as connection:
            of_share, of_gold = (connection.execute(INSERT, [symbol]).fetchone() for symbol in ("AAPL", "GOLD"))
        assert ((1,), (2,)) == (of_share, of_gold)
        until(lambda: {"open": 1, "rejected": 1} == ledger.outcomes())
        stop_order = "--quantity 1 --order-type stop --stop 110 --time-in-force day"
        stop = typed(f"decide BUY AAPL --confidence 1 {stop_order} --wait")
        assert (0, "decision 3 is open: BUY 1 AAPL, stop 110\n") == (stop.code, stop.out), stop.err
        service.stop(signal.SIGKILL)
    close = datetime(2026, 11, 27, 18, tzinfo=UTC)
    with Program("start", env=env) as service:
        service.wait_for("Serving")
        resting = ("open", "DAY", "XNYS", close, None, None)
        assert [resting, resting] == [tuple(row.values()) for row in ledger.rows(ORDERS)]
        listed = typed("orders --open --json").json["orders"]
        assert [("DAY", "XNYS", "2026-11-27T18:00:00+00:00")] * 2 == [
            (order["time_in_force"], order["calendar"], order["order_expires_at"]) for order in listed
        ]
        assert "expires     2026-11-27 18:00:00 UTC, the close of XNYS" in typed("explain 1").out
        assert "invalid: GOLD has no sessions; use GTC or GTD" in " ".join(typed("explain 2").out.split())
        clock.set(BEFORE_CLOSE)
        until(lambda: {"expired": 2, "rejected": 1} == ledger.outcomes())
        for row in ledger.rows(ORDERS):
            assert ("expired", close) == (row["status"], row["order_expires_at"])
            assert "expired: the session of XNYS ended at 2026-11-27 18:00:00 UTC" == row["end_reason"]
            assert close <= row["ended_at"]
        explained = " ".join(typed("explain 1").out.split())
        assert "expired: the session of XNYS ended at 2026-11-27 18:00:00 UTC" in explained
        assert [] == ledger.ledger_differences()
        assert 0 == service.stop().code
    ledger.close()
