"""The report's page on three made-up portfolios, as a browser shows it: its first screen."""

from __future__ import annotations

import tempfile
from pathlib import Path

from console.report.html.page import page
from docs.pictures.browser import chromium
from docs.pictures.sample import PLANS, reports, verdict

SEED = 4
WIDTH, HEIGHT = 1280, 1640


def draw() -> bytes:
    """Draw the page, and return its first screen as a PNG file.

    Raises:
        NoChromium: none is installed.
    """
    sample_reports = reports(SEED)
    verdicts = {plan.name: verdict(plan, SEED) for plan in PLANS}
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        path = Path(folder) / "report.html"
        path.write_text(page(sample_reports, verdicts, made_at=sample_reports[0].until), encoding="utf-8")
        opened = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        opened.goto(path.as_uri())
        opened.wait_for_selector("html[data-drawn]", state="attached")
        return opened.screenshot()
