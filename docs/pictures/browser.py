"""The Chromium that is installed, driven by playwright: for the report's picture and for its tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")


class NoChromium(Exception):
    """None is installed; the message says how to get one."""


def find() -> str:
    """Return where Chromium is: what ``CHROMIUM`` names, else one that is on the PATH.

    Raises:
        NoChromium: there is none.
    """
    named = os.environ.get("CHROMIUM")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        there = f"CHROMIUM={named} is no program" if named else "there is no Chromium"
        msg = f"{there}; install chromium (as root on Debian: .ci/chromium), or name one with CHROMIUM=/path/to/it"
        raise NoChromium(msg)
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium without a window, and end it.

    Raises:
        NoChromium: none is installed, or playwright is not.
    """
    path = find()
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - make install does not bring it
    except ImportError:
        msg = "playwright is not installed; .venv/bin/python -m pip install -e '.[test]' brings it"
        raise NoChromium(msg) from None
    with sync_playwright() as playwright:
        # Chromium refuses to run as root in its sandbox, which is how containers run; it shows our own page only.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        try:
            yield browser
        finally:
            browser.close()
