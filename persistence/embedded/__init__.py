"""The program's own PostgreSQL server: installation, start and stop, backup, restore."""
