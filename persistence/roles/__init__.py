"""Roles of the database that send decisions, read, or serve: their accounts, their rights, and where both are kept."""
