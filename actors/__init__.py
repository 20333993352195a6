"""Who does what, and when: the seven roles, their mailboxes and supervision. All that a user imports stands here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.settings import Settings
from domain.trading.decision import Decision

if TYPE_CHECKING:
    from actors.system import TradingSystem

__all__ = ["Decision", "Settings", "TradingSystem"]


def __getattr__(name: str) -> Any:
    """Import the system where it is asked for: a command that only looks in needs the settings alone."""
    if name == "TradingSystem":
        from actors.system import TradingSystem  # noqa: PLC0415 - see above

        return TradingSystem
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
