"""Tests that take long: ``make faults`` runs them, ``make test`` does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def slow_after_first(cases: Iterable[Any]) -> list[Any]:
    """Return the cases of a test, of which `make test` runs the first one only."""
    first, *others = cases
    return [first, *(pytest.param(case, marks=pytest.mark.slow) for case in others)]
