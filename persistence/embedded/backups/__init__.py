"""Backups of the embedded database, and their restore."""
