"""How fast the system is, beside a bare psycopg loop that writes the same rows: ``python -m benchmarks``."""
