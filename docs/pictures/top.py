"""The live view, out of a demo: the same seed, the same market and decisions; times are those of the day."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from contextlib import nullcontext

from rich.text import Text

from actors.system import TradingSystem
from console.commands.demo import PAUSE, demo_settings
from console.commands.top import FOOT
from console.demo.sample_agent import CAUTIOUS, SampleAgent
from console.display.format import document
from console.live.layout import frame
from console.live.poller import ViewPoller
from console.live.state import ViewReader, ViewState
from docs.pictures.svg import svg
from persistence.stores import portfolios

SEED = 1
SECONDS = 40.0
WIDTH, HEIGHT = 140, 32


def draw() -> str:
    """Run a demo, and return the picture of its last moments."""
    lines = frame(_seen(), WIDTH, HEIGHT, Text(FOOT, style="dim", end=""))
    return svg(lines, WIDTH, "run.py top")


def _seen() -> ViewState:
    with tempfile.TemporaryDirectory() as home:
        settings = demo_settings(home, SEED)
        with TradingSystem.start(settings) as system:
            values = {**settings.portfolio_values(), "max_position_size": "0.05"}
            portfolios.create(system.database_url, CAUTIOUS, values)
            looker = ViewReader(lambda: nullcontext(system.database_url), lambda: json.loads(document(system.status())))
            looked = threading.Event()
            with SampleAgent(system.database_url, SEED) as agent, ViewPoller(looker, 1.0, looked.set) as watch:
                begin = time.monotonic()
                while time.monotonic() - begin < SECONDS:
                    agent.decide()
                    time.sleep(PAUSE)
                looked.clear()
                looked.wait(10)
                return watch.newest
