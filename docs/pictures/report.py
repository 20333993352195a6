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
    """Make the page, and return what is at its top as a PNG file.

    Raises:
        NoChromium: none is installed.
    """
    shown = reports(SEED)
    gates = {plan.name: verdict(plan, SEED) for plan in PLANS}
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        path = Path(folder) / "report.html"
        path.write_text(page(shown, gates, made_at=shown[0].until), encoding="utf-8")
        opened = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        opened.goto(path.as_uri())
        opened.wait_for_selector("html[data-drawn]", state="attached")
        return opened.screenshot()
