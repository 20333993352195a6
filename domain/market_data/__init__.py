"""Market data on their way to open orders and to the database."""
