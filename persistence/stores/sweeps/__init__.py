"""Sweeps and their trials: in a file of SQLite, and in the database, by one contract."""
