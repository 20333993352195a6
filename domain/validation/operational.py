"""The operational half of the gate: did the program itself do what it must, all the time?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from domain.analytics.returns import MICROSECOND
from domain.failures import FailureKind
from domain.trading.arithmetic import ONE, divide
from domain.validation.criteria import Criteria, Criterion, format_limit, format_percent, shortened
from domain.wording import counted, format_duration, format_time

UPTIME_END_TOLERANCE = timedelta(seconds=10)
"""The last span of uptime ends with the lease's last renewal; what follows counts until another one is overdue."""
RESTARTS = frozenset({FailureKind.CRASH, FailureKind.HANG, FailureKind.THREAD_ENDED})

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Incident:
    """A row of ``paper_failures``, as the gate needs it."""

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
    """What is known of how the program ran in a period. Lists of what went wrong may be cut; counts are of all.

    Attributes:
        since: the period's beginning.
        until: its end.
        spans: in which a process served, oldest first.
        failures: oldest first.
        audits: how many comparisons of memory with the database there were.
        last_audit: when the last one was.
        findings: those that found something.
        decisions: how many were sent.
        late: sentences on those that had no outcome when they must have one.
        late_count: of all of these.
        no_price: ids of those rejected for want of a price.
        no_price_count: of all of these.
        ledger: sentences of ``v_paper_ledger_check``.
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


def operational(seen: Operations, criteria: Criteria) -> tuple[Criterion, ...]:
    """Return every operational criterion."""
    return (
        _uptime(seen, criteria),
        _restarts(seen, criteria),
        _audits(seen),
        _outcomes(seen, criteria),
        _prices(seen, criteria),
        _quarantine(seen),
        _ledger_reader(seen),
    )


def _uptime(seen: Operations, criteria: Criteria) -> Criterion:
    required = f"at least {format_limit(criteria.min_uptime)} of the time"
    elapsed = seen.until - seen.since
    if elapsed <= timedelta():
        return Criterion("uptime", "uptime", required, "no time has passed", passed=False)
    served = _merged(seen)
    up = sum((end - start for start, end in served), timedelta())
    part = divide(_whole(up), _whole(elapsed))
    gaps = [
        (end, start)
        for (_, end), (start, _) in pairwise([(seen.since, seen.since), *served, (seen.until, seen.until)])
        if start > end
    ]
    gaps.sort(key=lambda gap: gap[0] - gap[1])
    told = [
        f"nothing served for {format_duration(b - a)}, from {format_time(a)} to {format_time(b)} UTC" for a, b in gaps
    ]
    text = "all of it" if part == ONE else f"{format_percent(part, criteria.min_uptime)} of {format_duration(elapsed)}"
    return Criterion("uptime", "uptime", required, text, part >= criteria.min_uptime, shortened(told))


def _whole(span: timedelta) -> Decimal:
    return Decimal(span // MICROSECOND)


def _merged(seen: Operations) -> list[Span]:
    """The spans within the period, none twice; the last one reaches its end if it nearly does."""
    found: list[Span] = []
    for start, end in sorted(seen.spans):
        first = max(start, seen.since, found[-1][1] if found else seen.since)
        last = seen.until if timedelta() < seen.until - end <= UPTIME_END_TOLERANCE else min(end, seen.until)
        if last > first:
            found.append((first, last))
    return found


def _restarts(seen: Operations, criteria: Criteria) -> Criterion:
    failed = [failure for failure in seen.failures if failure.kind in RESTARTS]
    gave_up = [failure for failure in seen.failures if failure.kind is FailureKind.GAVE_UP]
    told = [f"{f.reference}: {f.kind} of {f.actor} at {format_time(f.at)} UTC" for f in (*gave_up, *failed)]
    text = f"{counted(len(failed), 'crash or hang', 'crashes or hangs')}" if failed else "no crash, no hang"
    if gave_up:
        text += f"; the program gave up {'once' if len(gave_up) == 1 else f'{len(gave_up)} times'}"
    return Criterion(
        "restarts",
        "crashes and hangs",
        f"at most {criteria.max_restarts}, and the program never gave up",
        text,
        not gave_up and len(failed) <= criteria.max_restarts,
        shortened(told),
    )


def _audits(seen: Operations) -> Criterion:
    if not seen.audits:
        text = "none was made yet"
    elif seen.findings:
        text = f"{len(seen.findings)} of {counted(seen.audits, 'audit')} found a difference"
    else:
        text = f"{counted(seen.audits, 'audit')}, no difference"
    told = [
        f"audit {found.id} at {format_time(found.at)} UTC: {'; '.join(found.differences)}" for found in seen.findings
    ]
    if seen.last_audit is not None and not told:
        told.append(f"the last one was at {format_time(seen.last_audit)} UTC")
    passed = bool(seen.audits) and not seen.findings
    return Criterion("audits", "audits", "memory equals the database whenever compared", text, passed, shortened(told))


def _outcomes(seen: Operations, criteria: Criteria) -> Criterion:
    grace = format_duration(timedelta(seconds=criteria.outcome_grace))
    text = f"{counted(seen.decisions, 'decision')}, " + (
        f"{seen.late_count} too late" if seen.late_count else "none late"
    )
    return Criterion(
        "outcomes",
        "outcomes",
        f"each decision has one, {grace} after its deadline at the latest",
        text,
        not seen.late_count,
        shortened(seen.late, seen.late_count),
    )


def _prices(seen: Operations, criteria: Criteria) -> Criterion:
    required = f"missing for at most {format_limit(criteria.max_no_price)} of the decisions"
    told = shortened([f"decision {id_}" for id_ in seen.no_price], seen.no_price_count)
    if not seen.decisions:
        return Criterion("prices", "prices in time", required, "no decision yet", passed=False, evidence=told)
    part = divide(Decimal(seen.no_price_count), Decimal(seen.decisions))
    text = f"missing for {format_percent(part, criteria.max_no_price)} ({seen.no_price_count} of {seen.decisions})"
    return Criterion("prices", "prices in time", required, text, part <= criteria.max_no_price, told)


def _quarantine(seen: Operations) -> Criterion:
    found = [failure for failure in seen.failures if failure.kind is FailureKind.QUARANTINE]
    told = [f"{failure.reference} at {format_time(failure.at)} UTC, in {failure.actor}" for failure in found]
    text = f"{len(found)}" if found else "nothing"
    return Criterion("quarantine", "quarantine", "nothing in it", text, not found, shortened(told))


def _ledger_reader(seen: Operations) -> Criterion:
    text = f"{counted(len(seen.ledger), 'difference')}" if seen.ledger else "no difference"
    required = "they balance (v_paper_ledger_check)"
    return Criterion("books", "books", required, text, not seen.ledger, shortened(seen.ledger))
