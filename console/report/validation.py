"""The validation in a report: both verdicts, and each criterion with its requirement and its result."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

from console.display.format import sentence
from console.display.style import ALARM, GOOD
from console.display.table import line
from console.display.times import MINUTES, span
from console.display.wrapping import wrap_plain
from console.report.terminal.charts import wrapped
from console.report.verdicts import STATE_COLOURS, STATE_MARKS, VERDICT_COLOURS, progress_text, verdict_parts
from domain.validation.criteria import Criterion
from domain.validation.verdict import Verdict
from domain.wording import escape_control

MAX_EVIDENCE_LINES = 3
MIN_SIDE_BY_SIDE_COLUMNS = 36
"""Least width of requirement and result side by side."""


def validation_lines(verdict: Verdict, width: int) -> list[Text]:
    """Return both verdicts, the criteria with requirement and result, and the notes."""
    run = f"run {escape_control(verdict.run.name)}" if verdict.run is not None else "no run"
    lines = [line((f"{run}, {span(verdict.since, verdict.until, MINUTES)}", "dim"))]
    if (progress := progress_text(verdict)) is not None:
        lines += wrapped(progress, width)
    parts = verdict_parts(verdict)
    title_width = max(cell_len(criterion.title) for part in parts for criterion in part.criteria)
    for part in parts:
        lines.append(line(f"{part.name.capitalize()}: ", (part.result, VERDICT_COLOURS[part.result])))
        lines += _criteria(part.criteria, title_width, width)
    lines += [line()]
    if verdict.ready:
        accepted = f", accepted by {escape_control(verdict.accepted_by)}" if verdict.accepted_by is not None else ""
        lines.append(line((f"Ready{accepted}.", f"bold {GOOD}")))
    else:
        lines += wrapped(f"Not ready: {escape_control(sentence('; '.join(verdict.missing)))}.", width, ALARM)
    for note in verdict.notes:
        lines += wrapped(escape_control(sentence(note)), width)
    return lines


def _criteria(criteria: Sequence[Criterion], title_width: int, width: int) -> list[Text]:
    lines = []
    # Sentences are wrapped, never cut.
    free = width - title_width - 8
    left = free // 2
    for criterion in criteria:
        mark, title, style = STATE_MARKS[criterion.state], criterion.title, STATE_COLOURS[criterion.state]
        seen_text = escape_control(sentence(criterion.seen))
        if free < MIN_SIDE_BY_SIDE_COLUMNS:
            lines.append(line("  ", (mark, style or GOOD), f" {title}"))
            lines += [line(f"    {part}") for part in wrap_plain(f"required: {criterion.required}", width - 4, 2)]
            lines += [line("    ", (part, style)) for part in wrap_plain(f"seen: {seen_text}", width - 4, 2)]
            lines += _details(criterion, width)
            continue
        required, seen = wrap_plain(criterion.required, left), wrap_plain(seen_text, free - left)
        for required_part, seen_part in zip_longest(required, seen, fillvalue=""):
            text = f" {title:<{title_width}}  {required_part:<{left}}  "
            lines.append(line("  ", (mark, style or GOOD), text, (seen_part, style)))
            mark, title = " ", ""
        lines += _details(criterion, width)
    return lines


def _details(criterion: Criterion, width: int) -> list[Text]:
    """Return what a criterion waits for, and the evidence of one that is not met."""
    lines = []
    if criterion.waits_for:
        waits_for = f"waits for {escape_control(sentence(criterion.waits_for))}"
        lines += [line((f"    {part}", "dim")) for part in wrap_plain(waits_for, width - 4)]
    if not criterion.passed and criterion.evidence:
        first = [escape_control(sentence(piece)) for piece in criterion.evidence[:MAX_EVIDENCE_LINES]]
        more = len(criterion.evidence) - len(first)
        evidence = "; ".join([*first, *([f"and {more} more"] if more else [])])
        lines += [line((f"    {part}", "dim")) for part in wrap_plain(evidence, width - 4)]
    return lines
