"""Part ``seeds``: the actors in one thread with virtual time, in an order and with faults drawn from a seed.

The same seed gives the same trace, whatever `PYTHONHASHSEED` is.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from domain.trading.orders import Costs
from tests.faults import accounts
from tests.faults.counters import Counters
from tests.faults.laws import Broken, InjectedFault
from tests.faults.setting import NAMES, WORKERS
from tests.faults.world import World
from tests.support.actors.small_intake import small_intake

FACTORS = ("0.94", "0.98", "0.995", "0.9995", "1", "1.0005", "1.005", "1.02", "1.06")
"""Of limit and stop prices, from the present price."""
MOVES = ("0.93", "0.97", "0.99", "0.999", "1", "1.001", "1.01", "1.03", "1.07")
"""Of the market."""
DECISIONS = 46
"""Of one seed, some of which are not taken in: 500 seeds have more than 20 000 in the table."""
TO_THE_CLOSE_S = 17_000
"""Seconds, from noon to beyond 16:30."""
TRADED = ("BTC/USDT", "btc-usdt", "ETH/USDT", "ETHUSDT")
MOMENTS = ("takes", "handled", "sends", "sent", "commits", "committed")
ERRORS: tuple[type[BaseException], ...] = (InjectedFault, MemoryError, RecursionError, SystemExit, KeyboardInterrupt)


@dataclass(frozen=True)
class Played:
    """What came of a seed.

    Attributes:
        trace: what happened, in order.
        ledger: ledger and outcomes at the end.
        broken: the law that does not hold, if one does not.
    """

    trace: list[str]
    ledger: list[str]
    faults: Counter[str]
    decisions: int
    outcomes: Counter[str]
    broken: Exception | None

    @property
    def digest(self) -> str:
        """Equal for equal traces and books."""
        return hashlib.sha256("\n".join([*self.trace, *self.ledger]).encode()).hexdigest()


def decision(draw: random.Random, prices: Mapping[str, Decimal]) -> dict[str, Any]:
    """A decision of any kind that there is, with an order of any type near the present prices."""
    wanted: dict[str, Any] = {
        "symbol": draw.choices([*TRADED, "NOPE/USDT", "X/EUR", "DEAD/USDT"], [8, 8, 8, 8, 1, 1, 1])[0],
        "decision": draw.choices(["BUY", "SELL", "HOLD"], [14, 6, 1])[0],
        "confidence": draw.choices(["0.59", "0.75", "0.8", "1"], [1, 4, 4, 4])[0],
        "quantity": draw.choices([None, "0.001", "0.0041", "0.0145", "20"], [2, 6, 6, 5, 1])[0],
        "portfolio": draw.choices(NAMES, [10, 10, 2])[0],
    }
    if draw.random() < 0.1:
        wanted["expires_in"] = draw.choice([-1, 2, 20])
    if wanted["decision"] != "HOLD" and draw.random() < 0.6:
        wanted |= _terms(draw, wanted["decision"], prices["BTC/USDT" if wanted["symbol"][0] in "Bb" else "ETH/USDT"])
    return wanted


def _terms(draw: random.Random, action: str, price: Decimal) -> dict[str, Any]:
    """Return the terms of an order: some fill at once, most rest."""
    near = [(price * Decimal(factor)).quantize(Decimal("0.01")) for factor in draw.choices(FACTORS, k=2)]
    kind = draw.choices(["market", "limit", "stop", "stop_limit"], [7, 5, 3, 2])[0]
    terms: dict[str, Any] = {"order_type": kind}
    if kind in {"limit", "stop_limit"}:
        terms["limit_price"] = near[0]
    if kind in {"stop", "stop_limit"}:
        terms["stop_price"] = near[1]
    if kind != "market":
        forces = ["GTC", "GTC", "GTD", "DAY", *(["IOC", "FOK"] if kind == "limit" else [])]
        terms["time_in_force"] = draw.choice(forces)
        if terms["time_in_force"] == "GTD":
            terms["order_expires_in"] = draw.choice([1, 4, 30])
        terms["post_only"] = kind == "limit" and terms["time_in_force"] in {"GTC", "GTD", "DAY"} and draw.random() < 0.2
    if action == "BUY" and draw.random() < 0.6:
        terms["stop_loss_pct"] = draw.choice(["0.005", "0.02", "0.1"])
        terms |= {"take_profit_pct": draw.choice(["0.003", "0.02", "0.2"])} if draw.random() < 0.7 else {}
    return terms


def play(seed: int, decisions: int = DECISIONS) -> Played:
    """Send decisions while everything goes wrong that can, then let it settle; every other seed with a small intake."""
    draw = random.Random(seed)
    deeds = {deed: weight for deed, weight in DEEDS.items() if deed not in STRIKES or draw.random() < 0.7}
    broken: Exception | None = None
    with small_intake() if seed % 2 else nullcontext():
        world = World(draw.getrandbits(32), max_restarts=draw.choice([3, 5, 1_000]))
        try:
            while len(world.sent) < decisions:
                draw.choices(list(deeds), weights=list(deeds.values()))[0](world, draw)
                world.run(draw.randrange(12))
            world.settle()
        except Exception as error:  # noqa: BLE001 - any failure is reported with its seed
            broken = error
    return Played(world.trace, world.ledger, world.injected, world.decisions, world.outcomes, broken)


def run(rounds: int, seed: int) -> Counters:
    """Play so many seeds, the first of them ``seed``."""
    counters = Counters()
    for number in range(seed, seed + rounds):
        played = play(number)
        counters.faults += played.faults
        counters.decisions += played.decisions
        counters.outcomes += played.outcomes
        if played.broken is None:
            continue
        law = played.broken.law if isinstance(played.broken, Broken) else ""
        counters.lost += law == "lost"
        counters.doubled += law == "doubled"
        counters.unbalanced += law == "unbalanced"
        counters.repeat.append(f'{played.broken!r}: make faults ARGS="--only seeds --seed {number} --rounds 1"')
    return counters


def _submit(world: World, draw: random.Random) -> None:
    key = f"key {draw.randrange(5)}" if draw.random() < 0.3 else None
    world.submit(until_open=draw.random() < 0.5, **decision(draw, world.prices), idempotency_key=key)


def _add_many(world: World, draw: random.Random) -> None:
    for _ in range(draw.randrange(2, 6)):
        world.add(**decision(draw, world.prices))


def _quotes(world: World, draw: random.Random) -> None:
    """Several pieces of market data, one after the other, which wait in the mailboxes."""
    for _ in range(draw.choice([1, 1, 2, 4])):
        traded = draw.choice([None, None, "0.001", "0.05"])
        world.quote(draw.choice(MOVES), draw.choice(["BTC/USDT", "ETH/USDT"]), traded)


def _amend(world: World, draw: random.Random) -> None:
    """Send an AMEND for a decision whose order rests, or that has not ended: another quantity, price or trail."""
    rows = [row for row in world._rows() if row.opened] or [row for row in world._rows() if row.outcome is None]
    if not rows:
        return
    row = draw.choice(rows)
    of = row.decision
    values = {"quantity": of.quantity, "limit_price": of.limit_price, "stop_price": of.stop_price, "trail": of.trail}
    name = draw.choice([name for name, value in values.items() if value is not None] or ["quantity"])
    factor = Decimal(draw.choice(["0.5", "0.9", "1.1", "2"]))
    new = {name: ((values[name] or Decimal("0.1")) * factor).quantize(Decimal("0.0001"))}
    world.add(decision="AMEND", target=str(row.id), portfolio=of.portfolio, symbol="*", confidence=1, **new)


def _protect(world: World, draw: random.Random) -> None:
    """Send a PROTECT for a position that may be there, and may have exits already."""
    exits: dict[str, Any] = {"stop_loss_pct": draw.choice(["0.005", "0.02", "0.2"])}
    if draw.random() < 0.3:
        exits = {"trailing_stop_pct": "0.01"}
    if draw.random() < 0.5:
        exits |= {"take_profit_pct": draw.choice(["0.003", "0.02", "0.2"])}
    world.add(decision="PROTECT", symbol=draw.choice(TRADED), portfolio=draw.choice(NAMES[:2]), **exits)


def _change_terms(world: World, draw: random.Random) -> None:
    rates = Costs(Decimal("0.0005"), Decimal(draw.choice(["0", "0.001", "0.0026"])), Decimal(draw.choice([0, 1, 3])))
    world.change_terms(
        draw.randrange(9),
        costs=rates,
        max_position_size=Decimal(draw.choice(["0.05", "0.2", "1"])),
        decision_confidence_threshold=Decimal(draw.choice(["0.5", "0.6", "0.7"])),
    )


def _raise(world: World, draw: random.Random) -> None:
    world.raise_at(draw.choice(MOMENTS), draw.randrange(1, 9), draw.choice(ERRORS))


def _hang(world: World, draw: random.Random) -> None:
    writer = draw.choice([None, "PositionKeeper", "PositionKeeper", "DecisionWatcher"])
    # What hangs before it writes is the worst: it goes on when others have taken over.
    moment = draw.choice(MOMENTS if writer is None else [*MOMENTS, "takes", "takes", "takes"])
    world.hang_at(moment, draw.randrange(1, 9 if writer is None else 4), draw.randrange(20, 90), writer)


STRIKES = (_raise, _hang)
"""What strikes decisions that are no poison: some seeds do without."""
DEEDS: dict[Callable[[World, random.Random], None], int] = {
    lambda world, draw: world.add(**decision(draw, world.prices)): 24,
    _add_many: 10,
    _submit: 14,
    _quotes: 34,
    lambda world, draw: world.cancel_order(draw.randrange(99), draw.choice([None, None, None, "symbol", "all"])): 5,
    lambda world, draw: world.halt(draw.randrange(9), halted=draw.random() < 0.12): 6,
    lambda world, draw: world.pass_by(draw.choice([0.05, 0.5, 1, 2, 5, 31])): 10,
    lambda world, _: world.pass_by(TO_THE_CLOSE_S): 1,
    lambda world, draw: world.crash(draw.choice(WORKERS)): 4,
    _raise: 6,
    _hang: 4,
    lambda world, draw: world.kill(draw.choice([0, 0, 12])): 2,
    lambda world, _: world.stop(): 1,
    lambda world, draw: world.away(draw.random() < 0.4): 4,
    lambda world, _: world.fail_commit(): 3,
    lambda world, _: world.lose_answer(): 3,
    lambda world, draw: world.poison(draw.randrange(99), draw.choice(WORKERS[2:])): 2,
    lambda world, draw: world.refuse(draw.randrange(99)): 1,
    _amend: 6,
    _protect: 6,
    lambda world, draw: world.cancel(draw.randrange(99)): 1,
    lambda world, draw: world.delete(draw.randrange(99)): 1,
    _change_terms: 2,
    accounts.ask: 5,
    accounts.begin_anew: 1,
    lambda world, draw: world.create(draw.choice([0, 1, 2, 2]), draw.choice([500, 10_000])): 2,
    lambda world, draw: world.remove(draw.choice([0, 1, 2, 2, 2])): 1,
}


if __name__ == "__main__":  # for another process, which hashes otherwise, to be compared
    for argument in sys.argv[1:]:
        print(play(int(argument)).digest)  # noqa: T201
