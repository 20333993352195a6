"""The schema as SQL files, readable on their own; `persistence.migrations` runs them in the order of their numbers."""
