"""Sessions with the database server: its address, their settings, and what the server must be like."""
