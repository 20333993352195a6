"""The report as one page of HTML that needs nothing else: its charts, style and script are in it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from console.display.format import moment
from console.report.html import formatting, tables
from console.report.html.section import Section
from console.report.metrics_table import DEFINITIONS
from domain.analytics.report import Report
from domain.validation.verdict import Verdict
from persistence.version import version


@dataclass(frozen=True, slots=True)
class Caution:
    """What marks results that prove nothing, and whose they are; empty where all are."""

    sentence: str
    portfolios: str


def page(reports: Sequence[Report], gates: Mapping[str, Verdict], *, made_at: datetime) -> str:
    """Return the page: everything is in it, and it asks nobody for anything.

    Args:
        reports: what it shows, a section for each.
        gates: what the gate says, by portfolio; those that are not there have no such section.
        made_at: when, aware.
    """
    sections = [Section(f"p{number}", report, gates.get(report.portfolio)) for number, report in enumerate(reports, 1)]
    only = sections[0].name if len(sections) == 1 else ""
    shown = {each.label for section in sections for group in section.figures.values() for each in group}
    # A page without a chart needs no five megabytes to draw it.
    drawn = any(section.equity or section.days or section.distribution for section in sections)
    plotly, script = get_plotlyjs() if drawn else "", _text("report.js")
    return _environment().get_template("report.html.j2").render(
        kicker="Paper trading report" if only else "Paper trading",
        title=only or f"Report on {len(sections)} portfolios",
        made_at=moment(made_at),
        warnings=list(_warnings(sections)),
        sections=sections,
        judged=any(section.verdict is not None for section in sections),
        months=tables.MONTHS,
        definitions={label: text for label, text in DEFINITIONS.items() if label in shown},
        version=version(),
        policy=_policy(filter(None, (plotly, script))),
        style=_text("report.css"),
        plotly=plotly,
        script=script,
    )  # fmt: skip


def _warnings(sections: Sequence[Section]) -> Iterator[Caution]:
    marked: dict[str, list[str]] = {}
    for section in sections:
        if section.warning is not None:
            marked.setdefault(section.warning, []).append(section.name)
    for sentence, names in marked.items():
        yield Caution(sentence, "" if len(names) == len(sections) else f"Concerns {', '.join(names)}.")


def _policy(scripts: Iterable[str]) -> str:
    """Only the page's own two scripts may run, so that what anybody smuggled in would not; nothing may be fetched."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _text(file: str) -> str:
    return resources.files("console.report.html").joinpath(file).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    made = Environment(
        autoescape=True,
        loader=PackageLoader("console.report.html", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"name": formatting.name, "sentence": _sentence}
    made.globals |= {
        "change": formatting.change,
        "share": formatting.share,
        "ratio": formatting.ratio,
        "quantity": formatting.quantity,
        "whole": formatting.whole,
        "moment": moment,
    }
    return made


def _sentence(text: Any) -> str:
    """Return a text with a capital at its beginning."""
    return str(text)[:1].upper() + str(text)[1:]
