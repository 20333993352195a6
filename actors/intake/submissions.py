"""The decisions of callers of `submit`, on their way into the table."""

from __future__ import annotations

from collections.abc import Sequence

from actors.messages import Submit
from actors.ports import Decisions
from actors.runtime.callers import Callers
from actors.runtime.database_retry import DatabaseRetry, Interrupted
from actors.runtime.pykka_adapter import settle
from domain.errors import DatabaseUnavailable, PaperTradingError, SubmissionInDoubt
from domain.trading.decision import Accepted
from domain.types import OutcomeStatus


class Submissions:
    """Commits decisions, and tells each caller at once whether his is in the table.

    Args:
        decisions: the table of decisions.
        callers: the futures of those who wait for outcomes.
        retry: repeats database calls.
    """

    def __init__(self, decisions: Decisions, callers: Callers, retry: DatabaseRetry) -> None:
        self._decisions = decisions
        self._callers = callers
        self._retry = retry

    def insert(self, submitted: Sequence[Submit], *, draining: bool) -> None:
        """Insert decisions, and answer their callers; none is inserted while the system stops."""
        decisions = [submit.decision for submit in submitted]
        answers: Sequence[Accepted | PaperTradingError]
        try:
            if draining:
                raise DatabaseUnavailable("the system is stopping and takes no more decisions")
            answers = self._retry.once(lambda: self._decisions.insert(decisions))
        except DatabaseUnavailable as error:
            answers = self._resolve(submitted) if error.in_doubt else [error] * len(decisions)
        for submit, answer in zip(submitted, answers, strict=True):
            if isinstance(answer, Accepted):
                self._callers.add(answer.decision_id, submit.outcome, until_open=submit.until_open)
                if answer.outcome is not None and answer.outcome.status is OutcomeStatus.OPEN:
                    self._callers.answer_open(answer.decision_id, answer.outcome)
                elif answer.outcome is not None:
                    self._callers.answer(answer.decision_id, answer.outcome)
                settle(submit.accepted, answer)
            else:
                submit.abandon(answer)

    def _resolve(self, submitted: Sequence[Submit]) -> list[Accepted | PaperTradingError]:
        """Find by uid which decisions were committed, after the answer to a COMMIT was lost; never insert again."""
        try:
            rows = self._retry.for_a_while(lambda: self._decisions.find([s.decision for s in submitted]))
        except (DatabaseUnavailable, Interrupted):
            rows = [None] * len(submitted)
        return [accepted or SubmissionInDoubt(s.decision.uid) for s, accepted in zip(submitted, rows, strict=True)]
