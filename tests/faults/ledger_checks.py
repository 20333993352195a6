"""The laws, read from one committed state of the database, against the naive ledger of the unit tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from fractions import Fraction
from operator import itemgetter
from typing import Any
from uuid import UUID

import psycopg

from actors import TradingSystem
from actors.position_keeper import PositionKeeper
from actors.runtime.behaviour import Behaviour
from actors.sizer import Sizer
from persistence.stores.ledger import LedgerStore
from tests.faults import downtime
from tests.faults.counters import Counters
from tests.support.values.naive_ledger import Change, Deal, ledger

FILLS = """
SELECT portfolio, version, order_id, symbol, side = 'BUY', quantity, price FROM paper_fills ORDER BY portfolio, version
"""
CHANGES = "SELECT portfolio, version, cash_delta, symbol, ratio_new, ratio_old FROM paper_account_events"
PENDING = "SELECT count(*) FROM paper_account_requests WHERE status = 'pending'"
VERSIONS = """
SELECT portfolio, version FROM paper_fills UNION ALL SELECT portfolio, version FROM paper_order_events
UNION ALL SELECT portfolio, version FROM paper_account_events ORDER BY 1, 2
"""
DOUBLED = "SELECT count(*) FROM (SELECT decision_id FROM paper_orders WHERE leg = 1 GROUP BY 1 HAVING count(*) > 1) d"
CROSSED = """
SELECT count(*)
FROM (SELECT * FROM trading_decisions WHERE decision NOT IN ('CANCEL', 'AMEND', 'PROTECT')) d
FULL JOIN (
    SELECT *, EXISTS (SELECT FROM paper_fills f WHERE f.order_id = o.order_id) AS filled
    FROM paper_orders o WHERE leg = 1
) o ON o.decision_id = d.id
WHERE (d.status = 'open') IS DISTINCT FROM coalesce(o.status = 'open', false)
   OR (d.status = 'executed') IS DISTINCT FROM coalesce(o.filled AND o.status <> 'open', false)
   OR d.order_id IS DISTINCT FROM o.order_id
"""
"""Decisions whose status does not fit their order: executed without a fill, open without an order that rests."""
TOO_MUCH = """
SELECT count(*) FROM paper_orders o
WHERE quantity - split_quantity < (SELECT sum(quantity) FROM paper_fills f WHERE f.order_id = o.order_id)
   OR (SELECT count(*) FROM paper_fills f WHERE f.order_id = o.order_id)
      IS DISTINCT FROM coalesce((SELECT max(fill_no) FROM paper_fills f WHERE f.order_id = o.order_id), 0)
"""
"""Orders that are filled by more than they want, or with a number of a fill that is missing."""
UNPROTECTED = """
SELECT count(*) FROM paper_orders o
WHERE leg = 1 AND side = 'BUY' AND coalesce(stop_loss, stop_loss_pct) IS NOT NULL
  AND EXISTS (SELECT FROM paper_fills f WHERE f.order_id = o.order_id)
  AND NOT EXISTS (SELECT FROM paper_orders e WHERE e.parent = o.order_id AND e.order_type = 'stop')
"""
"""Entries that were filled without their stop."""

LIVES = """
SELECT abs((SELECT count(*) FROM paper_trading_config WHERE life > 1)
           - (SELECT count(*) FROM paper_account_requests WHERE kind = 'reset' AND status = 'done'))
"""
"""Lives that no reset has begun, or resets without a next life."""

SNAPSHOTS = """
SELECT c.portfolio, s.cash, c.current_capital FROM paper_trading_config c
LEFT JOIN LATERAL (SELECT cash, num_positions FROM paper_portfolio_snapshots s
                   WHERE s.portfolio = c.portfolio ORDER BY time DESC LIMIT 1) s ON true
WHERE c.closed_at IS NULL AND (s.cash IS DISTINCT FROM c.current_capital
   OR s.num_positions <> (SELECT count(*) FROM paper_positions p WHERE p.portfolio = c.portfolio))
