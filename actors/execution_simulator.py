"""ExecutionSimulator: fills orders at the price that travels with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.messages import Execute, Filled, Flush, Message, Priced, Rebuild, Refused
from actors.ports import Address
from actors.runtime.behaviour import PathBehaviour
from actors.supervision.messages import Rebuilt
from domain.trading.decision import Reason, Refusal
from domain.trading.execution import execute
from domain.types import Clock, OutcomeStatus


class ExecutionSimulator(PathBehaviour):
    """Prices each order, and tells the Sizer at once, so that the next decision need not wait for the commit.

    Args:
        sizer: who is told what was priced.
        keeper: who writes it.
        supervisor: who is told when a generation has begun.
        clock: when fills happen.
    """

    def __init__(self, *, sizer: Address, keeper: Address, supervisor: Address, clock: Clock) -> None:
        self._sizer = sizer
        self._keeper = keeper
        self._supervisor = supervisor
        self._clock = clock

    def rebuild(self, word: Rebuild) -> None:
        """Begin; market orders leave nothing open."""
        self.generation = word.generation
        self._supervisor.tell(Rebuilt("ExecutionSimulator", word.generation))

    def describe(self) -> Mapping[str, Any]:
        """Return the open orders; market orders are never open."""
        return {"generation": self.generation, "open_orders": []}

    def handle(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Execute():
                self._execute(message)
            case Refused() | Flush():
                self._keeper.tell(message)

    def _execute(self, message: Execute) -> None:
        order = message.order
        result = execute(order, self._clock.now())
        if isinstance(result, str):
            refusal = Refusal(order.decision_id, order.portfolio, OutcomeStatus.REJECTED, Reason.NO_FILL, result)
            self._sizer.tell(Priced(message.generation, order.decision_id, order.portfolio, None))
            self._keeper.tell(Refused(message.generation, refusal))
            return
        self._sizer.tell(Priced(message.generation, order.decision_id, order.portfolio, result))
        self._keeper.tell(Filled(message.generation, result))
