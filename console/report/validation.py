"""What a report tells of the gate to real money: both verdicts, and each criterion with what was required and seen."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

from console.display.format import escape_control, moment
from console.display.style import ALARM, BAD, DOUBT, GOOD
from console.report.terminal.charts import line, wrapped
from domain.validation.criteria import Criterion
from domain.validation.criteria import percent as fraction
from domain.validation.verdict import Verdict

MOST_EVIDENCE = 3
VERDICTS = {"passed": GOOD, "failed": BAD, "underpowered": DOUBT}


def gate(verdict: Verdict, width: int) -> list[Text]:
    """Return both verdicts of the gate, what each criterion asked for and saw, and what they mean."""
    operational, statistical = "passed" if verdict.operational_passed else "failed", str(verdict.statistical)
    over = f"run {escape_control(verdict.run.name)}" if verdict.run is not None else "no run"
    lines = [line(f"{over}, {moment(verdict.since)[:16]} to {moment(verdict.until)[:16]} UTC", "dim")]
    figures = *verdict.criteria, _psr(verdict)
    first = max(cell_len(each.title) for each in (*verdict.operational, *figures))
    lines += _verdict("Operational", operational, verdict.operational, first, width)
    lines += _verdict("Statistical", statistical, figures, first, width)
    lines += [line()]
    if verdict.ready:
        accepted = f", accepted by {escape_control(verdict.accepted_by)}" if verdict.accepted_by is not None else ""
        lines.append(line(f"Ready{accepted}.", f"bold {GOOD}"))
    else:
        lines += wrapped(f"Not ready: {escape_control('; '.join(verdict.missing))}.", width, ALARM)
    for note in verdict.notes:
        lines += wrapped(escape_control(note), width)
    return lines


def _verdict(name: str, result: str, criteria: Sequence[Criterion], first: int, width: int) -> list[Text]:
    made = line(f"{name}: ")
    made.append(result, style=VERDICTS[result])
    lines = [made]
    # No sentence is cut: what does not fit goes on below.
    free = max(width - first - 8, 30)
    left = free // 2
    for each in criteria:
        required = textwrap.wrap(each.required, left)
        seen = textwrap.wrap(escape_control(each.seen), free - left) or [""]
        for index, (wanted, found) in enumerate(zip_longest(required, seen, fillvalue="")):
            told = line("  ")
            told.append(("✓" if each.passed else "✗") if index == 0 else " ", style=GOOD if each.passed else BAD)
            told.append(f" {each.title if index == 0 else '':<{first}}  {wanted:<{left}}  ")
            told.append(found, style="" if each.passed else BAD)
            lines.append(told)
        if not each.passed and each.evidence:
            shown = [escape_control(one) for one in each.evidence[:MOST_EVIDENCE]]
            more = len(each.evidence) - len(shown)
            said = "; ".join([*shown, *([f"and {more} more"] if more else [])])
            lines += [line(f"    {part}", "dim") for part in textwrap.wrap(said, width - 4)]
    return lines


def _psr(verdict: Verdict) -> Criterion:
    """PSR as one of the criteria: below it, a result that meets all others is underpowered."""
    value = verdict.psr.value
    seen = str(verdict.psr.reason) if value is None else fraction(value, verdict.min_psr)
    passed = value is not None and value >= verdict.min_psr
    return Criterion("psr", "sure to be above 0", f"at least {fraction(verdict.min_psr)}", seen, passed)
