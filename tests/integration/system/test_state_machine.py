"""Sequences of decisions, prices, crashes, restarts and outages keep the laws; `make faults` tries many more."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.faults.parts.machine import TradingMachine

TestTradingMachine = TradingMachine.TestCase
TestTradingMachine.settings = settings(
    max_examples=25, stateful_step_count=25, suppress_health_check=[HealthCheck.too_slow]
)
