"""The live view of a demo: market and decisions are reproducible by seed, times are those of the day."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from contextlib import nullcontext

from actors.system import TradingSystem
from console.commands.demo import DECISION_INTERVAL_S, demo_settings
from console.demo.sample_agent import CAUTIOUS, SampleAgent
from console.display.format import document
from console.live.foot import foot
from console.live.layout import frame
from console.live.poller import ViewPoller
from console.live.scroll import Scroll
from console.live.state import ViewReader, ViewState
from docs.pictures.svg import svg
from persistence.stores import portfolios

SEED = 1
SECONDS = 40.0
WIDTH, HEIGHT = 140, 32


def draw() -> str:
    """Run a demo, and return the picture of its last state."""
    state, scroll = _last_state(), Scroll()
    lines = frame(state, WIDTH, HEIGHT, lambda: foot(state, scroll, WIDTH), scroll)
    return svg(lines, WIDTH, "run.py top")


def _last_state() -> ViewState:
    with tempfile.TemporaryDirectory() as home:
        settings = demo_settings(home, SEED)
        with TradingSystem.start(settings) as system:
            values = {**settings.portfolio_values(), "max_position_size": "0.05"}
            portfolios.create(system.database_url, CAUTIOUS, values)
            reader = ViewReader(
                lambda: nullcontext(system.database_url), lambda: json.loads(document(system.status())), system.clock
            )
            updated = threading.Event()
            with SampleAgent(system.database_url, SEED) as agent, ViewPoller(reader, 1.0, updated.set) as poller:
                begin = time.monotonic()
                while time.monotonic() - begin < SECONDS:
                    agent.decide()
                    time.sleep(DECISION_INTERVAL_S)
                updated.clear()
                updated.wait(10)
                return poller.newest
