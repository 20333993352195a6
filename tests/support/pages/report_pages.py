"""Reports for the page in a browser, among them one whose every text is markup, and the page as the browser has it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page

from docs.pictures.sample import FIRST_DAY, PLANS, one
from domain.analytics.funnel import funnel
from domain.analytics.performance import History
from domain.analytics.performance_metric import undefined
from domain.analytics.report import Report, report
from domain.analytics.report_parts.trip_notes import TripNote
from domain.analytics.returns import Valuation

SEED = 4
MADE = datetime(2026, 5, 1, 0, 5, tzinfo=UTC)
EVIL = """<script>document.title = "won"</script><img src="https://example.invalid/x" onerror=alert(1)>'"&{{7*7}}<!--"""


def empty_report() -> Report:
    history = History.full(Valuation(FIRST_DAY, Decimal(10_000)), MADE)
    return report(
        history, portfolio="idle", currency="USDT", initial_capital=Decimal(10_000), strategy=None,
        funnel=funnel([]), positions=[], price_sources=[], price_sources_not_real=[],
    )  # fmt: skip


def hostile_report() -> Report:
    plan = replace(
        PLANS[0], name=EVIL, currency="</script><b>X", symbols={EVIL: "100", "x" * 100: "3"}, strategies=(EVIL, None)
    )
    plain = one(plan, SEED)
    return replace(
        plain,
        trip_notes=dict.fromkeys(plain.trip_notes, TripNote(EVIL, 7, "decision", EVIL)),
        benchmarks=(
            *plain.benchmarks,
            replace(plain.benchmarks[0], name=EVIL, named=True),
            replace(plain.benchmarks[0], name=EVIL, change=undefined(EVIL), curve=()),
        ),
        funnel=funnel([("executed", None, True, 3), (EVIL, "other", False, 4)]),
        price_sources=(EVIL, "simulated"),
        price_sources_not_real=(EVIL,),
    )


# A portfolio, one whose names contain markup, a strategy, and a portfolio that never traded.
REPORTS = (one(PLANS[0], SEED), hostile_report(), one(PLANS[0], SEED, strategy="momentum"), empty_report())
HOSTILE, STRATEGY, EMPTY = "#p2", "#p3", "#p4"


@dataclass
class OpenPage:
    """A page in the browser, with its requests, console errors and dialogs."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, browser: Browser, file: Path) -> OpenPage:
        opened = cls(browser.new_page(viewport={"width": 1280, "height": 900}))
        on = opened.page.on
        on("request", lambda request: opened.requests.append(request.url))
        on("console", opened._record_error)
        on("pageerror", lambda error: opened.errors.append(str(error)))
        on("dialog", lambda dialog: opened.errors.append(dialog.message))
        opened.page.goto(file.as_uri())
        return opened

    def _record_error(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(message.text)

    def drawn(self, width: int) -> Page:
        """Return the page at a width, when its charts have that width."""
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.wait_for_function(
            """() => document.documentElement.dataset.drawn
            && [...document.querySelectorAll(".chart")].every((chart) =>
                Math.abs(chart.clientWidth - (chart.querySelector("svg.main-svg")?.clientWidth ?? 0)) < 1)"""
        )
        return self.page
