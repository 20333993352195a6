"""The callers of `submit`, who wait for outcomes."""

from __future__ import annotations

import threading
from collections.abc import Collection

from actors.runtime.pykka_adapter import ThreadingFuture, settle
from domain.errors import PaperTradingError
from domain.trading.decision import Outcome
from domain.types import DecisionId


class Callers:
    """The futures of callers that wait for outcomes; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[DecisionId, list[ThreadingFuture[Outcome]]] = {}
        self._until_open: dict[DecisionId, list[ThreadingFuture[Outcome]]] = {}

    def add(self, decision_id: DecisionId, future: ThreadingFuture[Outcome], *, until_open: bool = False) -> None:
        """Add the future of a caller that waits for the outcome of a decision, or only until its order rests."""
        with self._lock:
            waiting = self._waiting.setdefault(decision_id, [])
            if future not in waiting:  # a message that is tried again after a crash has the same future
                waiting.append(future)
                if until_open:
                    self._until_open.setdefault(decision_id, []).append(future)

    @property
    def ids(self) -> Collection[DecisionId]:
        """The decisions for whose outcomes callers wait."""
        with self._lock:
            return list(self._waiting)

    def answer(self, decision_id: DecisionId, answer: Outcome | PaperTradingError) -> None:
        """Settle all futures of a decision with its outcome, or with the reason why the caller gets none."""
        with self._lock:
            futures = self._waiting.pop(decision_id, [])
            self._until_open.pop(decision_id, None)
        for future in futures:
            settle(future, answer)

    def answer_open(self, decision_id: DecisionId, answer: Outcome) -> None:
        """Settle the futures of those who wait only until the order of a decision rests."""
        with self._lock:
            futures = self._until_open.pop(decision_id, [])
            waiting = [future for future in self._waiting.pop(decision_id, []) if future not in futures]
            if waiting:
                self._waiting[decision_id] = waiting
        for future in futures:
            settle(future, answer)

    def fail_all(self, error: PaperTradingError) -> None:
        """Raise ``error`` in all callers."""
        for decision_id in self.ids:
            self.answer(decision_id, error)
