"""`make fortnight`: fourteen days at length: a price each minute, a decision each half hour, processes that are killed.

make fortnight                                  all of it, in a quarter of an hour
make fortnight ARGS="--days 2 --seed 17"        fewer days, other prices and decisions
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections import Counter
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg

from domain.alarms import AlarmKind
from domain.validation.criteria import Criteria
from persistence import schema
from persistence.connections import session
from persistence.queries.row_lists import LedgerReader
from persistence.stores import portfolios, validation_runs
from tests.support.database.servers import ServerPool
from tests.support.fortnight.fortnight import BEGIN, DAY, DAYS, OPTIONS, OUTCOME, SEND, START_PRICES
from tests.support.fortnight.process import ServiceProcess
from tests.support.system.running_system import until

MINUTE = timedelta(minutes=1)
DOWNTIME = timedelta(minutes=7)
"""Of a process that was killed, until the next one starts."""
QUANTUM = Decimal("0.01")
MAX_KILLS = 2
COUNTS = """
SELECT (SELECT count(*) FROM trading_decisions WHERE processed_at IS NULL),
       (SELECT count(*) FROM paper_validation_verdicts),
       (SELECT count(DISTINCT epoch) FROM paper_uptime),
       (SELECT count(*) FROM paper_audits WHERE differences <> '[]'),
       (SELECT count(*) FROM paper_audits),
       (SELECT count(*) FROM paper_portfolio_snapshots WHERE portfolio = 'default'),
       (SELECT count(*) FROM paper_failures)
"""


def main() -> int:
    """Live through the days, and print what came of them; return 1 unless all is as it should be."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by default the database server would stay
    begun = time.monotonic()
    pool = ServerPool()
    try:
        url = pool.get("embedded-18").create_database()
        schema.upgrade(url)
        alarms, outcomes = _live(url, options.days, random.Random(options.seed))
        return _report(url, options.days, alarms, outcomes, time.monotonic() - begun)
    finally:
        pool.close()


def _live(url: str, days: int, draw: random.Random) -> tuple[Counter[str], Counter[str]]:
    now, end = BEGIN, BEGIN + DAY * days + timedelta(hours=2)
    minutes = int((end - now) / MINUTE)
    # Not at night: what a process was about to send when it was killed is not counted.
    kills = draw.sample([minute for minute in range(minutes) if 3 < (now + minute * MINUTE).hour < 20], MAX_KILLS)
    prices, alarms, outcomes = dict(START_PRICES), Counter[str](), Counter[str]()
    with psycopg.connect(url, autocommit=True) as agent:
        service = ServiceProcess(url, now, prices, OPTIONS)
        portfolios.create(url, "risky", {"initial_capital": 10_000})
        with session(url, "test") as cursor:
            validation_runs.begin(cursor, "fortnight", [], ["agent"], Criteria(), "operator")
        try:
            for minute in range(minutes):
                now = (now + MINUTE).replace(second=0, microsecond=0)
                if minute in kills:
                    service.kill()
                    now += DOWNTIME
                    service = ServiceProcess(url, now, prices, OPTIONS)
                    now += MINUTE
                prices = {name: _moved(price, draw) for name, price in prices.items()}
                alarms.update(kind for kind, _ in service.travel(now, prices))
                if now.minute % 30 == 0:
                    outcomes[_decide(agent, draw)] += 1
                if (now.hour, now.minute) == (0, 0):
                    print(f"{now:%Y-%m-%d}  {_prices_text(prices)}  {outcomes.total()} decisions", flush=True)  # noqa: T201
            service.stop()
        finally:
            service.kill()  # nothing, unless something went wrong
    return alarms, outcomes


def _moved(price: Decimal, draw: random.Random) -> Decimal:
    return max((price * Decimal(str(draw.gauss(1, 0.0005)))).quantize(QUANTUM), QUANTUM)


def _prices_text(prices: dict[str, Decimal]) -> str:
    return ", ".join(f"{name} {price}" for name, price in prices.items())


def _decide(agent: psycopg.Connection, draw: random.Random) -> str:
    """Send a decision; wait for its outcome and return the status."""
    action, symbol, portfolio = (
        draw.choice(names) for names in (("BUY", "SELL"), (*START_PRICES,), ("default", "risky"))
    )
    row = agent.execute(SEND, [portfolio, symbol, action, draw.choice(("1", "2.5", "10")), "agent"]).fetchone()
    assert row is not None
    until(lambda: agent.execute(OUTCOME, row).fetchone() is not None)
    status, _ = agent.execute(OUTCOME, row).fetchone() or ("", "")
    return str(status)


def _report(url: str, days: int, alarms: Counter[str], outcomes: Counter[str], seconds: float) -> int:
    with closing(LedgerReader(url)) as reader:
        differences, stored = reader.ledger_differences(), reader.outcomes()
    with psycopg.connect(url) as connection:
        row = connection.execute(COUNTS).fetchone()
    assert row is not None
    waiting, verdicts, processes, findings, audits, snapshots, failures = row
    summaries, silent = alarms[AlarmKind.DAILY_SUMMARY], alarms[AlarmKind.PRICE_SOURCE_SILENT]
    checks: list[tuple[str, Any, Any]] = [
        ("differences in the books", 0, len(differences)),
        ("decisions without an outcome", 0, waiting),
        ("outcomes", dict(outcomes), stored),
        ("processes that served", 1 + MAX_KILLS, processes),
        ("audits that found a difference", 0, findings),
        ("daily summaries", 2 * days, summaries),
        ("daily verdicts, of the part of a day before the first one, too", 2 * (days + 1), verdicts),
        ("alarms about silent prices", 0, silent),
        ("failures of actors", 0, failures),
    ]
    for name, expected, actual in checks:
        print(f"{'ok' if expected == actual else 'NOT AS IT SHOULD BE':<4} {name}: {actual}, expected {expected}")  # noqa: T201
    print(f"{audits} audits, {snapshots} snapshots of a portfolio, {seconds:.0f} s")  # noqa: T201
    return 0 if all(expected == actual for _, expected, actual in checks) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fortnight", description="Let fourteen days pass at length.")
    parser.add_argument("--seed", type=int, default=1, help="prices, decisions and kills are drawn from it (1)")
    parser.add_argument("--days", type=int, default=DAYS, help=f"how many ({DAYS})")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
