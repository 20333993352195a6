"""The seven actors with their runtime and supervision. All names that users import are here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.settings import Settings
from domain.trading.decision import Decision

if TYPE_CHECKING:
    from actors.system import TradingSystem

__all__ = ["Decision", "Settings", "TradingSystem"]


def __getattr__(name: str) -> Any:
    """Import `TradingSystem` at its first use: most commands need the settings only, and start faster without it."""
    if name == "TradingSystem":
        from actors.system import TradingSystem  # noqa: PLC0415 - see above

        return TradingSystem
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
