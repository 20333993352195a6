"""How every command writes tables, charts and numbers."""
