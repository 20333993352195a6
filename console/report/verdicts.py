"""Verdicts of the validation, as text for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from rich.console import Console

from console.display.format import NO_PROOF, duration, sentence, terminal
from console.display.style import BAD, DOUBT, GOOD
from console.display.table import full_table
from console.display.times import moment, span
from domain.analytics.metric_definitions import METRICS
from domain.validation.criteria import Criterion, CriterionState, format_limit, format_percent
from domain.validation.progress import progress_of
from domain.validation.verdict import Verdict
from domain.wording import one_line

VERDICT_COLOURS = {"passed": GOOD, "failed": BAD, "underpowered": DOUBT, "not yet": DOUBT}
STATE_MARKS = {CriterionState.MET: "✓", CriterionState.NOT_MET: "✗", CriterionState.NOT_YET: "?"}
STATE_COLOURS = {CriterionState.MET: "", CriterionState.NOT_MET: BAD, CriterionState.NOT_YET: DOUBT}


class VerdictPart(NamedTuple):
    """The operational or the statistical part of a verdict."""

    name: str
    result: str
    criteria: tuple[Criterion, ...]


def verdict_parts(verdict: Verdict) -> tuple[VerdictPart, VerdictPart]:
    """Return both parts; the statistical one has the PSR among its criteria."""
    return (
        VerdictPart("operational", verdict.operational_state, verdict.operational),
        VerdictPart("statistical", verdict.statistical_state, _statistical_criteria(verdict)),
    )


def verdict_to_dict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict for JSON."""
    run = verdict.run
    return {
        "portfolio": verdict.portfolio,
        "ready": verdict.ready,
        "missing": list(verdict.missing),
        "run": None if run is None else run.name,
        "run_ended_at": None if run is None else run.ended_at,
        "run_end_reason": None if run is None else run.end_reason,
        "since": verdict.since,
        "until": verdict.until,
        "real_prices": verdict.real_prices,
        "price_sources": list(verdict.sources),
        "progress": progress_text(verdict),
        "operational": "passed" if verdict.operational_passed else "failed",
        "operational_state": verdict.operational_state,
        "operational_criteria": [_criterion_to_dict(one) for one in verdict.operational],
        "statistical": verdict.statistical.value,
        "statistical_state": verdict.statistical_state,
        "statistical_criteria": [_criterion_to_dict(one) for one in verdict.criteria],
        "psr": verdict.psr.value,
        "psr_reason": verdict.psr.reason,
        "psr_required": verdict.min_psr,
        "accepted_by": verdict.accepted_by,
        "foreign_decisions": list(verdict.foreign),
        "notes": list(verdict.notes),
    }


def _criterion_to_dict(criterion: Criterion) -> dict[str, Any]:
    return {**asdict(criterion), "state": criterion.state}


def progress_text(verdict: Verdict) -> str | None:
    """Return how far an open run is; None for a preview and a run that has ended."""
    if verdict.run is None or verdict.run.ended_at is not None:
        return None
    return progress_of(verdict).text


def print_verdicts(verdicts: Sequence[Verdict]) -> None:
    """Print verdicts for people."""
    out = terminal()
    if not verdicts:
        out.print("not ready: there is no portfolio yet; the first start creates the portfolio default")
    for number, verdict in enumerate(verdicts):
        if number:
            out.print()
        _print_verdict(verdict, out)


def _print_verdict(verdict: Verdict, out: Console) -> None:
    run = verdict.run
    heading = f"run {run.name}" if run is not None else "a preview, no run"
    period = f"{span(verdict.since, verdict.until)}, {duration(verdict.until - verdict.since)}"
    out.print(f"portfolio {verdict.portfolio} · {heading} · {period}", style="bold", soft_wrap=True)
    if not verdict.real_prices and verdict.sources:
        out.print(
            f"{one_line(verdict.priced)} prices: {NO_PROOF}, so this can never be ready", style="yellow", soft_wrap=True
        )
    if run is not None and run.ended_at is not None:
        ended = f"the run ended at {moment(run.ended_at)}: {sentence(run.end_reason or '')}"
        out.print(ended, style="yellow", soft_wrap=True)
    if (progress := progress_text(verdict)) is not None:
        out.print(one_line(progress), soft_wrap=True)
    for name, result, criteria in verdict_parts(verdict):
        out.print(f"\n{name}: {result}", style=VERDICT_COLOURS[result])
        _print_criteria(criteria, out)
    if verdict.accepted_by is not None:
        out.print(f"accepted as it is by {one_line(verdict.accepted_by)}", soft_wrap=True)
    if verdict.notes:
        out.print()
    for note in verdict.notes:
        out.print(sentence(note), soft_wrap=True)
    out.print()
    if verdict.ready:
        out.print(f"{verdict.portfolio}: ready", style="bold green")
    else:
        missing = sentence("; ".join(verdict.missing))
        style = "bold yellow" if verdict.readiness == "not yet" else "bold red"
        out.print(f"{verdict.portfolio}: {verdict.readiness}: {missing}", style=style, soft_wrap=True)


def _statistical_criteria(verdict: Verdict) -> tuple[Criterion, ...]:
    """Return the statistical criteria and the PSR: below it, a result that meets all others is underpowered."""
    metric, value = METRICS["probabilistic_sharpe_ratio"], verdict.psr.value
    seen = str(verdict.psr.reason) if value is None else format_percent(value, verdict.min_psr)
    title, required = metric.label[0].lower() + metric.label[1:], f"at least {format_limit(verdict.min_psr)}"
    evidence = () if value is None else ("the probability that the true Sharpe ratio is above 0",)
    passed = value is not None and value >= verdict.min_psr
    ended = verdict.run is not None and verdict.run.ended_at is not None
    waits_for = "more daily returns" if value is None and not ended else ""
    return (*verdict.criteria, Criterion("psr", title, required, seen, passed, evidence, waits_for))


def _print_criteria(criteria: Sequence[Criterion], out: Console) -> None:
    rows = []
    for criterion in criteria:
        state = f"{STATE_MARKS[criterion.state]} {criterion.state}"
        cells = criterion.title, criterion.required, sentence(criterion.seen), state
        rows.append([(text, STATE_COLOURS[criterion.state]) for text in cells])
    out.print(full_table(out, ["criterion", "required", "seen", "state"], rows, gives_way=["required"]))
    for criterion in criteria:
        if criterion.waits_for:
            out.print(f"  {criterion.title}: waits for {sentence(criterion.waits_for)}", style=DOUBT, soft_wrap=True)
        if criterion.evidence:
            evidence = sentence("; ".join(criterion.evidence))
            out.print(f"  {criterion.title}: {evidence}", style="dim" if criterion.passed else "", soft_wrap=True)
