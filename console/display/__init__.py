"""The kit with which every command writes tables, charts and numbers."""
