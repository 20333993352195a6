"""Open validation runs, which an action of a person may end."""

from __future__ import annotations

from collections.abc import Sequence

from domain.analytics.trade_stats import NO_STRATEGY
from domain.errors import WouldEndValidation
from domain.program import command_name
from persistence.queries.row_lists import LedgerReader

OPEN_RUNS = """
SELECT r.name, p.portfolio, r.strategies, r.allow_foreign
FROM paper_validation_runs r CROSS JOIN unnest(CAST(:portfolios AS text[])) AS p(portfolio)
WHERE r.ended_at IS NULL AND jsonb_exists(r.portfolios, coalesce(paper_portfolio_id(p.portfolio), p.portfolio))
ORDER BY r.id, p.portfolio
"""


def run_ended_by(
    ledger_reader: LedgerReader, portfolios: Sequence[str], strategy: str | None = None
) -> tuple[str, str] | None:
    """Return the open run that an action would end, and its portfolio; None if there is none.

    Args:
        ledger_reader: of the database.
        portfolios: that the action is about.
        strategy: of a decision, which ends no run that is bound to it or allows all; None: an action that ends any run.
    """
    for row in ledger_reader.rows(OPEN_RUNS, portfolios=list(portfolios)):
        if strategy is None or not (row["allow_foreign"] or (strategy or NO_STRATEGY) in row["strategies"]):
            return str(row["name"]), str(row["portfolio"])
    return None


def why_it_ends(run: str, portfolio: str, strategy: str | None) -> str:
    """Return the sentence on a run that an action would end; see `run_ended_by`."""
    if strategy is None:
        return f"portfolio {portfolio} is in validation run {run}, which this ends"
    return (
        f"portfolio {portfolio} is in validation run {run}, which is not bound to strategy {strategy or NO_STRATEGY}, "
        "so the decision would be rejected"
    )


def require_no_validation(ledger_reader: LedgerReader, portfolio: str, strategy: str) -> None:
    """Raise unless a decision of a strategy is executed in a portfolio without the end of a validation run.

    Raises:
        WouldEndValidation: the portfolio is in a run that is not bound to the strategy.
        DatabaseUnavailable: the database does not answer.
    """
    if (run := run_ended_by(ledger_reader, [portfolio], strategy)) is not None:
        stop = f"{command_name()} validate stop {run[0]} --reason TEXT"
        raise WouldEndValidation(f"{why_it_ends(*run, strategy)}; end the run first: {stop}")
