"""The installed Chromium, driven by playwright: for the report's picture and its tests."""

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
    """Chromium is not installed; the message says how to install it."""


def find() -> str:
    """Return the path of Chromium: the one named by ``CHROMIUM``, else the first on the PATH.

    Raises:
        NoChromium: none was found.
    """
    named = os.environ.get("CHROMIUM")
    path = shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        problem = f"CHROMIUM={named} is not a program" if named else "Chromium is not installed"
        msg = f"{problem}; install chromium (as root on Debian: .ci/chromium), or name one with CHROMIUM=/path/to/it"
        raise NoChromium(msg)
    return path


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium without a window, and close it at the end.

    Raises:
        NoChromium: none is installed, or playwright is not.
    """
    path = find()
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - make install does not install it
    except ImportError:
        msg = "playwright is not installed; .venv/bin/python -m pip install -e '.[test]' installs it"
        raise NoChromium(msg) from None
    with sync_playwright() as playwright:
        # Chromium refuses to run as root in its sandbox, as in containers; here it shows our own pages only.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        try:
            yield browser
        finally:
            browser.close()
