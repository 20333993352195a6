"""The tables of docs/performance.md, written from the table of metrics: ``python -m docs.performance_tables``."""

from __future__ import annotations

from pathlib import Path

from domain.analytics.metric_definitions import METRICS_BY_GROUP, MetricDefinition

PAGE = Path(__file__).parent / "performance.md"
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"
HEADER = "| metric | name | unit | meaning | formula | null where | source |\n|---|---|---|---|---|---|---|\n"


def performance_page() -> str:
    """Return the page with its tables written anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    tables = [f"\n### {group}\n\n{HEADER}{''.join(map(_row, metrics))}" for group, metrics in METRICS_BY_GROUP.items()]
    return f"{before}{BEGIN}{''.join(tables)}\n{END}{rest.partition(END)[2]}"


def _row(metric: MetricDefinition) -> str:
    cells = (
        f"`{metric.key}`", metric.label, metric.unit, metric.definition, metric.formula, metric.undefined_where,
        metric.source,
    )  # fmt: skip
    # A formula with |x| would end its cell.
    escaped = (cell.replace("|", r"\|") for cell in cells)
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in escaped) + "\n"


if __name__ == "__main__":
    PAGE.write_text(performance_page(), encoding="utf-8")
