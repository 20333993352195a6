"""Errors of the program's own PostgreSQL server, and of its backups."""

from __future__ import annotations

from domain.errors import DatabaseError, PaperTradingError


class EmbeddedServerError(DatabaseError):
    """The embedded PostgreSQL could not be set up or started."""


class BackupRefused(PaperTradingError):
    """No backup can be written there, or this file cannot be restored here; nothing was changed."""


class BackupFailed(PaperTradingError):
    """A backup could not be completed; its file was removed."""
