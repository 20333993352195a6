"""The result of a sweep as one self-contained page of HTML, in the style of the report's."""

from __future__ import annotations

from decimal import Decimal

from markupsafe import Markup

from console.display.format import NO_PROOF, percent
from console.report.html.formatting import DASH, dates, exact
from console.report.html.page import environment, page_part
from console.report.html.policy import content_security_policy, script_digest
from console.sweep.outcome import ORIGIN, SweepOutcome
from domain.analytics.performance_metric import PerformanceMetric
from domain.analytics.returns import DAY
from domain.sweeps.folds import Span
from domain.sweeps.parameters import value_text
from persistence.version import version

MAX_COLUMNS, MAX_ROWS, MAX_MAPS = 20, 40, 6


def sweep_page(outcome: SweepOutcome) -> str:
    """Return the page. It contains everything, and makes no request."""
    script = page_part("report.js")
    plan = outcome.sweep.plan
    maps = outcome.maps(MAX_COLUMNS, MAX_ROWS, MAX_MAPS + 1)
    return environment().get_template("sweep.html.j2").render(
        kicker="Sweep over recorded prices",
        warning=f"{ORIGIN}: {NO_PROOF}, and by themselves they are never ready for real money",
        outcome=outcome,
        plan=plan,
        verdict=outcome.verdict,
        beside=outcome.verdict.neighbourhood,
        objective=plan.objective,
        parameters=outcome.parameters,
        year=plan.days_per_year**0.5,
        maps=maps[:MAX_MAPS],
        more_maps=len(maps) > MAX_MAPS,
        trials=outcome.trial_rows(),
        score=score,
        probability=probability,
        days=days,
        value_text=value_text,
        version=version(),
        policy=content_security_policy([script_digest(script.encode())]),
        style=page_part("report.css"),
        script=script,
    )  # fmt: skip


def score(value: float | None, *, marked: bool = True) -> Markup:
    """Format an objective, with the exact value as an attribute."""
    return DASH if value is None else exact(Decimal(repr(float(value))), f"{value:.2f}", marked=marked)


def probability(metric: PerformanceMetric) -> Markup:
    """Format a probability; one that does not exist is a dash, with the reason as a tooltip."""
    if metric.value is None:
        return Markup('<span class="none" title="{}">–</span>').format(metric.reason)
    return exact(metric.value, percent(metric.value, sign=False))


def days(span: Span) -> Markup:
    """Format whole days, the last one included."""
    return dates(f"{span.begin:%Y-%m-%d} to {span.end - DAY:%Y-%m-%d}")
