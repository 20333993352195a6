"""The report as one self-contained page of HTML: charts, style and script are in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from console.display.terms import FILL, ROUND_TRIP, TRADE, glossary
from console.report.html.formatting import ahead, change, count, metric, quantity, share
from console.report.html.plotly_script import packed_specs, plotly_script
from console.report.html.policy import content_security_policy, script_digest
from console.report.html.section import Section
from console.report.metrics_table import GROUP_COLUMNS, OVERVIEW_COLUMNS
from console.report.monte_carlo import COLUMNS, OWN
from console.report.tables import MONTHS, account_rows, costs, funnel_stages
from domain.analytics.metric_definitions import METRICS
from domain.analytics.report import Report
from domain.validation.verdict import Verdict
from domain.wording import escape_control, format_time, one_line
from persistence.version import version


def page(reports: Sequence[Report], verdicts: Mapping[str, Verdict], *, made_at: datetime) -> str:
    """Return the page. It contains everything, and makes no request.

    Args:
        reports: a section for each.
        verdicts: of the validation, by portfolio; a portfolio without one has no such part.
        made_at: when the reports were made, an aware time.
    """
    sections = [
        Section(f"p{number}", report, verdicts.get(report.portfolio)) for number, report in enumerate(reports, 1)
    ]
    only = sections[0].name if len(sections) == 1 else ""
    metrics = {row.metric for section in sections for group in section.figures.values() for row in group}
    warnings: dict[str, list[str]] = {}
    for section in sections:
        if section.warning is not None:
            warnings.setdefault(section.warning, []).append(section.name)
    # A page without a chart leaves out the half megabyte that would draw it.
    specs = {place: chart.spec for section in sections for place, chart in section.charts.items()}
    plotly = plotly_script() if specs else None
    script = page_part("report.js")
    digests = [script_digest(script.encode()), *([plotly.digest] if plotly is not None else [])]
    return environment().get_template("report.html.j2").render(
        kicker=_kicker(reports),
        title=only or f"Report on {len(sections)} portfolios",
        made_at=format_time(made_at),
        warnings=warnings,
        sections=sections,
        judged=any(section.verdict is not None for section in sections),
        months=MONTHS,
        definitions=[metric for metric in METRICS.values() if metric in metrics],
        group_columns=[METRICS[key] for key in GROUP_COLUMNS],
        band_columns=[*COLUMNS, OWN],
        overview_columns=[METRICS[key] for key in OVERVIEW_COLUMNS],
        version=version(),
        glossary=glossary(FILL, TRADE, ROUND_TRIP),
        policy=content_security_policy(digests),
        style=page_part("report.css"),
        plotly=plotly,
        charts=packed_specs(specs),
        script=script,
    )  # fmt: skip


def _kicker(reports: Sequence[Report]) -> str:
    origins = {report.origin for report in reports}
    if len(origins) == 1 and (origin := origins.pop()) is not None:
        return _sentence(origin)
    return "Paper trading report" if len(reports) == 1 else "Paper trading"


@cache
def page_part(file: str) -> str:
    """Return a file of this folder: style or script of the pages."""
    return resources.files("console.report.html").joinpath(file).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """Return the environment of the pages' templates."""
    templates = Environment(
        autoescape=True,
        loader=PackageLoader("console.report.html", ""),
        undefined=StrictUndefined,
        finalize=_without_control,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"name": one_line, "sentence": _sentence}
    writers = ahead, change, metric, share, quantity, count, costs, funnel_stages, account_rows
    templates.globals |= {writer.__name__: writer for writer in writers}
    templates.globals["moment"] = format_time
    return templates


def _without_control(value: Any) -> Any:
    """Return what the template writes: in a text, escapes stand for control characters, and for those of direction."""
    return escape_control(value, keep="\n\t\xa0") if type(value) is str else value


def _sentence(text: Any) -> str:
    """Return a text with a capital first letter."""
    return str(text)[:1].upper() + str(text)[1:]
