"""ExecutionSimulator: the simulated exchange. It matches each order with the quote that it was sized from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.messages import Execute, Flush, Matched, Message, Rebuild, Record, Refused
from actors.runtime.behaviour import PathBehaviour
from actors.runtime.routes import Routes
from actors.supervision.messages import Rebuilt
from domain.trading.decision import Refusal
from domain.trading.execution import match_market_order
from domain.types import Clock


class ExecutionSimulator(PathBehaviour):
    """The simulated exchange. The Sizer gets each event at once, so the next decision need not wait for the commit.

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
        order = message.sized.order
        event = match_market_order(message.sized, self._clock.now())
        filled = None if isinstance(event, Refusal) else event
        self._routes.sizer.tell(Matched(message.generation, order.decision_id, order.portfolio, filled))
        self._routes.position_keeper.tell(
            Refused(message.generation, event) if isinstance(event, Refusal) else Record(message.generation, event)
        )
