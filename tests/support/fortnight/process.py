"""A service in a process of its own, which can be killed; JSON lines on stdin and stdout send its clock ahead."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
from loguru import logger

from domain.alarms import Alarm
from tests.support.database.set_time import set_time
from tests.support.fortnight.clock import TravelClock, threads_follow
from tests.support.fortnight.service import Service
from tests.support.system.running_system import next_line, until

SNAPSHOT = "SELECT EXISTS (SELECT FROM paper_portfolio_snapshots WHERE time = %s)"
MINUTE_S = 60


class ServiceProcess:
    """A running `main`.

    Args:
        url: of the database.
        now: the time at which it starts.
        prices: to begin with.
        options: settings.
    """

    def __init__(self, url: str, now: datetime, prices: Mapping[str, Decimal], options: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fortnight.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for its caller; it stops in order at the end of stdin
        )
        self._ask({"url": url, "now": now, "prices": prices, "options": options})

    def travel(self, to: datetime, prices: Mapping[str, Decimal]) -> list[tuple[str, str]]:
        """Send it ahead to a minute; return the alarms since the last call, each with kind and text."""
        alarms: list[list[str]] = self._ask({"to": to, "prices": prices})
        return [(kind, text) for kind, text in alarms]

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Stop it in order."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(timeout=30) == 0

    def _ask(self, request: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request, default=str) + "\n")
        self._process.stdin.flush()
        answer = next_line(self._process)
        assert answer, f"the service has ended with {self._process.wait(timeout=5)}"
        return json.loads(answer)


def main() -> None:
    """Serve until stdin ends."""
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    first = json.loads(sys.stdin.readline())
    alarms: list[Alarm] = []
    clock = TravelClock(datetime.fromisoformat(first["now"]))
    with psycopg.connect(first["url"], autocommit=True) as owner, threads_follow(clock):
        set_time(owner, clock.ahead)
        service = Service(first["url"], owner, clock, alarms, {**first["options"], "snapshot_interval": MINUTE_S})
        service.start(_prices(first))
        _answer([])
        for line in sys.stdin:
            request = json.loads(line)
            to = datetime.fromisoformat(request["to"])
            service.travel(to, _prices(request), partial(_await_snapshot, owner, to))
            sent, alarms[:] = list(alarms), []
            _answer([[alarm.kind.value, alarm.text] for alarm in sent])
        service.stop()


def _await_snapshot(owner: psycopg.Connection, at: datetime) -> None:
    until(lambda: owner.execute(SNAPSHOT, [at]).fetchone() == (True,))


def _prices(request: Mapping[str, Any]) -> dict[str, Decimal]:
    return {symbol: Decimal(price) for symbol, price in request["prices"].items()}


def _answer(document: object) -> None:
    print(json.dumps(document), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
