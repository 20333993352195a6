"""Queue and sequencer whose messages take their time: in any order of delivery each decision ends once."""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from domain.trading.bookkeeping import Result
from domain.trading.decision import CancelTarget, Refusal
from domain.trading.decision_queue import DecisionQueue
from domain.trading.decision_steps import SizedRefusal, Step
from domain.trading.events import SizedOrder
from domain.trading.instruments import InstrumentCatalog
from domain.trading.open_orders.cancelling import CancelOrders
from domain.trading.open_orders.sequencer import Returned, Sequencer
from domain.trading.portfolio import PortfolioState
from domain.types import Action, DecisionId
from tests.support.values.builders import BTC, ETH, NOON, instant, quote, received
from tests.support.values.order_choices import INSTRUMENTS, LARGEST, PORTFOLIOS, SIZING, Choices, drawn_terms

ROW = PORTFOLIOS[0]
STEPS = 120


class Mail:
    """A queue and a sequencer with the messages that are on their way between them, each way in order."""

    def __init__(self) -> None:
        state = PortfolioState.opened(ROW)
        self.queue, self.sequencer = DecisionQueue(SIZING), Sequencer()
        self.queue.begin([state])
        self.sequencer.begin([state])
        self.queue.on_instruments(InstrumentCatalog(INSTRUMENTS.values()), instant())
        self.to_sequencer: deque[Step] = deque()
        self.to_queue: deque[tuple[tuple[Result, ...] | None, bool]] = deque()
        self.ends: Counter[DecisionId] = Counter()
        self.returned = 0
        self.second = 0
        self.data_no = 0
        self.sent = 0

    def send(self, choices: Choices, price: Decimal) -> None:
        self.sent += 1
        now = instant(NOON + timedelta(seconds=self.second))
        action = choices.of([Action.BUY, Action.BUY, Action.SELL, Action.CANCEL])
        decision = replace(received(action, number=self.sent, symbol=choices.of([BTC, BTC, ETH])), received=now)
        if action is Action.CANCEL:
            of = choices.of([None, self.sent - 1, self.sent - 1, self.sent - 2])
            target = CancelTarget() if of is None else CancelTarget(decision_id=of)
            decision = replace(decision, target=target)
        else:
            quantity = choices.of([None, Decimal(1), Decimal(5)])
            decision = replace(decision, quantity=quantity, terms=drawn_terms(action, choices, price, now.time))
        self.take(self.queue.on_decision(decision, now))

    def see(self, price: Decimal) -> None:
        self.data_no += 1
        now = instant(NOON + timedelta(seconds=self.second))
        for symbol in (BTC, ETH):
            data = replace(quote(price, symbol, now.time), data_no=self.data_no)
            for results in self.sequencer.on_data(data, now):
                self.to_queue.append((results, False))
                self.count(results)
            self.take(self.queue.on_quotes([data], now))

    def take(self, steps: list[Step]) -> None:
        for step in steps:
            if isinstance(step, Refusal):
                self.ends[step.decision_id] += 1
            else:
                assert isinstance(step, SizedOrder | SizedRefusal | CancelOrders), step
                self.to_sequencer.append(step)

    def count(self, results: tuple[Result, ...]) -> None:
        self.ends.update(end.decision_id for result in results for end in result.ends)

    def deliver_to_sequencer(self) -> None:
        step = self.to_sequencer.popleft()
        now = instant(NOON + timedelta(seconds=self.second))
        answered = not isinstance(step, CancelOrders)
        if isinstance(step, SizedOrder):
            answer = self.sequencer.on_order(step, now)
        elif isinstance(step, SizedRefusal):
            answer = self.sequencer.on_refusal(step.refusal, step.version)
        else:
            assert isinstance(step, CancelOrders)
            answer = self.sequencer.on_cancel(step, now)
        if isinstance(answer, Returned):
            self.returned += 1
            self.to_queue.append((None, True))
            return
        if isinstance(answer, Refusal):
            self.ends.update(one.decision_id for one in answer.together)
            if answered:
                self.to_queue.append(((), True))
            return
        self.count(answer)
        self.to_queue.append((answer, answered))

    def deliver_to_queue(self) -> None:
        results, answered = self.to_queue.popleft()
        now = instant(NOON + timedelta(seconds=self.second))
        if results is None:
            self.take(self.queue.on_returned(ROW.portfolio, now))
        else:
            self.take(self.queue.on_results(ROW.portfolio, results, now, answered=answered))


def test_messages_that_take_their_time_lose_and_double_nothing() -> None:
    assert sum(returned(seed) for seed in range(40)) > 100


def returned(seed: int) -> int:
    """Play a seed; return how many orders came back."""
    source, mail = random.Random(seed), Mail()
    price = Decimal(100)
    mail.see(price)
    for _ in range(STEPS):
        mail.second += 1
        choices = Choices(source.randrange(LARGEST))
        what = choices.of(["send", "send", "see", "to sequencer", "to sequencer", "to queue", "to queue"])
        if what == "send":
            mail.send(choices, price)
        elif what == "see":
            price = Decimal(choices.of([97, 98, 99, 100, 100, 101, 102, 103]))
            mail.see(price)
        elif what == "to sequencer" and mail.to_sequencer:
            mail.deliver_to_sequencer()
        elif what == "to queue" and mail.to_queue:
            mail.deliver_to_queue()
    while mail.to_sequencer or mail.to_queue:
        mail.deliver_to_sequencer() if mail.to_sequencer else mail.deliver_to_queue()
    state = mail.sequencer.state(ROW.portfolio)
    assert state is not None
    assert state == mail.queue.state(ROW.portfolio)
    resting = {one.order.decision_id for one in state.open_orders if not one.order.is_exit}
    assert set(mail.ends.values()) == {1}
    assert mail.ends.keys() | resting == set(range(1, mail.sent + 1))
    assert not mail.ends.keys() & resting
    return mail.returned
