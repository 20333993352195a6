"""Alembic's home: each revision runs one file of ``sql/``, forward only."""
