"""Alembic's migrations: each revision runs one file of ``sql/``, the views come last; no downgrades."""
