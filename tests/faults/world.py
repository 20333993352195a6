"""People, prices, faults and the laws around a `tests.support.actors.stepper.Stepper`: what may be done to it, and
what must hold.

Every action is one that a person or a program outside could do. After each step `check` compares the committed state
with the naive model; `settle` lets everything come to rest and asks for what each decision and each caller was
promised.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from actors.messages import Drain, Submit, Tick, Wake
from actors.runtime.address import CURRENT
from actors.runtime.pykka_adapter import ThreadingFuture
from domain import failpoints
from domain.errors import DatabaseUnavailable
from domain.trading.decision import Decision, Outcome, Reason
from domain.types import OutcomeStatus, PortfolioName
from tests.faults.laws import INJECTED, Broken, Caller, InjectedFault, Laws, at_rest, is_pending
from tests.faults.setting import BY_QUOTE_NAME, CALENDARS, INSTRUMENTS, NAMES, NO_FAULTS, OFFERED, PRICES
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import StepClock, SteppedCell
from tests.support.actors.stepper import Stepper
from tests.support.values.builders import BY_LAST, BY_QUOTE, costs, rules, uid


class World:
    """One database and the processes that serve it one after the other.

    Args:
        seed: of the order of steps.
        max_restarts: so many within 30 s, and the process ends; another begins.

    Attributes:
        faults: so many of each kind happened, other deeds and what followed among them; see `injected`.
        sent: uids of all decisions, in their order, those that nobody took in among them.
    """

    def __init__(self, seed: int, *, max_restarts: int = 5) -> None:
        self.database = MemoryDatabase()
        self.clock = StepClock()
        self.trace: list[str] = []
        self.faults = self.database.faults
        self.sent: list[UUID] = []
        self.prices = dict(PRICES)
        self._order = random.Random(seed)
        self._max_restarts = max_restarts
        self.laws = Laws(self.database)
        self._poison: dict[UUID, str] = {}
        self._fuse: tuple[str, int, Callable[[SteppedCell], None], str | None] | None = None
        self._lives = 0
        self._keyed: dict[str, dict[str, Any]] = {}
        for name in NAMES[:2]:
            self._open(name)
        self.stepper = self._born()
        self.run(3)
        self.quote()

    # What people do

    def add(self, **wanted: Any) -> None:
        """Insert a row, as a sender does."""
        decision = self._decision(wanted)
        id_ = self.database.add(decision, self.clock.now())
        self.trace.append(f"row {id_}")
        self.stepper.wake()

    def submit(self, *, until_open: bool = False, **wanted: Any) -> None:
        """A caller submits a decision, and waits for its end, or until its order rests; most repeat that of a key."""
        if (key := wanted.get("idempotency_key")) is not None and len(self.sent) % 3:
            wanted = self._keyed.setdefault(key, wanted)
        message = Submit(self._decision(wanted), ThreadingFuture(), ThreadingFuture(), until_open)
        self.laws.callers.append(Caller(message, self._lives))
        self.stepper.tell("DecisionWatcher", message)

    def cancel(self, number: int) -> None:
        """End a pending decision by hand."""
        if (row := self._pending(number)) is not None:
            row.outcome = Outcome(row.id, OutcomeStatus.CANCELLED, "by hand")
            self.faults["cancelled by hand"] += 1

    def delete(self, number: int) -> None:
        """Delete the row of a pending decision."""
        if (row := self._pending(number)) is not None:
            del self.database.rows[row.id]
            self.laws.deleted.add(row.id)
            self.faults["row deleted"] += 1

    def cancel_order(self, number: int, target: str | None = None) -> None:
        """Send a CANCEL for a decision whose order rests, or for all orders of its portfolio, or for a symbol."""
        rows = [row for row in self._rows() if row.opened] or [row for row in self._rows() if row.outcome is None]
        if rows:
            row = rows[number % len(rows)]
            symbol = row.decision.symbol if target == "symbol" else "*"
            portfolio = row.decision.portfolio
            self.add(decision="CANCEL", target=target or str(row.id), symbol=symbol, confidence=1, portfolio=portfolio)

    def halt(self, number: int, *, halted: bool) -> None:
        """Halt a portfolio, or let it trade again."""
        names = sorted(self.database.portfolios)
        if names:
            portfolio = self.database.portfolios[names[number % len(names)]]
            rules_ = replace(portfolio.rules, halted="by hand" if halted else None)
            self.database.portfolios[portfolio.name] = replace(portfolio, rules=rules_)
            self.faults["portfolio halted"] += halted
            self.stepper.tell("PositionKeeper", Wake())

    def change_terms(self, number: int, **changes: Any) -> None:
        """Change the rules of a portfolio."""
        names = sorted(self.database.portfolios)
        if names:
            portfolio = self.database.portfolios[names[number % len(names)]]
            changed = replace(portfolio.rules, revision=portfolio.rules.revision + 1, **changes)
            self.database.portfolios[portfolio.name] = replace(portfolio, rules=changed)
            self.faults["rules changed"] += 1
            self.stepper.tell("PositionKeeper", Wake())

    def create(self, number: int, capital: int = 10_000) -> None:
        """Create a portfolio, or remove one without orders and create it again."""
        name = PortfolioName(NAMES[number % len(NAMES)])
        if self._removable(name):
            self._open(name, capital)
            self.faults["portfolio made"] += 1
            self.stepper.tell("PositionKeeper", Wake())

    def remove(self, number: int) -> None:
        """Remove a portfolio; one that has orders cannot be removed."""
        name = PortfolioName(NAMES[number % len(NAMES)])
        if self._removable(name) and self.database.portfolios.pop(name, None) is not None:
            self.faults["portfolio removed"] += 1
            self.stepper.tell("PositionKeeper", Wake())

    def quote(self, factor: str = "1", symbol: str = "BTC/USDT", traded: str | None = None) -> None:
        """Prices come, where one has moved first; as a trade of the market, that one alone."""
        moved = (self.prices[symbol] * Decimal(factor)).quantize(Decimal("0.01"))
        self.prices[symbol] = moved if PRICES[symbol] / 3 < moved < PRICES[symbol] * 3 else PRICES[symbol]
        if traded is not None:
            self.stepper.quote({symbol: str(self.prices[symbol])}, traded=traded)
            return
        self.stepper.quote({name: str(price) for name, price in self.prices.items()}, spread="0.07", size=OFFERED)

    def pass_by(self, seconds: float) -> None:
        """Time passes, and the timer tells those who wait for it."""
        self.stepper.pass_by(seconds)
        for actor in ("Sizer", "ExecutionSimulator", "PriceTracker", "Snapshotter"):
            self.stepper.tell(actor, Tick())

    # What goes wrong

    def crash(self, actor: str) -> None:
        """An actor loses its behaviour between two steps."""
        self.stepper.crash(actor)
        self.faults["crash"] += 1

    def raise_at(self, moment: str, count: int, error: type[BaseException] = InjectedFault) -> None:
        """The handler that comes to the ``count``-th of these points from now on raises there."""

        def burn(cell: SteppedCell) -> None:
            self.trace.append(f"{cell.name} raises {error.__name__} at {moment}")
            self.faults[f"exception at {moment}"] += 1
            raise error(INJECTED)

        self._fuse = moment, count, burn, None

    def hang_at(self, moment: str, count: int, steps: int, actor: str | None = None) -> None:
        """The handler that comes to the ``count``-th of these points from now on hangs there for a while.

        Args:
            moment: kind of point.
            count: which of them.
            steps: how many steps the others take meanwhile.
            actor: only its points count, if one is named.
        """

        def burn(cell: SteppedCell) -> None:
            if cell.name != "Supervisor":
                self.faults[f"hang at {moment}"] += 1
                self.stepper.hang(cell.name, steps)
                if cell.abandoned and moment in {"commits", "committed"}:
                    in_doubt = moment == "committed"  # its connection was ended when the thread was abandoned
                    raise DatabaseUnavailable("the connection was lost", in_doubt=in_doubt)

        self._fuse = moment, count, burn, actor

    def poison(self, number: int, actor: str) -> None:
        """From now on ``actor`` crashes on whatever is about this decision."""
        if (row := self._unended(number)) is not None and row.decision.uid not in self._poison:
            self._poison[row.decision.uid] = actor

    def fail_commit(self) -> None:
        """The next COMMIT does not happen, and the connection is lost."""
        self.database.fail_commits = 1

    def lose_answer(self) -> None:
        """The next COMMIT happens, and its answer is lost."""
        self.database.lose_answers = 1

    def refuse(self, number: int) -> None:
        """The database will not store the fill of this decision."""
        if (row := self._unended(number)) is not None:
            self.database.refuse.add(row.id)

    def away(self, gone: bool = True) -> None:
        """The database goes, or comes back."""
        self.faults["database away"] += gone and not self.database.away
        self.database.away = gone

    def kill(self, zombie_steps: int = 0) -> None:
        """The process dies where it is, and another begins; it may be that the old one is only thought to be dead."""
        self.faults["process killed"] += 1
        old = self.stepper
        self._lives += 1
        self.stepper = self._born()
        for _ in range(zombie_steps):
            self._step(old)
            self._step(self.stepper)

    def stop(self) -> None:
        """The process is stopped in order, and another begins."""
        self.faults["ordered stop"] += 1
        if not self.database.away:
            self.stepper.tell("Supervisor", Drain())
            for _ in range(10_000):
                if self.stepper.drained or not self.step():
                    break
        self._end()

    # What happens

    def step(self) -> bool:
        """Let one actor handle one group, then check; False where nobody can do anything."""
        able = self._step(self.stepper)
        if self.stepper.ended is not None:
            self.faults["gave up"] += 1
            self._end()
        return able

    def run(self, steps: int = 10_000) -> None:
        """Step so often, or until nobody can do anything."""
        for _ in range(steps):
            if not self.step():
                return

    def settle(self) -> None:
        """Mend what is broken, let everything come to rest, and check what was promised."""
        self.database.away = False
        self.database.fail_commits = self.database.lose_answers = 0
        self._fuse = None
        for _ in range(60):
            self.stepper.wake_all()
            self.quote()
            self.run()
            if not any(map(is_pending, self.database.rows.values())) and at_rest(self.stepper):
                break
            self.pass_by(3)
            self.run()
        self.stepper.tell("ExecutionSimulator", Tick())
        self.run()
        self.laws.check_the_end(self.stepper, self._lives)
        if not any(kind.startswith(("exception", "hang")) for kind in self.faults):
            self._check_culprits()

    @property
    def injected(self) -> Counter[str]:
        """The faults by kind: what people may do at any time is none, nor is what follows from a fault."""
        return Counter({kind: times for kind, times in self.faults.items() if kind not in NO_FAULTS})

    @property
    def decisions(self) -> int:
        """So many got into the table; others were submitted while it was away, or twice."""
        return len(self.database.rows) + len(self.laws.deleted)

    @property
    def outcomes(self) -> Counter[str]:
        """What became of all decisions."""
        rows = self.database.rows.values()
        counts = Counter((row.outcome or row.opened).status.value if not is_pending(row) else "none" for row in rows)
        counts["deleted"] = len(self.laws.deleted)
        return +counts

    @property
    def ledger(self) -> list[str]:
        """The ledger and every outcome in their order, as text."""
        fills = [
            f"{a.order.portfolio} {a.event.version} {a.order.order_id} {a.fill.quantity} {a.fill.price} "
            f"{a.fill.commission} {a.state.cash}"
            for a in self.database.fills
        ]
        events = [f"{a.state.name} {a.event.version} {a.order.order_id} {a.sentence}" for a in self.database.events]
        ends = [f"{row.id} {row.outcome and (row.outcome.status, row.outcome.reason)}" for row in self._rows()]
        return fills + events + ends

    def _check_culprits(self) -> None:
        """Check that only decisions with a fault of their own are quarantined, where nothing else struck."""
        deserved = {row.id for row in self._rows() if row.decision.uid in self._poison} | self.database.refuse
        # What one piece of market data makes of the orders of a portfolio is one unit.
        portfolios = {self.database.rows[id_].decision.portfolio for id_ in deserved if id_ in self.database.rows}
        ended = [row for row in self._rows() if row.outcome and row.outcome.reason.startswith(Reason.INTERNAL_ERROR)]
        quarantined = {row.id for row in ended if not (row.opened and row.decision.portfolio in portfolios)}
        if not quarantined <= deserved:
            raise Broken(f"decisions {quarantined - deserved} were quarantined for nothing")

    def _born(self) -> Stepper:
        stepper = Stepper(
            self.database,
            INSTRUMENTS,
            self._order.getrandbits(32),
            max_restarts=self._max_restarts,
            clock=self.clock,
            trace=self.trace,
            delays=True,
            calendars=CALENDARS,
        )
        self.laws.watch(stepper.wiring.market_data)
        return stepper

    def _end(self) -> None:
        old = self.stepper
        old.end()
        self.laws.check_callers(self._lives, "at the end")
        self._lives += 1
        self.stepper = self._born()

    def _step(self, stepper: Stepper) -> bool:
        before, failpoints.hook = failpoints.hook, self._reached
        try:
            able = stepper.step()
        finally:
            failpoints.hook = before
        self.laws.check(self.stepper)
        return able

    def _reached(self, moment: str, what: str) -> None:
        cell = CURRENT.sender
        if not isinstance(cell, SteppedCell) or what == "Crashed":
            return  # what a cell says about its own crash is not the handler's any more
        if moment == "takes" and self._poison:
            for id_ in {id_: None for message in cell.in_hand for id_ in message.decisions}:
                row = self.database.rows.get(id_)
                if row is not None and self._poison.get(row.decision.uid) == cell.name:
                    self.faults["poison"] += 1
                    raise InjectedFault(f"{INJECTED}: poison {id_}")
        if moment == "sends" and self._poison and cell.name == "ExecutionSimulator":
            self._crash_on_open_order(cell)
        if self._fuse is None or cell.abandoned:
            return
        where, left, burn, actor = self._fuse
        if where == moment and actor in {None, cell.name}:
            self._fuse = None if left <= 1 else (moment, left - 1, burn, actor)
            if left <= 1:
                burn(cell)

    def _crash_on_open_order(self, cell: SteppedCell) -> None:
        """Crash where an open order of a poisoned decision is being matched."""
        for id_ in cell.about:
            row = self.database.rows.get(id_)
            if row is not None and row.opened and self._poison.get(row.decision.uid) == cell.name:
                self.faults["poisoned order"] += 1
                raise InjectedFault(f"{INJECTED}: poisoned order of {id_}")

    def _decision(self, wanted: dict[str, Any]) -> Decision:
        number = len(self.sent)
        fields = {"symbol": "ETH/USDT", "decision": "BUY", "confidence": "0.8", **wanted}
        if (seconds := fields.pop("expires_in", None)) is not None:
            fields["expires_at"] = self.clock.now() + timedelta(seconds=seconds)
        if (seconds := fields.pop("order_expires_in", None)) is not None:
            fields["order_expires_at"] = self.clock.now() + timedelta(seconds=seconds)
        decision = Decision(uid=uid(number), **fields)
        self.sent.append(decision.uid)
        return decision

    def _rows(self) -> list[Any]:
        return list(self.database.rows.values())

    def _pending(self, number: int) -> Any:
        pending = [row for row in self._rows() if is_pending(row)]
        return pending[number % len(pending)] if pending else None

    def _unended(self, number: int) -> Any:
        """Return a decision that is pending or open, or whose exits rest."""
        open_ = {one.order.decision_id for state in self.database.portfolios.values() for one in state.open_orders}
        rows = [row for row in self._rows() if row.outcome is None or row.id in open_]
        return rows[number % len(rows)] if rows else None

    def _open(self, name: str, capital: int = 10_000) -> None:
        execution = BY_QUOTE if name == BY_QUOTE_NAME else BY_LAST
        begun = self.clock.now() + timedelta(microseconds=len(self.trace))
        made = rules(name, initial_capital=capital, costs=costs(), execution=execution)
        self.database.open_portfolio(replace(made, created_at=begun))

    def _removable(self, name: PortfolioName) -> bool:
        return all(one.portfolio != name for one in (*self.database.orders.values(), *self.database.requests))
