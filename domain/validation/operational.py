"""Operational criteria of a validation: did the program itself work correctly all the time?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from operator import itemgetter

from domain.analytics.returns import MICROSECOND
from domain.failures import FailureKind
from domain.trading.arithmetic import ONE, divide
from domain.validation.criteria import Criteria, Criterion, format_limit, format_percent, shortened
from domain.wording import counted, format_duration, format_time

UPTIME_END_TOLERANCE = timedelta(seconds=10)
"""The last span of uptime ends with the last renewal of the lease; this much time after it still counts."""
RESTARTS = frozenset({FailureKind.CRASH, FailureKind.HANG, FailureKind.THREAD_ENDED})

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Incident:
    """A row of ``paper_failures``, with the columns that validation uses."""

    reference: str
    at: datetime
    kind: FailureKind
    actor: str


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """A comparison of memory with the database that found differences."""

    id: int
    at: datetime
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operations:
    """Data on the operation of the program in a period. Lists of problems may be shortened; counts are complete.

    Attributes:
        since: beginning of the period.
        until: its end.
        spans: times in which a process served, oldest first.
        failures: failures of actors, oldest first.
        audits: number of comparisons of memory with the database.
        last_audit: time of the last one.
        findings: the audits that found differences.
        decisions: number of decisions sent.
        late: sentences on decisions whose outcome came too late or is missing.
        late_count: number of all such decisions.
        no_price: ids of decisions rejected because no price arrived in time.
        no_price_count: number of all such decisions.
        ledger: sentences of ``v_paper_ledger_check``.
        foreign: decisions of strategies that do not count.
        foreign_count: number of all such decisions.
    """

    since: datetime
    until: datetime
    spans: Sequence[Span] = ()
    failures: Sequence[Incident] = ()
    audits: int = 0
    last_audit: datetime | None = None
    findings: Sequence[AuditFinding] = ()
    decisions: int = 0
    late: Sequence[str] = ()
    late_count: int = 0
    no_price: Sequence[str] = ()
    no_price_count: int = 0
    ledger: Sequence[str] = ()
    foreign: Sequence[str] = ()
    foreign_count: int = 0


def operational(operations: Operations, criteria: Criteria) -> tuple[Criterion, ...]:
    """Return the results of all operational criteria."""
    return (
        _uptime(operations, criteria),
        _restarts(operations, criteria),
        _audits(operations),
        _outcomes(operations, criteria),
        _prices(operations, criteria),
        _quarantine(operations),
        _books(operations),
    )


def _uptime(operations: Operations, criteria: Criteria) -> Criterion:
    required = f"at least {format_limit(criteria.min_uptime)} of the time"
    elapsed = operations.until - operations.since
    if elapsed <= timedelta():
        return Criterion("uptime", "uptime", required, "no time has passed", passed=False, waits_for="time to pass")
    served = _merged(operations)
    served_time = sum((end - start for start, end in served), timedelta())
    part = divide(_microseconds(served_time), _microseconds(elapsed))
    spans = [(operations.since, operations.since), *served, (operations.until, operations.until)]
    gaps = [(start - end, end, start) for (_, end), (start, _) in pairwise(spans) if start > end]
    evidence = [
        f"no process served for {format_duration(length)}, from {format_time(begin)} to {format_time(end)} UTC"
        for length, begin, end in sorted(gaps, key=itemgetter(0), reverse=True)
    ]
    text = "all of it" if part == ONE else f"{format_percent(part, criteria.min_uptime)} of {format_duration(elapsed)}"
    return Criterion("uptime", "uptime", required, text, part >= criteria.min_uptime, shortened(evidence))


def _microseconds(span: timedelta) -> Decimal:
    return Decimal(span // MICROSECOND)


def _merged(operations: Operations) -> list[Span]:
    """Return the spans within the period without overlaps; a last one that nearly reaches the end is extended to it."""
    merged: list[Span] = []
    for start, end in sorted(operations.spans):
        first = max(start, operations.since, merged[-1][1] if merged else operations.since)
        nearly_at_end = timedelta() < operations.until - end <= UPTIME_END_TOLERANCE
        last = operations.until if nearly_at_end else min(end, operations.until)
        if last > first:
            merged.append((first, last))
    return merged


def _restarts(operations: Operations, criteria: Criteria) -> Criterion:
    failed = [failure for failure in operations.failures if failure.kind in RESTARTS]
    gave_up = [failure for failure in operations.failures if failure.kind is FailureKind.GAVE_UP]
    evidence = [f"{f.reference}: {f.kind} of {f.actor} at {format_time(f.at)} UTC" for f in (*gave_up, *failed)]
    text = f"{counted(len(failed), 'crash or hang', 'crashes or hangs')}" if failed else "no crash, no hang"
    if gave_up:
        text += f"; the program gave up {'once' if len(gave_up) == 1 else f'{len(gave_up)} times'}"
    required = f"at most {criteria.max_restarts}, and the program never gave up"
    passed = not gave_up and len(failed) <= criteria.max_restarts
    return Criterion("restarts", "crashes and hangs", required, text, passed, shortened(evidence), final=not passed)


def _audits(operations: Operations) -> Criterion:
    if not operations.audits:
        text = "no audit yet"
    elif operations.findings:
        text = f"{len(operations.findings)} of {counted(operations.audits, 'audit')} found a difference"
    else:
        text = f"{counted(operations.audits, 'audit')}, no difference"
    evidence = [
        f"audit {finding.id} at {format_time(finding.at)} UTC: {'; '.join(finding.differences)}"
        for finding in operations.findings
    ]
    if operations.last_audit is not None and not evidence:
        evidence.append(f"the last one was at {format_time(operations.last_audit)} UTC")
    passed = bool(operations.audits) and not operations.findings
    required = "memory equals the database whenever compared"
    waits_for = "" if operations.audits else "the first audit, within the audit interval"
    final = bool(operations.findings)
    return Criterion("audits", "audits", required, text, passed, shortened(evidence), waits_for, final)


def _outcomes(operations: Operations, criteria: Criteria) -> Criterion:
    grace = format_duration(timedelta(seconds=criteria.outcome_grace))
    required = f"each decision has one, {grace} after its deadline at the latest"
    late = f"{operations.late_count} too late" if operations.late_count else "none late"
    text = f"{counted(operations.decisions, 'decision')}, {late}"
    evidence = shortened(operations.late, operations.late_count)
    passed = not operations.late_count
    return Criterion("outcomes", "outcomes", required, text, passed, evidence, final=not passed)


def _prices(operations: Operations, criteria: Criteria) -> Criterion:
    required = f"missing for at most {format_limit(criteria.max_no_price)} of the decisions"
    evidence = shortened([f"decision {id_}" for id_ in operations.no_price], operations.no_price_count)
    if not operations.decisions:
        text, waits_for = "no decision yet", "the first decision"
        return Criterion("prices", "prices in time", required, text, False, evidence, waits_for)
    part = divide(Decimal(operations.no_price_count), Decimal(operations.decisions))
    share = format_percent(part, criteria.max_no_price)
    text = f"missing for {share} ({operations.no_price_count} of {operations.decisions})"
    return Criterion("prices", "prices in time", required, text, part <= criteria.max_no_price, evidence)


def _quarantine(operations: Operations) -> Criterion:
    quarantined = [failure for failure in operations.failures if failure.kind is FailureKind.QUARANTINE]
    evidence = [f"{failure.reference} at {format_time(failure.at)} UTC, in {failure.actor}" for failure in quarantined]
    text = f"{len(quarantined)}" if quarantined else "nothing"
    return Criterion(
        "quarantine", "quarantine", "nothing in it", text, not quarantined, shortened(evidence), final=bool(quarantined)
    )


def _books(operations: Operations) -> Criterion:
    text = f"{counted(len(operations.ledger), 'difference')}" if operations.ledger else "no difference"
    required = "they balance (v_paper_ledger_check)"
    return Criterion("books", "books", required, text, not operations.ledger, shortened(operations.ledger))
