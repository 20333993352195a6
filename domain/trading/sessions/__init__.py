"""Trading sessions of exchanges: when a market opens and closes, by date."""
