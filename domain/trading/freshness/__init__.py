"""How old prices are by the clock of their exchange."""
