"""What goes wrong with the database, one fault after the other, each on a database of its own."""

from __future__ import annotations

from collections import Counter

from tests.faults.counters import Counters
from tests.support.database.faults import FAULTS
from tests.support.database.servers import ServerPool
from tests.support.system.load import disturbed

DECISIONS = 90
"""Through SQL, at each fault; callers send as many as they can besides."""


def run(rounds: int, seed: int) -> Counters:
    """Let each fault strike in each round, under load."""
    counters = Counters()
    servers = ServerPool()
    try:
        for number in range(seed, seed + rounds):
            for name in FAULTS:
                _one(servers, name, number, counters)
    finally:
        servers.close()
    return counters


def _one(servers: ServerPool, name: str, seed: int, counters: Counters) -> None:
    server = servers.get("embedded-18")
    url = server.create_database()
    try:
        with disturbed(server, url, [name], count=DECISIONS, seed=seed) as outcome_report:
            outcomes = Counter(outcome_report.ledger_reader.outcomes())
        counters.decisions += outcomes.total()
        counters.outcomes += outcomes
    except Exception as error:  # noqa: BLE001 - the next fault is to strike, too
        message = " ".join(str(error).split())[:500] or repr(error)
        counters.repeat.append(f'{name}: {message}: make faults ARGS="--only database --seed {seed} --rounds 1"')
    counters.faults["database"] += 1
    servers.get("embedded-18").drop_database(url)
