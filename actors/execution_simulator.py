"""ExecutionSimulator: fills each order at the quote that it carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.messages import Execute, Filled, Flush, Message, Priced, Rebuild, Refused
from actors.runtime.behaviour import PathBehaviour
from actors.runtime.routes import Routes
from actors.supervision.messages import Rebuilt
from domain.trading.decision import Reason, Refusal
from domain.trading.execution import execute
from domain.trading.orders import NotFilled
from domain.types import Clock, OutcomeStatus


class ExecutionSimulator(PathBehaviour):
    """The simulated exchange. The Sizer gets each fill at once, so that the next decision need not wait for the commit.

    Args:
        routes: the addresses of the actors.
        clock: the time of fills.
    """

    def __init__(self, routes: Routes, clock: Clock) -> None:
        self._routes = routes
        self._clock = clock

    def rebuild(self, message: Rebuild) -> None:
        """Begin a generation. There is no state to restore: market orders are never open."""
        self.generation = message.generation
        self._routes.supervisor.tell(Rebuilt("ExecutionSimulator", message.generation))

    def describe(self) -> Mapping[str, Any]:
        """Return the open orders; market orders are never open."""
        return {"generation": self.generation, "open_orders": []}

    def handle(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Execute():
                self._execute(message)
            case Refused() | Flush():
                self._routes.position_keeper.tell(message)

    def _execute(self, message: Execute) -> None:
        order = message.order
        result = execute(order, self._clock.now())
        if isinstance(result, NotFilled):
            refusal = Refusal(order.decision_id, order.portfolio, OutcomeStatus.REJECTED, Reason.NO_FILL, result.reason)
            self._routes.sizer.tell(Priced(message.generation, order.decision_id, order.portfolio, None))
            self._routes.position_keeper.tell(Refused(message.generation, refusal))
            return
        self._routes.sizer.tell(Priced(message.generation, order.decision_id, order.portfolio, result))
        self._routes.position_keeper.tell(Filled(message.generation, result))
