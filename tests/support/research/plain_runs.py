"""Random backtests of plain orders: in integers, and by the engine."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple
from uuid import uuid5

from hypothesis import strategies as st

from domain.trading.instruments import Instrument
from domain.trading.orders import Costs, ExecutionRules
from domain.trading.portfolio import PortfolioRules
from domain.types import FeeRule, PortfolioName, PriceRule
from research.backtest.feeds import Wish
from research.backtest.making import namespace_of
from research.backtest.pieces import PHASES, Market, Phase
from research.backtest.plain.rules import NotPlain
from research.backtest.plain.run import PlainRun
from research.backtest.records import Records
from research.backtest.run import RunOptions
from research.strategy import Intent
from tests.support.research.markets import MINUTE, START, bars, fed, micros, wishes
from tests.support.research.straightforward import Listing, run_listed
from tests.support.values.builders import BTC, BY_QUOTE, free, rules

MOST_BARS, MOST_DECISIONS = 40, 14
FREE = rules(costs=free(), execution=BY_QUOTE, max_position_size=1, min_notional=1)
TABLES = ("fills", "trades", "ends", "values")


class PlainCase(NamedTuple):
    """A backtest."""

    market: Market
    options: RunOptions
    wishes: list[Wish]


class Drawn:
    """What is drawn from one seed: Hypothesis takes ten times as long for each number."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def one(self, *texts: str) -> Decimal:
        return Decimal(self._random.choice(texts))

    def perhaps(self, *texts: str) -> Decimal | None:
        return self.one(*texts) if self.chance(2) else None

    def chance(self, of: int) -> bool:
        return self._random.randrange(of) == 0

    def up_to(self, most: int) -> int:
        return self._random.randint(0, most)

    def rows(self, count: int) -> list[tuple[Any, ...]]:
        """A walk of prices, in cents or halves, which touch levels; a volume is sometimes known, and sometimes 0."""
        close, rows, grid, with_volume = 10_000, [], 50 if self.chance(2) else 1, self.chance(3)
        for _ in range(count):
            opened = max(close + self.up_to(100) - 50, 100)
            close = max(opened + self.up_to(300) - 150, 100)
            beyond = 600 if self.chance(6) else 60
            high, low = max(opened, close) + self.up_to(beyond), max(min(opened, close) - self.up_to(beyond), 1)
            row = tuple(Decimal(max(value // grid * grid, 1)) / 100 for value in (opened, high, low, close))
            volume = (self._random.choice([0, 1, 30, 5_000, 5_000, None]),) if with_volume else ()
            rows.append((*row, *volume))
        return rows

    def intent(self) -> Intent:
        """A BUY or SELL at market, often with exits."""
        values: dict[str, Any] = {
            "quantity": self.perhaps("1", "7.5", "0.00012345", "3.1", "40", "0.000000001"),
            "confidence": self.one("1", "0.7", "0.93", "0.8", "0.5", "0.6123456789"),
            "risk_score": self.perhaps("0", "0.37", "1"),
            "strategy": "other" if self.chance(4) else None,
        }
        if self.chance(3):
            return Intent.sell(**values)
        if self.chance(2):
            if not self.chance(4):
                fixed = self.chance(3)
                values["stop_loss" if fixed else "stop_loss_pct"] = self.one(
                    *(("99.13", "97", "98.5", "140") if fixed else ("0.005", "0.01", "0.02", "0.3"))
                )
            if not self.chance(4):
                fixed = self.chance(3)
                values["take_profit" if fixed else "take_profit_pct"] = self.one(
                    *(("101.337", "103", "102", "60") if fixed else ("0.004", "0.01", "0.02", "1.5"))
                )
        return Intent.buy(**values)

    def portfolio(self) -> PortfolioRules:
        """Rules with usual and unusual costs and limits."""
        costs = Costs(
            self.one("0", "0.0005", "0.00123", "0.04"), self.one("0", "0.001", "0.00075", "0.2"),
            self.one("0", "1", "0.35", "25"), dollar=self.one("1", "100", "0.00001"),
        )  # fmt: skip
        execution = ExecutionRules(
            PriceRule.LAST if self.chance(3) else PriceRule.QUOTE, fill_on_touch=self.chance(2),
            max_bar_share=self.one("0.1", "1"),
        )  # fmt: skip
        return PortfolioRules(
            PortfolioName("default"), "USDT", self.one("10000", "123456.789", "250", "99999999"), costs,
            self.one("0.2", "1", "0.3333333333"), self.one("0.6", "0"), self.one("0", "10", "1.7"),
            self.one("0.3", "0"), execution, fees=FeeRule.VENUE if self.chance(2) else FeeRule.OWN,
            default_stop_loss=self.one("0.03", "0.01") if self.chance(4) else None,
            default_take_profit=self.one("0.015", "0.03") if self.chance(4) else None,
        )  # fmt: skip

    def instrument(self) -> Instrument:
        fee = self.perhaps("0.0002", "0.0011")
        return Instrument(
            BTC, "USDT", self.one("0.01", "0.01", "0.5", "0.03", "1e-12"), self.one("0.0001", "1", "1e-8", "0.3"),
            self.one("0", "5"), min_quantity=self.one("0", "0.5"), maker_fee=fee, taker_fee=fee,
        )  # fmt: skip


@st.composite
def plain_cases(draw: st.DrawFn) -> PlainCase:
    count, number = draw(st.integers(3, MOST_BARS)), draw(st.integers(1, MOST_DECISIONS))
    return drawn_case(count, number, draw(st.integers(0, 2**64 - 1)))


def drawn_case(count: int, number: int, seed: int) -> PlainCase:
    """Return bars of one symbol, perhaps with gaps and other lengths, and decisions at or between their closes."""
    drawn = Drawn(seed)
    gaps = [1 + drawn.up_to(2) if drawn.chance(4) else 1 for _ in range(count)]
    length = (MINUTE, 5 * MINUTE, timedelta(hours=7))[drawn.up_to(2)]
    begins = [sum(gaps[:place]) for place in range(count)]
    columns = bars(drawn.rows(count), BTC, begins=begins, length=length)
    wishes = []
    as_strategy, part = drawn.chance(2), 0.3 if drawn.chance(4) else 0
    for place in sorted(drawn.up_to(count - 1) for _ in range(number)):
        intent, uid = drawn.intent(), uuid5(namespace_of("tests"), str(len(wishes))).bytes
        if as_strategy:  # at the close of a bar
            moment = int(columns.time[place]) * PHASES + Phase.DECISION
            wishes.append(Wish(moment, 0, intent, uid, place))
        else:
            intent.symbol = BTC
            moment = micros(START + (begins[place] + part) * length) * PHASES + Phase.DECISION
            wishes.append(Wish(moment, None, intent, uid, len(wishes)))
    options = RunOptions(drawn.portfolio(), micros(START), strategy="tests")
    return PlainCase(Market.of([columns], [drawn.instrument()]), options, wishes)


def case_of(prices: Market, *intents: tuple[int, Intent], of: PortfolioRules = FREE) -> PlainCase:
    """Return decisions at the closes of bars of a minute."""
    return PlainCase(prices, RunOptions(of, micros(START), strategy="tests"), wishes(*intents))


def run_plain(case: PlainCase) -> tuple[object, Records] | None:
    """Run a case in integers; None where it is not plain."""
    records = Records()
    try:
        run = PlainRun(case.market, case.options, lambda _: fed(case.wishes), records)
        return run.run(), records
    except NotPlain:
        return None


def require_same(case: PlainCase) -> Listing:
    """Run a plain case both ways, and compare all that is recorded.

    Raises:
        AssertionError: they differ.
    """
    plain = run_plain(case)
    assert plain is not None
    state, listed = run_listed(case.market, case.options, case.wishes)
    plain_state, records = plain
    for name in TABLES:
        assert getattr(listed, name).table().to_pylist() == getattr(records, name).table().to_pylist(), name
    assert state == plain_state
    assert listed.sentences == records.sentences
    assert listed.outcome_counts() == records.outcome_counts()
    assert (listed.confidences, listed.traded) == (records.confidences, records.traded)
    assert listed.first_fills == records.first_fills
    assert list(listed.executions()) == list(records.executions())
    assert list(listed.closings()) == list(records.closings())
    return listed
