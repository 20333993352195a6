"""Values that never change: a map, and records that cost little to make."""
