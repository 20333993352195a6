"""Who does what, and when: the seven roles, their mailboxes and supervision. All that a user imports stands here."""

from actors.settings import Settings
from actors.system import TradingSystem
from domain.decision import Decision

__all__ = ["Decision", "Settings", "TradingSystem"]
