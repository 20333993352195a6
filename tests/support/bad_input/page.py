"""Tables of docs/bad-input.md: written from the results of the interfaces, and read by the test that compares them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.support.bad_input.cases import GROUPS, Case
from tests.support.bad_input.interfaces import INTERFACES

PAGE = Path(__file__).parents[3] / "docs" / "bad-input.md"
BEGIN, END = "<!-- matrix -->", "<!-- end of matrix -->"


def row(case: Case, answers: tuple[str, ...]) -> str:
    """Return the line of a case."""
    if len(set(answers)) == 1:
        answers = (answers[0], "the same", "the same")
    return f"| {case.name} | {' | '.join(answers)} |"


def matrix(results: Mapping[str, tuple[str, ...]]) -> str:
    """Return the tables of all groups."""
    parts = []
    for group, cases in GROUPS.items():
        lines = [f"### {group}", "", f"| input | {' | '.join(INTERFACES)} |", "|---|---|---|---|"]
        parts.append("\n".join([*lines, *(row(case, results[case.name]) for case in cases)]))
    return "\n\n".join(parts)


def rows() -> dict[str, str]:
    """Return the lines of the page's tables by case, in order."""
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| input |")]
    return {line[2:].split(" | ")[0]: line for line in lines}


def write(results: Mapping[str, tuple[str, ...]]) -> None:
    """Replace the tables of the page; the text around them stays."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{matrix(results)}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
