"""Alembic's migrations: each revision runs one file of ``sql/``; there are no downgrades."""