"""


@dataclass
class Findings:
    """What is wrong in one committed state; nothing, hopefully.

    Attributes:
        gone: decisions that were accepted and are not in the table.
        notes: sentences for people.
    """

    lost: int = 0
    doubled: int = 0
    unbalanced: int = 0
    decisions: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    gone: set[UUID] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def add_to(self, counters: Counters) -> None:
        """Count what is wrong."""
        counters.lost += self.lost
        counters.doubled += self.doubled
        counters.unbalanced += self.unbalanced

    def count_in(self, counters: Counters) -> None:
        """Count the decisions, once for each database."""
        counters.decisions += self.decisions
        counters.outcomes += self.outcomes


def check(url: str, accepted: Collection[UUID] = (), *, ended: bool = False) -> Findings:
    """Read one committed state and hold it to the laws.

    Args:
        url: of the database.
        accepted: the uids of decisions that `submit()` accepted.
        ended: whether each decision must have its outcome by now.
    """
    findings = Findings()
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

        def rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
            return connection.execute(statement, values).fetchall()

        statuses = rows("SELECT status, count(*) FROM trading_decisions GROUP BY 1")
        findings.outcomes = Counter({status: count for status, count in statuses if status != "pending"})
        findings.decisions = sum(count for _, count in statuses)
        if ended and (waiting := findings.decisions - findings.outcomes.total()):
            findings.lost += waiting
            findings.notes.append(f"{waiting} decisions without outcome")
        if ended and (waiting := rows(PENDING)[0][0]):
            findings.lost += waiting
            findings.notes.append(f"{waiting} requests for accounts without an outcome")
        there = {uid for (uid,) in rows("SELECT uid FROM trading_decisions WHERE uid = ANY(%s)", list(accepted))}
        findings.gone = set(accepted) - there
        if findings.gone:
            findings.lost += len(findings.gone)
            findings.notes.append(
                f"{len(findings.gone)} accepted decisions are not in the table: {[*map(str, findings.gone)][:3]}"
            )
        for statement, what in (
            (DOUBLED, "decisions with two orders"),
            (CROSSED, "orders that do not match"),
            (TOO_MUCH, "orders that are filled twice"),
            (UNPROTECTED, "entries without a stop"),
            (LIVES, "lives without a reset, or resets without a life"),
            (downtime.SETTLED_WRONGLY, "orders that rested over a downtime and are not settled once"),
        ):
            if count := rows(statement)[0][0]:
                findings.doubled += count
                findings.notes.append(f"{count} {what}")
        for name, reason in rows("SELECT portfolio, reason FROM paper_halts WHERE by_whom = 'audit'"):
            findings.unbalanced += 1
            findings.notes.append(f"the audit halted {name}: {reason}")
        _count(findings, rows)
    return findings


def _count(findings: Findings, rows: Any) -> None:
    wrong: set[str] = set()
    for difference in rows("SELECT * FROM v_paper_ledger_check"):
        wrong.add(str(difference[0]))
        findings.notes.append(f"the ledger check says: {difference}")
    config = {
        name: (capital, cash, pct, least)
        for name, capital, cash, pct, least in rows(
            "SELECT portfolio, initial_capital, current_capital, commission_pct, min_commission"
            " FROM paper_trading_config"
        )
    }
    held: dict[str, dict[str, Fraction]] = {name: {} for name in config}
    for name, symbol, quantity in rows("SELECT portfolio, symbol, quantity FROM paper_positions"):
        held[name][symbol] = Fraction(quantity)
    results: dict[str, list[tuple[Fraction, Fraction]]] = {name: [] for name in config}
    for name, gross, net in rows(
        "SELECT t.portfolio, t.realized_pnl, t.net_pnl FROM paper_trades t JOIN paper_fills f USING (order_id, fill_no)"
        " ORDER BY t.portfolio, f.version"
    ):
        results[name].append((Fraction(gross), Fraction(net)))
    versions: dict[str, list[int]] = {name: [] for name in config}
    for name, version in rows(VERSIONS):
        versions[name].append(version)
    happened: dict[str, list[tuple[int, Deal | Change]]] = {name: [] for name in config}
    for name, version, order, symbol, buy, quantity, price in rows(FILLS):
        happened[name].append((version, Deal(symbol, buy, quantity, price, None, order)))
    for name, version, change, symbol, new, old in rows(CHANGES):
        ratio = None if new is None else Fraction(new) / Fraction(old)
        happened[name].append((version, Change(change, symbol, ratio)))
    for name, (capital, cash, pct, least) in config.items():
        deals = [one for _, one in sorted(happened[name], key=itemgetter(0))]
        model = ledger(capital, deals, pct, least)
        differences = {
            "numbers of events": list(range(1, len(versions[name]) + 1)) == versions[name],
            "cash": model.cash == Fraction(cash),
            "holdings": {s: h.quantity for s, h in model.holdings.items() if h.quantity} == held[name],
            "trades": [(trade.gross, trade.net) for trade in model.trades] == results[name],
        }
        for what, same in differences.items():
            if not same:
                wrong.add(name)
                findings.notes.append(f"portfolio {name}: {what} differ from the model")
    findings.unbalanced += len(wrong)


def snapshot_differences(url: str) -> list[str]:
    """Return which portfolios' last snapshot is not their state; to be asked after an ordered stop."""
    with psycopg.connect(url) as connection:
        snapshots = connection.execute(SNAPSHOTS).fetchall()
    return [f"the last snapshot of {name} has cash {then}, the portfolio {now}" for name, then, now in snapshots]


def memory_differences(system: TradingSystem, url: str) -> list[str]:
    """Return how the actors' memory differs from the database; to be asked when all decisions have ended."""
    store = LedgerStore(url, system._parts.lease)
    try:
        committed = {portfolio.name: portfolio for portfolio in store.load()}
    finally:
        store.close()
    keeper, sizer = (_behaviour(system, name) for name in ("PositionKeeper", "Sizer"))
    if not (isinstance(keeper, PositionKeeper) and isinstance(sizer, Sizer)):
        return ["an actor is being rebuilt"]
    projected = {name: account.state for name, account in sizer._queue._accounts.items()}
    return [
        f"{who} remembers {name} as {memory.get(name)}, the database has {committed.get(name)}"
        for who, memory in (("PositionKeeper", dict(keeper._committed)), ("Sizer", projected))
        for name in sorted({*memory, *committed})
        if memory.get(name) != committed.get(name)
    ]


def _behaviour(system: TradingSystem, actor: str) -> Behaviour | None:
    cell = system._wiring.hosts[actor]._cell
    return cell._behaviour if cell is not None else None
